"""Files from anywhere: each is read or rejected with a reason, and the process that asked lives on."""

import random
import struct
import time
from collections import Counter
from pathlib import Path

import pytest

from symbolic.formats import midi_text
from symbolic.formats.midi import to_midi
from symbolic.formats.sandbox import Guard, _handled
from symbolic.notation import abc_parser
from symbolic.notation.theory import NotationError

TUNE = "M:6/8\nL:1/8\nK:G\n|:GAB d2B|GAB dBG|cde gfe|d3 B3:|\n"
REASONS = {"not_midi", "cut", "bad_division", "bad_midi", "no_notes", "too_long", "too_large", "bad_metre"} | {
    *("bad_tempo", "fault", "over_time", "over_memory")
}


def chunk(*events: bytes) -> bytes:
    body = b"".join(events)
    return b"MTrk" + struct.pack(">I", len(body)) + body


def midi(*tracks: bytes, kind: int = 1, division: int = 480) -> bytes:
    return b"MThd" + struct.pack(">IHHH", 6, kind, len(tracks), division) + b"".join(tracks)


NOTE = b"\x00\x90\x3c\x50\x60\x80\x3c\x00"
END = b"\x00\xff\x2f\x00"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_midi"),
        (b"MThd", "not_midi"),
        (b"RIFF" + bytes(40), "not_midi"),
        (midi(), "bad_midi"),
        (midi(chunk(NOTE, END), division=0), "bad_division"),
        (midi(chunk(NOTE, END), division=0xE700), "bad_division"),
        (midi(chunk(b"\x00\x3c\x40", END)), "bad_midi"),
        (midi(chunk(END)), "no_notes"),
        (midi(chunk(b"\x00\xff\x51\x03\x00\x00\x01", NOTE, END)), "bad_tempo"),
        (midi(chunk(b"\x00\xff\x51\x03\x00\x00\x00", NOTE, END)), "bad_tempo"),
        (midi(chunk(b"\x00\x90\x3c\x50\xff\xff\xff\x7f\x80\x3c\x00" * 3, END), division=1), "too_long"),
        (bytes(9 * 2**20), "too_large"),
    ],
)
def test_hostile_files_have_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(NotationError) as caught:
        midi_text.from_midi(data) if len(data) < 2**20 else Guard().read("midi", data, "midi")
    assert caught.value.reason == reason


def test_a_crash_costs_one_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A reader that kills its process, as a native fault does, is replaced."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal\nfrom symbolic.formats import readers\nread = readers.read_song\n"
        "crash = lambda: os.kill(os.getpid(), signal.SIGSEGV)\n"
        "readers.read_song = lambda data, *more: crash() if b'boom' in data else read(data)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    good = to_midi(abc_parser.parse(TUNE))
    with Guard() as guard:
        before = guard.read("midi", good, "midi")["text"]
        with pytest.raises(NotationError, match="SIGSEGV") as caught:
            guard.read("midi", b"boom", "midi")
        assert caught.value.reason == "fault"
        assert guard.read("midi", good, "midi")["text"] == before


def test_entities_are_refused() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "b">]><score-partwise>&a;</score-partwise>'
    assert _handled("musicxml", bomb, "abc")["reason"] == "bad_musicxml"


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A file with bytes changed, cut out, doubled or exchanged, or cut short."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 12)):
        place, kind = rng.randrange(len(changed)), rng.random()
        if kind < 0.6:
            changed[place] = rng.choice((0, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind < 0.75:
            changed[place:place] = changed[max(0, place - rng.randint(1, 16)) : place]
        elif kind < 0.9:
            del changed[place : place + rng.randint(1, 16)]
        else:
            changed[place : place + 4] = struct.pack(">I", rng.choice((0, 2**31, 2**32 - 1, rng.randrange(2**32))))
        if len(changed) < 20:
            break
    return bytes(changed[: rng.randrange(1, len(changed))] if rng.random() < 0.1 else changed)


def read_mutated(n: int) -> Counter[str]:
    rng = random.Random(5)
    seeds = [to_midi(abc_parser.parse(TUNE)), midi(chunk(NOTE * 20, END), chunk(NOTE, b"\x00\xc0\x28", NOTE * 9, END))]
    found: Counter[str] = Counter()
    with Guard() as guard:
        for _ in range(n):
            began = time.monotonic()
            try:
                text = guard.read("midi", mutated(rng.choice(seeds), rng), "midi")["text"]
                assert midi_text.canonical(midi_text.parse(text)) == text
                found["read"] += 1
            except NotationError as error:
                assert error.reason in REASONS
                assert str(error)
                found[error.reason] += 1
            assert time.monotonic() - began < 100
    return found


def test_mutated_files_are_read_or_rejected() -> None:
    found = read_mutated(200)
    assert found["read"] > 5
    assert found.total() == 200


@pytest.mark.slow
def test_five_thousand_mutated_files() -> None:
    found = read_mutated(5000)
    assert found.total() == 5000
    assert found["fault"] == found["over_time"] == 0, found
