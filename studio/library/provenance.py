"""take.json: all that is needed to make a take again, and what it came from.

It has the verb and its options with the seed, the model with the digest of its weights, the terms of the training
data, versions, size and SHA-256 of every file, the longest passage shared with a training tune, and the command line
that makes the take again beside the files of its zip.
"""

import platform
import shlex
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from studio.actions import models
from studio.library import take_files
from symbolic import files, runs

FORMAT = 1
_PACKAGES = ("abc-symbolic", "torch", "transformers", "numpy", "midirenderer")


def write(
    folder: Path,
    about: dict[str, Any],
    options: dict[str, Any],
    result: dict[str, Any],
    seconds: dict[str, float],
    shared: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Write take.json, the last file of a take. `about` has id, work, parent, verb, title; `shared` is what
    `copied_passage.of_take` found."""
    names = [name for name in take_files.present(folder) if name != take_files.RECORD]
    record = {
        "format": FORMAT,
        **about,
        "options": options,
        "model": model_card(str(options.get("model") or options.get("melody_model") or "")),
        "result": result,
        "shared": shared,
        "command": command(about["verb"], {**options, "n": result.get("n_drawn", options.get("n", 1))}),
        "files": {name: _file(folder / name) for name in names},
        "versions": versions(),
        "seconds": seconds,
    }
    files.write_json(folder / take_files.RECORD, record)
    return record


@lru_cache(maxsize=16)
def model_card(name: str) -> dict[str, Any]:
    """Name, SHA-256 of the weights and terms of the training data of a model; {} where none took part."""
    if not name:
        return {}
    checkpoint = models.checkpoint_folder(name)
    folder = checkpoint if runs.is_model(checkpoint) else runs.resolve(name)
    record = files.read_json(folder / "training.json") if (folder / "training.json").is_file() else {}
    weights = sorted(folder.glob("*.safetensors"))
    terms = [
        {key: term.get(key, "") for key in ("name", "title", "terms", "licence", "redistribution")}
        for term in record.get("terms", [])
        if isinstance(term, dict)
    ]
    return {"name": name, "weights_sha256": files.sha256(weights[0]) if weights else "", "terms": terms}


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide what comes out."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def command(verb: str, options: dict[str, Any]) -> str:
    """The command line that makes the take again, run in the folder of its zip."""
    if verb in ("words", "score", "song"):
        return "python -m audio_bridge song --from song.json -o again"
    if verb == "condition":
        words = ["condition", "given.abc", "--text", options["text"], "--model", options["model"]]
        return _joined("audio_bridge", [*words, "--seed", options["seed"], "-o", "conditioned.wav"])
    if verb == "import":
        return _joined("symbolic", ["convert", "given.abc", "-o", "tune.musicxml"])
    if verb == "story":
        given = "given.mid" if options.get("kind") == "midi" else "given.abc"
        words = ["story", given, "-o", "story.txt", "--audio", "tune.mp3", "--sections", options["sections"]]
        return _joined("symbolic", [*words, *_titled(options), "--seed", options["seed"]])
    if verb == "soundtrack":
        words = ["soundtrack", "given.txt", "-o", "tune.mp3", "--model", options["model"]]
        words += ["--instruments", f"{options['instrument']},piano", *(["--narrate"] if options["narrate"] else [])]
        words += [word for name in ("bars", "metre", "key") for word in (f"--{name}", options[name])]
        return _joined("audio_bridge", [*words, *_titled(options), "-n", options["n"], "--seed", options["seed"]])
    return _joined("symbolic", ["generate", *_generate_words(verb, options)])


def _generate_words(verb: str, options: dict[str, Any]) -> list[Any]:
    """The arguments of `symbolic generate` that mean a tune verb's options."""
    words: list[Any] = [options["model"]] if options.get("model") else []
    if verb != "tune":
        words += ["--tune", "given.abc"]
    named = {
        "fill": "--fill", "vary": "--vary", "keep_bars": "--continue", "semitones": "--transpose",
        "transpose": "--transpose", "harmonise": "--harmonise", "every": "--harmonise", "metre": "--metre",
        "key": "--key", "first_bars": "--first-bars", "sections": "--sections", "rhythm": "--type",
        "lowest": "--lowest", "highest": "--highest",
    }  # fmt: skip
    values = {**options, verb: options.get("bars") if verb in ("fill", "vary") else None}
    for name, flag in named.items():
        if values.get(name) is not None and values[name] != "":
            words += [flag, values[name]]
    if verb == "continue" and options.get("keep_bars") is None:
        words.append("--continue")
    for flag, name in (("--bars", "bars"), ("--similarity", "similarity")):
        if verb == "tune" and options.get(name):
            words += [flag, *options[name]]
    if not options.get("model"):
        return [*words, "-o", "tune.abc"]
    words += ["--constrain"] if options.get("constrain") else []
    for flag, name, default in _SAMPLING:
        if options.get(name, default) != default:
            words += [flag, options[name]]
    return [*words, "-n", options.get("n", 1), "--seed", options["seed"], "-o", "tune.abc"]


_SAMPLING = (
    ("--temperature", "temperature", 1.0), ("--top-k", "top_k", 0), ("--top-p", "top_p", 1.0),
    ("--min-p", "min_p", 0.05), ("--max-tokens", "max_tokens", 1024),
)  # fmt: skip


def _titled(options: dict[str, Any]) -> list[str]:
    return ["--title", options["title"]] if options.get("title") else []


def _joined(package: str, words: list[Any]) -> str:
    return f"python -m {package} " + " ".join(shlex.quote(str(word)) for word in words)


def _file(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": files.sha256(path), "type": take_files.media_type(path.name)}
