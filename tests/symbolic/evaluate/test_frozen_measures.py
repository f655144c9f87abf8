"""Every measure on fixed inputs has the value that is written down (in the manner of mir_eval's fixtures).

tests/golden/measures holds the inputs, human.abc and made.abc (written by a program with a fixed seed; of the made
tunes some are copies, one is doubled, some are damaged), and symbolic.json, what the measures say of them. A value that
changes is a measure that has changed: say so in CHANGELOG.md, and write it anew with

    python tests/symbolic/evaluate/test_frozen_measures.py
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbolic.affect import arc_measures
from symbolic.evaluate import comparison, midi_evaluation
from symbolic.evaluate.metrics import bootstrap, control_adherence, histograms
from symbolic.evaluate.sets import Human, SetTune
from symbolic.formats import midi_text
from symbolic.notation.abc_parser import NotationError, canonical, parse, split_tunes

FOLDER = Path(__file__).resolve().parents[2] / "golden" / "measures"
PREDICTED = ("bits_per_byte", "model_")  # measures of a model: test_ready and test_likelihood_by_role


def texts(name: str) -> list[str]:
    found = []
    for raw in split_tunes((FOLDER / name).read_text(encoding="utf-8")):
        try:
            found.append(canonical(parse(raw.text)))
        except NotationError:
            found.append(raw.text)
    return found


def values() -> dict[str, dict[str, Any]]:
    """Every measure, by group."""
    human = [SetTune(str(number), "", text) for number, text in enumerate(texts("human.abc"))]
    reference = comparison.TuneReference(Human("human", human[:24], human[24:]))
    measured = comparison.evaluate_tunes(texts("made.abc"), reference)
    tunes = measured["tunes"]
    return {
        "set": measured["measures"],
        "set, floors": {
            **{f"divergence_{key}": value for key, value in histograms.floor(reference.some.histograms, 10).items()},
            "range_low": reference.range[0],
            "range_high": reference.range[1],
        },
        "tune by tune": {f"{n} {key}": value for n, tune in enumerate(tunes) for key, value in tune.items()},
        "control codes": _control_codes(),
        "MIDI": _midi(),
        "arcs": _arcs(),
        "intervals": dict(
            zip(("low", "high"), bootstrap.bootstrap([3, 1, 4, 1, 5, 9], [2, 7, 1, 8, 2, 8]), strict=True)
        ),
    }


def _control_codes() -> dict[str, Any]:
    tunes = [control_adherence.find_codes(parse(text)) for text in texts("human.abc")[:12]]
    asked = [
        control_adherence.parse_request(line) for line in ("M:6/8 K:D S:2 B:8 E:2 B:8", "M:4/4 K:? S:3", "K:G B:8") * 4
    ]
    kept, by_chance = control_adherence.adherence(asked, tunes), control_adherence.chance(asked, tunes)
    rows = [("kept", kept), ("chance", by_chance)]
    return {f"{name} {field} {key}": v for name, of in rows for field, one in of.items() for key, v in one.items()}


def _midi() -> dict[str, Any]:
    def samples(name: str) -> list[midi_evaluation.Sample]:
        found = []
        for number, text in enumerate(texts(name)):
            try:
                piece = midi_text.canonical(midi_text.from_score(parse(text)))
            except NotationError:
                piece = ""
            found.append(midi_evaluation.Sample(str(number), piece))
        return found

    human = samples("human.abc")
    return midi_evaluation.measures(samples("made.abc"), midi_evaluation.MidiReference("human", human[:24], human[24:]))


def _arcs() -> dict[str, Any]:
    time = np.linspace(0, 1, 12)
    one = np.stack([np.sin(4 * time), time**2 - 0.3], axis=1)
    other = np.stack([np.sin(4 * time + 0.4) * 0.8, 0.7 * time - 0.2], axis=1)
    spread = arc_measures.calibration(one[:, 0], other[:, 0])
    return {
        **arc_measures.arc_agreement(one, other),
        "slope": spread[0],
        "intercept": spread[1],
        "area_under_curve": arc_measures.area_under_curve(one[:, 0], other[:, 1] > 0.1),
        "distance": arc_measures.arc_distance(one, other),
        "warped_distance": arc_measures.warped_distance(one, other),
        "share_of_shuffles_beaten": arc_measures.share_of_shuffles_beaten(one, other, shuffles=50),
    }


def plain(value: Any) -> Any:
    """A value as JSON has it: NaN and what is no number as text."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return value if value is None or isinstance(value, bool) else str(value)
    return "NaN" if math.isnan(value) else float(value)


def frozen() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((FOLDER / "symbolic.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def today() -> dict[str, dict[str, Any]]:
    return {group: {key: plain(value) for key, value in of.items()} for group, of in values().items()}


@pytest.mark.parametrize("group", list(frozen()) if (FOLDER / "symbolic.json").is_file() else [])
def test_every_measure_has_its_value(group: str, today: dict[str, dict[str, Any]]) -> None:
    written = frozen()[group]
    assert today[group].keys() == written.keys()
    for key, value in written.items():
        expected = pytest.approx(value, rel=1e-6, abs=1e-9) if isinstance(value, float) else value
        assert today[group][key] == expected, key


def test_every_measure_of_the_comparison_is_written_down_and_the_inputs_move_it() -> None:
    """None of them is at the end of its scale, where a fault would not show."""
    written = frozen()["set"]
    named = {one.key for one in comparison.MEASURES if not one.key.startswith(PREDICTED)}
    assert named <= written.keys()
    shares = {
        key: written[key] for key in named if key.startswith("share_") or key in ("precision", "recall", "coverage")
    }
    assert {key: value for key, value in shares.items() if not 0 < value < 1} == {}


if __name__ == "__main__":
    today_s = {group: {key: plain(value) for key, value in of.items()} for group, of in values().items()}
    text = json.dumps(today_s, indent=1, ensure_ascii=False) + "\n"
    (FOLDER / "symbolic.json").write_text(text, encoding="utf-8")
    print(f"{sum(map(len, today_s.values()))} values written", file=sys.stderr)
