"""Measures of MIDI pieces, beside human pieces and noise made of them: what `evaluate` says of a model of MIDI.

    python -m symbolic evaluate pieces/ --against data/chorales-midi -o scores

A piece is read as `prepare` reads it (symbolic.formats.midi_text: a grid of 24 to the quarter note, tracks of one
program are one part). MIDI has no bars to overfill and no key; so bars are those that the metre has from tick 0 on, and
the tonic is that of the key, of 24, whose profile the piece fits best (`tonality.key_fit`). Measures, 0 to 1 where no
unit is named, pooled over the pieces or as their mean:

- pieces with notes: of all files, those that can be read and hold a note; all else is of those.
- notes within their bar: that end no later than the bar that they begin in; ties and long notes make human pieces fail.
- polyphony: notes that sound when a note begins, that one included; histogram to MOST_VOICES. Time with two notes or
  more: of the time in which any sounds (H.-W. Dong et al., "MuseGAN", AAAI 2018).
- groove consistency and self-similarity: `symbolic.evaluate.metrics.form`, bars of 48 steps, all parts together, top
  note.
- histograms of pitch class above the tonic, interval along the top and bottom line of each part, duration (eighths),
  notes per bar, polyphony and place in the beat, compared as `metrics.histograms` does: divergence and overlap.
- copying and diversity: `metrics.novelty` and `metrics.diversity`, over the same lines.

Baselines: human pieces with random pitches, with their notes' pitches shuffled, with each note moved by up to a quarter
note; training pieces themselves; ten pieces over and over.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbolic import files
from symbolic.corpus import corpora
from symbolic.corpus.cleaning import melody_key
from symbolic.corpus.corpora import Rejection
from symbolic.corpus.families import Melody
from symbolic.errors import UserError
from symbolic.evaluate.metrics import diversity, form, novelty, tonality
from symbolic.evaluate.metrics import histograms as statistics
from symbolic.evaluate.report.tables import Cell, Share, Table
from symbolic.formats import midi_text
from symbolic.formats.midi_text import DRUMS, GRID, SCORE_TICKS, MidiPart, MidiPiece
from symbolic.notation.theory import NotationError

MOST_VOICES = 16
MOST_CONTROLS = 200  # pieces of each
USUAL_RANGE = (0.005, 0.995)  # quantiles of the lowest and highest notes of human pieces
FEATURES = {
    "pitch_class": 12,
    "interval": 25,
    "duration": len(statistics.DURATIONS) + 1,
    "notes_per_bar": statistics.MOST_NOTES + 1,
    "polyphony": MOST_VOICES + 1,
    "beat": GRID,
}
HELD_OUT, COPY, PITCHES, SHUFFLED, MOVED, REPEATED = (
    *("human, held out", "training pieces", "random pitches", "pitches shuffled", "notes moved"),
    "ten pieces repeated",
)
MEASURES: tuple[tuple[str, str, type], ...] = (
    ("pieces", "n_pieces", int),
    ("pieces with notes", "share_with_notes", Share),
    ("notes within their bar", "share_within_bar", Share),
    ("pieces with all notes within their bar", "share_of_pieces_in_bars", Share),
    ("pieces within the usual range", "share_in_range", Share),
    ("pieces with a copied 17-note phrase", "share_with_copied_phrase", Share),
    ("pieces at least half copied", "share_mostly_copied", Share),
    ("longest shared passage, median (notes)", "longest_shared_notes_median", int),
    ("repeats of a piece of the same set", "share_of_duplicates", Share),
    ("key fit (correlation)", "key_fit", float),
    ("seconds, median", "seconds_median", float),
    ("notes, median", "n_notes_median", int),
    ("parts, mean", "n_parts", float),
    ("compass, median (semitones)", "compass_median", int),
    ("pitch-class entropy (bits)", "pitch_class_entropy", float),
    ("scale consistency", "scale_consistency", float),
    ("polyphony, mean", "polyphony", float),
    ("time with two notes or more", "polyphony_rate", Share),
    ("groove consistency", "groove_consistency", float),
    ("self-similarity of bars", "self_similarity", float),
    *((f"divergence of {name.replace('_', ' ')} (bits)", f"divergence_{name}", float) for name in FEATURES),
    *((f"overlap of {name.replace('_', ' ')}", f"overlap_{name}", float) for name in FEATURES),
    ("distinct 5-note runs", "distinct_runs", Share),
    ("mean distance of two pieces", "mean_pairwise_distance", float),
    ("bits per note under the model", "model_bits_per_note", float),
    ("bits per second under the model", "model_bits_per_second", float),
)
_DURATION_BIN = {int(GRID // 2 * d): number for number, d in enumerate(statistics.DURATIONS) if GRID // 2 * d % 1 == 0}
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """One piece of a set as canonical text, '' with the reason where it cannot be read."""

    id: str
    text: str
    reason: str = ""


@dataclass(frozen=True, eq=False)
class MidiFeatures:
    """Features of one piece with notes: MIDI pitches of its lines, the histogram of each feature, single numbers."""

    lines: Melody
    key: str
    histograms: Mapping[str, Numbers]
    values: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class MidiReference:
    """Human pieces: `train`, which a model may have learnt from, and `test`, which is empty for a set that was not
    split."""

    name: str
    train: Sequence[Sample]
    test: Sequence[Sample]

    @cached_property
    def seen(self) -> list[MidiFeatures]:
        """The training pieces."""
        return [observe(sample.text) for sample in self.train if sample.text]

    @cached_property
    def range(self) -> tuple[float, float]:
        """MIDI numbers between which nearly all of them lie."""
        low, high = ([one.values[name] for one in self.seen] for name in ("lowest", "highest"))
        return float(np.quantile(low, USUAL_RANGE[0])), float(np.quantile(high, USUAL_RANGE[1]))


def is_midi(source: str) -> bool:
    """Return True if a set that the user named holds MIDI: files of it, or rows of pieces."""
    path = Path(source)
    if path.suffix == ".jsonl" and path.is_file():
        return midi_text.is_piece(str(next(files.read_jsonl(path), {}).get("text", "")))
    if (path / "tunes" / "train.jsonl").is_file():
        return is_midi(str(path / "tunes" / "train.jsonl"))
    return path.exists() and corpora.holds(corpora.resolve(source)) == {"midi"}


def read(source: str) -> list[Sample]:
    """Read the pieces of a file, folder or archive of MIDI, or of a .jsonl. Raises UserError when there is none."""
    path = Path(source)
    if path.suffix == ".jsonl" and path.is_file():
        found = [Sample(str(row.get("id", n)), str(row["text"])) for n, row in enumerate(files.read_jsonl(path), 1)]
    else:
        found = list(_read_files(source))
    if not found:
        raise UserError(f"{source} holds no MIDI. Name a .mid file, a folder of them, or a .jsonl of `prepare`.")
    return found


def read_reference(source: str) -> MidiReference:
    """Read a folder written by `prepare --as midi`, or any other set, which is then not split."""
    folder = Path(source, "tunes")
    name = Path(source).name or source
    if (folder / "train.jsonl").is_file() and (folder / "test.jsonl").is_file():
        return MidiReference(name, read(str(folder / "train.jsonl")), list(read(str(folder / "test.jsonl"))))
    return MidiReference(name, [sample for sample in read(source) if sample.text], [])


def observe(text: str) -> MidiFeatures:
    """Compute the features of one piece. Raises NotationError where the text is none."""
    piece = midi_text.parse(text)
    pitched = replace(piece, parts=tuple(p for p in piece.parts if p.program != DRUMS) or piece.parts)
    notes = np.array(sorted(note[:3] for part in pitched.parts for note in part.notes), np.int64)
    onsets, pitches, lengths = notes.T
    lines = [[pitch for pitch, _ in line] for line in midi_text.voices(piece)]
    weights = tonality.pitch_class_weights(pitches, lengths)
    fits = {(tonic, mode): tonality.key_fit(np.roll(weights, -tonic), mode) for tonic in range(12) for mode in _MODES}
    tonic, mode = max(fits, key=lambda key: fits[key])
    bar, within = _bars(piece, onsets, lengths)
    sounding = _sounding(onsets, lengths)
    histograms = {
        "pitch_class": _counts((pitches - tonic) % 12, 12),
        "interval": _counts(np.concatenate([np.clip(np.diff(line), -12, 12) + 12 for line in lines]), 25),
        "duration": _counts(np.array([_DURATION_BIN.get(n, len(statistics.DURATIONS)) for n in lengths.tolist()]),
                            FEATURES["duration"]),
        "notes_per_bar": _counts(np.minimum(np.bincount(bar), statistics.MOST_NOTES), FEATURES["notes_per_bar"]),
        "polyphony": _counts(np.minimum(sounding, MOST_VOICES), FEATURES["polyphony"]),
        "beat": _counts(onsets % GRID, GRID),
    }  # fmt: skip
    values = _values(piece, pitches, sounding, within) | {"key_fit": fits[tonic, mode]} | _form(pitched)
    return MidiFeatures(lines, melody_key(midi_text.content(piece)), histograms, values)


def measures(samples: Sequence[Sample], reference: MidiReference, seed: int = 0) -> dict[str, Any]:
    """Compute all measures of a set, by key."""
    seen = [observe(sample.text) for sample in samples if sample.text]
    found: dict[str, Any] = {"n_pieces": len(samples), "share_with_notes": len(seen) / len(samples)}
    if not seen:
        return found
    values = {name: np.array([one.values[name] for one in seen]) for name in seen[0].values}
    low, high = reference.range
    n_notes = values["n_notes"]
    found |= {
        "share_within_bar": float((values["within"] * n_notes).sum() / n_notes.sum()),
        "share_of_pieces_in_bars": float((values["within"] == 1).mean()),
        "share_in_range": float(((values["lowest"] >= low) & (values["highest"] <= high)).mean()),
        **{f"{name}_median": float(np.median(values[name])) for name in ("seconds", "n_notes", "compass")},
        **{name: float(np.nanmean(values[name])) for name in _MEANS if np.isfinite(values[name]).any()},
        "share_of_duplicates": 1 - len({one.key for one in seen}) / len(seen),
    }
    return found | _likeness(seen, reference, seed) | _novelty(seen, reference, seed)


def comparison(reference: MidiReference, seed: int = 0) -> dict[str, list[Sample]]:
    """Measure the held-out human pieces, and as many of each baseline (at most MOST_CONTROLS)."""
    rng = random.Random(seed)
    held_out = [sample for sample in reference.test or reference.train if sample.text]
    some = rng.sample(held_out, min(MOST_CONTROLS, len(held_out)))
    ten = rng.sample(some, min(10, len(some)))
    made = {name: [_controlled(sample, change, rng) for sample in some] for name, change in _CONTROLS.items()}
    return {
        HELD_OUT if reference.test else "human": held_out,
        COPY: rng.sample(list(reference.train), min(len(some), len(reference.train))),
        **made,
        REPEATED: [ten[number % len(ten)] for number in range(len(some))],
    }


def table(columns: Mapping[str, Mapping[str, Any]], reference: MidiReference, title: str) -> Table:
    """Build the table: measures as rows, sets as columns; rows that no set has are left out."""
    rows: list[list[Cell]] = []
    for label, key, kind in MEASURES:
        found = [column.get(key) for column in columns.values()]
        if any(value is not None for value in found):
            rows.append([label, *(None if value is None else kind(value) for value in found)])
    note = (
        f"Copying, range and divergences are against {len(reference.train):,} training pieces of {reference.name}. "
        "Distinct runs, overlaps and copying depend on the number and length of pieces: compare columns of equal size."
    )
    return Table(title, ["measure", *columns], rows, note)


def rows(samples: Sequence[Sample], reference: MidiReference) -> list[dict[str, Any]]:
    """Return the findings of each single piece."""
    seen = {n: observe(sample.text) for n, sample in enumerate(samples) if sample.text}
    copies = dict(zip(seen, novelty.copies([s.lines for s in seen.values()], [s.lines for s in reference.seen])))
    found = []
    for n, sample in enumerate(samples):
        row: dict[str, Any] = {"id": sample.id, "reason": sample.reason, "has_notes": n in seen}
        if n in seen:
            source = copies[n].source
            row |= {name: None if np.isnan(value) else value for name, value in seen[n].values.items()}
            row |= {"longest_shared_notes": copies[n].longest_notes, "share_covered": copies[n].share_covered}
            row["source_id"] = None if source is None else reference.train[source].id
        found.append(row)
    return found


def likelihood(model: str, device: str = "auto") -> Callable[[Sequence[Sample]], dict[str, float]]:
    """Load a model of MIDI; return the function from a set to its bits per note and per second. Raises UserError for a
    model of ABC."""
    import math

    from symbolic.decode.loaded_model import load_source
    from symbolic.training import likelihood as scores

    source = load_source(model, device)
    if getattr(source.tokenizer, "notation", "abc") != "midi":
        raise UserError(f"{model} is a model of ABC; it cannot read MIDI. Name a model of MIDI with --model.")
    context = getattr(source.model.config, "n_positions", None) or 1024

    def score(samples: Sequence[Sample]) -> dict[str, float]:
        texts = [sample.text for sample in samples if sample.text]
        if not texts:
            return {}
        found = scores.score(source.model, source.tokenizer.encode_many(texts), [1] * len(texts), context=context)
        bits, played = sum(one.nats for one in found) / math.log(2), [midi_text.parse(text) for text in texts]
        return {
            "model_bits_per_note": bits / sum(piece.n_notes for piece in played),
            "model_bits_per_second": bits / sum(piece.seconds for piece in played),
        }

    return score


# --- single pieces ---------------------------------------------------------------------------------------------------

_MODES = ("", "m")  # of symbolic.notation.theory
_MEANS = (
    *("key_fit", "n_parts", "pitch_class_entropy", "scale_consistency", "polyphony", "polyphony_rate"),
    *("groove_consistency", "self_similarity"),
)


def in_bars(piece: MidiPiece) -> bool:
    """Tell for every note whether it ends no later than the bar in which it begins."""
    notes = np.array([note[:3] for part in piece.parts for note in part.notes], np.int64)
    return bool(_bars(piece, notes[:, 0], notes[:, 2])[1].all())


def _read_files(source: str) -> Iterator[Sample]:
    from symbolic.formats.sandbox import Guard

    with Guard() as guard:
        for found in corpora.read(source, kinds=("midi",)):
            if isinstance(found, Rejection):
                yield Sample(found.file, "", found.reason)
            elif found.data:
                try:
                    yield Sample(found.file, str(guard.read("midi", found.data, "midi")["text"]))
                except NotationError as error:
                    yield Sample(found.file, "", error.reason)


def _bars(piece: MidiPiece, onsets: Numbers, lengths: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
    """Return the bar in which each note begins, counted from 0, and whether the note ends within it."""
    starts = np.array([tick for tick, _ in piece.metres])
    ticks = np.array([metre.ticks // SCORE_TICKS for _, metre in piece.metres])
    before = np.concatenate([[0], np.cumsum(-(-np.diff(starts) // ticks[:-1]))])  # bars before each metre
    metre = np.searchsorted(starts, onsets, side="right") - 1
    place = onsets - starts[metre]
    return before[metre] + place // ticks[metre], place % ticks[metre] + lengths <= ticks[metre]


def _sounding(onsets: Numbers, lengths: Numbers) -> Numbers:
    """Count the notes that sound when each note begins, itself included; `onsets` ascend."""
    ended = np.searchsorted(np.sort(onsets + lengths), onsets, side="right")
    return np.searchsorted(onsets, onsets, side="right") - ended


def _values(piece: MidiPiece, pitches: Numbers, sounding: Numbers, within: NDArray[np.bool_]) -> dict[str, float]:
    counts = np.bincount(pitches % 12, minlength=12)
    return {
        "n_notes": len(pitches),
        "n_parts": len(piece.parts),
        "seconds": piece.seconds,
        "within": float(within.mean()),
        "lowest": float(pitches.min()),
        "highest": float(pitches.max()),
        "compass": tonality.compass(pitches),
        "pitch_class_entropy": tonality.entropy(counts),
        "scale_consistency": tonality.scale_consistency(counts),
        "polyphony": float(sounding.mean()),
        "polyphony_rate": _polyphony_rate(piece),
    }


def _polyphony_rate(piece: MidiPiece) -> float:
    """Return the share of sounding ticks at which two notes or more sound."""
    change = np.zeros(piece.n_ticks + 1, np.int64)
    for part in piece.parts:
        for note in part.notes:
            change[note.onset] += 1
            change[note.onset + note.length] -= 1
    sounding = np.cumsum(change)
    return float((sounding > 1).sum() / max((sounding > 0).sum(), 1))


def _form(piece: MidiPiece) -> dict[str, float]:
    """Compute groove and self-similarity of bars of the first meter, from the top notes."""
    ticks = piece.metres[0][1].ticks // SCORE_TICKS
    n_bars = min(-(-piece.n_ticks // ticks), form.MOST_BARS)
    onsets = np.zeros((n_bars, form.GRID), bool)
    sounds = np.full((n_bars, form.GRID), form.SILENCE, np.int64)
    for part in piece.parts:
        for note in part.notes:
            bar, place = divmod(note.onset, ticks)
            if bar < n_bars:
                low, high = place * form.GRID // ticks, -(-(place + note.length) * form.GRID // ticks)
                onsets[bar, low] = True
                sounds[bar, low:high] = np.maximum(sounds[bar, low:high], note.pitch)
    return {"groove_consistency": form.groove_consistency(onsets), "self_similarity": form.self_similarity(sounds)}


def _counts(values: Numbers, bins: int) -> Numbers:
    return np.bincount(np.asarray(values, np.int64), minlength=bins)[:bins]


# --- sets ------------------------------------------------------------------------------------------------------------


def _likeness(seen: Sequence[MidiFeatures], reference: MidiReference, seed: int) -> dict[str, float]:
    found = {}
    for name in FEATURES:
        own, real = (np.stack([one.histograms[name] for one in some]) for some in (seen, reference.seen))
        found[f"divergence_{name}"] = statistics.divergence(own.sum(axis=0), real.sum(axis=0))
        if len(real) > 1:
            found[f"overlap_{name}"] = statistics.overlap(own, real, seed)
    return found


def _novelty(seen: Sequence[MidiFeatures], reference: MidiReference, seed: int) -> dict[str, Any]:
    lines = [one.lines for one in seen]
    copies = novelty.copies(lines, [one.lines for one in reference.seen])
    runs = diversity.runs(lines)
    found = {
        "share_with_copied_phrase": novelty.share_with_copied_phrase(copies),
        "share_mostly_copied": novelty.share_mostly_copied(copies),
        "longest_shared_notes_median": int(np.median([copy.longest_notes for copy in copies])),
        "distinct_runs": diversity.distinct_runs(runs, seed),
        "mean_pairwise_distance": diversity.mean_pairwise_distance(runs, seed),
    }
    return {name: value for name, value in found.items() if np.isfinite(value)}


# --- controls --------------------------------------------------------------------------------------------------------


def _controlled(
    sample: Sample, change: Callable[[MidiPart, random.Random], dict[str, Any]], rng: random.Random
) -> Sample:
    piece = midi_text.parse(sample.text)
    notes = {}
    for part in piece.parts:
        changes = change(part, rng)
        notes[part.program] = [
            note._replace(**{name: values[n] for name, values in changes.items()}) for n, note in enumerate(part.notes)
        ]
    return Sample(sample.id, midi_text.canonical(midi_text.arranged(piece.metres, piece.tempos, notes)))


def _random_pitches(part: MidiPart, rng: random.Random) -> dict[str, Any]:
    low, high = (extreme(note.pitch for note in part.notes) for extreme in (min, max))
    return {"pitch": [rng.randint(low, high) for _ in part.notes]}


def _shuffled_pitches(part: MidiPart, rng: random.Random) -> dict[str, Any]:
    return {"pitch": rng.sample([note.pitch for note in part.notes], len(part.notes))}


def _moved(part: MidiPart, rng: random.Random) -> dict[str, Any]:
    return {"onset": [max(0, note.onset + rng.randint(-GRID, GRID)) for note in part.notes]}


_CONTROLS: dict[str, Callable[[MidiPart, random.Random], dict[str, Any]]] = {
    PITCHES: _random_pitches,
    SHUFFLED: _shuffled_pitches,
    MOVED: _moved,
}
