"""The decoding loop against the library's own `generate`; sensitivity; windows; seeds."""

import numpy as np
import pytest
import torch

from audio_bridge.musicgen import generation, musicgen_model
from audio_bridge.musicgen.generation import MusicGenSampling
from audio_bridge.musicgen.musicgen_model import MusicGen
from audio_bridge.sound import chroma

GREEDY = MusicGenSampling(guidance=3.0, temperature=0)


@pytest.fixture(scope="module")
def gen() -> MusicGen:
    """The debug model with its melody input made louder, so that greedy codes depend on it."""
    made = musicgen_model.debug_model()
    with torch.no_grad():
        for p in made.model.decoder.parameters():
            p.mul_(5.0)
        made.model.audio_enc_to_dec_proj.weight.mul_(50.0)
        made.model.enc_to_dec_proj.weight.mul_(50.0) if hasattr(made.model, "enc_to_dec_proj") else None
    return made


def fixed(classes: np.ndarray) -> generation.Chroma:
    return lambda start, count: chroma.tiled(classes, count)[None]


def library_codes(gen: MusicGen, text: str, classes: np.ndarray, n_frames: int, guidance: float) -> torch.Tensor:
    """What `generate` of transformers makes: its codes are caught where it decodes them."""
    ids, mask = gen.prompt([text])
    caught: list[torch.Tensor] = []
    decode = gen.model.audio_encoder.decode
    gen.model.audio_encoder.decode = lambda codes, **kwargs: caught.append(codes) or decode(codes, **kwargs)
    try:
        gen.model.generate(
            input_ids=ids,
            attention_mask=mask,
            input_features=torch.from_numpy(chroma.one_hot(classes))[None],
            do_sample=False,
            guidance_scale=guidance,
            max_new_tokens=n_frames + gen.n_codebooks - 1,
        )
    finally:
        del gen.model.audio_encoder.decode
    return caught[0][0]


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_greedy_codes_are_those_of_the_library(gen: MusicGen, guidance: float) -> None:
    classes = np.arange(40) % 12
    ours, seams = generation.generate(gen, ["slow air"], fixed(classes), 30, [0], MusicGenSampling(guidance, 0))
    assert ours.shape == (1, 4, 30) and seams == []
    assert torch.equal(ours, library_codes(gen, "slow air", classes, 30, guidance))
    assert len(set(ours.flatten().tolist())) > 10


def test_two_chromas_and_two_texts_give_different_scores(gen: MusicGen) -> None:
    """transformers 4.55-4.57 and 5.1-5.17 ignored both inputs silently."""

    def logits(text: str, classes: list[int]) -> torch.Tensor:
        hidden, _ = gen.conditions([text], np.array([classes]))
        start = torch.full((4, 1), gen.pad)
        with torch.inference_mode():
            return gen.model.decoder(input_ids=start, encoder_hidden_states=hidden).logits[:, -1]

    base = logits("reel", [2, 4, 7])
    assert torch.equal(base, logits("reel", [2, 4, 7]))
    assert (base - logits("reel", [2, 4, 8])).abs().max() > 1e-3
    assert (base - logits("jig", [2, 4, 7])).abs().max() > 1e-3


def test_a_row_does_not_depend_on_its_batch(gen: MusicGen) -> None:
    sampling = MusicGenSampling(guidance=2.0, temperature=1.0, top_k=20)
    classes = np.arange(235) % 12

    def at(rows: int) -> generation.Chroma:
        return lambda start, count: np.stack([chroma.tiled(classes + row, count) % 12 for row in range(rows)])

    both, _ = generation.generate(gen, ["reel", "a much longer text"], at(2), 12, [7, 8], sampling)
    alone, _ = generation.generate(gen, ["reel"], at(1), 12, [7], sampling)
    assert torch.equal(both[:1], alone)
    other, _ = generation.generate(gen, ["reel"], at(1), 12, [9], sampling)
    assert not torch.equal(alone, other)


def test_windows_continue_their_prefix_bit_for_bit(gen: MusicGen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MusicGen, "window_seconds", 0.6)  # 30 frames, so that three windows are quick
    starts: list[float] = []

    def at(start: float, count: int) -> np.ndarray:
        starts.append(start)
        return chroma.tiled(np.arange(12), count, round(start / chroma.FRAME_SECONDS))[None]

    codes, seams = generation.generate(gen, ["x"], at, 70, [3], MusicGenSampling(temperature=1.0), stride_seconds=0.4)
    assert codes.shape == (1, 4, 70)
    assert seams == [30, 50] and starts == pytest.approx([0.0, 0.4, 0.8])
    first, _ = generation.generate(gen, ["x"], at, 30, [3], MusicGenSampling(temperature=1.0))
    assert torch.equal(codes[..., :30], first)


def test_delay_pattern_by_hand() -> None:
    codes = torch.tensor([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]])
    delayed = generation.delayed(codes, -1)
    assert delayed.tolist() == [[[1, 2, 3, -1, -1], [-1, 4, 5, 6, -1], [-1, -1, 7, 8, 9]]]
    assert torch.equal(generation.undelayed(delayed, 3), codes)


def test_a_text_only_model_is_the_library_s_too() -> None:
    from transformers import MusicgenForConditionalGeneration

    codec = {"num_filters": 4, "upsampling_ratios": [8, 5, 4, 4], "codebook_size": 64, "hidden_size": 16}
    config = musicgen_model.tiny_config(
        hidden=32, layers=2, heads=4, codec=codec | {"target_bandwidths": [1.2]}, melody=False
    )
    gen = musicgen_model.random_model(MusicgenForConditionalGeneration, config)
    with torch.no_grad():
        for p in gen.model.decoder.parameters():
            p.mul_(5.0)
    ids, mask = gen.prompt(["polka"])
    caught: list[torch.Tensor] = []
    decode = gen.model.audio_encoder.decode
    gen.model.audio_encoder.decode = lambda codes, **kwargs: caught.append(codes) or decode(codes, **kwargs)
    gen.model.generate(input_ids=ids, attention_mask=mask, do_sample=False, guidance_scale=3.0, max_new_tokens=18)
    del gen.model.audio_encoder.decode
    ours, _ = generation.generate(gen, ["polka"], None, 15, [0], GREEDY)
    assert torch.equal(ours, caught[0][0])
