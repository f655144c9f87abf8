"""An EnCodec that needs no adversarial training: its convolutions are set to a windowed cosine transform (MDCT), its
codebooks are learnt by k-means.

    set_transform(model.audio_encoder)           # analysis and synthesis, exact up to half the band of its latents
    learn_codebooks(model.audio_encoder, sounds)

It is a plain `EncodecModel` in its format and rate, for small models of melodic instruments made on a CPU: a published
EnCodec hears everything, this one the lowest `hidden_size` coefficients of each frame, 0 to hidden_size / (2 hop) of
the sample rate (3.2 kHz for 128 at 32 kHz and 50 Hz).

How: layers between frames and samples only rearrange (a block of r channels becomes r samples), which takes
num_filters * 2^i channels at stage i; the coarsest strided layer, whose kernel is two frames long, holds the transform
under its sine window (Princen, Johnson and Bradley 1987). ELU is the identity for positive numbers, so every channel
carries an offset that the next layer takes away. LSTM and residual branches are zero.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

OFFSET = 16.0  # larger than any coefficient of a sound within full scale
KMEANS_ROUNDS = 12
MOST_VECTORS = 60_000


def settings(codebook_size: int = 64, n_codebooks: int = 4) -> dict[str, Any]:
    """EnCodec's configuration at 50 frames a second of 32 kHz: the least filters for which nothing is lost."""
    bandwidth = 50 * n_codebooks * np.log2(codebook_size) / 1000
    return {
        "num_filters": 10,
        "upsampling_ratios": [8, 5, 4, 4],
        "codebook_size": codebook_size,
        "hidden_size": 128,
        "num_lstm_layers": 1,
        "use_conv_shortcut": False,
        "target_bandwidths": [float(bandwidth)],
    }


def basis(hop: int, count: int) -> NDArray[np.float32]:
    """The first `count` functions (count, 2 * hop) of the MDCT with a sine window; orthonormal with their shifts."""
    n = np.arange(2 * hop)
    window = np.sin(np.pi * (n + 0.5) / (2 * hop))
    phases = np.pi / hop * (n[None] + 0.5 + hop / 2) * (np.arange(count)[:, None] + 0.5)
    return (np.sqrt(2 / hop) * window * np.cos(phases)).astype(np.float32)


@torch.no_grad()
def set_transform(codec: Any) -> None:
    """Set all weights of an `EncodecModel` made with `settings` but its codebooks."""
    ratios = list(codec.config.upsampling_ratios)
    functions = torch.from_numpy(basis(int(np.prod(ratios)), codec.config.hidden_size))
    for part in (codec.encoder, codec.decoder):
        for module in part.modules():
            if isinstance(module, torch.nn.LSTM):
                for parameter in module.parameters():
                    parameter.zero_()
    _set_encoder(codec.encoder, ratios[::-1], functions)
    _set_decoder(codec.decoder, ratios, functions)


@torch.no_grad()
def learn_codebooks(codec: Any, sounds: Sequence[NDArray[np.float32]], seed: int = 0) -> None:
    """Residual k-means on the latents of mono sounds at the codec's rate, one codebook after the other."""
    rows = [codec.encoder(torch.from_numpy(sound)[None, None])[0].T for sound in sounds]
    vectors = torch.cat(rows)
    generator = torch.Generator().manual_seed(seed)
    vectors = vectors[torch.randperm(len(vectors), generator=generator)[:MOST_VECTORS]]
    for layer in codec.quantizer.layers:
        centres = _kmeans(vectors, codec.config.codebook_size, generator)
        layer.codebook.embed.copy_(centres)
        vectors = vectors - centres[_nearest(vectors, centres)]


def _set_encoder(encoder: Any, ratios: Sequence[int], functions: Tensor) -> None:
    """From samples to coefficients: blocks of samples become channels, then the transform."""
    convolutions = _convolutions(encoder)
    first, last, strided = convolutions[0], convolutions[-1], [c for c in convolutions if c.stride[0] > 1]
    weight = torch.zeros_like(first.weight)
    weight[0, 0, weight.shape[2] // 2] = 1.0
    _set(first, weight, torch.full((weight.shape[0],), OFFSET))
    block = 1  # samples in the channels
    for layer, ratio in zip(strided, ratios, strict=True):
        weight = torch.zeros_like(layer.weight)
        if layer is strided[-1]:  # two frames of 16 steps with `block` samples each
            own = functions.unflatten(1, (-1, block)).transpose(1, 2)
            weight[: own.shape[0], :block] = own
        else:
            left = ratio - ratio // 2  # of the padding: the block itself stands behind it
            for step in range(ratio):
                places = torch.arange(block)
                weight[step * block + places, places, left + step] = 1.0
            block *= ratio
        _set(layer, weight, OFFSET - OFFSET * weight.sum(dim=(1, 2)))
    weight = torch.zeros_like(last.weight)
    places = torch.arange(functions.shape[0])
    weight[places, places, weight.shape[2] // 2] = 1.0
    _set(last, weight, torch.full_like(last.bias, -OFFSET))


def _set_decoder(decoder: Any, ratios: Sequence[int], functions: Tensor) -> None:
    """From coefficients to samples. Channel `count` is a constant 1 that takes the offsets of its own frame away."""
    convolutions = _convolutions(decoder)
    first, last = convolutions[0], convolutions[-1]
    strided = [c for c in convolutions if isinstance(c, torch.nn.ConvTranspose1d)]
    count = functions.shape[0]
    weight, places = torch.zeros_like(first.weight), torch.arange(count)
    weight[places, places, weight.shape[2] // 2] = 1.0
    bias = torch.full_like(first.bias, OFFSET)
    bias[count] = 1.0
    _set(first, weight, bias)
    block = int(np.prod(ratios))
    for layer, ratio in zip(strided, ratios, strict=True):
        block //= ratio
        weight = torch.zeros_like(layer.weight)  # (in, out, kernel)
        bias = torch.full((weight.shape[1],), OFFSET)
        if layer is strided[0]:
            weight[:count, :block] = functions.unflatten(1, (-1, block)).transpose(1, 2)
            weight[count] = -OFFSET * weight[:count].sum(dim=0)
        else:
            left = ratio - ratio // 2
            places = torch.arange(block)
            for step in range(ratio):
                weight[step * block + places, places, left + step] = 1.0
            bias[:block] = 0.0  # the offset comes through
        _set(layer, weight, bias)
    weight = torch.zeros_like(last.weight)
    weight[0, 0, weight.shape[2] // 2] = 1.0
    _set(last, weight, torch.full_like(last.bias, -OFFSET))


def _convolutions(part: Any) -> list[Any]:
    """All convolutions outside residual branches, whose last ones are zeroed here."""
    found = []
    for layer in part.layers:
        if hasattr(layer, "block"):
            residual = [one.conv for one in layer.block if hasattr(one, "conv")][-1]
            _set(residual, torch.zeros_like(residual.weight), torch.zeros_like(residual.bias))
        elif hasattr(layer, "conv"):
            found.append(layer.conv)
    return found


def _set(layer: Any, weight: Tensor, bias: Tensor) -> None:
    """Write a weight into a layer with weight normalisation; a row of zeros has length 0 in any direction."""
    norms = weight.flatten(1).norm(dim=1).view(-1, *[1] * (weight.dim() - 1))
    direction = torch.where(norms > 0, weight, torch.ones_like(weight))
    layer.parametrizations.weight.original0.copy_(norms)
    layer.parametrizations.weight.original1.copy_(direction)
    layer.bias.copy_(bias)


def _kmeans(vectors: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Lloyd's algorithm; a centre that nothing is near to moves to a random vector."""
    centres = vectors[torch.randperm(len(vectors), generator=generator)[:count]].clone()
    for _ in range(KMEANS_ROUNDS):
        own = _nearest(vectors, centres)
        sums = torch.zeros_like(centres).index_add_(0, own, vectors)
        sizes = torch.bincount(own, minlength=count)[:, None]
        spare = vectors[torch.randint(len(vectors), (count,), generator=generator)]
        centres = torch.where(sizes > 0, sums / sizes.clamp(min=1), spare)
    return centres


def _nearest(vectors: Tensor, centres: Tensor) -> Tensor:
    return torch.cat([torch.cdist(part, centres).argmin(dim=1) for part in vectors.split(8192)])
