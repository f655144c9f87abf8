"""`affect train` and `affect evaluate` as functions."""

from pathlib import Path

import pytest

from symbolic.affect.learning import affect_training
from symbolic.errors import UsageError
from tests.symbolic.affect.affect_files import write_emobank, write_vgmidi


def test_weights_and_cards_are_written_and_evaluated(tmp_path: Path) -> None:
    data = [f"vgmidi:{write_vgmidi(tmp_path / 'v')}", f"emobank:{write_emobank(tmp_path / 'e')}"]
    written = affect_training.train(data, tmp_path / "out", None, with_encoder=False, with_norms=False)
    assert [path.name for path in written] == ["score-va.safetensors", "text-va.safetensors"]
    assert "mean of the others" in (tmp_path / "out" / "score-va.md").read_text()
    rows = affect_training.evaluate(data, tmp_path / "out")
    by_model = {(row["model"], row["of"]): row for row in rows}
    assert by_model["full", "level"]["r V"] > 0.9
    assert by_model["ngrams", "24 sentences"]["r V"] > 0.9 > by_model["mean of train", "24 sentences"]["r V"]


def test_recordings_are_sent_to_the_other_verb(tmp_path: Path) -> None:
    (tmp_path / "static_annotations.csv").write_text("song_id,mean_valence,mean_arousal\n1,5,5\n")
    with pytest.raises(UsageError, match="audio_bridge affect"):
        affect_training.evaluate([f"emomusic:{tmp_path}"], None)
