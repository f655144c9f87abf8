"""From a tune as found to a canonical tune or a typed rejection, and the removal of duplicates.

A rejection's reason is that of the parser (NotationError.reason: no_key, bad_metre, unknown_symbol, ...) or one of

    binary, unreadable, too_large, no_tune     a file that is no text, is damaged, unpacks to too much, holds no tune
    bad_json, no_column                        a JSON row
    fault, over_time, over_memory              a score whose reader crashed or ran out of what it is allowed
    not_midi, cut, smpte, patterns, bad_midi, bad_musicxml      a score that is none, or cannot be used
    too_short, too_long                        fewer notes than `min_notes`; more bytes of canonical text than allowed
    duplicate                                  the melody of an earlier tune: equal intervals, equal ratios of lengths
    near_duplicate                             a melody much like that of an earlier tune

Neither kind of duplicate is hidden by transposition, by another unit length, by bar lines, chords, slurs or graces.
Nearness is the Jaccard similarity |A & B| / |A | B| of two tunes' sets of 7-note runs, each known by its 6 pitch
intervals. One changed note touches 7 runs, so at 0.8 a tune of 100 different runs may differ in one or two notes.
Rhythm does not count there. Variants that differ more stay, and the split keeps them together where they share a
phrase of 17 notes.
The first tune in the order of the input stays.

Candidates are found through an inverted index of each tune's rarest runs only, as many as make sure that a pair at the
threshold shares one (prefix filtering: Chaudhuri et al. 2006, Bayardo et al. 2007): nothing is lost against comparing
all pairs.
"""

import atexit
import functools
import hashlib
import math
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from symbolic.data import convert, families, pieces
from symbolic.data.corpora import Found, Rejection
from symbolic.data.guard import Guard
from symbolic.data.notation import NotationError, canonical, melody, parse
from symbolic.data.score import Score

RUN_NOTES = 7
NEAR_DUPLICATE = 0.8


@dataclass(frozen=True)
class Limits:
    """Tunes outside are rejected. A 17-note phrase is what copying is measured by, so shorter tunes have none."""

    min_notes: int = families.PHRASE_NOTES
    max_bytes: int = 4096  # in another notation its own, MAX_BYTES


MAX_BYTES = {"abc": Limits.max_bytes, "interleaved": 2 * Limits.max_bytes, "midi": 2**18}


@dataclass(frozen=True, slots=True)
class Tune:
    """A canonical tune: `pitches` are the MIDI numbers of each voice, `key` names the melody in any transposition."""

    id: str
    source: str
    file: str
    line: int
    title: str
    rhythm: str
    text: str
    n_bytes: int
    n_notes: int
    fields: dict[str, list[str]]
    pitches: "tuple[array[int], ...]"  # array is not subscriptable before Python 3.12
    key: str


def clean(found: Found, limits: Limits = Limits(), notation: str = "abc") -> Tune | Rejection:
    """Parse one tune and spell it canonically in `notation` ("abc", "interleaved", "midi"), or say why not."""
    try:
        text, fields, melodies, key, n_notes = _read(found, notation)
    except NotationError as error:
        return _rejected(found, error.reason, f"{found.file}: {error}", error.line)
    n_bytes = len(text.encode("utf-8"))
    if n_notes < limits.min_notes:
        return _rejected(found, "too_short", f"{n_notes} notes; --min-notes is {limits.min_notes}.")
    if n_bytes > limits.max_bytes:
        return _rejected(
            found, "too_long", f"{n_bytes:,} bytes of canonical text; --max-bytes is {limits.max_bytes:,}."
        )
    return Tune(
        id=found.id,
        source=found.source,
        file=found.file,
        line=found.line,
        title=fields.get("T", [""])[0],
        rhythm=" ".join(fields.get("R", [])),
        text=text,
        n_bytes=n_bytes,
        n_notes=n_notes,
        fields=fields | {name: [value] for name, value in found.extra.items()},
        pitches=tuple(array("h", [midi for midi, _ in voice]) for voice in melodies),
        key=key,
    )


Melodies = list[list[tuple[int, int]]]  # (MIDI pitch, ticks) by voice
Fields = dict[str, list[str]]


def _read(found: Found, notation: str) -> tuple[str, Fields, Melodies, str, int]:
    """Canonical text, header fields, melodies, their key, and the number of notes. Raises NotationError."""
    if found.data:
        answer = _guard().read(found.kind, found.data, notation)
        text, fields = answer["text"], answer["fields"]
        score = None if notation == "midi" else parse(text)
    else:
        score = parse(found.text, found.first_line)
        text, fields = canonical(score) if notation == "abc" else convert.text_of(score, notation), score.fields
    if notation == "midi":
        piece = pieces.parse(text)
        return text, fields, pieces.voices(piece), melody_key(pieces.content(piece)), piece.n_notes
    assert isinstance(score, Score)
    melodies = [melody(score, voice) for voice in range(len(score.voices))]
    return text, fields, melodies, melody_key(melodies), sum(map(len, melodies))


@functools.cache
def _guard() -> Guard:
    """One guarded reader for each process that cleans tunes."""
    guard = Guard()
    atexit.register(guard.close)
    return guard


def melody_key(melodies: Sequence[Sequence[tuple[int, int]]]) -> str:
    """A name for the melodies of a tune that transposition and a change of the unit of time leave alone."""
    digest = hashlib.sha256()
    unit = math.gcd(*(ticks for voice in melodies for _, ticks in voice)) or 1
    for voice in melodies:
        pitches = [midi for midi, _ in voice]
        digest.update(array("h", [b - a for a, b in pairwise(pitches)]).tobytes() + b"|")
        digest.update(array("q", [ticks // unit for _, ticks in voice]).tobytes() + b";")
    return digest.hexdigest()[:32]


def without_duplicates(tunes: Sequence[Tune], threshold: float = NEAR_DUPLICATE) -> tuple[list[Tune], list[Rejection]]:
    """The first of each group of equal or near melodies, in the order of the input, and a Rejection for each other."""
    first: dict[str, Tune] = {}
    kept, rejections = [], []
    for tune in tunes:
        if tune.key in first:
            rejections.append(_repeats(tune, first[tune.key], "duplicate", "has the melody of"))
        else:
            first[tune.key] = tune
            kept.append(tune)
    near = near_duplicates([tune.pitches for tune in kept], threshold)
    for index, (earlier, similarity) in near.items():
        wording = f"shares {similarity:.0%} of the {RUN_NOTES}-note runs of"
        rejections.append(_repeats(kept[index], kept[earlier], "near_duplicate", wording))
    return [tune for index, tune in enumerate(kept) if index not in near], rejections


def near_duplicates(
    melodies: Sequence[families.Melody], threshold: float = NEAR_DUPLICATE
) -> dict[int, tuple[int, float]]:
    """Index of each tune that is near an earlier one that stays -> (index of that one, similarity)."""
    index: dict[int, list[int]] = defaultdict(list)  # a run's rank -> the tunes that stay and have it in their prefix
    runs = _ranked_runs(melodies)
    near: dict[int, tuple[int, float]] = {}
    marked = np.zeros(max((int(own.max(initial=0)) for own in runs), default=0) + 1, dtype=bool)
    for tune, own in enumerate(runs):
        prefix = own[: len(own) - math.ceil(threshold * len(own)) + 1].tolist() if len(own) else []
        candidates = {other for run in prefix for other in index.get(run, ())}
        fitting = sorted(c for c in candidates if threshold * len(own) <= len(runs[c]) <= len(own) / threshold)
        similarity = _jaccard(own, [runs[other] for other in fitting], marked)
        if len(fitting) and similarity.max() >= threshold:
            near[tune] = (fitting[int(similarity.argmax())], float(similarity.max()))
        else:
            for run in prefix:
                index[run].append(tune)
    return near


def _ranked_runs(melodies: Sequence[families.Melody]) -> list[NDArray[np.int64]]:
    """Each tune's different runs as ranks, rarest first."""
    found = families.phrases(melodies, RUN_NOTES)
    count = np.bincount(found.phrase)
    rank = np.empty(len(count), dtype=np.int64)
    rank[np.argsort(count, kind="stable")] = np.arange(len(count))
    order = np.lexsort((rank[found.phrase], found.tune))
    tune, run = found.tune[order], rank[found.phrase][order]
    first = np.ones(len(run), dtype=bool)
    first[1:] = (tune[1:] != tune[:-1]) | (run[1:] != run[:-1])
    ends = np.searchsorted(tune[first], np.arange(1, len(melodies)))
    return np.split(run[first], ends) if len(melodies) else []


def _jaccard(
    own: NDArray[np.int64], others: Sequence[NDArray[np.int64]], marked: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Similarity of one set to each of the others; `marked` is scratch, all False before and after."""
    if not others:
        return np.zeros(0)
    sizes = np.array([len(other) for other in others])
    marked[own] = True
    shared = np.add.reduceat(marked[np.concatenate(others)], np.cumsum(sizes) - sizes, dtype=np.int64)
    marked[own] = False
    return shared / (len(own) + sizes - shared)


def _repeats(tune: Tune, earlier: Tune, reason: str, wording: str) -> Rejection:
    message = f"{wording} {earlier.id} ({earlier.title})."
    return Rejection(tune.source, tune.file, tune.line, reason, message, tune.title, earlier.id)


def _rejected(found: Found, reason: str, message: str, line: int | None = None) -> Rejection:
    return Rejection(found.source, found.file, line or found.line, reason, message, found.title)


def reasons(rejections: Sequence[Rejection]) -> Iterator[tuple[str, int]]:
    """(reason, how many), most frequent first."""
    counts: dict[str, int] = defaultdict(int)
    for rejection in rejections:
        counts[rejection.reason] += 1
    yield from sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
