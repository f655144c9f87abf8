"""How a sound is perceived, by networks that a user brings: run only where their weights are at hand.

  CLAP   cosine of sound and text, and the embedding for FAD (`ClapModel`, e.g. laion/clap-htsat-unfused)
  FAD    Fréchet distance of two sets of embeddings (Kilgour et al., "Fréchet Audio Distance", 2019)
  KL     divergence of the labels that a tagger gives two sounds, as in AudioGen and MusicGen
         (`ASTForAudioClassification`, e.g. MIT/ast-finetuned-audioset-10-10-0.4593)
  Audiobox aesthetics  Meta's four scores; needs the package audiobox_aesthetics

Sounds are mono float32 at 32 kHz.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_bridge.sound.audio import MUSICGEN_RATE
from symbolic.errors import UserError

SAMPLE_RATE = MUSICGEN_RATE
AESTHETICS = ("CE", "CU", "PC", "PQ")  # enjoyment, usefulness, complexity, quality
_LEAST_PROBABILITY = 1e-6

Floats = NDArray[np.float64]


def clap(
    folder: Path | str, sounds: Sequence[NDArray[np.float32]], text: str | None = None
) -> tuple[Floats, Floats | None]:
    """Embeddings (n, D) of length 1, and the cosine of each with a text."""
    import torch

    model, processor = _loaded("ClapModel", "ClapProcessor", folder)
    rate = processor.feature_extractor.sampling_rate
    with torch.inference_mode():
        heard = processor(audio=[_at(sound, rate) for sound in sounds], sampling_rate=rate, return_tensors="pt")
        embedded = _unit(model.get_audio_features(**heard))
        if text is None:
            return embedded, None
        words = _unit(model.get_text_features(**processor(text=[text], return_tensors="pt", padding=True)))
    return embedded, (embedded @ words.T)[:, 0]


def frechet(one: Floats, other: Floats) -> float:
    """Distance of two Gaussians fitted to embeddings (n, D): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))."""
    assert len(one) > 1 and len(other) > 1, "a Gaussian needs two embeddings at least"
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    values = np.linalg.eigvals(np.atleast_2d(first) @ np.atleast_2d(second))
    root = np.sqrt(np.maximum(values.real, 0)).sum()
    gap = one.mean(axis=0) - other.mean(axis=0)
    return float(gap @ gap + np.trace(np.atleast_2d(first)) + np.trace(np.atleast_2d(second)) - 2 * root)


def labels(folder: Path | str, sounds: Sequence[NDArray[np.float32]]) -> Floats:
    """Probabilities (n, labels) of an audio tagger."""
    import torch

    model, extractor = _loaded("ASTForAudioClassification", "ASTFeatureExtractor", folder)
    rate = extractor.sampling_rate
    with torch.inference_mode():
        heard = extractor([_at(sound, rate) for sound in sounds], sampling_rate=rate, return_tensors="pt")
        return torch.softmax(model(**heard).logits.double(), dim=-1).numpy()


def divergence(reference: Floats, generated: Floats) -> float:
    """Mean Kullback-Leibler divergence of label distributions (n, labels), in nats."""
    p, q = (np.maximum(x, _LEAST_PROBABILITY) for x in (reference, generated))
    return float((p * np.log(p / q)).sum(axis=1).mean())


def aesthetics(path: Path) -> dict[str, float]:
    """Audiobox aesthetics of a file."""
    try:
        from audiobox_aesthetics.infer import initialize_predictor
    except ImportError as error:
        raise UserError("Audiobox aesthetics need their package: pip install audiobox_aesthetics.") from error
    (scores,) = initialize_predictor().forward([{"path": str(path)}])
    return {name: float(scores[name]) for name in AESTHETICS}


def _loaded(model: str, processor: str, folder: Path | str) -> tuple[Any, Any]:
    """A network and its processor from a folder or the hub's cache; nothing is fetched."""
    import transformers

    from audio_bridge.musicgen.musicgen_model import quiet

    try:
        with quiet():
            made = getattr(transformers, model).from_pretrained(folder, local_files_only=True, use_safetensors=True)
            return made.eval(), getattr(transformers, processor).from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        fetch = f"fetch it with `hf download {folder}`, or name a folder"
        raise UserError(f"{folder} is not on this machine as a {model}: {fetch}.") from error


def _at(sound: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    from audio_bridge.sound.audio import Audio, resampled

    return resampled(Audio(sound[None], SAMPLE_RATE), sample_rate).samples[0]


def _unit(features: Any) -> Floats:
    values = getattr(features, "pooler_output", features).double().numpy()
    return values / np.linalg.norm(values, axis=1, keepdims=True)
