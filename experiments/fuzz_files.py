"""Damaged files of every kind but ABC through the readers that meet them: MIDI, MusicXML, YAML, JSON, sound, weights.

    python -m experiments.fuzz --all -n 100000

Each file is a right one, damaged by one to three changes: bytes flipped, cut out, spliced, repeated, numbers that lie;
signs nested without end, values of another type, keys that are missing or twice, references to themselves.

    midi         files of `experiments.hostile`, read in the notations of `convert` and `prepare`
    musicxml     scores as `convert` writes them, plain and as .mxl
    yaml         configurations of training, of fine-tuning, of a survey
    json         the files of a checkpoint, the tunes of a data set, the lists of a corpus
    wav          WAV, FLAC and OGG, decoded as `dataset`, `adherence` and `condition` decode
    safetensors  weights of models, and of fine-tuning

`tried` runs in a child of `experiments.fuzz`, so that a native crash costs a chunk and is told.
"""

import contextlib
import io
import json
import random
import struct
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments import hostile
from experiments.fuzz_outcomes import SECONDS, guarded
from symbolic import config, files, machine
from symbolic.errors import UserError
from symbolic.notation.theory import NotationError

KINDS = ("midi", "musicxml", "yaml", "json", "wav", "safetensors")
N_BASES = 30
MAX_FILE_BYTES, MAX_MIDI_BYTES = 2**20, 2**18  # a MiB of MIDI takes seconds, and more of it tells no more
LIES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
NESTED = ("[", "{", '{"a":', "<a>", "- ", "a: ", "((", "&a [*a,", "? ")
VALUES = (
    *(
        "",
        "null",
        "~",
        "true",
        "no",
        "-1",
        "0",
        "1e999",
        "-1e-999",
        "nan",
        ".inf",
        "9" * 400,
        "1:30",
        "0x7f",
        "[]",
        "{}",
    ),
    *(
        "[1, 2]",
        '"a"',
        "!!python/object/apply:os.getcwd []",
        "*a",
        "&a a",
        "\0",
        "a" * 5000,
        "../../etc/passwd",
        "\ud800",
    ),
    *("<!ENTITY a 'a'>", "&a;", "<![CDATA[", "-->", "<note/>", "99999999", "C#b", "1/0"),
)


@dataclass(frozen=True)
class FuzzKind:
    """Right files of a kind, what damages one, and what reads one."""

    bases: Sequence[bytes]
    damaged: Callable[[int, int], bytes]  # of a seed and a number
    read: Callable[[bytes], str]  # the outcome; raises what the reader raises


def tried(kind: str, numbers: Sequence[int], seed: int, data: Path) -> dict[str, Any]:
    """Outcomes, faults, peak memory in MiB and the slowest file in seconds of processor time."""
    outcomes: Counter[tuple[str, str]] = Counter()
    faults: list[str] = []
    slowest = 0.0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        one = made(kind, data, Path(folder))
        for number in numbers:
            text = one.damaged(seed, number)
            seconds, name = guarded(lambda text=text: _read(one.read, text), SECONDS)  # type: ignore[misc]
            outcomes[kind, name.partition(":")[0]] += 1
            slowest = max(slowest, seconds)
            faults += [f"{kind} {number}: {name}"] if name.startswith("FAULT") else []
            print(f"{kind} {number}", flush=True)
    found = {"outcomes": [[*key, count] for key, count in outcomes.items()], "faults": faults}
    return {**found, "peak_mib": machine.peak_mib(), "slowest_seconds": slowest}


def made(kind: str, data: Path, folder: Path) -> FuzzKind:
    """A kind's files and readers; `folder` is where they are put to be read."""
    if kind == "midi":
        bases = hostile.real_files(data)
        return FuzzKind(bases, lambda seed, number: hostile.damaged(bases, seed, number)[:MAX_MIDI_BYTES], _read_midi)
    read: Callable[[bytes], str]
    if kind == "musicxml":
        bases, read = _musicxml_files(data), _read_musicxml
    elif kind == "yaml":
        bases, read = _yaml_files(), lambda text: _read_yaml(text, folder)
    elif kind == "wav":
        bases, read = _sounds(), lambda text: _read_sound(text, folder)
    else:
        return _checkpoint_kind(kind, data, folder)
    return FuzzKind(bases, lambda seed, number: damaged(bases, f"{kind}:{seed}:{number}"), read)


def damaged(bases: Sequence[bytes], seed: str) -> bytes:
    """One of some files, with one to three damages."""
    rng = random.Random(seed)
    text = bytearray(rng.choice(bases))
    for _ in range(rng.randint(1, 3)):
        rng.choice(DAMAGES)(text, bases, rng)
    return bytes(text[:MAX_FILE_BYTES])


def _read(read: Callable[[bytes], str], text: bytes) -> str:
    """A refusal of the notation is the project's own, as UserError is; a child's SystemExit is a refusal too."""
    try:
        return read(text)
    except NotationError as error:
        return f"refused, {error.reason}"
    except SystemExit as error:
        if isinstance(error.code, str):
            return "refused"
        raise RuntimeError(f"left with {error.code!r}") from error


# --- readers ---------------------------------------------------------------------------------------------------------


def _read_midi(text: bytes) -> str:
    from symbolic.formats import readers

    for notation in ("midi", "abc", "score"):
        readers.read("midi", text, notation)
    return "read"


def _read_musicxml(text: bytes) -> str:
    from symbolic.formats import readers
    from symbolic.notation.abc_parser import canonical, parse

    for notation in ("score", "interleaved"):
        readers.read("musicxml", text, notation)
    abc = readers.read("musicxml", text, "abc")["text"]
    assert canonical(parse(abc)) == abc, "its canonical text does not read back as itself"
    return "read"


def _read_yaml(text: bytes, folder: Path) -> str:
    """As training, fine-tuning and a survey read it: what one refuses the next may take."""
    from audio_bridge.musicgen.finetune import FinetuneConfig
    from studio.survey import survey_spec

    path = folder / "a.yaml"
    path.write_bytes(text)
    n_read = 0
    for read in (config.load, lambda name: config.load_as(FinetuneConfig, name), survey_spec.load_spec):
        with contextlib.suppress(UserError):
            read(path)
            n_read += 1
    return "read" if n_read else "refused"


def _read_sound(text: bytes, folder: Path) -> str:
    """As the guarded child decodes, in this process, which is one too."""
    from audio_bridge.sound import recordings

    path = folder / "a.wav"
    path.write_bytes(text)
    import soundfile

    with contextlib.redirect_stdout(io.StringIO()) as header:
        try:
            recordings._decode(soundfile.SoundFile(path), str(folder / "a.f32"), 60.0)
        except soundfile.LibsndfileError:
            return "refused"
    n_channels = json.loads(header.getvalue())["channels"]
    assert (folder / "a.f32").stat().st_size % (4 * n_channels) == 0, "samples are cut"
    return "read"


# --- right files -----------------------------------------------------------------------------------------------------


def _tunes(data: Path) -> list[str]:
    texts = [row["text"] for row in files.read_jsonl(data / "tunes" / "train.jsonl")]
    return texts[:: max(1, len(texts) // N_BASES)][:N_BASES]


def _musicxml_files(data: Path) -> list[bytes]:
    from symbolic.formats.musicxml.musicxml_writing import to_musicxml
    from symbolic.notation.abc_parser import parse

    plain = [to_musicxml(parse(text), title="A tune").encode("utf-8") for text in _tunes(data)]
    return [*plain, *(_archived(text) for text in plain[::3])]


def _archived(text: bytes) -> bytes:
    """A score as .mxl (MusicXML 4.0)."""
    container = b'<container><rootfiles><rootfile full-path="a.musicxml"/></rootfiles></container>'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("a.musicxml", text)
    return buffer.getvalue()


def _yaml_files() -> list[bytes]:
    return [path.read_bytes() for path in sorted(config.bundled_folder().rglob("*.yaml"))]


def _sounds() -> list[bytes]:
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    found = []
    for kind, subtype in (
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("WAV", "PCM_24"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
    ):
        for n_channels, rate in ((1, 8000), (2, 44_100)):
            buffer = io.BytesIO()
            samples = 0.1 * rng.standard_normal((2000, n_channels))
            soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
            found.append(buffer.getvalue())
    return found


def _checkpoint_kind(kind: str, data: Path, folder: Path) -> FuzzKind:
    """Files of small checkpoints. A damaged one takes its file's place in a folder that is otherwise whole."""
    right = _checkpoint_files(data, folder)
    names = sorted(name for name in right if (Path(name).suffix == ".safetensors") == (kind == "safetensors"))

    def damaged_file(seed: int, number: int) -> bytes:
        name = names[number % len(names)]
        bases = [right[name], *(text for other, text in right.items() if Path(other).suffix == Path(name).suffix)]
        return name.encode() + b"\n" + damaged(bases[:1] if number % 7 else bases, f"{kind}:{seed}:{number}")

    def read(text: bytes) -> str:
        name, _, body = text.partition(b"\n")
        path = folder / name.decode()
        path.write_bytes(body)
        try:
            return _read_file_of_checkpoint(path)
        finally:
            path.write_bytes(right[name.decode()])

    return FuzzKind(list(right.values()), damaged_file, read)


def _checkpoint_files(data: Path, folder: Path) -> dict[str, bytes]:
    """By path: two whole checkpoints, one with an index of shards, fine-tuned weights, tunes, rows of a corpus."""
    import torch

    from symbolic import models, tokens
    from symbolic.config import GPT2Config, Mamba2Config, ModelConfig
    from symbolic.training import checkpoint

    tokenizer = tokens.build("grammar")
    size = tokenizer.vocab_size
    shapes: dict[str, ModelConfig] = {
        "gpt2": GPT2Config(n_layer=1, n_embd=16, n_head=2, n_positions=32, vocab_size=size),
        "mamba2": Mamba2Config(n_layer=1, d_model=16, d_state=8, head_dim=16, chunk_size=16, vocab_size=size),
    }
    for name, shape in shapes.items():
        torch.manual_seed(0)
        origin = checkpoint.Origin("c", tokenizer.digest, [], {"name": "a"})
        checkpoint.save(folder / name, models.build(shape), tokenizer, checkpoint.TrainingProgress(1), origin)
    index = {"weight_map": {"transformer.wte.weight": "model.safetensors"}}
    files.write_json(folder / "gpt2" / "model.safetensors.index.json", index)
    last = checkpoint.Origin("c", "", [], {"name": "a"})
    checkpoint.save_trained(folder / "last", torch.nn.Linear(4, 3), checkpoint.TrainingProgress(1), last)
    rows = [{"id": str(number), "text": text} for number, text in enumerate(_tunes(data))]
    files.write_jsonl(folder / "tunes.jsonl", rows)
    files.write_json(folder / "corpus.json", [{"abc notation": row["text"], "control code": "S:2"} for row in rows])
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes() for name, path in found.items() if path.suffix in (".json", ".jsonl", ".safetensors")
    }


def _read_file_of_checkpoint(path: Path) -> str:
    """As the verb that meets it reads it."""
    import torch

    from symbolic import models, tokens
    from symbolic.corpus import corpora
    from symbolic.training import checkpoint

    folder = path.parent
    if path.name == "tunes.jsonl":
        assert sum(1 for _ in files.read_jsonl(path)) >= 0
    elif path.name == "corpus.json":
        assert sum(1 for _ in corpora._read_json("fuzz", path.name, files.decode(path.read_bytes()), 0, _ignore)) >= 0
    elif path.name.startswith("tokenizer"):
        tokens.load(folder).encode("M:4/4\nK:C\nCDEF|\n")
    elif path.name == checkpoint.RECORD:
        checkpoint.verify(folder)
    elif path.parent.name == "last":
        checkpoint.load_trained(folder, torch.nn.Linear(4, 3))
    else:
        models.load(folder)
    return "read"


def _ignore(*_: object) -> None:
    """Take warnings of a corpus without a word."""


# --- damages ---------------------------------------------------------------------------------------------------------


def _repeated(text: bytearray, bases: Sequence[bytes], rng: random.Random) -> None:
    place = rng.randrange(len(text) + 1)
    text[place:place] = text[place : place + rng.choice((1, 8, 40, 400))] * rng.choice((2, 30, 1000))


def _lied(text: bytearray, bases: Sequence[bytes], rng: random.Random) -> None:
    """A number of two, four or eight bytes, more often near the beginning, where headers are."""
    form = rng.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
    size = struct.calcsize(form)
    if len(text) > size:
        place = rng.randrange(min(len(text) - size, rng.choice((16, 64, len(text)))) or 1)
        text[place : place + size] = struct.pack(form, rng.choice(LIES) % 2 ** (8 * size))


def _nested(text: bytearray, bases: Sequence[bytes], rng: random.Random) -> None:
    place = rng.randrange(len(text) + 1)
    text[place:place] = rng.choice(NESTED).encode() * rng.choice((1, 2, 50, 3000, 100_000))


def _valued(text: bytearray, bases: Sequence[bytes], rng: random.Random) -> None:
    """A number, a string or a value behind a colon becomes something else."""
    places = [place for place, one in enumerate(text) if one in b"0123456789:>\"'"]
    value = rng.choice(VALUES).encode("utf-8", "surrogatepass")
    place = rng.choice(places) + 1 if places else 0
    text[place : place + rng.choice((0, 1, 1, 4))] = value


def _lines(text: bytearray, bases: Sequence[bytes], rng: random.Random) -> None:
    """Lines dropped, doubled, indented, exchanged."""
    lines = bytes(text).split(b"\n")
    place = rng.randrange(len(lines))
    changed = rng.choice(([], [lines[place]] * 2, [b"  " + lines[place]], [b"\t" + lines[place]], [rng.choice(lines)]))
    text[:] = b"\n".join([*lines[:place], *changed, *lines[place + 1 :]])


DAMAGES = (
    *[hostile.flip] * 3,
    *[_valued] * 3,
    *[_lied] * 2,
    *[_lines] * 2,
    hostile.cut,
    hostile.splice,
    _repeated,
    _nested,
)
