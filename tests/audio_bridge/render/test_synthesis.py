"""The guarded child: hostile files and runaway work end as a UserError in this process."""

import sys
from pathlib import Path

import pytest

from audio_bridge.render import soundfonts, synthesis
from audio_bridge.render.instruments import ALIASES, PROGRAMS, program
from symbolic.errors import UsageError, UserError
from symbolic.files import sha256
from symbolic.formats import midi
from symbolic.notation.abc_parser import Sound

GOOD = midi.to_bytes(midi.build([Sound(0, 0, midi.TICKS_PER_QUARTER, 69)]))


@pytest.mark.parametrize("data", [b"", b"MThd", bytes(200), GOOD[:-9], GOOD[:12] + b"\0\0" + GOOD[14:]])
def test_midirenderer_with_hostile_midi(data: bytes) -> None:
    with pytest.raises(UserError, match="synthesiser midirenderer"):
        synthesis.synthesise(data, soundfonts.find().path, 1.0)


def test_a_broken_soundfont(tmp_path: Path) -> None:
    broken = tmp_path / "broken.sf2"
    broken.write_bytes(soundfonts.find().path.read_bytes()[:50_000])
    assert soundfonts.find(broken).sha256 == sha256(broken)
    with pytest.raises(UserError, match="synthesiser midirenderer failed"):
        synthesis.synthesise(GOOD, broken, 1.0)


def test_a_file_longer_than_it_says_hits_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine hours of silence announced as one second would be 6 GB of samples."""
    long = midi.to_bytes(midi.build([Sound(0, 0, 60_000 * midi.TICKS_PER_QUARTER, 69)], tempo_qpm=120))
    monkeypatch.setattr(synthesis, "BASE_SECONDS", 5.0)
    with pytest.raises(UserError, match="synthesiser midirenderer failed"):
        synthesis.synthesise(long, soundfonts.find().path, 1.0)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("while True: pass", "ran out of the processor time"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"crashed \(SIGSEGV\)"),
        ("x = bytes(1 << 33)", "MemoryError"),
        ("raise SystemExit('no such preset')", "no such preset"),
    ],
)
def test_how_a_child_can_die(code: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits are the real ones; only the synthesiser is replaced."""
    fake = tmp_path / "midirenderer.py"
    fake.write_text(f"def render_wave_from(soundfont, midi):\n    {code}\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(synthesis, "BASE_SECONDS", 1.0)
    with pytest.raises(UserError, match=reason):
        synthesis.synthesise(GOOD, soundfonts.find().path, 0.1)


def test_a_child_that_sleeps_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "midirenderer.py").write_text("import time\ntime.sleep(60)\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(synthesis, "BASE_SECONDS", 0.25)
    with pytest.raises(UserError, match=r"was stopped after|ran out of the processor time"):  # where busy, in imports
        synthesis.synthesise(GOOD, soundfonts.find().path, 0.1)


def test_an_absent_backend_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(synthesis.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="apt install fluidsynth"):
        synthesis.available("fluidsynth")
    with pytest.raises(UserError, match="pip install midirenderer"):
        synthesis.available("midirenderer")
    with pytest.raises(UsageError, match="choose"):
        synthesis.available("timidity")


def test_the_default_soundfont_is_the_recorded_one_where_it_was_installed() -> None:
    font = soundfonts.find()
    assert font.sha256 == sha256(font.path) == soundfonts.TIMGM6MB_SHA256
    assert font.licence == "GPL-2.0"
    assert Path(sys.prefix) in font.path.parents


def test_what_is_no_soundfont(tmp_path: Path) -> None:
    (tmp_path / "a.sf2").write_bytes(b"RIFF0000WAVEfmt ")
    for path in (tmp_path / "a.sf2", tmp_path / "absent.sf2", tmp_path):
        with pytest.raises(UserError, match=str(path)):
            soundfonts.find(path)


def test_instruments_by_name_and_number() -> None:
    assert len(PROGRAMS) == len(set(PROGRAMS)) == 128
    assert (program("violin"), program("Violin "), program(40), program("40")) == (40, 40, 40, 40)
    assert (program("flute"), program("acoustic_bass"), program("gunshot"), program("piano")) == (73, 32, 127, 0)
    assert (PROGRAMS[109], PROGRAMS[110], PROGRAMS[22], PROGRAMS[105]) == ("bagpipe", "fiddle", "harmonica", "banjo")
    assert all(0 <= number <= 127 for number in ALIASES.values())


@pytest.mark.parametrize(("name", "near"), [("violn", "violin"), ("acordion", "accordion"), ("whistel", "whistle")])
def test_unknown_instruments_suggest_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"Did you mean .*{near}"):
        program(name)


@pytest.mark.parametrize("name", ["128", "-1", "", "qqqq"])
def test_instruments_that_do_not_exist(name: str) -> None:
    with pytest.raises(UsageError):
        program(name)
