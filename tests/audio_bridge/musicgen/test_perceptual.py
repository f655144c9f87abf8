"""Distances with known answers, and the adapters on tiny random networks in the published formats."""

from pathlib import Path

import numpy as np
import pytest

from audio_bridge.musicgen import musicgen_model, perceptual
from symbolic.errors import UserError

SOUNDS = [0.1 * np.random.default_rng(i).standard_normal(64_000).astype(np.float32) for i in range(3)]


def test_the_frechet_distance_of_gaussians() -> None:
    """Equal covariances leave the distance of the means; N(0, 1) and N(0, 4) are (1 - 2)^2 apart a dimension."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((4000, 3))
    assert perceptual.frechet(base, base) == pytest.approx(0, abs=1e-9)
    assert perceptual.frechet(base, base + [3, 0, 4]) == pytest.approx(25, abs=1e-6)
    assert perceptual.frechet(base, 2 * base) == pytest.approx(3, rel=0.1)


def test_the_divergence_of_labels() -> None:
    p, q = np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])
    assert perceptual.divergence(p, q) == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))
    assert perceptual.divergence(p, p) == 0


def test_a_tagger(tmp_path: Path) -> None:
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    settings = {"num_mel_bins": 32, "max_length": 64}
    config = ASTConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, **settings)
    ASTForAudioClassification(config).save_pretrained(tmp_path)
    ASTFeatureExtractor(**settings).save_pretrained(tmp_path)
    found = perceptual.labels(tmp_path, SOUNDS)
    assert found.shape == (3, config.num_labels) and found.sum(axis=1) == pytest.approx(1)


def test_clap(tmp_path: Path) -> None:
    from transformers import ClapAudioConfig, ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor, ClapTextConfig

    audio = ClapAudioConfig(
        spec_size=64, num_mel_bins=16, patch_embeds_hidden_size=8, depths=[1, 1], num_attention_heads=[1, 2],
        hidden_size=16, window_size=2, patch_size=4, patch_stride=[4, 4], projection_dim=32,
    )  # fmt: skip
    text = ClapTextConfig(
        vocab_size=258, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=64, projection_dim=32,
    )  # fmt: skip
    config = ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=32)
    ClapModel(config).save_pretrained(tmp_path)
    extractor = ClapFeatureExtractor(
        feature_size=16, sampling_rate=16_000, max_length_s=2, frequency_max=8000, truncation="rand_trunc"
    )
    ClapProcessor(extractor, musicgen_model.byte_tokenizer()).save_pretrained(tmp_path)
    embedded, cosines = perceptual.clap(tmp_path, SOUNDS, "fiddle")
    assert embedded.shape == (3, 32) and np.linalg.norm(embedded, axis=1) == pytest.approx(1)
    assert cosines is not None and (np.abs(cosines) <= 1).all()


def test_absent_weights_name_the_way_to_get_them() -> None:
    with pytest.raises(UserError, match="hf download nobody/nothing"):
        perceptual.labels("nobody/nothing", SOUNDS)
    with pytest.raises(UserError, match="pip install audiobox_aesthetics"):
        perceptual.aesthetics(Path("x.wav"))
