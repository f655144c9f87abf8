"""Convert music between ABC, MIDI and MusicXML.

    python -m symbolic convert tunes.abc -o tunes.mid          # one file a tune: tunes-1.mid, tunes-2.mid, ...
    python -m symbolic convert chorale.mxl -o chorale.abc      # four voices, V:1 to V:4, each with its clef
    python -m symbolic convert chorale.mxl --interleave -o chorale.abc     # bar by bar, voices together
    python -m symbolic convert song.mid -o song.musicxml

The endings of the names say what is read (.abc, .mid, .midi, .musicxml, .xml, .mxl) and written (.abc, .mid,
.musicxml). Everything goes through one score, so what a direction loses is what its notation, or our score, does not
hold:
- ABC to ABC keeps X: numbers and all lines T C O R B D F G S Z N H Q of each tune, those inside the music in the
  header. Lyrics (w:, W:), annotations and page layout are lost everywhere.
- To MIDI repeats are played out, and spelling, bars' kinds, slurs, graces, chord symbols and decorations are left
  behind; of the fields title and tempo stay.
- From MIDI time is put on a grid of 24 ticks to the quarter, a key without a signature is estimated, changes of key
  stand at the next bar line, and one part's notes are dealt out to voices. The title is the first track's name.
- To MusicXML go title, composer, tempo, chord symbols, graces, slurs and the commoner decorations; the last three do
  not come back from it.
`python -m experiments.conversions` measures it. The exit status is 1 when any tune could not be converted.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from symbolic import files
from symbolic.command_line import choose_tune
from symbolic.errors import UsageError, UserError
from symbolic.formats import engraving, midi_text
from symbolic.formats.midi import stated_qpm
from symbolic.formats.musicxml import MODES, TICKS_PER_QUARTER, from_musicxml, to_musicxml
from symbolic.notation import abc_parser
from symbolic.notation.canonical import interleaved
from symbolic.notation.layout import information
from symbolic.notation.score import Score, bars
from symbolic.notation.theory import NotationError

__all__ = ["MODES", "TICKS_PER_QUARTER", "from_musicxml", "read_document", "to_midi", "to_musicxml"]

KINDS = {
    ".abc": "abc",
    ".mid": "midi",
    ".midi": "midi",
    ".musicxml": "musicxml",
    ".xml": "musicxml",
    ".mxl": "musicxml",
}
WRITTEN = (".abc", ".mid", ".musicxml")
MAX_ABC_BYTES = 64 * 2**20
KEPT_FIELDS = "CORBDFGSZNHQ"  # of the header, all lines
MOST_SHOWN = 12  # names of files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("source", metavar="FILE", type=Path, help=".abc, .mid, .midi, .musicxml, .xml or .mxl")
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help=".abc, .mid or .musicxml")
    parser.add_argument(
        "--tune", type=int, metavar="N", help="of an .abc file the tune X:N, else the N-th (default: all)"
    )
    parser.add_argument("--interleave", action="store_true", help="ABC of several voices bar by bar")
    parser.add_argument("--no-repeats", action="store_true", help="MIDI as written, repeats not played")


def run(args: argparse.Namespace) -> int:
    """Read, convert, write; what cannot be converted is named, and the status is then 1."""
    kind, target = KINDS.get(args.source.suffix.lower()), args.output.suffix.lower()
    if kind is None:
        raise UsageError(f"{args.source}: its name must end in one of {', '.join(KINDS)}.")
    if target not in WRITTEN:
        raise UsageError(f"-o {args.output}: its name must end in one of {', '.join(WRITTEN)}.")
    _check_output(args.source, args.output)
    scores, n_tunes = [], 0
    for number, score in _read(args.source, kind, args.tune):
        n_tunes += 1
        if isinstance(score, NotationError):
            print(f"{args.source}, tune {number}: {score.reason}: {score}", file=sys.stderr)
        else:
            scores.append((number, score))
    written = list(_write(scores, args.output, args.interleave, not args.no_repeats)) if scores else []
    if not written:
        raise UserError(f"nothing of {args.source} could be converted.")
    n_done = len(scores) if target == ".abc" else len(written)
    print(f"{n_done} of {n_tunes} converted to {_shown(written)}")
    return int(n_done < n_tunes)


def _check_output(source: Path, output: Path) -> None:
    """A conversion would take the place of what it came from, and lose what the score does not hold."""
    if source.exists() and output.exists() and source.samefile(output):
        raise UsageError(f"-o {output} is the source: name another file.")


def read_document(kind: str, data: bytes, wanted: str) -> dict[str, Any]:
    """Canonical text in `wanted` ("abc", "interleaved" or "midi") and header fields of a MIDI or MusicXML file's bytes.

    For the guarded process, `symbolic.formats.sandbox`. Raises NotationError.
    """
    if kind == "midi":
        piece = midi_text.from_midi(data)
        if wanted == "midi":
            return {"text": midi_text.canonical(piece), "fields": {"T": [piece.title]} if piece.title else {}}
        score = engraving.score_of(piece)
    else:
        score = from_musicxml(data)
    return {"text": text_of(score, wanted), "fields": score.fields}


def text_of(score: Score, wanted: str) -> str:
    """A score as canonical text: "abc" voice after voice, "interleaved" bar by bar, "midi" as a piece."""
    return midi_text.canonical(midi_text.from_score(score)) if wanted == "midi" else _text(score, wanted)


def to_midi(score: Score, *, repeats: bool = True) -> bytes:
    """A MIDI file whose bars are the score's: a pick-up has a time signature of its own."""
    from symbolic.formats import midi

    built = midi.build(score, repeats=repeats)
    measures = bars(score.voices[0], score.meter)
    if len(measures) > 1 and 0 < measures[0].ticks < score.meter.ticks:
        _mark_pickup(built, measures[0].ticks)
    return midi.to_bytes(built)


def _text(score: Score, wanted: str) -> str:
    return interleaved(score) if wanted == "interleaved" else abc_parser.canonical(score)


def _mark_pickup(built: Any, ticks: int) -> None:
    """Give the first bar the metre of its length, and the tune's metre where that bar ends."""
    import mido

    track = built.tracks[0]
    place = next(i for i, message in enumerate(track) if message.type == "time_signature")
    whole = track[place]
    for denominator in (4, 8, 16, 32):
        beats, rest = divmod(ticks * denominator, 4 * TICKS_PER_QUARTER)
        if not rest:
            following = track[place + 1]
            if following.time and following.time < ticks and following.type != "end_of_track":
                return  # a change inside the pick-up: leave the file as it is
            short = mido.MetaMessage("time_signature", numerator=beats, denominator=denominator, time=whole.time)
            track[place : place + 1] = [short, whole.copy(time=ticks)]
            if following.type != "end_of_track":
                track[place + 2] = following.copy(time=max(0, following.time - ticks))
            return


def _read(path: Path, kind: str, tune: int | None) -> Iterator[tuple[int, Score | NotationError]]:
    """(number, score) of each tune, or why there is none."""
    data = _bytes(path)
    if kind == "abc":
        raws = abc_parser.split_tunes(files.decoded(data).replace("\r\n", "\n"))
        if not raws:
            raise UserError(f"{path} holds no tune: a tune starts with an X: field, and a K: field ends its header.")
        wanted = None if tune is None else choose_tune([_number(raw.text) for raw in raws], tune, path) + 1
        for number, raw in enumerate(raws, start=1):
            if wanted in (None, number):
                yield number, _parsed(raw.text, raw.line)
        return
    from symbolic.formats.sandbox import Guard

    with Guard() as guard:
        try:
            answer = guard.read(kind, data, "abc")
        except NotationError as error:
            raise UserError(f"{path}: {error.reason}: {error}") from error
    score = abc_parser.parse(answer["text"])
    score.fields = {**answer["fields"], **score.fields}
    yield 1, score


def _bytes(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_ABC_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}.") from error
    if len(data) > MAX_ABC_BYTES:
        raise UserError(f"{path} is larger than {MAX_ABC_BYTES // 2**20} MiB: split it, or use `prepare`.")
    return data


def _number(text: str) -> int | None:
    """The number in a tune's X: field."""
    match = re.match(r"X:\s*(\d{1,9})", text)
    return int(match[1]) if match else None


def _parsed(text: str, line: int) -> Score | NotationError:
    try:
        return abc_parser.parse(text, line)
    except NotationError as error:
        return error


def _write(scores: list[tuple[int, Score]], target: Path, interleave: bool, repeats: bool) -> Iterator[Path]:
    """One .abc file, or one file a tune, numbered where there are several."""
    if target.suffix.lower() == ".abc":
        texts = [_tune_text(number, score, interleave) for number, score in scores]
        files.write_whole(target, "\n".join(texts))
        yield target
        return
    for number, score in scores:
        path = target if len(scores) == 1 else target.with_name(f"{target.stem}-{number}{target.suffix}")
        try:
            files.write_whole(path, _converted(score, target.suffix.lower(), repeats))
        except NotationError as error:
            print(f"tune {number}: {error.reason}: {error}", file=sys.stderr)
            continue
        yield path


def _converted(score: Score, suffix: str, repeats: bool) -> str | bytes:
    if suffix == ".mid":
        return to_midi(score, repeats=repeats)
    composer = ", ".join(score.fields.get("C", []))
    return to_musicxml(abc_parser.canonical(score), title=score.title, composer=composer, qpm=stated_qpm(score))


def _tune_text(number: int, score: Score, interleave: bool) -> str:
    """ABC for people, with the number and the information fields that the source has."""
    own = re.match(r"\s*(\d{1,9})", score.fields.get("X", [""])[0])
    number = int(own[1]) if own else number
    fields = {"T": score.fields.get("T", [])[1:]} | {letter: score.fields.get(letter, []) for letter in KEPT_FIELDS}
    if interleave and len(score.voices) > 1:
        return "\n".join(information(number, score.title, fields)) + "\n" + interleaved(score)
    return abc_parser.pretty(abc_parser.canonical(score), number=number, title=score.title, fields=fields)


def _shown(paths: list[Path]) -> str:
    """The names of the files that were written."""
    names = [str(paths[0]), *(path.name for path in paths[1:])]
    if len(names) <= MOST_SHOWN:
        return ", ".join(names)
    return f"{', '.join(names[: MOST_SHOWN - 1])} and {len(names) - MOST_SHOWN + 1} more, the last {names[-1]}"
