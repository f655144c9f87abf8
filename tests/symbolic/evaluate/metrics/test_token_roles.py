"""The split of tokens into roles, and into header, first occurrence and repeated material, on tunes worked by hand."""

import random

from symbolic.evaluate.metrics import token_roles
from symbolic.tokens import grammar

HEAD = "M:4/4\nL:1/8\nK:C\n"


def kinds(music: str, n: int) -> str:
    """One letter for each character of the music line: f first, r repeated."""
    text = HEAD + music + "\n"
    found = token_roles.occurrences(text, range(len(text)), n)
    return "".join(kind[0] for kind in found[len(HEAD) : len(HEAD) + len(music)])


def test_roles_of_a_tune_with_everything() -> None:
    text = 'M:6/8\nL:1/8\nK:Em\n|:"Am"^c\'3/2.z2[K:D](3abc{de}[Ac]-|1A:|2B||\n'
    found: dict[str, str] = {}
    start = 0
    for role, end in token_roles.words(text):
        found[role] = found.get(role, "") + text[start:end] + " "
        start = end
    assert start == len(text)
    assert found["metre"] == "M:6/8\n " and found["key"] == "K:Em\n [K:D] " and found["field"] == "L:1/8\n "
    assert found["pitch"] == "c' a b c d e A c A B " and found["length"] == "3/2 2 " and found["accidental"] == "^ "
    assert found["bar line"] == "|: |1 :|2 || " and found["rest"] == "z " and found["tuplet"] == "(3 "
    assert found["chord symbol"] == '"Am" ' and found["decoration"] == ". "


def test_words_are_those_of_the_grammar_tokenizer(real_tunes: list[str]) -> None:
    """So that a role is of whole tokens there."""
    tokenizer = grammar.build()
    for text in random.Random(0).sample(real_tunes, 200):
        ends, place = set(), 0
        for token in tokenizer.encode(text):
            place += len(tokenizer.token_bytes(token))
            ends.add(place)
        letters = token_roles.as_bytes(text)
        assert {end for _, end in token_roles.words(letters)} <= ends


def test_a_place_has_the_role_of_the_word_around_it() -> None:
    text = HEAD + "c'3/2|\n"
    places = [0, 3, text.index("'"), text.rindex("/"), text.index("|")]
    assert token_roles.roles(text, places) == ["metre", "metre", "pitch", "length", "bar line"]


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
    assert token_roles.occurrences(text, [accidental, letter], 2) == ["repeated", "repeated"]


def test_chord_symbols_fields_and_decorations_are_no_notes() -> None:
    assert kinds('CD"Am"E[K:D]CD!fine!F', 2)[-1] == "r"
    assert kinds('CD"CD"F', 2) == "f" * 7


def test_the_header_is_a_class_of_its_own() -> None:
    text = HEAD + "|:CDEF|\n"
    found = token_roles.occurrences(text, range(len(text)), 2)
    first_note = text.index("CDEF")
    assert set(found[:first_note]) == {"header"} and found[first_note] == "first"
    assert set(token_roles.occurrences("no music", range(8), 2)) == {"header"}
