"""What a conversion between ABC, MIDI and MusicXML loses, and whether it says so.

    python -m experiments.conversions                                       # 150 pieces of each bundled collection
    python -m experiments.conversions --sources wild essen:0 aird oneill ryan chorales music21 --opt-in essen
    python -m experiments.conversions --folder "MidiTok's test pieces=PATH"   # any .abc, .mid, .mxl, .musicxml

Each piece is converted in one direction and read back by the reader of the target notation; then both are compared as
they sound, repeats played, at 40,320 ticks to the whole note. What comes from a MIDI file is compared with the notes of
that file itself, drums included, without quantising. Shares are of the source's notes, all pieces together:

    notes       pitches that the target has, as often
    onsets      ... at the same time
    durations   ... and of the same length
    heard       written notes that are played at least once
    exact       pieces whose notes all have their place and length
    told        pieces that are not exact, or not converted, and say so
    converted   pieces that could be converted
    key, metre  pieces whose signature, mode and first metre are the same
    repeats     pieces with the same repeat signs and endings (played out in MIDI, which has none)

A number after a source's name (`essen:0`) is of that source alone. A large source can be measured in parts, each added
to the result file: `--sources essen:0 --part 1/5 --add`, then 2/5 and so on. `wild` are constructs of ABC decided by
hand (`experiments.conversions_wild`): `exact` is the share that sounds as it should. `music21` are MusicXML scores of
that package's folders beside the chorales.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks import result_file
from experiments import conversions_wild
from symbolic import command_line
from symbolic.corpus import corpora
from symbolic.errors import UserError
from symbolic.formats.convert import to_abc
from symbolic.formats.documents import KINDS, read_tunes
from symbolic.formats.format_losses import lost_in_midi
from symbolic.formats.midi import to_midi
from symbolic.formats.musicxml.musicxml_reading import from_musicxml
from symbolic.formats.musicxml.musicxml_writing import to_musicxml
from symbolic.formats.quantise import exact
from symbolic.formats.smf import MidiSong, read_song
from symbolic.formats.transcription import score_of_song
from symbolic.notation import abc_parser
from symbolic.notation.performance import performance
from symbolic.notation.play_order import play_order
from symbolic.notation.score import Bar, Note, Score
from symbolic.notation.theory import TICKS_PER_QUARTER, NotationError

MEASURES = (
    "notes", "onsets", "durations", "heard", "exact", "told", "converted", "key", "metre", "repeats",
)  # fmt: skip
PER_NOTE = ("notes", "onsets", "durations", "heard")
MAX_BYTES = 200_000  # of a file of music21's folders: symphonies and quartets as large are left out
Part = tuple[int, int]  # (k, n): each n-th piece, from the k-th on
Sounds = Counter[tuple[int, int, int]]  # onset, pitch, length in ticks
Faults = (NotationError, UserError, AssertionError)


@dataclass
class Piece:
    """A piece to convert: its kind and score; of a MIDI file the notes as the file has them."""

    kind: str
    score: Score
    sounds: Sounds = field(default_factory=Counter)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--tunes", type=int, default=150, help="of each source, evenly spread (default 150; 0: all)")
    made.add_argument(
        "--sources", nargs="*", default=["aird", "oneill", "ryan", "wild", "chorales", "music21"], metavar="NAME"
    )
    made.add_argument("--opt-in", nargs="*", default=[], metavar="NAME", help="sources whose terms you accept")
    made.add_argument(
        "--folder", action="append", default=[], metavar="NAME=PATH", help="files of your own, all of them"
    )
    made.add_argument(
        "--part", type=_part, default=(1, 1), metavar="K/N", help="each N-th piece only, from the K-th on"
    )
    made.add_argument(
        "--add", action="store_true", help="keep other sources' rows of the file; from part 2 on, add to this one's"
    )
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "conversions.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Convert, compare, write."""
    folders = dict(one.split("=", 1) for one in args.folder)
    recorder = result_file.Recorder("conversions", settings={"tunes": args.tunes})
    if args.add:
        names = {source.split(":")[0] for source in [*args.sources, *folders]} if args.part[0] == 1 else set()
        recorder.keep(args.output, lambda row: row["source"] in names)
    for source in [*args.sources, *folders]:
        if source == "wild":
            record_wild(recorder)
            continue
        pieces = (
            in_folder(Path(folders[source]), args.part)
            if source in folders
            else of_collection(
                source.split(":")[0], int(source.partition(":")[2] or args.tunes), args.opt_in, part=args.part
            )
        )
        record(recorder, source if source in folders else source.split(":")[0], pieces)
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


# --- sources ---------------------------------------------------------------------------------------------------------


def of_collection(
    source: str, n: int, opt_in: Sequence[str] = (), *, part: Part = (1, 1)
) -> Iterator[Piece | Exception]:
    """The pieces of a bundled collection, `n` of them spread evenly (0: all), or why one could not be read; `part` (k,
    n) is each n-th of these, from the k-th on."""
    if source == "music21":
        paths = music21_scores()
        chosen = [paths[i * len(paths) // n] for i in range(min(n, len(paths)))] if n else paths
        for path in chosen[part[0] - 1 :: part[1]]:
            yield from _read(path)
        return
    found = [one for one in corpora.read(source, opt_in=opt_in) if isinstance(one, corpora.Found)]
    spread = [found[i * len(found) // n] for i in range(min(n, len(found)))] if n else found
    for one in spread[part[0] - 1 :: part[1]]:
        try:
            score = from_musicxml(one.data) if one.data else abc_parser.parse(one.text)
            yield Piece("musicxml" if one.data else "abc", score)
        except NotationError as error:
            yield error


def music21_scores() -> list[Path]:
    """The MusicXML files of music21's folders beside Bach's."""
    import music21

    root = Path(music21.__file__).parent / "corpus"
    paths = [path for path in sorted(root.rglob("*")) if KINDS.get(path.suffix.lower()) == "musicxml"]
    return [path for path in paths if path.relative_to(root).parts[0] != "bach" and path.stat().st_size <= MAX_BYTES]


def in_folder(folder: Path, part: Part = (1, 1)) -> Iterator[Piece | Exception]:
    """The pieces of all files of a folder, or of each n-th from the k-th on (`part`)."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in KINDS and path.is_file()]
    if not paths:
        raise UserError(f"{folder} holds no file of ABC, MIDI or MusicXML.")
    for path in paths[part[0] - 1 :: part[1]]:
        yield from _read(path)


def _part(text: str) -> Part:
    """`K/N` as two numbers, 1 <= K <= N."""
    first, _, number = text.partition("/")
    if not (first.isdigit() and number.isdigit() and 1 <= int(first) <= int(number)):
        raise argparse.ArgumentTypeError(f"{text!r} is no part; write for example 2/5")
    return int(first), int(number)


def _read(path: Path) -> Iterator[Piece | Exception]:
    kind = KINDS[path.suffix.lower()]
    try:
        for tune in read_tunes(path, quantize="off"):
            if tune.score is None:
                yield tune.fault or NotationError("fault", "not read")
            else:
                yield Piece(kind, tune.score, _of_song(read_song(path.read_bytes())) if kind == "midi" else Counter())
    except (UserError, NotationError) as error:
        yield error


def _of_song(song: MidiSong) -> Sounds:
    """The notes of a MIDI file at the ticks of a score; a tick of the file that rounds a simple fraction (a third where
    it has 100 to a quarter) stands for that."""

    def ticks(tick: int) -> int:
        place = exact(tick, song.ticks_per_quarter) or Fraction(tick, song.ticks_per_quarter)
        return round(place * TICKS_PER_QUARTER)

    notes = (note for part in song.parts for note in part.notes)
    return Counter((ticks(note.onset), note.pitch, ticks(note.end) - ticks(note.onset)) for note in notes)


# --- directions ------------------------------------------------------------------------------------------------------


def through_midi(score: Score) -> tuple[Score, Counter[str]]:
    """The score as our reader of MIDI gives it back, and what was told to be left out."""
    return score_of_song(read_song(to_midi(score)), "off"), lost_in_midi(score)


def through_musicxml(score: Score) -> tuple[Score, Counter[str]]:
    """The score as our reader of MusicXML gives it back, and what was told to be left out."""
    losses: Counter[str] = Counter()
    text = to_musicxml(score, losses=losses)
    return from_musicxml(text.encode()), losses


def through_abc(score: Score) -> tuple[Score, Counter[str]]:
    """The score as our parser gives it back from the text that `convert` writes."""
    return abc_parser.parse(to_abc(score)), Counter()


DIRECTIONS: dict[str, dict[str, Callable[[Score], tuple[Score, Counter[str]]]]] = {
    "abc": {"ABC to MIDI": through_midi, "ABC to MusicXML": through_musicxml},
    "midi": {"MIDI to ABC": through_abc, "MIDI to MusicXML": through_musicxml},
    "musicxml": {"MusicXML to ABC": through_abc, "MusicXML to MIDI": through_midi},
}


def compare(piece: Piece, after: Score, told: Counter[str]) -> dict[str, float]:
    """The measures of one conversion; those of PER_NOTE count notes."""
    before = piece.score
    own = piece.sounds or _sounds(before)
    new = _sounds(after)
    kept = [
        sum((_by(part, own) & _by(part, new)).values())
        for part in (lambda one: one[1], lambda one: one[:2], lambda one: one)
    ]
    found = dict(zip(MEASURES, map(float, kept))) | {"n": float(own.total()), "heard": _heard(before) * own.total()}
    found["exact"] = float(own == new)
    if own != new:
        found["told"] = float(bool(told or before.losses or after.losses))
    same = (before.key == after.key, before.meter == after.meter, _repeat_signs(before) == _repeat_signs(after))
    return found | dict(zip(("key", "metre", "repeats"), map(float, same))) | {"converted": 1.0}


def _sounds(score: Score) -> Sounds:
    return Counter((sound.onset_ticks, sound.midi, sound.ticks) for sound in performance(score))


def _by(part: Callable[[tuple[int, int, int]], object], sounds: Sounds) -> Counter[object]:
    found: Counter[object] = Counter()
    for sound, number in sounds.items():
        found[part(sound)] += number
    return found


def _heard(score: Score) -> float:
    """The share of the written notes that are played at least once; what a P: header leaves out does not count."""
    written = played = 0
    for voice in score.voices:
        if voice.part_order:
            continue
        places = {place for place, event in enumerate(voice.events) if isinstance(event, Note)}
        written, played = written + len(places), played + len(places & set(play_order(voice)))
    return played / written if written else 1.0


def _repeat_signs(score: Score) -> list[tuple[str, str]]:
    """Repeat signs and endings of the first voice; a |: that :| implies in ABC is written out."""
    signs = [
        (event.kind if event.kind in ("|:", ":|", "::") else "", event.ending)
        for event in score.voices[0].events
        if isinstance(event, Bar) and (event.starts_repeat or event.ends_repeat or event.ending)
    ]
    for index, (kind, ending) in enumerate(signs[:-1]):
        following = next((k for k, _ in signs[index + 1 :] if k), "")
        if kind == ":|" and not ending and following in (":|", "::"):
            signs[index] = ("::", "")
    return signs


# --- results ---------------------------------------------------------------------------------------------------------


def record(recorder: result_file.Recorder, source: str, pieces: Iterator[Piece | Exception]) -> None:
    """Convert the pieces of a source in each direction of their kind and record the measures."""
    found: dict[str, list[dict[str, float]]] = {}
    unread = 0
    for piece in pieces:
        if isinstance(piece, Exception):
            unread += 1
            continue
        for direction, converter in DIRECTIONS[piece.kind].items():
            try:
                found.setdefault(direction, []).append(compare(piece, *converter(piece.score)))
            except Faults:
                found.setdefault(direction, []).append({"converted": 0.0, "exact": 0.0, "told": 1.0})
    for direction, measures in found.items():
        n_notes = sum(one.get("n", 0.0) for one in measures)
        keys = {"direction": direction, "source": source, "pieces": len(measures), "unread": unread}
        keys |= {"n_notes": int(n_notes)}
        for name in MEASURES:
            values = [one[name] for one in measures if name in one]
            if values:
                share = sum(values) / max(n_notes, 1.0) if name in PER_NOTE else fmean(values)
                number = int(n_notes) if name in PER_NOTE else len(values)
                add_share(recorder, share, {"quantity": name, **keys, "of": number})
    print(f"{source}: {sum(map(len, found.values()))} conversions, {unread} not read", file=sys.stderr)


def add_share(recorder: result_file.Recorder, share: float, keys: dict[str, Any]) -> None:
    """Record a share of `of` notes or pieces, together with that of earlier parts where the file has one."""
    same = ("direction", "source", "quantity")
    before = next((row for row in recorder.rows if all(row[key] == keys[key] for key in same)), None)
    if before is not None:
        recorder.rows.remove(before)
        total = before["of"] + keys["of"]
        share = (share * keys["of"] + before["repeats"][0] * before["of"]) / max(total, 1)
        keys = keys | {name: before[name] + keys[name] for name in ("pieces", "unread", "n_notes", "of")}
    recorder.measured([share], "share", **keys)


def record_wild(recorder: result_file.Recorder) -> None:
    """Read the constructs and record the share that sounds as it should, and does so as `convert` writes it again."""
    results = [sounds_right(case) for case in conversions_wild.CASES]
    keys = {"direction": "ABC as people write it", "source": "wild", "pieces": len(results), "unread": 0}
    keys |= {"n_notes": sum(len(conversions_wild.sounds_of(case)) for case in conversions_wild.CASES)}
    recorder.measured([fmean(results)], "share", quantity="exact", **keys)


def sounds_right(case: tuple[str, str, str]) -> bool:
    """Whether a construct is read as it sounds, itself and as it is written again."""
    raw = abc_parser.split_tunes(conversions_wild.abc_of(case))[0]
    try:
        score = abc_parser.parse(raw.text, raw.line)
    except NotationError:
        return False
    wanted = conversions_wild.sounds_of(case)
    again = abc_parser.parse(to_abc(score))
    return all(_near(wanted, performance(one)) for one in (score, again))


def _near(wanted: Sequence[conversions_wild.Sounding], sounds: Sequence[abc_parser.Sound]) -> bool:
    """Whether both have the same notes, tuplets rounded to ticks."""
    found = sorted((s.onset_ticks, s.midi, s.ticks) for s in sounds)
    ticks = [(onset * TICKS_PER_QUARTER, midi, length * TICKS_PER_QUARTER) for onset, midi, length in wanted]
    return len(found) == len(ticks) and all(
        abs(one[0] - two[0]) <= 1 and one[1] == two[1] and abs(one[2] - two[2]) <= 1 for one, two in zip(found, ticks)
    )


def table(result: dict[str, object]) -> str:
    """The result for people, in percent."""
    rows = result["rows"]
    assert isinstance(rows, list)
    lines = [f"{'direction':22} {'source':22}" + "".join(f"{name:>10}" for name in MEASURES)]
    for direction, source in dict.fromkeys((row["direction"], row["source"]) for row in rows):
        found = {row["quantity"]: row for row in rows if (row["direction"], row["source"]) == (direction, source)}
        shown = [f"{100 * found[name]['repeats'][0]:9.2f}%" if name in found else f"{'-':>10}" for name in MEASURES]
        lines.append(f"{direction:22} {source:22}" + "".join(shown))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
