"""Readers of MIDI and MusicXML bytes, run in the guarded process (`symbolic.formats.sandbox`).

`read` answers with JSON: the score or the piece in the notation asked for, its fields, and what was lost.
"""

from typing import Any

from symbolic.formats import midi_text, score_json
from symbolic.formats.musicxml.musicxml_reading import from_musicxml
from symbolic.formats.smf import read_song, sequences
from symbolic.formats.transcription import score_of_song
from symbolic.notation import abc_parser
from symbolic.notation.canonical import interleaved
from symbolic.notation.score import Score

NOTATIONS = ("abc", "interleaved", "midi", "score")


def read(kind: str, data: bytes, notation: str, quantize: str = "auto") -> dict[str, Any]:
    """A file of `kind` ("midi", "musicxml") in `notation`: {"text" or "score", "fields", "losses"}.

    `quantize` ("auto", "on", "off") says whether MIDI is put on a written grid (`symbolic.formats.quantise`).
    Of type 2 MIDI it is the first sequence, and the others are losses.

    Raises NotationError.
    """
    if kind == "midi":
        song = read_song(data)
        if others := len(sequences(data)) - 1:
            song.losses["sequence of a type 2 MIDI file, beside the first"] += others
        if notation == "midi":
            piece = midi_text.from_song(song)
            fields = {"T": [piece.title]} if piece.title else {}
            return {"text": midi_text.canonical(piece), "fields": fields, "losses": song.losses}
        score = score_of_song(song, quantize)
    else:
        score = from_musicxml(data)
    if notation == "score":
        return {"score": score_json.encode(score), "fields": score.fields, "losses": score.losses}
    return {"text": text_of(score, notation), "fields": score.fields, "losses": score.losses}


def text_of(score: Score, notation: str) -> str:
    """A score as canonical text: "abc" voice after voice, "interleaved" bar by bar, "midi" as a piece."""
    if notation == "midi":
        return midi_text.canonical(midi_text.from_score(score))
    return interleaved(score) if notation == "interleaved" else abc_parser.canonical(score)
