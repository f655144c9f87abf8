"""The .abc file that `generate` writes, and the MIDI and MusicXML files beside it.

It begins with comment lines on what made it. A tune whose text does not parse is written too, after a line
`% unparseable`. Until the whole file is written, tunes are added to FILE.abc.part as they end (`UnfinishedFile`), which
is what a killed process or a full disk leaves.
"""

import contextlib
import errno
import json
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from symbolic import files
from symbolic.decode.loaded_model import NO_MODEL, LoadedModel
from symbolic.decode.tune_writer import DrawnTune, Generation, GenerationRequest
from symbolic.errors import UserError
from symbolic.notation.abc_parser import NotationError
from symbolic.notation.layout import laid_out
from symbolic.notation.score import Score

# What begins another tune, a block of text or an empty line, or is no text.
_BREAKS = re.compile(r"^[ \t\ufeff\u200b]*X:|^%%\s*begin|^\s*$|[^\S \n]|[\x00-\x09\x0b-\x1f\x7f]", re.MULTILINE)
FOLDERS = {"midi": "mid", "musicxml": "musicxml"}  # kinds of files beside the .abc file, and their suffixes


def abc_file(made: Generation, source_file: Path | None = None) -> str:
    """Return the whole .abc file: comment lines on what made it, then each tune after an empty line.

    source_file: where the given tune of an edit was read.
    """
    text = _head(made.model, made.request, source_file)
    if len(made.tunes) < made.request.n and made.request.needs_model:
        text += f"% stopped after {len(made.tunes)} of {made.request.n} tunes\n"
    return text + "".join("\n" + _tune_text(tune) for tune in made.tunes)


class UnfinishedFile:
    """FILE.abc.part: tunes in the order in which they end."""

    def __init__(self, path: Path, head: str) -> None:
        self.path, self.tunes = path, list[DrawnTune]()
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 (closed by `unfinished_file`)
        self._append(head)

    def add(self, tune: DrawnTune) -> None:
        """Append a tune. UserError where the disk is full: what was added before is kept, and whole."""
        self._append("\n" + _tune_text(tune))
        self.tunes.append(tune)

    def close(self) -> None:
        """Close the file; what was written stays."""
        self._file.close()

    def _append(self, text: str) -> None:
        end, payload = self._file.tell(), text.encode("utf-8", "replace")
        try:
            if self._file.write(payload) != len(payload):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(self.path, end)
            where = f" The {len(self.tunes)} tunes that have ended are in {self.path}." if self.tunes else ""
            raise UserError(f"cannot write {self.path}: {error.strerror or error}.{where} Free some space.") from error


@contextlib.contextmanager
def unfinished_file(
    target: Path, model: LoadedModel, request: GenerationRequest, source_file: Path | None = None
) -> Iterator[UnfinishedFile]:
    """Hold `target` for this process while its tunes are made; the .part file goes when the block ends well.

    Raises UserError where another process writes the same file, and where .part cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    with files.locked(target, "writing"):
        try:
            held = UnfinishedFile(part, _head(model, request, source_file))
        except OSError as error:
            raise UserError(f"cannot write {part}: {error.strerror or error}. Name another file with -o.") from error
        try:
            yield held
        except UserError as error:
            held.close()
            if held.tunes and str(part) not in str(error):
                raise UserError(f"{error} The {len(held.tunes)} tunes that have ended are in {part}.") from error
            raise
        finally:
            held.close()
            if not held.tunes:
                part.unlink(missing_ok=True)
        part.unlink(missing_ok=True)


def _head(model: LoadedModel, request: GenerationRequest, source_file: Path | None) -> str:
    """Return the comment lines that say what made a file."""
    head = (
        [] if model is NO_MODEL else [f"model {model.name}", f"seed {request.seed}, {_settings_text(model, request)}"]
    )
    head += [f"prompt {request.prompt.text}"] if request.prompt.text else []
    if request.edit is not None:
        description = f", {request.edit.description}" if request.edit.description else ""
        head += [f"tune {source_file or request.edit.given.where}{description}"]
    head += [f"data {term}" for term in model.terms or ["of unknown terms"]]
    head += [] if model is NO_MODEL else [f"step {model.step}"]
    return "".join(f"% {_one_line(line)}\n" for line in head)


def _settings_text(model: LoadedModel, request: GenerationRequest) -> str:
    sampling = request.sampling
    text = (
        f"temperature {sampling.temperature:g}, top-k {sampling.top_k}, top-p {sampling.top_p:g}, "
        f"min-p {sampling.min_p:g}, at most {request.max_tokens} tokens, {model.dtype}"
    )
    text += f", {request.attempts} attempts" if request.attempts > 1 else ""
    text += ", constrained" if request.constrain else ""
    return text + (f" to {request.voices} voices" if request.voices else "")


def write(
    made: Generation, target: Path | None, kinds: Collection[str] = (), *, source_file: Path | None = None
) -> None:
    """Write the tunes to `target` and files of the `kinds` of FOLDERS beside it; without a target print the text."""
    text = abc_file(made, source_file)
    if target is None:
        print(text, end="")
        return
    files.write_whole(target, text)
    if "midi" in kinds:
        from symbolic.formats.midi import write_midi

        _write_folder(target, "midi", made.tunes, write_midi)
    if "musicxml" in kinds:
        _write_folder(target, "musicxml", made.tunes, _write_musicxml)
    for kind in FOLDERS:
        older = folder_of(target, kind)
        if older.is_dir() and kind not in kinds:
            print(f"{older} holds files of earlier tunes; --{kind} would replace it.", file=sys.stderr)


def folder_of(output: Path, kind: str) -> Path:
    """Return the folder for files of a kind beside an .abc file."""
    return output.with_name(f"{output.stem}_{kind}")


def _write_folder(output: Path, kind: str, tunes: Iterable[DrawnTune], write: Callable[[Score, Path], None]) -> None:
    """Write one file for each tune that parsed, named by its number in the .abc file; report tunes that have none."""
    with files.whole_folder(folder_of(output, kind)) as folder:
        for tune in tunes:
            if tune.score is None:
                continue
            try:
                write(tune.score, folder / f"{tune.number:04d}.{FOLDERS[kind]}")
            except NotationError as error:
                print(f"tune {tune.number}: no {kind} file, {error}", file=sys.stderr)


def _write_musicxml(score: Score, path: Path) -> None:
    from symbolic.formats.musicxml.musicxml_writing import to_musicxml

    files.write_whole(path, to_musicxml(score))


def _tune_text(tune: DrawnTune) -> str:
    note = f"% {_one_line(tune.remark)}\n" if tune.remark else ""
    note += "" if tune.finished == "eos" else f"% unfinished: {tune.finished}\n"
    if tune.score is not None:
        return note + laid_out(tune.score, number=tune.number, title=tune.title, fields=tune.fields)
    return note + f"% unparseable, {_one_line(tune.fault)}\nX:{tune.number}\nT:{tune.title}\n{_raw(tune.text)}\n"


def _raw(text: str) -> str:
    """Return text that is no tune unchanged, or as a JSON string in a comment where it would break the file."""
    breaks = _BREAKS.search(text.strip("\n"))
    return f"% text {json.dumps(text)}" if breaks else text.strip("\n")


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
