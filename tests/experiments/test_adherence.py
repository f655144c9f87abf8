"""The points of the study and its figure; the sounds themselves are measured by the script."""

import numpy as np
import pytest

from audio_bridge.sound import chroma
from audio_bridge.sound.timed_note import TimedNote
from benchmarks import result_file
from experiments import adherence, figures


def test_every_point_differs_from_the_standard_in_its_factor_alone() -> None:
    standard = adherence.lines_of("voices below", adherence.STANDARD_VOICES, 3, 0)
    low = adherence.lines_of("register, semitones", -12, 3, 0)
    assert [[n.midi - 12 for n in one.notes] for one in standard] == [[n.midi for n in one.notes] for one in low]
    assert [one.below for one in standard] == [one.below for one in low]
    short = adherence.lines_of("note length, seconds", 0.1, 3, 0)
    assert all(n.end - n.onset == pytest.approx(0.1) for n in short[0].notes)
    assert [len(one.below) for one in adherence.lines_of("voices below", 0, 3, 0)] == [0, 0, 0]
    assert {one.notes[0].onset for one in standard} != {standard[0].notes[0].onset}


def test_notes_that_own_a_frame() -> None:
    frame = chroma.FRAME_SECONDS
    notes = tuple(TimedNote(i * frame, (i + 1) * frame, 60 + i) for i in range(4))
    line = adherence.MelodyLine(notes, ())
    assert adherence.notes_heard(line, np.array([0, 1, 2, 3])) == 1.0
    assert adherence.notes_heard(line, np.array([0, 0, 2, 2])) == 0.5


def test_the_figure_draws_what_was_measured() -> None:
    recorder = result_file.Recorder("adherence")
    for factor, values in adherence.FACTORS.items():
        for value in values:
            for way in adherence.WAYS:
                keys = {"factor": factor, "value": value, "way": way, "quantity": "chroma match"}
                recorder.measured([0.5, 0.7], "share of frames", **keys)
    drawn = adherence.figure(recorder.result())
    panels = [axes for axes in drawn.axes if axes.lines]
    assert len(panels) == 4
    assert all(len(panel.lines) == len(adherence.WAYS) + 1 for panel in panels)
    assert panels[0].lines[0].get_ydata() == pytest.approx([0.6] * 6)
    assert drawn.get_size_inches()[0] == figures.WIDTH
