"""Every kind of hard melody is what it says, lasts, and is measured in every way."""

import pytest
import torch

from audio_bridge.musicgen import melody_source, musicgen_model
from experiments import onsets


def test_kinds_are_what_they_say() -> None:
    lines = {kind: [one.line for one in onsets.sources(kind)] for kind in onsets.KINDS}
    assert all(len(own) == len(onsets.TRANSPOSITIONS) for own in lines.values())
    assert [a[0].midi - lines["steps"][0][0].midi for a in lines["steps"]] == list(onsets.TRANSPOSITIONS)
    losses = {kind: " ".join(melody_source.condition_losses(own[0])) for kind, own in lines.items()}
    assert "repeated note" in losses["repeated notes"] and "rests" in losses["rests"] and not losses["steps"]
    assert "shorter than a frame" in losses["sixteenths at 140"]
    leaps = [abs(b.midi - a.midi) for a, b in zip(lines["leaps"][0], lines["leaps"][0][1:])]
    assert sum(leaps) / len(leaps) > 4
    assert len({note.midi % 12 for note in lines["chromatic"][0]}) >= 8


def test_every_way_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onsets, "SECONDS", 2.0)
    monkeypatch.setattr(onsets, "TRANSPOSITIONS", (0,))
    gen = musicgen_model.load("ocarina", torch.device("cpu"), torch.float32)
    found = onsets.measured(gen, onsets.sources("steps"), "ocarina", seed=1)
    assert list(found) == ["rendered", "codec alone", "model", "articulated", "shuffled"]
    assert found["rendered"][0]["onset F1"] > 0.8 and found["rendered"][0]["chroma match"] > 0.8
    assert all(0 <= one[measure] <= 1 for own in found.values() for one in own for measure in onsets.MEASURES)
