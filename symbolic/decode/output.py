"""The .abc file that `generate` writes, and the MIDI and MusicXML files beside it.

It begins with comment lines on what made it. A tune whose text does not parse is written too, after a line
`% unparseable`.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from symbolic import files
from symbolic.decode import prompt as prompts
from symbolic.decode.editing import edit
from symbolic.decode.loaded_model import NO_MODEL, LoadedModel
from symbolic.notation import abc_parser, control_codes
from symbolic.notation.abc_parser import NotationError
from symbolic.notation.score import Score

FOLDERS = {"midi": "mid", "musicxml": "musicxml"}  # kinds of files beside the .abc file, and their suffixes


@dataclass(frozen=True)
class DrawnTune:
    """One tune: its text as drawn, its score or the reason why there is none, and how it ended."""

    number: int
    title: str
    text: str
    score: Score | None
    fault: str
    finished: str
    fields: dict[str, str] = field(default_factory=dict)
    remark: str = ""


def abc_file(
    tunes: list[DrawnTune],
    source: LoadedModel,
    prompt: prompts.Prompt,
    args: argparse.Namespace,
    task: edit.Task | None = None,
) -> str:
    """The whole .abc file: comment lines on what made it, then each tune after an empty line."""
    settings = (
        f"temperature {args.temperature:g}, top-k {args.top_k}, top-p {args.top_p:g}, min-p {args.min_p:g}, "
        f"at most {args.max_tokens} tokens, {args.dtype}" + (", constrained" if args.constrain else "")
    )
    settings += f" to {args.voices} voices" if args.voices else ""
    head = [f"model {source.name}", f"seed {args.seed}, {settings}"]
    head = [] if source is NO_MODEL else head
    head += [f"prompt {prompt.text}"] if prompt.text else []
    head += [f"tune {args.tune}{f', {task.told}' if task.told else ''}"] if task else []
    head += [f"data {term}" for term in source.terms or ["of unknown terms"]]
    head += [f"step {source.step}"] if source is not NO_MODEL else []
    comments = "".join(f"% {_one_line(line)}\n" for line in head)
    return comments + "".join("\n" + _tune_text(tune) for tune in tunes)


def write(args: argparse.Namespace, tunes: list[DrawnTune], text: str) -> None:
    """The files that the options ask for; without -o the text on standard output."""
    if args.output is None:
        print(text, end="")
        return
    files.write_whole(args.output, text)
    if args.midi:
        from symbolic.formats.midi import write_midi

        _write_folder(args.output, "midi", tunes, write_midi)
    if args.musicxml:
        _write_folder(args.output, "musicxml", tunes, _write_musicxml)
    for kind in FOLDERS:
        older = folder_of(args.output, kind)
        if older.is_dir() and not getattr(args, kind):
            print(f"{older} holds files of earlier tunes; --{kind} would replace it.", file=sys.stderr)


def folder_of(output: Path, kind: str) -> Path:
    """Where files of a kind go that lie beside an .abc file."""
    return output.with_name(f"{output.stem}_{kind}")


def _write_folder(output: Path, kind: str, tunes: Iterable[DrawnTune], write: Callable[[Score, Path], None]) -> None:
    """One file a tune that parsed, named by its number in the .abc file; tunes that cannot be converted are named."""
    with files.whole_folder(folder_of(output, kind)) as folder:
        for tune in tunes:
            if tune.score is None:
                continue
            try:
                write(tune.score, folder / f"{tune.number:04d}.{FOLDERS[kind]}")
            except NotationError as error:
                print(f"tune {tune.number}: no {kind} file, {error}", file=sys.stderr)


def _write_musicxml(score: Score, path: Path) -> None:
    from symbolic.formats.convert import to_musicxml

    files.write_whole(path, to_musicxml(abc_parser.canonical(score), title=score.title))


def form_line(score: Score) -> str:
    """What came of what was asked for, on one line."""
    found = control_codes.codes(score)
    text = control_codes.encode(found).replace("\n", " ") if found.in_range else f"S:{found.sections} "
    return "form " + text + control_codes.range_lines(abc_parser.canonical(score)).replace("\n", " ").strip()


def _tune_text(tune: DrawnTune) -> str:
    note = f"% {_one_line(tune.remark)}\n" if tune.remark else ""
    note += "" if tune.finished == "eos" else f"% unfinished: {tune.finished}\n"
    if tune.score is not None:
        text = abc_parser.canonical(tune.score)
        return note + abc_parser.pretty(text, number=tune.number, title=tune.title, fields=tune.fields)
    return note + f"% unparseable, {_one_line(tune.fault)}\nX:{tune.number}\nT:{tune.title}\n{_raw(tune.text)}\n"


def _raw(text: str) -> str:
    """Text that is no tune, as it is, unless it would break the file: then as a JSON string in a comment."""
    breaks = re.search(r"^X:|^\s*$|[^\S \n]|[\x00-\x09\x0b-\x1f\x7f]", text.strip("\n"), re.MULTILINE)
    return f"% text {json.dumps(text)}" if breaks else text.strip("\n")


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
