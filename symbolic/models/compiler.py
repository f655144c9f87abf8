"""C sources compiled on demand with the system's compiler and called through ctypes.

`build(source)` loads the shared library of one C file, compiling it first where this machine has not. Libraries are
kept in ~/.cache/abc-symbolic (or $XDG_CACHE_HOME/abc-symbolic), named by the digest of the source, of the files that it
includes by a quoted name, of the flags and of the processor, so that a change of any of them builds it again. Whoever
uses a source keeps the library and asks why it cannot be used in the same way:

    @functools.cache
    def _library() -> ctypes.CDLL:
        return native.build(SOURCE)

    problem = functools.cache(lambda: native.problem_of(_library))
"""

import contextlib
import ctypes
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from symbolic.files import digest

FLAGS = ("-O3", "-march=native", "-std=gnu11", "-fno-math-errno", "-fPIC", "-shared", "-pthread")


class BuildError(Exception):
    """Why a library cannot be had on this machine, and what to do."""


def build(source: Path, flags: Sequence[str] = FLAGS) -> ctypes.CDLL:
    """Return the shared library of a C file, compiled where it is not in the cache; BuildError when that cannot be."""
    try:
        text = "".join(path.read_text() for path in _with_parts(source))
        path = cache() / f"{source.stem}-{digest(text + ' '.join(flags) + processor())[:20]}.so"
        if not path.exists():
            with _turn(source):
                if not path.exists():
                    _compile(source, flags, path)
        return ctypes.CDLL(str(path))
    except subprocess.CalledProcessError as error:
        words = error.stderr.strip().splitlines() or ["without a message"]
        said = next((line for line in words if "error" in line), words[-1])
        raise BuildError(f"the C compiler failed on {source} ({said}): set CC to another compiler.") from error
    except OSError as error:
        how = f"make {cache()} writable or set XDG_CACHE_HOME"
        raise BuildError(f"its library cannot be written or loaded ({error}): {how}.") from error


def problem_of(library: Callable[[], ctypes.CDLL]) -> str | None:
    """Return why `library`, which calls `build`, cannot be used on this machine, and what to do; None when it can."""
    try:
        library()
    except BuildError as error:
        return str(error)
    return None


def cache() -> Path:
    """Return the folder of compiled libraries."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "abc-symbolic"


def processor() -> str:
    """Return what -march=native depends on: a home folder may be shared by unlike machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return (
        platform.machine() + platform.processor() + next((x for x in lines if x.startswith(("flags", "Features"))), "")
    )


def _with_parts(source: Path) -> Iterator[Path]:
    """Yield a C file and the files that it includes by a quoted name, which stand beside it, in reading order."""
    yield source
    for name in re.findall(r'^#include "(.+)"', source.read_text(), flags=re.MULTILINE):
        yield from _with_parts(source.with_name(name))


@contextlib.contextmanager
def _turn(source: Path) -> Iterator[None]:
    """Let the first of several processes that want a source compiled do it, while the others wait."""
    with open(source) as lock:
        with contextlib.suppress(ImportError, OSError):  # no such locks on Windows and some network drives
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _compile(source: Path, flags: Sequence[str], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        command = [*_compiler(), *flags, "-o", str(made), str(source), "-lm"]
        subprocess.run(command, check=True, capture_output=True, text=True)
        os.replace(made, path)


def _compiler() -> list[str]:
    asked = shlex.split(os.environ.get("CC", ""))
    found = asked or [name for name in ("cc", "gcc", "clang") if shutil.which(name)][:1]
    if found and shutil.which(found[0]):
        return found
    missing = f"CC is {asked[0]!r}, which is absent" if asked else "no C compiler (cc, gcc or clang) is on PATH"
    raise BuildError(f"{missing}: install one, for example `apt install gcc`.")
