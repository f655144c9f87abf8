"""Planned sections as ABC and MIDI."""

import io

import mido
import pytest

from symbolic.affect.composing import score_plan, section_writer
from symbolic.affect.composing.arrangement import section_table
from symbolic.affect.hearing import note_table
from symbolic.notation import abc_parser
from tests.symbolic.affect.composing.test_score_plan import POOL

PLANS = score_plan.planned([(-0.25, -0.35), (0.45, 0.4)], POOL)
TEXT = section_writer.piece_text(PLANS, 'A "story"', ["It rained.", 'He said "no".'])


def test_the_piece_parses_and_holds_full_bars() -> None:
    score = abc_parser.parse(TEXT)
    assert len(score.voices) == 2
    for voice in score.voices:
        measures = abc_parser.bars(voice, score.meter)
        assert len(measures) == 8 and all(measure.is_full for measure in measures)


def test_the_piece_sounds_as_its_sections_were_planned() -> None:
    table = note_table.of_abc(TEXT)
    parts = [section_table(plan.line, plan.controls) for plan in PLANS]
    lengths = [part.bar_starts[-1] for part in parts]
    assert table.bar_starts[-1] == pytest.approx(sum(lengths), abs=0.01)
    assert table.bar_starts[4] == pytest.approx(lengths[0], abs=0.01)
    assert sorted(set(table.qpm)) == sorted({float(plan.controls.qpm) for plan in PLANS})
    assert len(table.pitch) == sum(len(part.pitch) for part in parts)


def test_the_midi_file_has_tempos_and_dynamics() -> None:
    file = mido.MidiFile(file=io.BytesIO(section_writer.piece_midi(TEXT)))
    tempos = [m.tempo for m in file.tracks[0] if m.type == "set_tempo"]
    assert [round(60e6 / tempo) for tempo in tempos] == [plan.controls.qpm for plan in PLANS]
    velocities = {m.velocity for t in file.tracks[1:] for m in t if m.type == "note_on" and m.velocity}
    assert len(velocities) > 4
    assert file.length == pytest.approx(note_table.of_abc(TEXT).bar_starts[-1], abs=0.5)
