"""The verb as a user runs it: files, names, records, exit statuses and messages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from audio_bridge.__main__ import VERBS
from audio_bridge.render import soundfonts
from audio_bridge.render.render import Recipe, midi_of, render_file
from symbolic.command_line import main
from symbolic.errors import UserError
from symbolic.files import sha256
from symbolic.formats import midi
from symbolic.notation.abc_parser import Sound, parse

ONE = "X:7\nT:The first\nM:6/8\nL:1/8\nR:jig\nK:D\n|:dAF DFA|ded cBA:|\n"
TWO = "\nX:12\nT:The second\nM:4/4\nL:1/8\nK:G\nGABc d4|\n"
BROKEN = "\nX:13\nT:No key\nM:4/4\nL:1/8\nGABc d4|\n"


def call(*arguments: str | Path) -> int:
    return main("audio_bridge", VERBS, ["render", *map(str, arguments)])


@pytest.fixture
def tunes(tmp_path: Path) -> Path:
    path = tmp_path / "tunes.abc"
    path.write_text(ONE + TWO, encoding="utf-8")
    return path


def test_one_tune_of_a_file_with_its_record(tunes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tunes.with_name("out.flac")
    assert call(tunes, "--tune", 7, "-o", out, "--sample-rate", "32000", "--loudness", "-20", "--json", "--record") == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])["renderings"][0]
    info = soundfile.info(out)
    assert (info.format, info.samplerate, info.channels) == ("FLAC", 32_000, 2)
    assert record["seconds"] == pytest.approx(info.duration, abs=1e-3)
    assert record["score_seconds"] == pytest.approx(12 * 2 / 3 / 165 * 60 * 3 / 4 * 2, abs=0.01)
    assert record["loudness_lufs"] == pytest.approx(-20, abs=0.5)
    assert (record["tune"], record["title"], record["instrument"]) == (7, "The first", "violin")
    assert (record["tempo_qpm"], record["backend"].split()[0]) == (165.0, "midirenderer")
    assert record["source_sha256"] == sha256(tunes)
    assert len(record["soundfont_sha256"]) == 64 and record["soundfont_licence"] == "GPL-2.0"
    assert json.loads(out.with_name("out.flac.json").read_text(encoding="utf-8")) == record


def test_all_tunes_go_to_files_numbered_as_they_are(tunes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tunes) == 0
    assert {path.name for path in tunes.parent.iterdir()} == {"tunes.abc", "tunes-07.wav", "tunes-12.wav"}
    assert [line.split()[0].rsplit("/")[-1] for line in capsys.readouterr().out.splitlines()] == [
        "tunes-07.wav",
        "tunes-12.wav",
    ]


def test_tunes_whose_numbers_repeat_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.abc").write_text(TWO + TWO, encoding="utf-8")
    names = [Path(r.path).name for r in render_file(tmp_path / "a.abc", tmp_path / "b.wav")]
    assert names == ["b-1.wav", "b-2.wav"]


def test_a_bad_tune_among_good_ones_is_reported_and_the_rest_rendered(
    tunes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tunes.write_text(ONE + BROKEN, encoding="utf-8")
    assert call(tunes, "--json") == 1
    shown = capsys.readouterr()
    last = json.loads(shown.out.splitlines()[-1])
    assert [r["tune"] for r in last["renderings"]] == [7]
    assert [f["tune"] for f in last["failures"]] == [13]
    assert "tunes.abc, tune 13, line 9: " in shown.err and shown.err.startswith("error: ")
    assert not tunes.with_name("tunes-13.wav").exists()


def test_a_midi_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    midi.write_midi([Sound(0, 0, 4 * midi.TICKS_PER_QUARTER, 69)], tmp_path / "a.mid", program=73)
    assert call(tmp_path / "a.mid", "--transpose", "-2", "--sample-format", "float", "--json") == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])["renderings"][0]
    assert soundfile.info(tmp_path / "a.wav").subtype == "FLOAT"
    assert (record["score_seconds"], record["tune"], record["instrument"]) == (2.0, None, None)


def test_mp3_and_loudness_off(tunes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tunes, "--tune", 12, "-o", tunes.with_name("a.mp3"), "--loudness", "off", "--json") == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])["renderings"][0]
    assert soundfile.info(tunes.with_name("a.mp3")).format == "MP3"
    assert record["gain_db"] == 0 and record["recipe"]["loudness_lufs"] is None


def test_a_recipe_from_python(tunes: Path) -> None:
    (rendering,) = render_file(
        tunes, tunes.with_name("x.wav"), tune=12, recipe=Recipe(instrument="flute", tempo_qpm=60)
    )
    assert rendering.score_seconds == 4.0 and rendering.instrument == "flute"
    assert rendering.seconds == pytest.approx(soundfile.info(rendering.path).duration, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "data", "options", "status", "message"),
    [
        ("a.abc", b"", [], 1, "a.abc has no tune"),
        ("a.abc", b"nothing to play here\n", [], 1, "a.abc has no tune"),
        ("a.abc", b"\x7fELF\0\0\0", [], 1, "binary"),
        ("a.abc", b"X:1\nM:4/4\nL:1/8\nK:G\n", [], 1, "a.abc, tune 1, line"),
        ("a.abc", b"X:1\nM:4/4\nL:1/8\nK:G\nz8|\n", [], 1, "a.abc, tune 1, line"),
        ("a.abc", b"X:1\nM:4/4\nL:1/8\nGABc|\n", [], 1, "line"),
        ("a.abc", b"X:1\nM:4/4\nL:1/8\nQ:1/4=1000000\nK:G\nGABc|\n", [], 1, "Q:1/4=1000000"),
        ("a.abc", b"X:1\nM:4/4\nL:1/1\nQ:1/4=5\nK:G\n" + b"G64|" * 9, [], 1, "at most 20 minutes"),
        ("a.mid", b"X:1\nK:G\nGABc|\n", [], 1, "does not begin as a MIDI file"),
        ("a.mid", b"MThd", [], 1, "not a readable MIDI file"),
        ("a.abc", ONE.encode(), ["--tune", "8"], 2, "a.abc holds 1 tune, none of them X:8"),
        ("a.abc", ONE.encode(), ["--instrument", "violine"], 2, "Did you mean violin"),
        ("a.abc", ONE.encode(), ["--soundfont", "no.sf2"], 1, "no.sf2"),
        ("a.abc", ONE.encode(), ["-o", "a.ogg"], 2, ".wav, .flac, .mp3"),
        ("a.abc", ONE.encode(), ["-o", "a.mp3", "--sample-rate", "96000"], 2, "96000"),
        ("a.abc", ONE.encode(), ["-o", "a.abc/x.wav"], 1, "cannot write"),
        ("a.abc", ONE.encode(), ["--transpose", "99"], 1, "outside 0 to 127"),
        ("a.abc", ONE.encode(), ["--tempo", "1e9"], 2, "cannot be played"),
        ("a.abc", ONE.encode(), ["--tempo", "nan"], 2, "cannot be played"),
        ("a.abc", ONE.encode(), ["--tempo", "0"], 2, "choose 5 to 3000"),
        ("a.abc", ONE.encode(), ["--transpose", "300"], 2, "choose -127 to 127"),
        ("a.abc", ONE.encode(), ["--backend", "timidity"], 2, "midirenderer or fluidsynth"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    name: str,
    data: bytes,
    options: list[str],
    status: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(data)
    assert call(name, *options) == status
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_missing_input_and_output_that_is_a_folder(tunes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tunes.with_name("absent.abc")) == 1
    folder = tunes.with_name("folder.wav")
    folder.mkdir()
    assert call(tunes, "--tune", 7, "-o", folder) == 2
    shown = capsys.readouterr().err
    assert "absent.abc" in shown and "is a folder" in shown


def test_a_new_output_folder_is_made(tunes: Path) -> None:
    assert call(tunes, "--tune", 7, "-o", tunes.with_name("new") / "deep" / "a.wav") == 0
    assert (tunes.with_name("new") / "deep" / "a.wav").stat().st_size > 100_000


def test_midi_has_one_tune_and_no_repeats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    midi.write_midi([Sound(0, 0, 4, 69)], tmp_path / "a.mid")
    assert call(tmp_path / "a.mid", "--tune", 2) == 2
    assert call(tmp_path / "a.mid", "--no-repeats") == 2
    assert call(tmp_path / "a.mid", "--transpose", -70) == 1
    assert "holds 1 tune, none of them X:2" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--loudness", "5"], ["--loudness", "nan"], ["--tune", "x"], ["--nonsense"]])
def test_options_that_do_not_parse(tunes: Path, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        call(tunes, *options)
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_the_package_runs_as_a_program(tunes: Path) -> None:
    command = [sys.executable, "-m", "audio_bridge", "render", str(tunes), "--tune", "12"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0 and done.stderr.startswith("note: --tune 12 is the tune X:12, the 2nd of 2 in ")
    assert soundfile.info(tunes.with_suffix(".wav")).duration > 2


@pytest.mark.parametrize("folder", ["airdsAirs", "oneills1850", "ryansMammoth"])
def test_real_tunes(folder: str, music21_corpus: Path, tmp_path: Path) -> None:
    source = sorted((music21_corpus / folder).glob("*.abc"))[0]
    text = source.read_text(encoding="latin-1")
    number = int(text[text.index("X:") + 2 :].split()[0])
    (rendering,) = render_file(source, tmp_path / "a.wav", tune=number)
    assert 5 < rendering.score_seconds <= rendering.seconds < rendering.score_seconds + 3
    assert rendering.loudness_lufs == pytest.approx(-18, abs=0.5)
    assert rendering.peak_dbtp is not None and rendering.peak_dbtp <= -1


def test_the_first_bad_tune_raises_from_python(tunes: Path) -> None:
    tunes.write_text(ONE + BROKEN, encoding="utf-8")
    with pytest.raises(UserError, match="tune 13"):
        render_file(tunes)


@pytest.mark.parametrize(
    ("music", "seconds"),
    [
        ("Q:1/4=60\nK:C\nGECE|\nQ:1/4=240\nGECE|]", 5.0),
        ("Q:1/4=120\nP:ABA\nK:C\nP:A\nGECE|\nP:B\nc4|]", 6.0),
        ("Q:1/4=120\nK:C\nGECE|c4!fine!|G4!D.C.!|]", 10.0),
        ("Q:1/4=120\nK:C\n|:GECE|[1 c4:|[2 G4|]", 8.0),
    ],
    ids=["tempo changes", "parts", "da capo al fine", "endings"],
)
def test_a_tune_is_played_as_it_says(music: str, seconds: float) -> None:
    made = midi_of(parse(f"X:1\nM:4/4\nL:1/4\n{music}"), Recipe())
    assert midi.seconds(made) == pytest.approx(seconds)


def test_dynamics_are_heard() -> None:
    made = midi_of(parse("X:1\nM:4/4\nL:1/4\nK:C\n!pp!CE!ff!GE|]"), Recipe())
    velocities = [m.velocity for track in made.tracks for m in track if m.type == "note_on" and m.velocity]
    assert velocities[0] == velocities[1] < velocities[2] == velocities[3]


def test_clicks_graces_and_several_instruments(tunes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tunes.write_text("X:1\nM:3/4\nL:1/4\nQ:1/4=120\nK:G\n{A}GBd|g3|]\n", encoding="utf-8")
    options = ["--instrument", "flute,piano", "--count-in", 1, "--metronome", "--grace-notes", "--json"]
    assert call(tunes, *options) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])["renderings"][0]
    assert record["instrument"] == "flute, acoustic grand piano"
    assert record["score_seconds"] == pytest.approx(4.5, abs=0.01)
    assert record["recipe"]["grace_notes"] and record["recipe"]["count_in"] == 1
    assert call(tunes, "--count-in", 99) == 2
    assert "choose 0 to 8 bars" in capsys.readouterr().err


def test_instruments_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call("--list-instruments")
    assert ended.value.code in (0, None)
    assert " 73  flute" in capsys.readouterr().out


def test_a_soundfont_for_every_command(
    tunes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(soundfonts.VARIABLE, str(tunes.with_name("absent.sf2")))
    assert call(tunes, "--tune", 7) == 1
    assert "absent.sf2" in capsys.readouterr().err
    own = tunes.with_name("own.sf2")
    own.write_bytes(soundfonts._default().path.read_bytes())
    monkeypatch.setenv(soundfonts.VARIABLE, str(own))
    assert soundfonts.find().name == "own"
