"""The split of tokens into header, first occurrence and repeated material, on tunes worked by hand."""

import itertools
import math

import torch

from experiments import copying

HEAD = "M:4/4\nL:1/8\nK:C\n"


def kinds(music: str, n: int) -> str:
    """One letter for each character of the music line: f first, r repeated."""
    text = HEAD + music + "\n"
    found = copying.classes(text, range(len(text)), n)
    return "".join(kind[0] for kind in found[len(HEAD) : len(HEAD) + len(music)])


def test_what_follows_a_repeated_pair_is_repeated() -> None:
    # CD stands first at 0-1; after the second CD (places 3-4) whatever follows counts, E here as F would.
    assert kinds("CDECDE", 2) == "fffffr"
    assert kinds("CDECDF", 2) == "fffffr"


def test_every_phrase_is_new_without_repetition() -> None:
    assert set(kinds("CDEFGABc", 2)) == {"f"}


def test_two_bars_played_twice() -> None:
    music = "CDEF|CDEF|"
    # With n = 3: CDE ends at place 2 and again at place 7; from place 8 on (F and the bar line) it is repeated.
    assert kinds(music, 3) == "ffffffffrr"


def test_octave_marks_and_accidentals_are_part_of_the_note_but_lengths_are_not() -> None:
    assert kinds("CDcCD", 2)[-1] == "f"
    assert kinds("C2DEC/D3F", 2).endswith("rr")  # after C/D the length 3 and the F
    assert kinds("^CDEC DF", 2)[-1] == "f"  # ^C D is not C D
    assert kinds("^CDE^CDF", 2)[-1] == "r"


def test_a_note_being_spelled_looks_back_on_whole_notes() -> None:
    text = HEAD + "CDECD^F\n"
    accidental, letter = text.index("^F"), text.index("^F") + 1
    assert copying.classes(text, [accidental, letter], 2) == ["repeated", "repeated"]


def test_chord_symbols_fields_and_decorations_are_no_notes() -> None:
    assert kinds('CD"Am"E[K:D]CD!fine!F', 2)[-1] == "r"
    assert kinds('CD"CD"F', 2) == "f" * 7


def test_the_header_is_a_class_of_its_own() -> None:
    text = HEAD + "|:CDEF|\n"
    found = copying.classes(text, range(len(text)), 2)
    first_note = text.index("CDEF")
    assert set(found[:first_note]) == {"header"} and found[first_note] == "first"
    assert set(copying.classes("no music", range(8), 2)) == {"header"}


def test_every_token_is_scored_once_with_its_own_history() -> None:
    """A model whose scores depend on the token read alone: windows of any size must give the same."""
    ids = [1, *(3 + i % 5 for i in range(40))]

    def score(rows: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(1, rows.shape[1], 9)
        for place, token in enumerate(rows[0].tolist()):
            logits[0, place, (token * 2) % 9] = 1.0  # depends on the token read, not on its place
        return logits

    def expected(token: int, target: int) -> float:
        return math.log(8 + math.e) - (1.0 if (token * 2) % 9 == target else 0.0)

    for context in (7, 16, 64):
        found = copying.token_nats(score, ids, context)
        wanted = [expected(a, b) for a, b in itertools.pairwise(ids)]
        assert len(found) == len(wanted)
        assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) < 1e-5
