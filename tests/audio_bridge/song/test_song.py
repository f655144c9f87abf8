"""The song verb: stages that are kept, redone and skipped; a whole song; the guide vocal's pitch."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_bridge.lyrics import inputs
from audio_bridge.lyrics.export import guide_vocal
from audio_bridge.lyrics.setting.word_setting import Timed
from audio_bridge.song import pipeline, song
from audio_bridge.song.pipeline import Skipped, Stage
from symbolic.errors import UsageError, UserError
from symbolic.files import read_json, write_json
from symbolic.notation.abc_parser import bars, parse


def _stages(log: list[str]) -> tuple[Stage, ...]:
    def work(name: str) -> Any:
        def do(folder: Path, options: Any, variation: int) -> dict[str, Any]:
            log.append(name)
            if name == "c" and not options["c"]:
                raise Skipped("c is off.")
            (folder / name).write_text(f"{name} {options['x']} {variation}")
            return {}

        return do

    return (
        Stage("a", work("a"), (), ("x",), ("a",)),
        Stage("b", work("b"), ("a",), (), ("b",)),
        Stage("c", work("c"), (), ("c",), ("c",)),
    )


def test_stages_are_done_once_and_again_only_when_something_changed(tmp_path: Path) -> None:
    log: list[str] = []
    made = _stages(log)

    def go(options: dict[str, Any], before: dict[str, Any], variations: dict[str, int]) -> dict[str, Any]:
        log.clear()
        return pipeline.run(made, tmp_path, options, before, variations, lambda *_: None, lambda _: None).record

    first = go({"x": 1, "c": False}, {}, {})
    assert log == ["a", "b", "c"] and first["c"]["skipped"] == "c is off."
    assert go({"x": 1, "c": False}, first, {}) == first and log == []
    go({"x": 1, "c": False}, first, {"b": 1})
    assert log == ["b"]
    go({"x": 2, "c": False}, first, {"b": 1})
    assert log == ["a", "b"]
    (tmp_path / "a").write_text("touched")
    go({"x": 1, "c": False}, first, {})
    assert log[0] == "a"
    with pytest.raises(UserError, match="no such stage"):
        pipeline.raised({}, ["melodie"], ["words", "melody"])


def test_a_stage_touches_no_file_but_its_own_whatever_the_record_says(tmp_path: Path) -> None:
    folder, victim = tmp_path / "song", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("mine")
    record = {"a": {"made_from": "0" * 64, "files": {str(victim): "0" * 64, "../victim": "0" * 64}}}
    options = {"x": 1, "c": False}
    made = pipeline.run(_stages([]), folder, options, record, {}, lambda *_: None, lambda _: None).record
    assert victim.read_text() == "mine" and list(made["a"]["files"]) == ["a"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"options": {"seed": "x"}}, "options.seed"),
        ({"options": {"tempo": "fast"}}, "options.tempo"),
        ({"options": {"genre": None}}, "options.genre"),
        ({"options": {"title": 5}}, "options.title"),
        ({"stages": []}, "stages is not"),
        ({"stages": {"words": "x"}}, "stages.words"),
        ({"variations": {"words": "a"}}, "variations"),
    ],
)
def test_a_record_that_was_damaged_by_hand_is_refused(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    write_json(tmp_path / song.RECORD, {"format": song.FORMAT, "options": {}, "stages": {}, **change})
    with pytest.raises(UserError, match=named):
        song._record(tmp_path / song.RECORD)


@pytest.mark.slow
def test_a_song_from_a_title_and_another_melody_for_the_same_words(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    song.add_arguments(parser)
    folder = tmp_path / "song"
    form = ["--structure", "verse-chorus", "--vocal", "off", "--title", "Harbour Lights", "--genre", "folk"]
    assert song.run(parser.parse_args(["-o", str(folder), *form])) == 0
    record = read_json(folder / "song.json")
    words = (folder / "words.json").read_bytes()
    melody = (folder / "melody.json").read_bytes()
    assert record["stages"]["setting"]["facts"]["measures"]["placed"] == 1.0
    assert record["stages"]["words"]["facts"]["writer"].startswith("grammar")
    score = parse((folder / "song.abc").read_text(encoding="utf-8"))
    assert all(bar.is_full for bar in bars(score.voices[0], score.meter)[1:-1])
    from audio_bridge.sound.audio import read_wav

    sound = read_wav(folder / "song.mp3")
    assert abs(sound.seconds - record["stages"]["mix"]["facts"]["seconds"]) < 0.1
    assert 0.02 < float(np.sqrt(np.mean(sound.samples**2))) < 0.5
    whole = read_wav(folder / "song.wav")  # the mix before MP3
    assert whole.samples.shape == sound.samples.shape and np.abs(whole.samples - sound.samples).mean() < 0.01
    assert song.run(parser.parse_args(["-o", str(folder), "--redo", "melody"])) == 0
    assert (folder / "words.json").read_bytes() == words and (folder / "melody.json").read_bytes() != melody
    other = tmp_path / "again"
    assert song.run(parser.parse_args(["-o", str(other), "--from", str(folder / "song.json")])) == 0
    for name in ("words.json", "melody.json", "song.abc", "song.mid", "song.musicxml", "backing.wav"):
        assert (other / name).read_bytes() == (folder / name).read_bytes(), name


def test_what_cannot_be_sung_is_refused_before_the_work(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    song.add_arguments(parser)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    for wrong in (["--metre", "7/8"], ["--key", "H"], ["--tempo", "1e9"], ["--seed", "-1"], ["--rhyme", "1"]):
        with pytest.raises(UserError):
            song.run(parser.parse_args(["-o", str(tmp_path / "s"), *wrong]))
    with pytest.raises(UsageError, match="holds no song"):
        song.run(parser.parse_args(["-o", str(tmp_path / "other")]))
    assert not (tmp_path / "s").exists()


def test_long_lines_are_parted_and_longer_texts_refused() -> None:
    from audio_bridge.lyrics.lyric_text import parse

    lyrics, notes = inputs.singable(parse("la " * 300, language="en"))
    assert notes and max(len(line.split()) for line in lyrics.lines) <= inputs.LONGEST_LINE
    assert sum(len(line.split()) for line in lyrics.lines) == 300
    with pytest.raises(UserError, match="at most 1,500"):
        inputs.singable(parse("wandering " * 3000, language="en"))


def test_vocoder_sings_the_notes_whatever_was_spoken() -> None:
    """A buzz at 110 Hz comes out at the pitches of the notes, in time."""
    import io
    import wave

    t = np.arange(12_000) / guide_vocal.RATE
    buzz = sum(np.sin(2 * np.pi * 110 * k * t) / k for k in range(1, 30)) * 8000
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(guide_vocal.RATE)
        file.writeframes(buzz.astype("<i2").tobytes())
    word = [Timed("la", 0.0, 0.6, 0, False, False, 2, ((69, 0.0, 0.6),)),
            Timed("la", 0.6, 1.2, 0, True, True, 0, ((64, 0.6, 1.2),))]  # fmt: skip
    sound = guide_vocal.sung_word(buffer.getvalue(), word)
    assert abs(len(sound) / guide_vocal.RATE - 1.2) < 0.02
    for start, hertz in ((0.15, 440.0), (0.8, 329.63)):
        part = sound[round(start * guide_vocal.RATE) :][: guide_vocal.RATE // 5]
        assert abs(_pitch(part) / hertz - 1) < 0.02


@pytest.mark.skipif(guide_vocal.engine() is None, reason="no espeak-ng here")
def test_guide_vocal_by_the_engine_that_is_here() -> None:
    word = [Timed("moon", 0.5, 1.5, 0, True, True, 2, ((60, 0.5, 1.5),))]
    sound = guide_vocal.sing(word, "en").samples[0]
    assert np.abs(sound[: guide_vocal.RATE // 3]).max() < 0.01 < np.abs(sound).max()
    assert abs(_pitch(sound[round(0.8 * guide_vocal.RATE) :][: guide_vocal.RATE // 5]) / 261.63 - 1) < 0.02


def _pitch(part: np.ndarray) -> float:
    """The lag from 60 to 800 Hz at which a sound is most like itself."""
    part = part - part.mean()
    lags = np.arange(guide_vocal.RATE // 800, guide_vocal.RATE // 60)
    likeness = [float(np.dot(part[:-lag], part[lag:]) / np.linalg.norm(part[:-lag]) / np.linalg.norm(part[lag:]))
                for lag in lags]  # fmt: skip
    best = max(likeness)
    first = next(i for i, value in enumerate(likeness) if value > 0.97 * best)
    while first + 1 < len(likeness) and likeness[first + 1] > likeness[first]:
        first += 1
    return guide_vocal.RATE / float(lags[first])


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen",
    [
        {"genre": "waltz", "language": "es", "title": "El tren", "chords": "| Am | E7 | Am | % |", "seed": 6},
        {"genre": "rap", "language": "pt", "title": "A rua", "seed": 7},
        {"genre": "blues", "title": "Snow in April", "seed": 5},
    ],
    ids=lambda chosen: chosen["genre"],
)
def test_a_record_makes_the_same_song_again(tmp_path: Path, chosen: dict[str, object]) -> None:
    """Every notation of a song whose melody was redone, from its record alone."""
    first, second = tmp_path / "first", tmp_path / "second"
    song.make(first, {**song.DEFAULTS, **chosen}, redo=["melody"], until="score", say=lambda *_: None)
    record = read_json(first / song.RECORD)
    song.make(second, record["options"], None, record["variations"], until="score", say=lambda *_: None)
    names = sorted(path.name for path in first.iterdir())
    assert {"song.abc", "song.mid", "song.musicxml", "song.lrc"} < set(names)
    assert [name for name in names if (first / name).read_bytes() != (second / name).read_bytes()] == []
