"""Training clips as the model reads them: EnCodec's codes, chroma and text, computed once and kept.

A data folder (written by `python -m audio_bridge dataset`) has train/ and valid/ with NAME.wav and NAME.txt, 32 kHz
mono. The cache is one safetensors file a split beside them, valid for one codec and one state of the files.

Labels follow the delay pattern: label[t, k] = code[k, t - k], -100 where there is none (T + K - 1 positions). Dropout
of conditions is that of audiocraft's chroma2music: with `both` a clip loses text and melody together, which is what
guidance needs; `melody` and `text` drop one more each, on their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audio_bridge.musicgen import generation
from audio_bridge.musicgen.musicgen_model import MusicGen
from audio_bridge.sound import chroma, recordings
from symbolic import files
from symbolic.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100  # the loss's "no label"


@dataclass(frozen=True)
class Clip:
    """One clip: codes (K, T), pitch classes (frames,), its text."""

    name: str
    codes: NDArray[np.int64]
    classes: NDArray[np.int64]
    text: str


@dataclass(frozen=True)
class Dropout:
    """Chances to drop both conditions, the melody alone, the text alone.

    `codes` is the largest share of frames that are blanked in what the decoder reads of a clip. A model that is trained
    from nothing learns to continue a note long before it learns to read the melody; with blanked frames only the
    melody tells what comes. Published checkpoints need none.
    """

    both: float = 0.2
    melody: float = 0.5
    text: float = 0.0
    codes: float = 0.0


def load(folder: Path, split: str, gen: MusicGen, say: Callable[[str], None] = print) -> list[Clip]:
    """The clips of a split, from the cache where it is valid."""
    paths = find(folder, split)
    cache = folder / f"{split}.cache.safetensors"
    key = _digest(paths, gen)
    return _cached(cache, key, paths) or _encoded(cache, key, paths, gen, say)


def find(folder: Path, split: str) -> list[Path]:
    """The sounds of a split. UserError where there are none."""
    paths = sorted((folder / split).glob("*.wav"))
    if not paths:
        raise UserError(f"{folder / split} has no .wav clips: make them with `python -m audio_bridge dataset`.")
    return paths


def crop(clip: Clip, seconds: float, gen: MusicGen, rng: np.random.Generator) -> Clip:
    """A stretch of at most `seconds` that begins where a frame of codes and a frame of chroma coincide."""
    unit = np.lcm(chroma.HOP, gen.frame_samples)
    most = int(seconds * gen.sample_rate) // gen.frame_samples
    spare = max(0, clip.codes.shape[1] - most) * gen.frame_samples // unit
    start = int(rng.integers(spare + 1)) * unit
    first, heard = start // gen.frame_samples, start // chroma.HOP
    n_classes = 1 + most * gen.frame_samples // chroma.HOP
    return Clip(clip.name, clip.codes[:, first : first + most], clip.classes[heard : heard + n_classes], clip.text)


def dropped(
    clips: Sequence[Clip], dropout: Dropout, rng: np.random.Generator
) -> tuple[list[str], list[NDArray[np.int64]]]:
    """Texts and classes with some taken away: '' is no text, a held C no melody. Three numbers are drawn a clip."""
    texts, classes = [], []
    for clip in clips:
        both, melody, text = rng.random(3) < (dropout.both, dropout.melody, dropout.text)
        texts.append("" if both or text else clip.text)
        classes.append(np.full(1, chroma.NO_MELODY) if both or melody else clip.classes)
    return texts, classes


def labels(clips: Sequence[Clip], channels: int = 1) -> "Tensor":
    """(B, longest T + K - 1, K) labels in the delay pattern; places without a code are IGNORED."""
    import torch

    k = clips[0].codes.shape[0]
    longest = max(clip.codes.shape[1] for clip in clips)
    out = torch.full((len(clips), longest + (k - 1) // channels, k), IGNORED)
    for row, clip in zip(out, clips, strict=True):
        made = generation.delayed(torch.from_numpy(clip.codes)[None], IGNORED, channels)[0].T
        row[: len(made)] = made
    return out


def loss(gen: MusicGen, clips: Sequence[Clip], dropout: Dropout, rng: np.random.Generator) -> "Tensor":
    """Mean negative log likelihood of the clips' codes, nats a code, under conditions some of which are dropped."""
    texts, classes = dropped(clips, dropout, rng)
    hidden, mask = gen.conditions(texts, _equal(classes, gen) if gen.hears_melody else None)
    condition = {"encoder_hidden_states": hidden}
    if mask is not None:
        condition["encoder_attention_mask"] = mask
    wanted = labels(clips, gen.n_channels).to(gen.device)
    read = blanked(inputs(wanted, gen.pad), dropout.codes, gen.pad, rng)
    return gen.model.decoder(input_ids=read.flatten(0, 1), labels=wanted, use_cache=False, **condition).loss


def inputs(wanted: "Tensor", pad: int) -> "Tensor":
    """(B, K, T) what the decoder reads for labels (B, T, K): the start token, then each label but the last."""
    ids = wanted.transpose(1, 2).masked_fill(wanted.transpose(1, 2) == IGNORED, pad).roll(1, dims=-1)
    ids[..., 0] = pad
    return ids


def blanked(ids: "Tensor", most: float, pad: int, rng: np.random.Generator) -> "Tensor":
    """With frames taken away at random, in each clip a share between 0 and `most`; nothing is drawn where it is 0."""
    import torch

    if most == 0:
        return ids
    shares = most * rng.random((ids.shape[0], 1))
    gone = torch.from_numpy(rng.random((ids.shape[0], ids.shape[2])) < shares).to(ids.device)
    return ids.masked_fill(gone[:, None], pad)


def _equal(classes: Sequence[NDArray[np.int64]], gen: MusicGen) -> NDArray[np.int64]:
    return np.stack([chroma.tiled(row, gen.chroma_frames) for row in classes])


def _digest(paths: Sequence[Path], gen: MusicGen) -> str:
    """Of the files' names and bytes, and of the codec's weights."""
    weights = b"".join(p.detach().cpu().numpy().tobytes() for p in gen.model.audio_encoder.state_dict().values())
    lines = [f"{path.name} {files.sha256(path)}" for path in paths]
    return files.digest(files.digest(weights) + "\n".join(lines))


def _texts(paths: Sequence[Path]) -> list[str]:
    return [(t.read_text(encoding="utf-8").strip() if (t := p.with_suffix(".txt")).is_file() else "") for p in paths]


def _cached(cache: Path, key: str, paths: Sequence[Path]) -> list[Clip]:
    from safetensors import SafetensorError, safe_open

    if not cache.is_file():
        return []
    try:
        with safe_open(cache, framework="numpy") as file:
            if (file.metadata() or {}).get("key") != key:
                return []
            return [
                Clip(path.stem, file.get_tensor(f"codes.{i}").astype(np.int64), file.get_tensor(f"classes.{i}"), text)
                for i, (path, text) in enumerate(zip(paths, _texts(paths), strict=True))
            ]
    except (SafetensorError, OSError):  # cut or damaged: made again
        return []


def _encoded(cache: Path, key: str, paths: Sequence[Path], gen: MusicGen, say: Callable[[str], None]) -> list[Clip]:
    from safetensors.numpy import save

    clips = []
    for number, (path, text) in enumerate(zip(paths, _texts(paths), strict=True), start=1):
        sound = recordings.mono(recordings.read(path).audio, gen.sample_rate).samples
        codes = gen.encode(sound)[0].cpu().numpy()
        clips.append(Clip(path.stem, codes, chroma.of_audio(sound[0]), text))
        if number % 50 == 0 or number == len(paths):
            say(f"encoded {number} of {len(paths)} clips")
    tensors: dict[str, NDArray[Any]] = {f"codes.{i}": clip.codes.astype(np.int16) for i, clip in enumerate(clips)}
    tensors |= {f"classes.{i}": clip.classes for i, clip in enumerate(clips)}
    files.write_whole(cache, save(tensors, metadata={"key": key}))
    return clips
