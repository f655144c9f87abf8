"""Chords for a melody against those that people wrote, and the counts that the harmoniser stands on.

    python -m experiments.harmonising                        # tunes with chord symbols that music21 carries
    python -m experiments.harmonising --folder NOTTINGHAM    # a folder of ABC with chord symbols; a fifth held out
    python -m experiments.harmonising --folder NOTTINGHAM --fit   # count the other four fifths anew

Agreement is the share of beat groups (half bars in 4/4 and 6/8, beats elsewhere) in which root and third are those of
the written chord. Beside it stand changes a bar, different chords a tune, last chord on the tonic, and sections that
end with a dominant before the tonic (V-I), of ours and of people. Floors: the tonic everywhere, the tune's own chords
in random order, and each place's commonest chord without hearing the notes.

The folder meant is the Nottingham Music Database (github.com/jukedeck/nottingham-dataset, ABC_cleaned; GPL-3.0), of
which nothing but counts is kept here. The bundled collections carry hardly a chord symbol: the first rows say how many.
"""

import argparse
import hashlib
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import result_file
from symbolic import command_line, files
from symbolic.errors import UserError
from symbolic.notation import abc_parser, harmony, harmony_model
from symbolic.notation.chord_symbols import parse_chord
from symbolic.notation.score import ChordSymbol, Score

HELD_OUT_EVERY = 5
MIN_SYMBOLS = 4  # of a tune that counts as harmonised
METHODS = ("people", "harmoniser", "harmoniser, one a bar", "place alone", "tonic", "shuffled")
MEASURES = ("agreement", "changes a bar", "chords a tune", "ends on the tonic", "V-I at section ends")
RECORD = {
    "source": "Nottingham Music Database, github.com/jukedeck/nottingham-dataset, ABC_cleaned",
    "terms": "counts only; the database is GPL-3.0, its tunes are traditional",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--folder", type=Path, metavar="FOLDER", help="ABC files with chord symbols")
    made.add_argument("--fit", action="store_true", help="write symbolic/notation/harmony_counts.json")
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "harmonising.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Count or measure."""
    tunes = list(harmonised_tunes(args.folder or _music21_corpus()))
    if not tunes:
        raise UserError(f"{args.folder} has no tune with {MIN_SYMBOLS} chord symbols or more.")
    counted = [tune for tune in tunes if not is_held_out(tune)]
    held_out = [tune for tune in tunes if is_held_out(tune)] if args.folder else tunes
    if args.fit:
        record = {**RECORD, "tunes": len(counted), "held_out": len(held_out)}
        value = harmony_model.as_json(harmony.count_harmony(counted), record)
        files.write_json(harmony_model.COUNTS_FILE, value)
        harmony_model.bundled.cache_clear()
    recorder = result_file.Recorder("harmonising", settings={"held_out": len(held_out), "tunes": len(tunes)})
    _record_bundled(recorder)
    rows = [measure(tune, i) for i, tune in enumerate(held_out)]
    for method in METHODS:
        for name in MEASURES:
            values = [row[method][name] for row in rows if row[method].get(name) is not None]
            if values:
                recorder.measured(values, "per tune", method=method, measure=name)
    result = recorder.write(args.output)
    print(table(result), file=sys.stderr)
    return 0


def is_held_out(tune: Score) -> bool:
    """True for one tune in HELD_OUT_EVERY, by its own text: a reader that reads one tune more moves no other."""
    digest = hashlib.sha256(abc_parser.canonical(tune).encode()).digest()
    return digest[0] % HELD_OUT_EVERY == 0


def harmonised_tunes(folder: Path) -> Iterator[Score]:
    """The tunes of a folder's ABC files that carry chord symbols."""
    for path in sorted(folder.rglob("*.abc")):
        for raw in abc_parser.split_tunes(files.decode(path.read_bytes())):
            try:
                score = abc_parser.parse(abc_parser.canonical(abc_parser.parse(raw.text)))
            except UserError:
                continue
            symbols = [e for e in score.voices[0].events if isinstance(e, ChordSymbol) and parse_chord(e.text)]
            if len(symbols) >= MIN_SYMBOLS and harmony.spans_of(score, "beat"):
                yield score


def measure(tune: Score, seed: int) -> dict[str, dict[str, Any]]:
    """The measures of one tune by every method."""
    people = harmony.symbols_of(tune, "beat")
    return {
        method: _measures(tune, chords, people)
        for method, chords in {
            "people": people,
            "harmoniser": _ours(tune, "beat"),
            "harmoniser, one a bar": _ours(tune, "bar"),
            "place alone": _by_place(tune),
            "tonic": [_tonic(tune)] * len(people),
            "shuffled": random.Random(seed).sample(people, len(people)),
        }.items()
    }


def table(result: dict[str, Any]) -> str:
    """Means over tunes."""
    lines = [f"{'':24}" + "".join(f"{name:>22}" for name in MEASURES)]
    for method in METHODS:
        cells = [result_file.find(result, method=method, measure=name) for name in MEASURES]
        means = [f"{sum(row['repeats']) / len(row['repeats']):.3f}" if row else "" for row in cells]
        lines.append(f"{method:24}" + "".join(f"{mean:>22}" for mean in means))
    return "\n".join(lines)


def _measures(tune: Score, chords: Sequence[str], people: Sequence[str]) -> dict[str, Any]:
    spans = harmony.spans_of(tune, "beat")
    n_bars = len({(span.section, span.bar) for span in spans})
    triads = [_triad(chord) for chord in chords]
    pairs = [(a, _triad(b)) for a, b in zip(triads, people, strict=True) if b]
    home, fifth = tune.key.tonic_pitch_class, (tune.key.tonic_pitch_class + 7) % 12
    ends = [i for i, span in enumerate(spans) if i + 1 == len(spans) or spans[i + 1].section != span.section]
    cadences = [_cadence(triads, end, home, fifth) for end in ends]
    return {
        "agreement": sum(a == b for a, b in pairs) / len(pairs),
        "changes a bar": sum(a != b for a, b in pairwise(chords)) / n_bars,
        "chords a tune": float(len(set(triads) - {None})),
        "ends on the tonic": float(triads[-1] is not None and triads[-1][0] == home),
        "V-I at section ends": sum(cadences) / len(cadences),
    }


def _cadence(triads: Sequence[tuple[int, bool] | None], end: int, home: int, fifth: int) -> bool:
    """Whether a section ends on the tonic and the chord before it is the dominant."""
    last = triads[end]
    before = next((t for t in reversed(triads[:end]) if t and t != last), None)
    return last is not None and last[0] == home and before is not None and before[0] == fifth


def _triad(symbol: str) -> tuple[int, bool] | None:
    """Root and whether the third is minor."""
    chord = parse_chord(symbol)
    return None if chord is None else (chord.root, chord.has_minor_third)


def _ours(tune: Score, every: harmony.Every) -> list[str]:
    made = abc_parser.parse(harmony.harmonised(abc_parser.canonical(tune), every))
    return harmony.symbols_of(made, "beat")


def _tonic(tune: Score) -> str:
    return tune.key.tonic + ("m" if harmony.third_of(tune.key) == 3 else "")


def _by_place(tune: Score) -> list[str]:
    """The commonest chord of each place in the counts."""
    mode = "minor" if harmony.third_of(tune.key) == 3 else "major"
    changes = harmony_model.bundled(mode).counts.changes
    names = {chord.relative.text: chord.symbol for chord in harmony.chords(tune.key)}
    found = []
    for span in harmony.spans_of(tune, "beat"):
        counts: Counter[str] = sum((Counter(row) for row in changes.get(span.where, {}).values()), Counter())
        found.append(next((names[name] for name, _ in counts.most_common() if name in names), _tonic(tune)))
    return found


def _music21_corpus() -> Path:
    spec = find_spec("music21")
    if spec is None or spec.origin is None:
        raise UserError("music21 is not installed: pip install music21, or name a --folder.")
    return Path(spec.origin).parent / "corpus"


def _record_bundled(recorder: result_file.Recorder) -> None:
    """How many tunes of each ABC folder of music21 carry chord symbols."""
    for folder in sorted(path for path in _music21_corpus().iterdir() if any(path.glob("*.abc"))):
        n = sum(1 for _ in harmonised_tunes(folder))
        recorder.measured([n], "tunes with chord symbols", collection=folder.name)


if __name__ == "__main__":
    sys.exit(main())
