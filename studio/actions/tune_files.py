"""A tune as text, and the files that a take of tunes has: ABC, MIDI and MusicXML of each."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.actions import warm_models
from symbolic import files
from symbolic.errors import UserError
from symbolic.notation.theory import NotationError

if TYPE_CHECKING:  # it imports numpy, which the server's start does not wait for
    from symbolic.decode.editing.edit import GivenTune

KINDS = {"mid": "midi", "midi": "midi", "musicxml": "musicxml", "xml": "musicxml", "mxl": "musicxml", "abc": "abc"}
MAX_TUNES = 16  # of a book
MAX_UPLOAD = {"abc": 1 << 20, "midi": 5 << 20, "musicxml": 5 << 20}


@dataclass(frozen=True)
class StudioTune:
    """A tune of a take: text for people, canonical text, and why it cannot be read where it cannot."""

    abc: str
    canonical: str
    title: str
    fault: str = ""

    def as_json(self, **extra: Any) -> dict[str, Any]:
        """For events, take.json and answers."""
        return {"abc": self.abc, "title": self.title, "fault": self.fault, **extra}


def given_of(text: str) -> "GivenTune":
    """The first tune of an ABC text, as the editing functions take it. UserError names the line."""
    from symbolic.decode.editing.edit import pick_tune

    return pick_tune(text, where="the tune")


def book_of(text: str) -> tuple[list[StudioTune], int]:
    """The tunes of an ABC text, MAX_TUNES at most, and how many more it has; one that cannot be read has its fault.

    Raises UserError where there is none that can.
    """
    from symbolic.notation import abc_parser

    raw = abc_parser.split_tunes(text)
    if len(raw) < 2:
        given = given_of(text)
        return [made(given, given.text)], 0
    tunes = [_own_tune(one.text) for one in raw[:MAX_TUNES]]
    if all(tune.fault for tune in tunes):
        raise UserError(tunes[0].fault)
    return tunes, len(raw) - len(tunes)


def _own_tune(text: str) -> StudioTune:
    try:
        given = given_of(text)
    except UserError as error:
        return StudioTune(text, text, "", str(error))
    return made(given, given.text)


def made(given: "GivenTune", text: str, fault: str = "") -> StudioTune:
    """A tune with title and fields of a given one and another canonical text."""
    from symbolic.notation import abc_parser

    if fault:
        return StudioTune(text, text, given.title, fault)
    try:
        return StudioTune(
            given.text_for_people(text),
            abc_parser.canonical(abc_parser.parse(text)),
            given.title,
        )
    except NotationError as error:
        return StudioTune(text, text, given.title, f"{error.reason}: {error}")


def read_upload(kind: str, data: bytes) -> str:
    """ABC for people from a file's bytes. Raises NotationError or UserError."""
    from symbolic.decode.editing.edit import NOT_KEPT_FIELDS
    from symbolic.notation import abc_parser

    if kind == "abc":
        if b"\0" in data:
            raise UserError("it is a binary file, not ABC text.")
        return files.decode(data).replace("\r\n", "\n")
    answer = warm_models.read_guarded(kind, data)
    title = (answer.get("fields", {}).get("T") or ["untitled"])[0]
    left_out = NOT_KEPT_FIELDS + "T"
    fields = {letter: values for letter, values in answer.get("fields", {}).items() if letter not in left_out}
    return abc_parser.pretty(answer["text"], title=title, fields=fields)


def write_tunes(folder: Path, tunes: list[StudioTune]) -> list[str]:
    """Write each readable tune in every notation; returns notes on what could not be written."""
    from symbolic.formats.midi import to_midi
    from symbolic.formats.musicxml.musicxml_writing import to_musicxml
    from symbolic.notation import abc_parser

    notes = []
    for number, tune in enumerate(tunes, start=1):
        stem = "tune" if number == 1 else f"tune-{number}"
        files.write_whole(folder / f"{stem}.abc", tune.abc)
        if tune.fault:
            continue
        score = abc_parser.parse(tune.abc)
        try:
            files.write_whole(folder / f"{stem}.mid", to_midi(score))
            files.write_whole(folder / f"{stem}.musicxml", to_musicxml(score, title=tune.title))
        except NotationError as error:
            notes.append(f"tune {number}: {error}")
    return notes
