"""From a tune as found to a canonical tune or a typed rejection.

A rejection's reason is that of the parser (NotationError.reason: no_key, bad_metre, unknown_symbol, ...) or one of

    binary, unreadable, too_large, no_tune     a file that is no text, is damaged, unpacks to too much, holds no tune
    bad_json, no_column                        a JSON row
    fault, over_time, over_memory              a score whose reader crashed or ran out of what it is allowed
    not_midi, bad_division, bad_midi, bad_musicxml, voices_apart        a score that is none, or cannot be used
    too_short, too_long                        fewer notes than `min_notes`; more bytes of canonical text than allowed
    duplicate                                  the melody of an earlier tune: equal intervals, equal ratios of lengths
    near_duplicate                             a melody much like that of an earlier tune

Neither kind of duplicate is hidden by transposition, by another unit length, by bar lines, chords, slurs or graces
(symbolic.corpus.duplicates).
"""

import atexit
import functools
import hashlib
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest

from symbolic.corpus import families
from symbolic.corpus.corpora import Found, Rejection
from symbolic.formats import midi_text, readers
from symbolic.formats.sandbox import Guard
from symbolic.notation.abc_parser import NotationError, melody, parse
from symbolic.notation.score import Score, bars

RUN_NOTES = 7  # of what near duplicates are compared by
NEAR_DUPLICATE = 0.8  # similarity from which they are


@dataclass(frozen=True)
class Limits:
    """Tunes outside are rejected. A 17-note phrase is what copying is measured by, so shorter tunes have none."""

    min_notes: int = families.PHRASE_NOTES
    max_bytes: int = 4096  # in another notation its own, MAX_BYTES


MAX_BYTES = {"abc": Limits.max_bytes, "interleaved": 2 * Limits.max_bytes, "midi": 2**18}


@dataclass(frozen=True, slots=True)
class CleanTune:
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


def clean(found: Found, limits: Limits = Limits(), notation: str = "abc") -> CleanTune | Rejection:
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
    return CleanTune(
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
    """Return canonical text, header fields, melodies, their key, and the number of notes. Raises NotationError."""
    if found.data:
        text, fields, score = _read_guarded(found, notation)
    else:
        score = parse(found.text, found.first_line)
        text, fields = readers.text_of(score, notation), score.fields
    if notation == "midi":
        piece = midi_text.parse(text)
        return text, fields, midi_text.voices(piece), melody_key(midi_text.content(piece)), piece.n_notes
    assert isinstance(score, Score)
    melodies = [melody(score, voice) for voice in range(len(score.voices))]
    return text, fields, melodies, melody_key(melodies), sum(map(len, melodies))


def _read_guarded(found: Found, notation: str) -> tuple[str, Fields, Score | None]:
    """Return canonical text, header fields and score (none for a piece of MIDI) of a MIDI or MusicXML file."""
    if notation == "midi":
        answer = _guard().read(found.kind, found.data, notation)
        return answer["text"], answer["fields"], None
    score = _guard().score(found.kind, found.data)
    check_together(score)
    return readers.text_of(score, notation), score.fields, score


def check_together(score: Score) -> None:
    """Refuse a score whose voices do not stay together: the same bars, each as long in all voices.

    Raises NotationError `voices_apart`.
    """
    lengths = [[bar.ticks for bar in bars(voice, score.meter)] for voice in score.voices]
    for number, own in enumerate(lengths[1:], start=2):
        place = next((n for n, (a, b) in enumerate(zip_longest(lengths[0], own), start=1) if a != b), None)
        if place is not None:
            raise NotationError("voices_apart", f"bar {place} is not as long in voice {number} as in voice 1.")


@functools.cache
def _guard() -> Guard:
    """Return one guarded reader for each process that cleans tunes."""
    guard = Guard()
    atexit.register(guard.close)
    return guard


def melody_key(melodies: Sequence[Sequence[tuple[int, int]]]) -> str:
    """Return a name for the melodies of a tune that transposition and a change of the unit of time leave alone."""
    digest = hashlib.sha256()
    unit = math.gcd(*(ticks for voice in melodies for _, ticks in voice)) or 1
    for voice in melodies:
        pitches = [midi for midi, _ in voice]
        digest.update(array("h", [b - a for a, b in pairwise(pitches)]).tobytes() + b"|")
        digest.update(array("q", [ticks // unit for _, ticks in voice]).tobytes() + b";")
    return digest.hexdigest()[:32]


def _rejected(found: Found, reason: str, message: str, line: int | None = None) -> Rejection:
    return Rejection(found.source, found.file, line or found.line, reason, message, found.title)
