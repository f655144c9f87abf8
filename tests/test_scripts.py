"""Every script of experiments and benchmarks answers --help, and only that: nothing is measured, written or loaded."""

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHILDREN = {"benchmarks.workers"}  # started by other scripts, spoken to on stdin
SCRIPTS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for top in ("experiments", "benchmarks")
    for path in (ROOT / top).rglob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name not in CHILDREN])
@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_script_answers_help(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(name, run_name="__main__")
    assert ended.value.code in (0, None)
    shown = capsys.readouterr().out
    assert "usage:" in shown and len(shown) > 150
    assert list(tmp_path.iterdir()) == []


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) > 25 and "experiments.quickstart" in SCRIPTS
