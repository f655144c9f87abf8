"""Convert music between ABC, MIDI and MusicXML.

    python -m symbolic convert tunes.abc -o tunes.mid          # one file a tune: tunes-1.mid, tunes-2.mid, ...
    python -m symbolic convert chorale.mxl -o chorale.abc      # four voices, V:1 to V:4, each with its clef
    python -m symbolic convert chorale.mxl --interleave -o chorale.abc     # bar by bar, voices together
    python -m symbolic convert song.mid -o song.musicxml

The endings of the names say what is read (.abc, .mid, .midi, .kar, .musicxml, .xml, .mxl) and written (.abc, .mid,
.musicxml). Everything goes through one score; what it does not hold is told on stderr, a line `note:` for each kind of
loss with its number, and counted in the answer of --json.
- ABC to ABC keeps X: numbers, all information fields, lyrics (w: and W:), annotations, parts, tempo changes, dynamics,
  names and sounds of voices, the writer's beams and lines. Lengths are in eighths, and pitches sound as written.
- To MIDI repeats, D.C. and dynamics are played out, and spelling, bars' kinds and slurs are left behind; graces, chord
  symbols, lyrics, decorations, annotations and fields beside title and tempo are counted.
- To MusicXML go lyrics, words, dynamics, signs of a form, the other header fields, and drums as unpitched notes;
  repeats are written where ABC only implies them.
- From MIDI a key without a signature is estimated, changes of key stand at the next bar line, those of meter begin
  one, and one part's notes are dealt out to as many voices as sound at once. The title is the first track's name. A
  file that was played is put on a written grid, and it is told how many onsets were moved how far (--quantize off keeps
  them as they are).
- MIDI to MIDI keeps every event; only what is damaged is put in order. Type 2 MIDI is read as a book of tunes, and time
  in SMPTE frames as quarter notes of half a second.
- From MusicXML every note is where it sounds: transposing instruments at their sounding pitch, a measure as long in
  all parts, overlapping notes in voices of their own.
`python -m experiments.conversions` measures it. The exit status is 1 when any tune could not be converted.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from symbolic import files
from symbolic.command_line import choose_tune
from symbolic.errors import UsageError, UserError
from symbolic.formats.documents import KINDS, ReadTune, kind_of, read_text, read_tunes, tell_losses, told
from symbolic.formats.file_bytes import read_bytes
from symbolic.formats.format_losses import lost_in_bars, lost_in_midi
from symbolic.formats.midi import to_midi
from symbolic.formats.musicxml.musicxml_writing import to_musicxml
from symbolic.formats.smf import read_events, read_song, sequences, write_events
from symbolic.notation.canonical import interleaved
from symbolic.notation.layout import information, laid_out
from symbolic.notation.score import Score
from symbolic.notation.theory import Key, Meter, NotationError

NOT_KEPT_FIELDS = "XTMLKVIU"  # of the header: those that the music or its layout says anew
MAX_SHOWN = 12  # names of files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("source", metavar="FILE", type=Path, help=".abc, .mid, .midi, .kar, .musicxml, .xml or .mxl")
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help=", ".join([".abc", *WRITERS]))
    parser.add_argument("--tune", type=int, metavar="N", help="the tune X:N, else the N-th (default: all)")
    parser.add_argument("--interleave", action="store_true", help="ABC of several voices bar by bar")
    parser.add_argument("--no-repeats", action="store_true", help="MIDI as written, repeats not played")
    parser.add_argument(
        "--quantize",
        choices=("auto", "on", "off"),
        default="auto",
        help="put the onsets of MIDI on a written grid: where it was played (auto, the default), always, or never",
    )
    parser.add_argument("--json", action="store_true", help="print files, tunes and losses as JSON")


def run(args: argparse.Namespace) -> int:
    """Read, convert, write; what cannot be converted is named, and the status is then 1."""
    done = convert(
        args.source,
        args.output,
        tune=args.tune,
        interleave=args.interleave,
        repeats=not args.no_repeats,
        quantize=args.quantize,
    )
    if args.json:
        print(json.dumps(_summary(done)))
    else:
        print(f"{done.n_converted} of {len(done.tunes)} converted to {_shown(done.files)}")
    return int(done.n_converted < len(done.tunes))


@dataclass(frozen=True)
class Conversion:
    """The tunes that were read, the files that were written, and how many of the tunes are in them."""

    tunes: list[ReadTune]
    files: list[Path]
    n_converted: int
    left_out: Counter[str] = field(default_factory=Counter)  # what the written format has no place for


def convert(
    source: Path | str,
    target: Path | str,
    *,
    tune: int | None = None,
    interleave: bool = False,
    repeats: bool = True,
    quantize: str = "auto",
) -> Conversion:
    """Convert a file of ABC, MIDI or MusicXML into one .abc file, or a .mid or .musicxml file for each tune.

    tune: of an .abc file the tune X:N, else the N-th (None: all). interleave: ABC of several voices bar by bar.
    repeats: play them out in MIDI. quantize: put MIDI on a written grid ("auto": where it was played, "on", "off").
    What cannot be read or kept is told on stderr. Raises UsageError for names of other
    kinds, UserError where nothing can be converted.
    """
    source, target = Path(source), Path(target)
    if target.suffix.lower() not in (endings := [".abc", *WRITERS]):
        raise UsageError(f"-o {target}: its name must end in one of {', '.join(endings)}.")
    kind_of(source)
    _check_output(source, target)
    if (kind_of(source), target.suffix.lower()) == ("midi", ".mid") and quantize != "on":
        return _rewrite(source, target, tune)
    tunes = list(read_tunes(source, tune, quantize))
    tell_losses(source, tunes)
    read = [tune for tune in tunes if tune.score is not None]
    left_out: Counter[str] = Counter()
    written = list(_write(read, target, interleave, repeats, left_out)) if read else []
    if not written:
        raise UserError(f"nothing of {source} could be converted.")
    for what, number in left_out.items():
        kind, _ = WRITERS.get(target.suffix.lower(), ("ABC bar by bar", None))
        print(f"note: {source}: left out of the {kind}: {told(number, what)}", file=sys.stderr)
    return Conversion(tunes, written, len(read) if target.suffix.lower() == ".abc" else len(written), left_out)


def _rewrite(source: Path, target: Path, tune: int | None) -> Conversion:
    """MIDI to MIDI: all events as they are, what was damaged in order again; of type 2 a file for each sequence."""
    data = read_bytes(source, "midi")
    try:
        pieces = sequences(data)
        places = range(len(pieces)) if tune is None else [choose_tune([None] * len(pieces), tune, source)]
        written, tunes = [], []
        for place in places:
            losses = read_song(pieces[place]).losses if len(places) == 1 else Counter[str]()
            written.append(_numbered(target, place + 1) if len(places) > 1 else target)
            files.write_whole(written[-1], write_events(read_events(pieces[place])))
            tunes.append(ReadTune(place + 1, Score({}, Meter(4, 4), Key("C"), [], losses)))
    except NotationError as error:
        raise UserError(f"{source}: {error.reason}: {error}") from error
    tell_losses(source, tunes)
    return Conversion(tunes, written, len(written))


def _numbered(target: Path, number: int) -> Path:
    return target.with_name(f"{target.stem}-{number}{target.suffix}")


def _summary(done: Conversion) -> dict[str, object]:
    """The answer of --json."""
    losses = sum((Counter(tune.losses) for tune in done.tunes), done.left_out)
    files_written = list(map(str, done.files))
    return {"tunes": len(done.tunes), "converted": done.n_converted, "files": files_written, "losses": losses}


def _check_output(source: Path, output: Path) -> None:
    """A conversion would take the place of what it came from, and lose what the score does not hold."""
    if source.exists() and output.exists() and source.samefile(output):
        raise UsageError(f"-o {output} is the source: name another file.")


def _write(
    tunes: list[ReadTune], target: Path, interleave: bool, repeats: bool, left_out: Counter[str]
) -> Iterator[Path]:
    """One .abc file, or one file a tune, numbered where there are several; what has no place is counted."""
    scores = [(tune.number, tune.score) for tune in tunes if tune.score is not None]
    if target.suffix.lower() == ".abc":
        files.write_whole(target, "\n".join(to_abc(score, number, interleave=interleave) for number, score in scores))
        for _, score in scores if interleave else ():
            left_out += lost_in_bars(score) if len(score.voices) > 1 else Counter()
        yield target
        return
    for number, score in scores:
        path = target if len(scores) == 1 else _numbered(target, number)
        try:
            _, written = WRITERS[target.suffix.lower()]
            files.write_whole(path, written(score, repeats, left_out))
        except NotationError as error:
            print(f"tune {number}: {error.reason}: {error}", file=sys.stderr)
            continue
        yield path


def _midi(score: Score, repeats: bool, left_out: Counter[str]) -> bytes:
    data = to_midi(score, repeats=repeats)
    left_out += lost_in_midi(score)
    return data


def _musicxml(score: Score, repeats: bool, left_out: Counter[str]) -> str:
    return to_musicxml(score, losses=left_out)


# Formats that hold one tune a file: name for messages, and the writer, which counts what it leaves out. To add one, add
# its line.
WRITERS: dict[str, tuple[str, Callable[[Score, bool, Counter[str]], str | bytes]]] = {
    ".mid": ("MIDI", _midi),
    ".musicxml": ("MusicXML", _musicxml),
}


def to_abc(score: Score, number: int = 1, *, interleave: bool = False) -> str:
    """Write a score as ABC for people, with the X: number (else `number`) and the fields that its source has.

    interleave: write several voices bar by bar.
    """
    own = re.match(r"\s*(\d{1,9})", score.fields.get("X", [""])[0])
    number = int(own[1]) if own else number
    fields = {"T": score.fields.get("T", [])[1:]}
    fields |= {letter: lines for letter, lines in score.fields.items() if letter not in NOT_KEPT_FIELDS}
    if interleave and len(score.voices) > 1:
        return "\n".join(information(number, score.title, fields)) + "\n" + interleaved(score)
    return laid_out(score, number=number, title=score.title, fields=fields)


def abc_text(path: Path | str) -> str:
    """The ABC text of a file: an .abc file's own (or that of an unknown ending), MIDI and MusicXML as converted.

    What is lost is told on stderr. Raises UserError where the file cannot be read.
    """
    path = Path(path)
    if KINDS.get(path.suffix.lower(), "abc") == "abc":
        return read_text(path)
    tunes = list(read_tunes(path))
    tell_losses(path, tunes)
    return "\n".join(to_abc(tune.score, tune.number) for tune in tunes if tune.score is not None)


def _shown(paths: list[Path]) -> str:
    """The names of the files that were written."""
    names = [str(paths[0]), *(path.name for path in paths[1:])]
    if len(names) <= MAX_SHOWN:
        return ", ".join(names)
    return f"{', '.join(names[: MAX_SHOWN - 1])} and {len(names) - MAX_SHOWN + 1} more, the last {names[-1]}"
