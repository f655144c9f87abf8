"""What a conversion between ABC, MIDI and MusicXML loses, measured over bundled collections.

    python -m experiments.conversions                    # 150 tunes or scores of each: about ten minutes on one core
    python -m experiments.conversions --tunes 0          # all

Each piece is converted in one direction and read back by the reader of the target notation; then both are compared as
they sound, repeats played, at 40,320 ticks to the whole note. Shares are of the source's notes:

    notes       pitches that the target has, as often
    onsets      ... at the same time
    durations   ... and of the same length
    key, metre  pieces whose signature, mode and first metre are the same
    repeats     pieces with the same repeat signs and endings (played out in MIDI, which has none)

The sources are the ABC collections (aird, oneill, ryan), their MIDI as `convert` writes it, and Bach's chorales in
MusicXML. A last row each says how many could not be converted at all.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import mean

from benchmarks import result_file
from symbolic import command_line
from symbolic.corpus import corpora
from symbolic.errors import UserError
from symbolic.formats.midi import to_midi
from symbolic.formats.musicxml.musicxml_writing import to_musicxml
from symbolic.formats.sandbox import Guard
from symbolic.notation import abc_parser
from symbolic.notation.canonical import interleaved
from symbolic.notation.performance import performance
from symbolic.notation.score import Bar, Score
from symbolic.notation.theory import NotationError

MEASURES = ("notes", "onsets", "durations", "key", "metre", "repeats", "converted")
Converter = Callable[[Guard, Score], Score]


def main(arguments: Sequence[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--tunes", type=int, default=150, help="of each source, evenly spread (default 150; 0: all)")
    made.add_argument("--sources", nargs="+", default=["aird", "oneill", "ryan", "chorales"], metavar="NAME")
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "conversions.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Convert, compare, write."""
    recorder = result_file.Recorder("conversions", settings={"tunes": args.tunes, "sources": args.sources})
    with Guard() as guard:
        for source in args.sources:
            scores = list(read_scores(source, args.tunes, guard))
            print(f"{source}: {len(scores)} scores", file=sys.stderr)
            for direction, (prepare, converter) in DIRECTIONS.items():
                if (direction.startswith("MusicXML")) == (source == "chorales") or direction.startswith("MIDI"):
                    _record(recorder, source, direction, _compared(scores, prepare, converter, guard))
    print(table(recorder.result()), file=sys.stderr)
    recorder.write(args.output)
    return 0


def read_scores(source: str, n: int, guard: Guard) -> Iterator[Score]:
    """The scores of a bundled collection, `n` of them spread evenly (0: all); what does not parse is left out."""
    found = [one for one in corpora.read(source) if isinstance(one, corpora.Found)]
    chosen = [found[i * len(found) // n] for i in range(min(n, len(found)))] if n else found
    for one in chosen:
        try:
            yield guard.score(one.kind, one.data) if one.data else abc_parser.parse(one.text)
        except NotationError:
            continue


def through_midi(guard: Guard, score: Score) -> Score:
    """The score as our reader of MIDI gives it back."""
    return guard.score("midi", to_midi(score))


def through_musicxml(guard: Guard, score: Score) -> Score:
    """The score as our reader of MusicXML gives it back."""
    return guard.score("musicxml", to_musicxml(score).encode())


def through_abc(guard: Guard, score: Score) -> Score:
    """The score as our parser gives it back from the text for people, bar by bar where there are several voices."""
    text = abc_parser.pretty(abc_parser.canonical(score)) if len(score.voices) == 1 else interleaved(score)
    return abc_parser.parse(text)


def unchanged(guard: Guard, score: Score) -> Score:
    return score


DIRECTIONS: dict[str, tuple[Converter, Converter]] = {  # how the source comes to be, and the conversion
    "ABC to MIDI": (unchanged, through_midi),
    "ABC to MusicXML": (unchanged, through_musicxml),
    "MIDI to ABC": (through_midi, through_abc),
    "MIDI to MusicXML": (through_midi, through_musicxml),
    "MusicXML to ABC": (unchanged, through_abc),
    "MusicXML to MIDI": (unchanged, through_midi),
}


def compare(before: Score, after: Score) -> dict[str, float]:
    """The measures of one conversion, 0 to 1."""
    sounds = [[(s.onset_ticks, s.midi, s.ticks) for s in performance(score)] for score in (before, after)]
    n = len(sounds[0])
    kept = [
        sum((Counter(map(part, sounds[0])) & Counter(map(part, sounds[1]))).values()) / n
        for part in (lambda one: one[1], lambda one: one[:2], lambda one: one)
    ]
    signs = [_repeat_signs(score) for score in (before, after)]
    same = (before.key == after.key, before.meter == after.meter, signs[0] == signs[1])
    return dict(zip(MEASURES, [*kept, *map(float, same)]))


def table(result: dict[str, object]) -> str:
    """The result for people, in percent."""
    rows = result["rows"]
    assert isinstance(rows, list)
    lines = [f"{'direction':18} {'source':9}" + "".join(f"{name:>10}" for name in MEASURES)]
    for direction, source in dict.fromkeys((row["direction"], row["source"]) for row in rows):
        found = {row["quantity"]: row for row in rows if (row["direction"], row["source"]) == (direction, source)}
        shown = [f"{100 * found[name]['repeats'][0]:9.1f}%" if name in found else f"{'-':>10}" for name in MEASURES]
        lines.append(f"{direction:18} {source:9}" + "".join(shown))
    return "\n".join(lines)


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


def _compared(
    scores: Sequence[Score], prepare: Converter, converter: Converter, guard: Guard
) -> list[dict[str, float]]:
    """The measures of each piece; of one that cannot be converted only that."""
    found = []
    for score in scores:
        try:
            source = prepare(guard, score)
        except (NotationError, UserError):
            continue  # not a source of this notation
        try:
            found.append({**compare(source, converter(guard, source)), "converted": 1.0})
        except (NotationError, UserError):
            found.append({"converted": 0.0})
    return found


def _record(recorder: result_file.Recorder, source: str, direction: str, found: list[dict[str, float]]) -> None:
    for name in MEASURES:
        values = [one[name] for one in found if name in one]
        keys = {"quantity": name, "direction": direction, "source": source, "pieces": len(values)}
        if values:
            recorder.measured([mean(values)], "share", **keys)
        else:
            recorder.not_run("no piece could be converted", **keys)


if __name__ == "__main__":
    sys.exit(main())
