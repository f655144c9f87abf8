"""What an interrupt prints that nothing catches."""

import signal
import subprocess
import sys

import pytest

START = "from symbolic import interrupts; interrupts.end_in_one_line(); print('up', flush=True); "


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="sends itself a POSIX signal")
def test_an_uncaught_interrupt_is_one_line() -> None:
    done = run("import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(20)")
    assert done.stderr == "interrupted; nothing was left half-written.\n"
    assert done.returncode in (-signal.SIGINT, 130)


def test_other_errors_keep_their_traceback() -> None:
    done = run("1 / 0")
    assert "ZeroDivisionError" in done.stderr and "Traceback" in done.stderr and done.returncode == 1


def test_it_imports_nothing_of_weight() -> None:
    seen = "import sys; print([m for m in ('argparse', 'json', 'difflib', 'numpy', 'torch') if m in sys.modules])"
    bare = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert run(seen).stdout.splitlines()[1] == bare.stdout.strip()
