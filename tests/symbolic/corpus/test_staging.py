"""A run of `prepare` that is killed goes on where it stopped: no piece twice, none lost, the same bytes."""

from pathlib import Path

import pytest

from symbolic.corpus import cleaning, prepare, staging
from symbolic.corpus.corpora import Found, Rejection


def tune(number: int) -> str:
    notes = "".join("CDEFGABc"[(number * 7 + step * step + step * number) % 8] for step in range(32))
    bars = "|".join(notes[i : i + 8] for i in range(0, 32, 8))
    return f"X:{number}\nT:Tune {number}\nM:4/4\nL:1/8\nK:{'C' if number % 5 else 'nonsense'}\n{bars}|]\n\n"


class Killed(BaseException):
    """Stands for a signal that ends the process at once."""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(prepare, "BATCH_TUNES", 10)
    path = tmp_path / "tunes.abc"
    path.write_text("".join(map(tune, range(1, 48))))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_killed_run_goes_on(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = prepare.PrepareOptions(processes=1)
    prepare.prepare([str(source)], tmp_path / "whole", options)
    cleaned: list[int] = []
    clean = cleaning.clean

    def counted(found: Found, *more: object) -> object:
        if len(cleaned) == 25:
            raise Killed
        cleaned.append(found.line)
        return clean(found, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(cleaning, "clean", counted)
    with monkeypatch.context() as dying:
        dying.setattr(staging.Staging, "remove", lambda self: None)
        with pytest.raises(Killed):
            prepare.prepare([str(source)], tmp_path / "again", options)
    assert (tmp_path / ".again.partial" / "000001.jsonl").is_file()
    assert not (tmp_path / "again").exists()
    cleaned.clear()
    monkeypatch.setattr(cleaning, "clean", lambda found, *more: (cleaned.append(found.line), clean(found, *more))[1])
    prepare.prepare([str(source)], tmp_path / "again", options)
    assert len(cleaned) == 47 - 20  # two batches of ten were whole
    assert contents(tmp_path / "again") == contents(tmp_path / "whole")
    assert not (tmp_path / ".again.partial").exists()


def test_a_spool_of_other_sources_is_thrown_away(source: Path, tmp_path: Path) -> None:
    stale = staging.Staging(tmp_path / "out", "another")
    stale.write(0, [])
    prepare.prepare([str(source)], tmp_path / "out", prepare.PrepareOptions(processes=1))
    prepare.prepare([str(source)], tmp_path / "whole", prepare.PrepareOptions(processes=1))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_tunes_and_rejections_come_back(tmp_path: Path) -> None:
    found = Found("s", "f.abc", 1, tune(1), 1)
    whole = cleaning.clean(found)
    assert isinstance(whole, cleaning.CleanTune)
    rejection = Rejection("s", "f.abc", None, "reason", "why")
    kept = staging.Staging(tmp_path / "out", "one")
    kept.write(0, [whole, rejection])
    assert list(kept.read(0)) == [whole, rejection]
