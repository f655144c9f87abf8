"""Words placed on notes by the aligner against linear spread, one note a syllable, and people.

    python -m experiments.alignment

The scores with words that music21 carries are read; each vocal part gives its notes, its syllables and where people
put them. The aligner sees notes, beats, rests and syllables, never the slurs (which engravers draw from the words).
A line ends at punctuation or before a capital letter. Stress is known for English words and left open elsewhere, so
stress on beats is given for English parts only. Weights were set by hand; the
parts of DEVELOPMENT were looked at while that was done, and the table leaves them out.

Measures are those of `audio_bridge.lyrics.setting.setting_metrics`; the mean over parts weighs each by its syllables.
PD and DD are overlaps (1 is equal), MD is in semitones a syllable (0 is equal).
"""

import argparse
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audio_bridge.lyrics.prosody.stress import Syllable, word_stress
from audio_bridge.lyrics.setting import setting_metrics, syllable_alignment
from audio_bridge.lyrics.setting.sung_melody import SungNote, phrase_ends, strength
from audio_bridge.lyrics.setting.syllable_alignment import Placement
from benchmarks import result_file
from symbolic import command_line
from symbolic.notation.theory import TICKS_PER_WHOLE, Meter

WORKS = {
    "leadSheet/fosterBrownHair.mxl": "en",
    "leadSheet/berlinAlexandersRagtime.mxl": "en",
    "johnson_j_r/lift_every_voice.mxl": "en",
    "beach/prayer_of_a_tired_child.musicxml": "en",
    "luca/gloria.xml": "la",
    "schubert/Lindenbaum.xml": "de",
    "schumann_robert/dichterliebe_no2.xml": "de",
    "monteverdi/madrigal.3.1.mxl": "it",
    "monteverdi/madrigal.3.2.mxl": "it",
    "monteverdi/madrigal.4.1.mxl": "it",
}
DEVELOPMENT = ("madrigal.3.1", "Lindenbaum")  # looked at while the weights were set; left out of the means
METHODS = ("aligner", "linear spread", "one note a syllable", "people")
CAPITAL_NOUNS = ("de",)  # where a capital letter does not say that a line begins
LEAST = 20  # syllables of a part


@dataclass(frozen=True)
class SungPart:
    """One voice as people set it."""

    name: str
    language: str
    notes: list[SungNote]
    syllables: list[Syllable]
    human: list[Placement]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "alignment.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Measure every part by every method, print the table, write the result."""
    recorder = result_file.Recorder("alignment", settings={"works": WORKS, "least_syllables": LEAST})
    rows: list[dict[str, Any]] = []
    for part in parts():
        for method in METHODS:
            row = {"part": part.name, "language": part.language, "method": method, **measured(part, method)}
            rows.append(row)
            recorder.measured([row["exact"]], "share of syllables placed exactly as people do", **row)
        print(f"{part.name}: {len(part.syllables)} syllables on {len(part.notes)} notes", file=sys.stderr)
    print(table([row for row in rows if not row["part"].startswith(DEVELOPMENT)]), end="")
    recorder.write(args.output)
    return 0


def measured(part: SungPart, method: str) -> dict[str, Any]:
    """All measures of one method on one part."""
    placed = placements(part, method)
    exact, onset = setting_metrics.agreement(placed, part.human)
    pd, dd, md = setting_metrics.distances(placed, part.human, part.notes)
    strong, weak = setting_metrics.shares_on_beats(part.syllables, [part.notes[p.first].strength for p in placed])
    n = len(part.syllables)
    names = ("exact", "onset", "pd", "dd", "md", "stressed_on_strong", "unstressed_on_strong", "syllables")
    return dict(zip(names, (exact, onset, pd, dd, md, strong, weak, n), strict=True))


def placements(part: SungPart, method: str) -> list[Placement]:
    """Where a method puts the syllables."""
    if method == "people":
        return part.human
    if method == "aligner":
        return syllable_alignment.align(part.syllables, part.notes)
    if method == "linear spread":
        return syllable_alignment.spread(part.syllables, part.notes)
    n, m = len(part.syllables), len(part.notes)
    return [Placement(i, i if i < n - 1 else m - 1) for i in range(n)]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Means over parts, weighted by syllables."""
    from symbolic.evaluate.report.tables import Share, Table, console

    shown: list[list[Any]] = []
    for method in METHODS:
        own = [row for row in rows if row["method"] == method]
        english = [row for row in own if row["language"] == "en"]
        shares = [Share(_mean(own, key)) for key in ("exact", "onset", "pd", "dd")]
        beats = [Share(_mean(english, key)) for key in ("stressed_on_strong", "unstressed_on_strong")]
        shown.append([method, *shares, _mean(own, "md"), *beats])
    columns = ["method", "exact", "same onset", "PD", "DD", "MD", "stressed on strong beats", "unstressed"]
    n_parts = len(rows) // len(METHODS)
    n_syllables = sum(row["syllables"] for row in rows) // len(METHODS)
    n_works = len(WORKS) - len(DEVELOPMENT)
    note = f"{n_parts} parts of {n_works} works, {n_syllables:,} syllables; every method places all of them."
    return console(Table("words on notes", columns, shown, note))


def parts() -> Iterator[SungPart]:
    """Every vocal part with at least LEAST syllables and as many notes."""
    import music21

    folder = Path(music21.__file__).parent / "corpus"
    for work, language in WORKS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            score: Any = music21.converter.parse(folder / work)
        for one in score.parts:
            part = _part(one, f"{Path(work).stem}, {one.partName}", language)
            if part and len(part.syllables) >= LEAST and len(part.syllables) <= len(part.notes):
                yield part


def _part(stream: Any, name: str, language: str) -> SungPart | None:
    """Notes, syllables and the human placement of one music21 part."""
    notes: list[SungNote] = []
    sung: list[tuple[int, str, bool]] = []  # note, text, ends its word
    silence = 0
    meter = Meter(4, 4)
    for element in stream.flatten().getElementsByClass(["Note", "Rest", "TimeSignature"]):
        if "TimeSignature" in element.classes:
            meter = Meter(element.numerator, element.denominator)
            continue
        ticks = round(element.quarterLength * TICKS_PER_WHOLE / 4)
        if element.isRest:
            silence += ticks
            if notes:
                notes[-1] = replace(notes[-1], rest_after=silence)
            continue
        if ticks <= 0:
            continue  # a grace note
        tie = element.tie.type if element.tie is not None else ""
        if tie in ("stop", "continue") and notes and not element.lyric:
            notes[-1] = replace(notes[-1], ticks=notes[-1].ticks + ticks)
            continue
        place = round((element.beat - 1) * element.beatDuration.quarterLength * TICKS_PER_WHOLE / 4)
        onset = round(element.offset * TICKS_PER_WHOLE / 4)
        notes.append(SungNote((len(notes),), onset, ticks, element.pitch.midi, strength(place, meter)))
        silence = 0
        lyric: Any = element.lyrics[0] if element.lyrics else None
        text = re.sub(r"[\u00ad~_-]", "", (lyric.text or "") if lyric else "").strip()
        if text:
            sung.append((len(notes) - 1, text, lyric.syllabic not in ("begin", "middle")))
    if len(sung) < LEAST or len(notes) < len(sung):
        return None
    notes = notes[sung[0][0] :]
    first = sung[0][0]
    starts = [n - first for n, _, _ in sung]
    human = [Placement(a, b - 1) for a, b in zip(starts, [*starts[1:], len(notes)], strict=True)]
    return SungPart(name, language, _with_boundaries(notes, meter), _syllables(sung, language), human)


def _with_boundaries(notes: list[SungNote], meter: Meter) -> list[SungNote]:
    ends = set(phrase_ends(notes, meter))
    return [
        replace(note, boundary=1.0 if note.rest_after else 0.5 if i in ends else 0.0) for i, note in enumerate(notes)
    ]


def _syllables(sung: Sequence[tuple[int, str, bool]], language: str) -> list[Syllable]:
    """Syllables with stress (English) and line ends (punctuation, or a capital letter at the next word)."""
    found: list[Syllable] = []
    word: list[str] = []
    for i, (_, text, ends) in enumerate(sung):
        word.append(text)
        following = sung[i + 1][1] if i + 1 < len(sung) else ""
        capital = language not in CAPITAL_NOUNS and following[:1].isupper()
        ends_line = ends and (text[-1] in ",.;:!?" or capital or not following)
        found.append(Syllable(text, 1, ends, ends_line))
        if ends:
            levels = word_stress("".join(word), language) if language == "en" else ()
            if len(levels) == len(word):
                start = len(found) - len(word)
                found[start:] = [replace(s, stress=level) for s, level in zip(found[start:], levels, strict=True)]
            word = []
    return found


def _mean(rows: Sequence[dict[str, Any]], key: str) -> float:
    rows = [row for row in rows if row[key] is not None]
    return sum(row[key] * row["syllables"] for row in rows) / max(1, sum(row["syllables"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
