"""Measures of MIDI pieces: hand-worked ones, laws, and the verb on files."""

import json
from pathlib import Path

import numpy as np
import pytest

from symbolic.__main__ import VERBS
from symbolic.command_line import main
from symbolic.evaluate import midi_evaluation as measured
from symbolic.files import write_jsonl
from symbolic.formats import midi_text
from symbolic.notation import abc_parser

# Two bars of 3/4: C E G; then A and C as half notes, and a G that is held over the end of the bar.
SMALL = "MIDI 24\nM:0 3/4\nQ:0 120\nI:0\n0 60 24\n24 64 24\n48 67 24\n72 69 48\n72 72 48\n120 67 36\n"


@pytest.fixture(scope="module")
def texts(real_tunes: list[str]) -> list[str]:
    chosen = [text for text in real_tunes[::37] if len(text) > 150][:60]
    return [midi_text.canonical(midi_text.from_score(abc_parser.parse(text))) for text in chosen]


@pytest.fixture(scope="module")
def data(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `prepare --as midi` writes it: 48 training and 12 test pieces."""
    folder = tmp_path_factory.mktemp("data")
    rows = [{"id": f"p{n}", "title": "", "text": text} for n, text in enumerate(texts)]
    write_jsonl(folder / "tunes" / "train.jsonl", rows[:48])
    write_jsonl(folder / "tunes" / "test.jsonl", rows[48:])
    return folder


def nonzero(counts: np.ndarray) -> dict[int, int]:
    return {n: int(count) for n, count in enumerate(counts) if count}


def test_a_piece_by_hand() -> None:
    seen = measured.observe(SMALL)
    eighths = {length: measured._DURATION_BIN[length] for length in (24, 36, 48)}
    assert nonzero(seen.histograms["duration"]) == {eighths[24]: 3, eighths[36]: 1, eighths[48]: 2}
    assert nonzero(seen.histograms["notes_per_bar"]) == {3: 2}
    assert nonzero(seen.histograms["polyphony"]) == {1: 4, 2: 2}
    assert nonzero(seen.histograms["beat"]) == {0: 6}
    assert nonzero(seen.histograms["pitch_class"]) == {0: 2, 4: 1, 7: 2, 9: 1}  # C major
    assert (seen.values["lowest"], seen.values["highest"], seen.values["n_notes"]) == (60, 72, 6)
    assert seen.values["polyphony_rate"] == pytest.approx(48 / 156)
    assert seen.values["within"] == pytest.approx(5 / 6)
    assert seen.values["seconds"] == pytest.approx(156 / 24 / 2)


def test_bars_follow_changes_of_metre() -> None:
    text = "MIDI 24\nM:0 3/4\nM:72 4/4\nQ:0 120\nI:0\n48 60 24\n72 60 96\n168 62 24\n"
    piece = midi_text.parse(text)
    assert measured.in_bars(piece)
    bar, _ = measured._bars(piece, np.array([0, 48, 72, 168]), np.array([1, 1, 1, 1]))
    assert bar.tolist() == [0, 0, 1, 2]
    assert not measured.in_bars(midi_text.parse(text.replace("48 60 24", "48 64 25")))


def test_transposition_changes_nothing_but_pitch(texts: list[str]) -> None:
    for text in texts[:10]:
        one, other = (
            measured.observe(midi_text.canonical(midi_text.transposed(midi_text.parse(text), n))) for n in (0, 3)
        )
        assert all((one.histograms[name] == other.histograms[name]).all() for name in measured.FEATURES)
        assert one.key == other.key and one.values["key_fit"] == pytest.approx(other.values["key_fit"])


def test_controls_are_caught(data: Path) -> None:
    reference = measured.read_reference(str(data))
    sets = measured.comparison(reference)
    found = {name: measured.measures(some, reference) for name, some in sets.items()}
    human = found[measured.HELD_OUT]
    assert human["share_with_notes"] == 1 and human["polyphony"] == pytest.approx(1, abs=0.1)
    assert found[measured.COPY]["share_with_copied_phrase"] == 1 > human["share_with_copied_phrase"]
    for noise in (measured.PITCHES, measured.SHUFFLED):
        assert found[noise]["divergence_interval"] > 2 * human["divergence_interval"]
        assert found[noise]["self_similarity"] < human["self_similarity"]
    assert found[measured.PITCHES]["key_fit"] < human["key_fit"] - 0.1
    assert found[measured.MOVED]["divergence_beat"] > 2 * human["divergence_beat"]
    assert found[measured.MOVED]["share_within_bar"] < human["share_within_bar"] - 0.05
    assert found[measured.REPEATED]["share_of_duplicates"] == pytest.approx(2 / 12)


def test_the_verb_on_midi_files(
    data: Path, texts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made"
    made.mkdir()
    for n, text in enumerate(texts[:3]):
        (made / f"piece-{n}.mid").write_bytes(midi_text.to_midi(midi_text.parse(text)))
    (made / "piece-9.mid").write_bytes(b"MThd")
    assert evaluate(made, "--against", data, "-o", tmp_path / "scores", "--html") == 0
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    own = scores["measures"]["made"]
    assert (own["n_pieces"], own["share_with_notes"], own["share_with_copied_phrase"]) == (4, 0.75, 1.0)
    assert [row["reason"] for row in scores["tunes"]] == ["", "", "", "not_midi"]
    assert [row.get("source_id") for row in scores["tunes"]] == ["p0", "p1", "p2", None]
    assert "pieces with notes" in (tmp_path / "scores" / "scores.csv").read_text()
    assert "pieces with notes" in capsys.readouterr().out
    assert "human, held out" in (tmp_path / "scores" / "report.html").read_text()


def test_midi_is_not_measured_against_abc(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mid").write_bytes(b"MThd")
    (tmp_path / "b.abc").write_text("X:1\nK:C\nCDEF\n")
    assert evaluate(tmp_path / "a.mid", "--against", tmp_path / "b.abc") == 2
    assert "--as midi" in capsys.readouterr().err
    assert evaluate(tmp_path / "a.mid", "--against", data, "--opinions", 3) == 2
    assert evaluate(tmp_path / "a.mid", "--against", data) == 1
    assert "none of the 1 has notes" in capsys.readouterr().err


def evaluate(*arguments: object) -> int:
    return main("symbolic", VERBS, ["evaluate", *map(str, arguments)])
