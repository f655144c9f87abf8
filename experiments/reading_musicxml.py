"""How exactly MusicXML of other people is read: every struck note against music21's sounding pitch.

    python -m experiments.reading_musicxml FOLDER --name "OpenScore Lieder"      # .mxl, .musicxml, .xml

A note is told by its measure, its place in the measure and its pitch as it sounds; notes that a tie holds on, graces
and unpitched ones do not count on either side (a note whose tie comes from a grace is struck). Both readers are asked
for the same file, and the measure is the n-th of the part, so that a reader's own idea of how long a measure is does
not move what follows. A file is `exact` without a difference, and `told` if it is not exact and our reader named a
loss.

    notes       of music21
    missing     of these not in their place in ours
    extra       of ours not in music21
    length      of ours in their place with another length as written
    exact       files, of those that both read
    told        files that are not exact and say so
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks import result_file
from symbolic import command_line
from symbolic.formats.documents import KINDS, read_tunes
from symbolic.notation.score import Bar, Event, Note, Rest, Score, Voice
from symbolic.notation.theory import TICKS_PER_WHOLE

Place = tuple[int, Fraction, int, Fraction]  # measure from 0, quarters into it, pitch, quarters
GRID = 5040  # parts of a quarter note that both are rounded to


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", default="", help="what the result calls the files (default: the folder's name)")
    parser.add_argument("--files", type=int, default=0, help="at most so many, in the order of their names (0: all)")
    parser.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "reading_musicxml.json")
    args = parser.parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def run(args: argparse.Namespace) -> int:
    """Read, compare, write."""
    paths = [path for path in sorted(args.folder.rglob("*")) if KINDS.get(path.suffix.lower()) == "musicxml"]
    paths = paths[: args.files or None]
    recorder = result_file.Recorder("reading_musicxml", settings={"source": args.name or args.folder.name})
    totals: Counter[str] = Counter()
    for path in paths:
        try:
            (tune,) = read_tunes(path)
            assert tune.score is not None
            found = compare(tune.score, reference_notes(path))
        except Exception as error:  # either reader
            recorder.not_run(f"{type(error).__name__}: {str(error)[:200]}", file=path.name)
            print(f"{path.name}: {error}", file=sys.stderr)
            continue
        found["told"] = int(not found["exact"] and bool(tune.losses))
        totals += found | {"files": 1}
        for quantity in ("notes", "missing", "extra", "length", "exact", "told"):
            recorder.measured([found[quantity]], "count", file=path.name, quantity=quantity)
        print(f"{path.name}: {dict(found)} {dict(tune.losses)}", file=sys.stderr)
    for quantity in ("files", "notes", "missing", "extra", "length", "exact", "told"):
        recorder.measured([totals[quantity]], "count", file="all", quantity=quantity)
    wrong = max(totals["missing"], totals["extra"])
    print(f"{wrong} of {totals['notes']} notes wrong ({100 * wrong / max(1, totals['notes']):.3f} %)", file=sys.stderr)
    recorder.write(args.output)
    return 0


def compare(score: Score, reference: Counter[Place]) -> Counter[str]:
    """The counts of one file."""
    own = score_notes(score)
    placed, expected = (Counter(place[:3] for place in notes.elements()) for notes in (own, reference))
    missing, extra = (expected - placed).total(), (placed - expected).total()
    length = (own - reference).total() - extra
    exact = int(not missing and not extra and not length)
    return Counter(notes=reference.total(), missing=missing, extra=extra, length=length, exact=exact)


def score_notes(score: Score) -> Counter[Place]:
    """The struck pitched notes of a score of ours."""
    return Counter(place for voice in score.voices if not voice.drums for place in _voice_notes(voice))


def _voice_notes(voice: Voice) -> Iterator[Place]:
    held: set[int] = set()
    for number, measure in enumerate(_measures(voice.events)):
        tick = 0
        for event in measure:
            if isinstance(event, Note):
                for pitch in event.pitches:
                    if pitch.midi not in held:
                        yield number, _quarters(tick), pitch.midi, _quarters(event.ticks)
                held = {pitch.midi for pitch in event.tied_pitches}
            elif isinstance(event, Rest):
                held = set()
            tick += event.ticks if isinstance(event, (Note, Rest)) else 0


def _measures(events: Sequence[Event]) -> Iterator[list[Event]]:
    measure: list[Event] = []
    for event in events:
        if isinstance(event, Bar) and any(isinstance(one, (Note, Rest)) for one in measure):
            yield measure
            measure = []
        measure.append(event)
    if any(isinstance(one, (Note, Rest)) for one in measure):
        yield measure


def _quarters(ticks: int) -> Fraction:
    return Fraction(round(Fraction(4 * GRID * ticks, TICKS_PER_WHOLE)), GRID)


def reference_notes(path: Path) -> Counter[Place]:
    """The struck pitched notes that music21 finds, at sounding pitch."""
    import music21

    parsed: Any = music21.converter.parse(path, format="musicxml", forceSource=True).toSoundingPitch()
    found: Counter[Place] = Counter()
    for part in parsed.parts:
        heads = []
        for number, measure in enumerate(part.getElementsByClass("Measure")):
            for note in measure.recurse().notes:
                if note.duration.isGrace or isinstance(note, music21.harmony.Harmony) or not hasattr(note, "pitches"):
                    continue
                place, length = (_rounded(x) for x in (note.getOffsetInHierarchy(measure), note.quarterLength))
                for one in note.notes if note.isChord else [note]:
                    heads.append((number, place, one.pitch.midi, length, one.tie.type if one.tie else ""))
        open_ties: Counter[int] = Counter()
        for number, place, midi, length, tie in sorted(heads):
            is_held = tie in ("stop", "continue") and open_ties[midi] > 0
            open_ties[midi] += (tie in ("start", "continue")) - is_held
            found[number, place, midi, length] += not is_held
    return +found


def _rounded(quarters: Any) -> Fraction:
    return Fraction(round(Fraction(quarters) * GRID), GRID)


if __name__ == "__main__":
    sys.exit(main())
