"""MusicGen checkpoints: found by name or folder, loaded, their conditions encoded, their costs told in advance.

    gen = load("facebook/musicgen-melody", device, dtype)
    hidden = gen.conditions(["fiddle and accordion"], classes)      # (B, S, H) of chroma and text

A checkpoint is a Hugging Face folder of `MusicgenMelodyForConditionalGeneration` (melody and text) or of
`MusicgenForConditionalGeneration` (text only). The decoder runs in the number type that is asked for; text encoder and
EnCodec stay in float32, where T5 overflows in half precision. `debug` is a tiny model with random weights: noise.

Copet et al., "Simple and Controllable Music Generation" (2023).
Legend: B rows, K codebooks, S positions of the condition, H hidden size, T frames of codes.
"""

import contextlib
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audio_bridge.musicgen import hub
from audio_bridge.sound import chroma
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DEFAULT = "facebook/musicgen-melody"
DEBUG = "debug"
READY = Path(__file__).parent / "ready"
SMALL = "ocarina"  # the small model that comes with the package
PROMPT_TOKENS = 64  # every prompt is padded to this: the decoder sees padding, so another length changes the result
LAYER_SECONDS = 0.5e-3  # of calling a layer's functions, whatever its size
ENCODERS = ("text_encoder", "audio_encoder")
TINY_PROMPT_TOKENS = 16  # of the small models made here
DTYPES = ("auto", "float32", "bfloat16", "float16")
MELODY, TEXT_ONLY = "musicgen_melody", "musicgen"
LICENCE = "CC-BY-NC 4.0 (no commercial use)"
PATTERNS = ["*.json", "*.safetensors", "spiece.model", "*.txt"]


@dataclass(frozen=True)
class Published:
    """A checkpoint on the Hugging Face hub: what its download costs (float32 weights) and its terms."""

    parameters: float
    licence: str = LICENCE

    @property
    def gigabytes(self) -> float:
        """Size of the float32 weights, 10^9 bytes."""
        return 4 * self.parameters / 1e9


PUBLISHED = {
    "facebook/musicgen-melody": Published(1.56e9),
    "facebook/musicgen-melody-large": Published(3.4e9),
    "facebook/musicgen-stereo-melody": Published(1.57e9),
    "facebook/musicgen-stereo-melody-large": Published(3.4e9),
    "facebook/musicgen-small": Published(0.59e9),
    "facebook/musicgen-medium": Published(2.0e9),
    "facebook/musicgen-large": Published(3.4e9),
}


@dataclass(frozen=True)
class MusicGen:
    """A loaded checkpoint with its tokenizer; `name` is what the user called it."""

    name: str
    model: Any
    tokenizer: Any

    @property
    def hears_melody(self) -> bool:
        """Whether the model takes a chroma."""
        return self.model.config.model_type == MELODY

    @property
    def sample_rate(self) -> int:
        """Samples a second of the sound that it makes."""
        return int(self.model.config.audio_encoder.sampling_rate)

    @property
    def frame_samples(self) -> int:
        """Samples of one frame of codes."""
        return int(np.prod(self.model.config.audio_encoder.upsampling_ratios))

    @property
    def n_codebooks(self) -> int:
        """Codebooks, which are the tokens of one frame."""
        return int(self.model.config.decoder.num_codebooks)

    @property
    def n_channels(self) -> int:
        """Audio channels: 1, or 2 for a stereo checkpoint."""
        return int(self.model.config.decoder.audio_channels)

    @property
    def pad(self) -> int:
        """The token of positions that hold no code, which also begins every sequence."""
        return int(self.model.config.decoder.pad_token_id)

    @property
    def chroma_frames(self) -> int:
        """Frames of chroma that the model reads."""
        return int(getattr(self.model.config, "chroma_length", 0))

    @property
    def window_seconds(self) -> float:
        """The longest sound that one pass can be conditioned on."""
        return self.chroma_frames * chroma.FRAME_SECONDS // 1 if self.hears_melody else 30.0

    @property
    def device(self) -> "torch.device":
        """The device that holds the weights."""
        return self.model.decoder.device

    def n_frames(self, seconds: float) -> int:
        """Frames of codes that cover `seconds`."""
        return int(np.ceil(round(seconds * self.sample_rate) / self.frame_samples))

    def prompt(self, texts: list[str]) -> tuple["Tensor", "Tensor"]:
        """Token ids and mask (B, prompt_tokens); an empty text has an empty mask."""
        length = self.prompt_tokens
        batch = self.tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        import torch

        spoken = torch.tensor([[bool(text)] for text in texts])
        return batch["input_ids"].to(self.device), (batch["attention_mask"] * spoken).to(self.device)

    @property
    def prompt_tokens(self) -> int:
        """Tokens that every prompt is padded to."""
        return min(PROMPT_TOKENS, self.tokenizer.model_max_length)

    def truncated(self, text: str) -> bool:
        """Whether a prompt has more tokens than are read."""
        return len(self.tokenizer(text, truncation=False, verbose=False)["input_ids"]) > self.prompt_tokens

    def conditions(self, texts: list[str], classes: NDArray[np.int64] | None) -> tuple["Tensor", "Tensor | None"]:
        """What the decoder is conditioned on: (B, S, H), and the mask (B, S) of a text-only model.

        `classes` (B, frames) are pitch classes, tiled to the model's length; None is "no melody", a held C. An empty
        text is the dropped text of training: zeros.
        """
        import torch

        ids, mask = self.prompt(texts)
        with torch.no_grad():  # never trained here
            hidden = self.model.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        hidden = hidden.to(self.model.decoder.dtype)
        if hasattr(self.model, "enc_to_dec_proj"):
            hidden = self.model.enc_to_dec_proj(hidden)
        hidden = hidden * mask[..., None]
        if not self.hears_melody:
            return hidden, mask
        if classes is None:
            classes = np.full((len(texts), 1), chroma.NO_MELODY)
        whole = np.stack([chroma.tiled(row, self.chroma_frames) for row in classes])
        heard = torch.from_numpy(chroma.one_hot(whole)).to(hidden)
        return torch.cat([self.model.audio_enc_to_dec_proj(heard), hidden], dim=1), None

    def decode(self, codes: "Tensor") -> NDArray[np.float32]:
        """Codes (B, K, T) to sound (B, channels, T * frame_samples)."""
        import torch

        sides = [codes] if self.n_channels == 1 else [codes[:, 0::2], codes[:, 1::2]]
        with torch.inference_mode():
            sound = [self.model.audio_encoder.decode(side[None], [None])[0] for side in sides]
        return torch.cat(sound, dim=1).float().cpu().numpy()

    def encode(self, samples: NDArray[np.float32]) -> "Tensor":
        """Mono sound (B, samples) at the model's rate to codes (B, K, T); both sides of a stereo model alike."""
        import torch

        with torch.inference_mode():
            sound = torch.from_numpy(samples)[:, None].to(self.device)
            codes = self.model.audio_encoder.encode(sound, bandwidth=None).audio_codes[0]  # (B, K, T)
        return codes if self.n_channels == 1 else codes.repeat_interleave(2, dim=1)


def load(name: str, device: "torch.device", dtype: "torch.dtype") -> MusicGen:
    """A checkpoint in memory, ready to generate. UserError when it is not here and cannot be fetched."""
    if name == DEBUG:
        return debug_model(device)
    from transformers import AutoConfig, AutoTokenizer

    folder = resolve(name)
    with quiet():
        kind = _kind(AutoConfig.from_pretrained(folder), name)
    try:
        with quiet():
            model = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True)
            for part in ENCODERS:
                setattr(model, part, _in_float32(folder, part, getattr(model, part)))
            tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{name} cannot be loaded: {reason} Fetch it again, or choose another --model.") from error
    return MusicGen(name, model.to(device).eval(), tokenizer)


def _in_float32(folder: Path, part: str, loaded: Any) -> Any:
    """A part of a checkpoint with its own weights: widened again, those of a smaller type would stay rounded, and a
    rounded EnCodec clicks at the end of every frame."""
    import torch

    if next(loaded.parameters()).dtype == torch.float32:
        return loaded
    settings: dict[str, Any] = {"config": loaded.config, "dtype": torch.float32, "use_safetensors": True}
    return type(loaded).from_pretrained(folder, key_mapping={rf"^{part}\.": ""}, **settings)


def checkpoint_activations(model: Any) -> None:
    """Have each layer of a model of `transformers` keep its input alone and compute the rest again on the way back."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the library's remarks and bars: on `pad_token_id` it warns of what every MusicGen has."""
    from transformers.utils import logging

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def resolve(name: str) -> Path:
    """The folder of a checkpoint: the user's own, one that was fetched before, or fetched now."""
    folder = Path(name)
    for own in (folder, READY / name):
        if (own / "config.json").is_file():
            return own
    if folder.is_dir():
        raise UserError(
            f"{folder} holds no checkpoint: config.json is missing. Name the folder that `finetune` exported."
        )
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        known = ", ".join([*ready_made(), DEBUG, *PUBLISHED])
        raise UsageError(f"there is no checkpoint {name!r}: name a folder, or one of {known}.")
    try:
        return hub.folder(name, PATTERNS, lambda: _say_fetching(name))
    except Exception as error:  # the hub's client lets the faults of three libraries through
        raise UserError(_absent(name, error)) from error


def _say_fetching(name: str) -> None:
    print(f"{name} is not on this machine; fetching {_size(name)}.", file=sys.stderr)


def ready_made() -> list[str]:
    """The models that come with the package."""
    return sorted(path.parent.name for path in READY.glob("*/config.json"))


def default() -> str:
    """The published checkpoint where it was fetched before, else the small model that comes with the package."""
    if hub.cached(DEFAULT, PATTERNS) is None and SMALL in ready_made():
        return SMALL
    return DEFAULT


def config_of(name: str) -> Any:
    """The configuration of a checkpoint, without its weights."""
    if name == DEBUG:
        return _debug_config()
    from transformers import AutoConfig

    with quiet():
        return AutoConfig.from_pretrained(resolve(name))


def pick_dtype(name: str, device: "torch.device") -> "torch.dtype":
    """The decoder's number type; `auto` is half the size where the device computes in it."""
    import torch

    from symbolic import machine

    if name == "auto":
        return torch.bfloat16 if machine.has_bfloat16(device) else torch.float32
    if name == "float16" and device.type == "cpu":
        raise UsageError("float16 is slow and overflows on a CPU: choose bfloat16 or float32.")
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]


@dataclass(frozen=True)
class Cost:
    """What a run takes: peak memory, and seconds where they can be told (None on a GPU)."""

    parameters: int
    memory_bytes: int
    seconds: float | None

    def text(self) -> str:
        """For people, before the run."""
        from symbolic.progress import clock

        size = f"{self.parameters / 1e6:,.1f} M" if self.parameters < 1e9 else f"{self.parameters / 1e9:.2f} G"
        told = "" if self.seconds is None else f", about {clock(max(1.0, self.seconds))} of computing"
        return f"{size} parameters, about {self.memory_bytes / 2**30:.1f} GiB of memory{told}"


def cost(name: str, device: "torch.device", dtype: "torch.dtype", rows: int, seconds: float, total: float) -> Cost:
    """Memory and time of `rows` sounds at once in windows of `seconds`, `total` seconds a row over all windows.

    A step of the decoder reads every weight once, so its time is the weights' bytes over the rate at which this
    processor multiplies a large matrix with 2 * rows vectors, which is measured here in a moment.
    """
    import torch

    config = config_of(name)
    with quiet(), torch.device("meta"):
        shapes = _kind(config, name)(config)
    decoder = sum(p.numel() for p in shapes.decoder.parameters())
    others = sum(p.numel() for p in shapes.parameters()) - decoder
    d, size = config.decoder, torch.empty((), dtype=dtype).element_size()
    rate = config.audio_encoder.sampling_rate / np.prod(config.audio_encoder.upsampling_ratios)
    positions = seconds * rate + PROMPT_TOKENS + getattr(config, "chroma_length", 0)
    cache = 2 * d.num_hidden_layers * d.hidden_size * positions * 2 * rows * size
    decoding = 3 * 4 * config.audio_encoder.num_filters * total * config.audio_encoder.sampling_rate
    memory = 300e6 + decoder * size + 4 * others + max(cache, decoding)
    if device.type != "cpu":
        return Cost(decoder + others, round(memory), None)
    steps = total * rate
    attention = cache / 2 / _bytes_a_second(2 * rows, dtype)
    a_step = decoder * size / _bytes_a_second(2 * rows, dtype) + attention + LAYER_SECONDS * (d.num_hidden_layers + 1)
    return Cost(decoder + others, round(memory), steps * a_step)


def debug_model(device: "torch.device | str" = "cpu", seed: int = 0) -> MusicGen:
    """A tiny MusicGen-melody with random weights: the whole path in seconds, and noise as its sound."""
    from transformers import MusicgenMelodyForConditionalGeneration

    return random_model(MusicgenMelodyForConditionalGeneration, _debug_config(), device, seed)


def random_model(kind: Any, config: Any, device: "torch.device | str" = "cpu", seed: int = 0) -> MusicGen:
    """A model of the given shape with random weights, codebooks included (the library makes those zero)."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        with quiet():
            model = kind(config).eval()
    for layer in model.audio_encoder.quantizer.layers:
        layer.codebook.embed.copy_(torch.randn(layer.codebook.embed.shape, generator=generator))
    model.generation_config.pad_token_id = config.decoder.pad_token_id
    model.generation_config.bos_token_id = config.decoder.bos_token_id
    model.generation_config.decoder_start_token_id = config.decoder.bos_token_id
    return MusicGen(DEBUG, model.to(device), byte_tokenizer())


def byte_tokenizer() -> Any:
    """A tokenizer of bytes for tiny text encoders: 0 pads, 1 ends, 2 + b is byte b."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<pad>": 0, "</s>": 1, **{letter: i + 2 for i, letter in enumerate(letters)}}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", model_max_length=TINY_PROMPT_TOKENS
    )


def tiny_config(
    *,
    hidden: int,
    layers: int,
    heads: int,
    codec: dict[str, Any],
    chroma_length: int = chroma.WINDOW_FRAMES,
    melody: bool = True,
) -> Any:
    """The configuration of a small model in MusicGen's real format, with the byte tokenizer's text encoder.

    `codec` are EnCodec's own settings. `chroma_length` may be shorter than the published models' 235.
    """
    from transformers import EncodecConfig, MusicgenConfig, MusicgenDecoderConfig, MusicgenMelodyConfig, T5Config
    from transformers.models.musicgen_melody.configuration_musicgen_melody import MusicgenMelodyDecoderConfig

    encodec = EncodecConfig(sampling_rate=chroma.SAMPLE_RATE, use_causal_conv=False, **codec)
    rate = encodec.sampling_rate / np.prod(encodec.upsampling_ratios)
    codebooks = int(1000 * encodec.target_bandwidths[0] / (rate * np.log2(encodec.codebook_size)) + 1e-6)
    shape: dict[str, Any] = {
        "vocab_size": encodec.codebook_size,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "ffn_dim": 4 * hidden,
        "num_codebooks": codebooks,
        "pad_token_id": encodec.codebook_size,
        "bos_token_id": encodec.codebook_size,
        "dropout": 0.0,
    }
    text = T5Config(
        vocab_size=258, d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2, pad_token_id=0, eos_token_id=1
    )
    parts: dict[str, Any] = {"text_encoder": text, "audio_encoder": encodec}
    with quiet():
        if melody:
            return MusicgenMelodyConfig(
                **parts, decoder=MusicgenMelodyDecoderConfig(**shape), chroma_length=chroma_length
            )
        return MusicgenConfig(**parts, decoder=MusicgenDecoderConfig(**shape))


def _debug_config() -> Any:
    codec = {
        "num_filters": 4,
        "upsampling_ratios": [8, 5, 4, 4],
        "codebook_size": 64,
        "hidden_size": 16,
        "target_bandwidths": [1.2],
    }
    return tiny_config(hidden=32, layers=2, heads=4, codec=codec)


def _kind(config: Any, name: str) -> Any:
    import transformers

    if config.model_type == MELODY:
        return transformers.MusicgenMelodyForConditionalGeneration
    if config.model_type == TEXT_ONLY:
        return transformers.MusicgenForConditionalGeneration
    raise UserError(f"{name} is a {config.model_type} model, not MusicGen or MusicGen-melody: choose another --model.")


def _size(name: str) -> str:
    known = PUBLISHED.get(name)
    return f"{known.gigabytes:.1f} GB, {known.licence}" if known else "its weights (size and licence stand on its page)"


def _absent(name: str, error: Exception) -> str:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return (
        f"the checkpoint {name} is not on this machine and cannot be fetched ({reason}). It is {_size(name)}. Where "
        f"there is a network: `hf download {name} --local-dir musicgen`, copy the folder here, then --model musicgen. "
        f"--model {SMALL} is a small model that comes along and plays one instrument, --model {DEBUG} plays noise."
    )


def _bytes_a_second(rows: int, dtype: "torch.dtype") -> float:
    """Bytes of weights that this processor multiplies with `rows` vectors in a second."""
    import torch

    weights = torch.randn(6144, 2048).to(dtype)
    vectors = torch.randn(rows, 2048).to(dtype)
    torch.nn.functional.linear(vectors, weights)
    began = time.perf_counter()
    for _ in range(4):
        torch.nn.functional.linear(vectors, weights)
    return 4 * weights.numel() * weights.element_size() / (time.perf_counter() - began)
