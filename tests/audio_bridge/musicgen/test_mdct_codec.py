"""The EnCodec made of a cosine transform: exact below its band, the library's own class, codes that keep the pitch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import EncodecConfig, EncodecModel

from audio_bridge.musicgen import mdct_codec, musicgen_model
from audio_bridge.sound import chroma

RATE = 32_000


def tune(seconds: float = 4.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    notes = [440 * 2 ** ((m - 69) / 12) for m in rng.integers(57, 80, round(seconds * 4))]
    time = np.arange(RATE // 4) / RATE
    shape = 0.2 * np.sin(np.pi * time * 4)
    return np.concatenate([shape * np.sin(2 * np.pi * hz * time) for hz in notes]).astype(np.float32)


@pytest.fixture(scope="module")
def made() -> EncodecModel:
    with musicgen_model.quiet():
        model = EncodecModel(
            EncodecConfig(sampling_rate=RATE, use_causal_conv=False, **mdct_codec.settings(64, 4))
        ).eval()
    mdct_codec.set_transform(model)
    return model


def test_the_basis_is_orthonormal_with_its_shifts() -> None:
    one = mdct_codec.basis(16, 16)
    assert one @ one.T == pytest.approx(np.eye(16), abs=1e-6)
    assert one[:, 16:] @ one[:, :16].T == pytest.approx(np.zeros((16, 16)), abs=1e-6)


def test_analysis_and_synthesis_give_a_sound_below_the_band_back(made: EncodecModel) -> None:
    sound = tune()
    with torch.inference_mode():
        latents = made.encoder(torch.from_numpy(sound)[None, None])
        back = made.decoder(latents)[0, 0].numpy()
    assert latents.shape == (1, 128, sound.size // 640) and back.size == sound.size
    inner = slice(1280, -1280)
    error = np.sum((back[inner] - sound[inner]) ** 2) / np.sum(sound[inner] ** 2)
    assert error < 1e-4
    assert latents.abs().max() < mdct_codec.OFFSET


def test_silence_stays_silent(made: EncodecModel) -> None:
    with torch.inference_mode():
        back = made.decoder(made.encoder(torch.zeros(1, 1, 6400)))
    assert back.abs().max() < 1e-3


def test_codes_keep_the_pitch_and_the_folder_loads_in_the_library(made: EncodecModel, tmp_path: Path) -> None:
    mdct_codec.learn_codebooks(made, [tune(4.0, seed) for seed in range(1, 5)])
    made.save_pretrained(tmp_path)
    with musicgen_model.quiet():
        loaded = EncodecModel.from_pretrained(tmp_path).eval()
    sound = tune(4.0, 9)
    with torch.inference_mode():
        codes = loaded.encode(torch.from_numpy(sound)[None, None]).audio_codes
        back = loaded.decode(codes, [None]).audio_values[0, 0].numpy()
    assert codes.shape == (1, 1, 4, 200) and codes.max() < 64
    assert (chroma.of_audio(back) == chroma.of_audio(sound)).mean() > 0.8
