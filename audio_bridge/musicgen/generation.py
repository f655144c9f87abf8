"""Codes from a MusicGen: the decoding loop, sampling, and windows for sounds longer than the model hears at once.

The loop is the library's `generate` without its detours (greedily equal to it, a test holds that): codebook k lags k
positions behind the first (the delay pattern), guidance mixes conditioned and unconditioned logits, and the first
step reads condition and prefix at once. Every row has a random generator of its own, so a sound depends on its seed,
not on what else is in the batch.

A longer sound is made window by window: each begins with the last codes of the one before, under the chroma of its own
time, and EnCodec decodes all codes in one pass, so no sound is joined.

Legend: B rows, K codebooks, P frames of prefix, T frames in all, V codes of a codebook.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audio_bridge.musicgen.musicgen_model import MusicGen

if TYPE_CHECKING:
    import torch
    from torch import Tensor

STRIDE = 0.6  # of a window, 18 s of 30: the customary choice, the rest is heard again
Progress = Callable[[int, int], None]  # frames done, frames in all
Chroma = Callable[[float, int], NDArray[np.int64]]  # (start in seconds, frames) -> classes (B, frames)


@dataclass(frozen=True)
class MusicGenSampling:
    """How codes are drawn; temperature 0 takes the likeliest. `guidance` 1 leaves the unconditioned pass out."""

    guidance: float = 3.0
    temperature: float = 1.0
    top_k: int = 250


def generate(
    gen: MusicGen,
    texts: Sequence[str],
    chroma_at: Chroma | None,
    n_frames: int,
    seeds: Sequence[int],
    sampling: MusicGenSampling = MusicGenSampling(),
    *,
    stride_seconds: float | None = None,
    progress: Progress | None = None,
) -> tuple["Tensor", list[int]]:
    """Codes (B, K, n_frames), and the frames at which windows after the first begin to add.

    `chroma_at` gives the melody of each row from a time on; None is no melody.
    """
    import torch

    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    rate = gen.sample_rate / gen.frame_samples
    window = int(gen.window_seconds * rate)
    stride = STRIDE * gen.window_seconds if stride_seconds is None else stride_seconds
    overlap = window - max(1, round(min(stride, gen.window_seconds - 1 / rate) * rate))
    codes: Tensor | None = None
    seams: list[int] = []
    while codes is None or codes.shape[-1] < n_frames:
        start = 0 if codes is None else codes.shape[-1] - overlap
        count = min(window, n_frames - start)
        classes = None if chroma_at is None else chroma_at(start / rate, gen.chroma_frames)
        prefix = None if codes is None else codes[..., start:]
        if codes is not None:
            seams.append(codes.shape[-1])
        step = _shifted(progress, start, n_frames)
        made = continued(gen, list(texts), classes, count, generators, sampling, prefix, step)
        codes = made if codes is None else torch.cat([codes[..., :start], made], dim=-1)
    return codes, seams


def continued(
    gen: MusicGen,
    texts: list[str],
    classes: NDArray[np.int64] | None,
    n_frames: int,
    generators: "Sequence[torch.Generator]",
    sampling: MusicGenSampling,
    prefix: "Tensor | None" = None,
    progress: Progress | None = None,
) -> "Tensor":
    """Codes (B, K, n_frames) of one window that begin with `prefix` (B, K, P)."""
    import torch

    guided = sampling.guidance > 1
    n_rows, n_known = len(texts), 0 if prefix is None else prefix.shape[-1]
    with torch.inference_mode():
        hidden, mask = gen.conditions(texts, classes)
        if guided:
            null, null_mask = gen.conditions([""] * n_rows, None)
            hidden = torch.cat([hidden, null])
            mask = None if mask is None or null_mask is None else torch.cat([mask, null_mask])
        ids = _sequence(prefix, n_rows, gen, n_frames)  # (B, K, 1 + n_frames + the longest lag)
        past: Any = None
        for position in range(n_known + 1, ids.shape[-1]):
            new = ids[..., :position] if past is None else ids[..., position - 1 : position]
            logits, past = _step(gen, new, hidden, mask, past, guided)
            logits = logits.unflatten(0, (-1, gen.n_codebooks))  # (B or 2 B, K, V)
            if guided:
                own, free = logits.chunk(2)
                logits = free + sampling.guidance * (own - free)
            drawn = _draw(logits.float(), sampling, generators)
            free_places = _unknown(position, gen, n_known, n_frames)
            ids[..., position] = torch.where(free_places, drawn, ids[..., position])
            if progress is not None:
                progress(min(n_frames, position), n_frames)
    return undelayed(ids[..., 1:], n_frames, gen.n_channels)


def delayed(codes: "Tensor", blank: int, channels: int = 1) -> "Tensor":
    """(B, K, T) codes as the decoder reads them (B, K, T + K - 1): codebook k moved k places to the right.

    A stereo model's codebooks alternate left and right, and the two of a pair move alike.
    """
    b, k, t = codes.shape
    out = codes.new_full((b, k, t + (k - 1) // channels), blank)
    for i in range(k):
        out[:, i, i // channels : i // channels + t] = codes[:, i]
    return out


def undelayed(ids: "Tensor", n_frames: int, channels: int = 1) -> "Tensor":
    """The inverse of `delayed`."""
    import torch

    lags = [i // channels for i in range(ids.shape[1])]
    return torch.stack([ids[:, i, lag : lag + n_frames] for i, lag in enumerate(lags)], dim=1)


def _sequence(prefix: "Tensor | None", n_rows: int, gen: MusicGen, n_frames: int) -> "Tensor":
    """The sequence to fill: the start token, the prefix in its places, blanks elsewhere."""
    import torch

    codes = torch.full((n_rows, gen.n_codebooks, n_frames), gen.pad, device=gen.device)
    if prefix is not None:
        codes[..., : prefix.shape[-1]] = prefix
    start = codes.new_full((n_rows, gen.n_codebooks, 1), gen.pad)
    return torch.cat([start, delayed(codes, gen.pad, gen.n_channels)], dim=-1)


def _unknown(position: int, gen: MusicGen, n_known: int, n_frames: int) -> "Tensor":
    """(K,) whether the place of each codebook at a position is to be drawn."""
    import torch

    frames = position - 1 - torch.arange(gen.n_codebooks, device=gen.device) // gen.n_channels
    return (frames >= n_known) & (frames < n_frames)


def _step(
    gen: MusicGen, new: "Tensor", hidden: "Tensor", mask: "Tensor | None", past: Any, guided: bool
) -> tuple["Tensor", Any]:
    """Logits of the last position (B * K, V) and the cache. A melody model reads its condition once, before the codes;
    a text-only model looks at it in every step."""
    twice = new.repeat(2, 1, 1) if guided else new
    condition: dict[str, Any] = {}
    if not gen.hears_melody:
        condition = {"encoder_hidden_states": hidden, "encoder_attention_mask": mask}
    elif past is None:
        condition = {"encoder_hidden_states": hidden}
    out = gen.model.decoder(input_ids=twice.flatten(0, 1), past_key_values=past, use_cache=True, **condition)
    return out.logits[:, -1], out.past_key_values


def _draw(logits: "Tensor", sampling: MusicGenSampling, generators: "Sequence[torch.Generator]") -> "Tensor":
    """One code for each row and codebook (B, K): the largest of logit + Gumbel noise, which is a draw by softmax."""
    import torch

    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    logits = logits / sampling.temperature
    if 0 < sampling.top_k < logits.shape[-1]:
        least = logits.topk(sampling.top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    uniform = torch.stack([torch.rand(logits.shape[1:], generator=g) for g in generators]).clamp_min(1e-20)
    return (logits - torch.log(-torch.log(uniform)).to(logits.device)).argmax(dim=-1)


def _shifted(progress: Progress | None, start: int, total: int) -> Progress | None:
    return None if progress is None else lambda done, _: progress(start + done, total)
