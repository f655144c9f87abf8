"""What a user gives to be set to music: the words as a text file, the tune as ABC; and how much of both can be sung."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from audio_bridge.lyrics.lyric_text import LANGUAGES, MAX_CHARACTERS, broken
from symbolic import files
from symbolic.errors import UserError

if TYPE_CHECKING:
    from audio_bridge.lyrics.lyric_text import Lyrics
    from symbolic.notation.score import Score

LONGEST_LINE = 16  # syllables; longer lines are parted
MOST_SYLLABLES = 1500  # of a song: about ten minutes


def text_of(path: Path) -> str:
    """Return a file's text, of MIDI and MusicXML as ABC: it is kept in song.json, so that the song can be made again
    without the file."""
    from symbolic.formats.convert import abc_text
    from symbolic.formats.documents import KINDS

    if KINDS.get(path.suffix.lower(), "abc") != "abc":
        return abc_text(path)
    try:
        data = path.read_bytes()[: 4 * MAX_CHARACTERS + 1]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}.") from error
    if b"\0" in data:
        raise UserError(f"{path} is a binary file; give text.")
    return files.decode(data)


def tune_of(text: str, name: object = "the tune") -> "Score":
    """Return the first tune of an ABC text; errors begin with `name`."""
    from symbolic.notation.abc_parser import NotationError, parse, split_tunes

    found = split_tunes(text)
    if not found:
        raise UserError(f"{name} has no tune: a tune begins with X:1 and has a K: line.")
    try:
        return parse(found[0].text, found[0].line)
    except NotationError as error:
        raise UserError(f"{name}: {error}") from error


def tune_text(text: str, number: int | None, name: object = "the tune") -> str:
    """Return the tune X:`number` of an ABC text, else its `number`-th, as `--tune N` means it elsewhere; all of it for
    None. Raises UsageError where there is none."""
    from symbolic.command_line import choose_tune
    from symbolic.notation.abc_parser import split_tunes

    texts = [found.text for found in split_tunes(text)]
    if number is None or not texts:  # of a text without tunes `tune_of` says what is wrong
        return text
    marks = [re.search(r"^X:\s*(\d{1,9})", one, re.MULTILINE) for one in texts]
    return texts[choose_tune([int(mark[1]) if mark else None for mark in marks], number, name, "--number")]


def left_out(text: str, tune: "Score") -> list[str]:
    """Return notes on what of an ABC text gets no words: other tunes, other voices."""
    from symbolic.notation.abc_parser import split_tunes

    counts = {"tunes": len(split_tunes(text)), "voices": len(tune.voices)}
    return [f"the words are set to the first of {n} {what}." for what, n in counts.items() if n > 1]


def singable(lyrics: "Lyrics") -> tuple["Lyrics", list[str]]:
    """Return the lyrics as they are sung: numbers, signs and abbreviations as words, lines of at most LONGEST_LINE
    syllables; and notes on what was changed. Raises UserError for too many words."""
    from audio_bridge.lyrics.prosody.spoken_words import spelled_out
    from audio_bridge.lyrics.prosody.stress import count

    parted, n_spelled, total, sections = 0, 0, 0, []
    for section in lyrics.sections:
        lines: list[str] = []
        for written in section.lines:
            line = spelled_out(written, lyrics.language)
            n_spelled += line != written
            n = count(line, lyrics.language)
            total += n
            pieces = broken(line, -(-n // LONGEST_LINE)) if n > LONGEST_LINE else [line]
            parted += len(pieces) > 1
            lines += pieces
        sections.append(replace(section, lines=tuple(lines)))
    if total > MOST_SYLLABLES:
        raise UserError(f"the words have {total:,} syllables; at most {MOST_SYLLABLES:,} make a song. Shorten them.")
    notes = [f"numbers, signs and abbreviations of {n_spelled} lines are sung as words."] if n_spelled else []
    notes += [f"lines longer than {LONGEST_LINE} syllables were parted ({parted})."] if parted else []
    notes += _unread(lyrics)
    return replace(lyrics, sections=tuple(sections)), notes


def _unread(lyrics: "Lyrics") -> list[str]:
    """Return a note on numbers in a language that they are not read in."""
    n_lines = sum(any(c.isdigit() for c in line) for line in lyrics.lines)
    if lyrics.language in LANGUAGES or not n_lines:
        return []
    return [f"numbers of {n_lines} lines are not read as words in {lyrics.language}: write them out."]
