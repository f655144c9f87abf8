"""Prompts: every spelling to one beginning, free lines drawn in their place, faults named."""

import pytest

from symbolic import tokens
from symbolic.decode import prompt
from symbolic.decode.prompt import Prompt
from symbolic.errors import UserError
from symbolic.notation import control_codes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Prompt()),
        ("M:6/8", Prompt("6/8")),
        ("K:Dmix", Prompt("", "Dmix")),
        ("K: D Mixolydian", Prompt("", "Dmix")),
        ("K:E minor\nM:C|", Prompt("2/2", "Em")),
        ("M:C K:Bb", Prompt("4/4", "Bb")),
        (r"M:6/8\nK:G", Prompt("6/8", "G")),
        ("m:6/8 k:G", Prompt("6/8", "G")),
        ("M:6/8 K:D |:AFD DFA|", Prompt("6/8", "D", "|:AFDDFA|")),
        ("M:6/8 L:1/16 K:G g4e2 d4B2|", Prompt("6/8", "G", "g2ed2B|")),
        ("A:|B c", Prompt("", "", "A:|Bc")),
        ("K:A\nA>B c<d|\ne2 z2|", Prompt("", "A", "A3/2B/2c/2d3/2|e2z2|")),
        ("K:Am A2", Prompt("", "Am", "A2")),
        ("K:G !trill!g~a|", Prompt("", "G", "Tg~a|")),
    ],
)
def test_every_spelling_has_one_canonical_form(text: str, expected: Prompt) -> None:
    assert prompt.read_prompt(text) == expected


@pytest.mark.parametrize(
    ("made", "pieces"),
    [
        (Prompt(), ()),
        (Prompt("6/8"), ("M:6/8\nL:1/8\n",)),
        (Prompt("6/8", "D"), ("M:6/8\nL:1/8\nK:D\n",)),
        (Prompt("6/8", "D", "AFD|"), ("M:6/8\nL:1/8\nK:D\nAFD|",)),
        (Prompt("", "D"), (None, "L:1/8\nK:D\n")),
        (Prompt("", "D", "AFD|"), (None, "L:1/8\nK:D\nAFD|")),
        (Prompt("6/8", "", "AFD|"), ("M:6/8\nL:1/8\n", None, "AFD|")),
        (Prompt("", "", "AFD|"), (None, "L:1/8\n", None, "AFD|")),
    ],
)
def test_free_lines_stand_where_canonical_text_has_them(made: Prompt, pieces: tuple[str | None, ...]) -> None:
    assert made.pieces == pieces


def test_free_lines_are_drawn_with_what_stands_before_them() -> None:
    asked: list[tuple[list[str], int]] = []

    def draw_line(beginnings: list[str], number: int) -> list[str]:
        asked.append((beginnings, number))
        return ["M:6/8\n", "M:4/4\n"] if not beginnings[0] else ["K:G\n", "K:D\n"]

    assert prompt.prefixes(Prompt("", "", "AFD|"), 2, draw_line) == [
        "M:6/8\nL:1/8\nK:G\nAFD|",
        "M:4/4\nL:1/8\nK:D\nAFD|",
    ]
    assert asked == [(["", ""], 1), (["M:6/8\nL:1/8\n", "M:4/4\nL:1/8\n"], 3)]


def test_the_rules_of_sampling_hold_for_the_metre_of_a_style_alone() -> None:
    """Asked for or drawn, a style has the metres that min-p leaves it; styles themselves, keys, and the metre of a
    tune without one come as often as they were learnt."""

    def truncated(made: Prompt) -> list[bool]:
        return [piece.truncated for piece in made.pieces if isinstance(piece, prompt.Choice)]

    jig = control_codes.ask(rhythm="jig")
    assert truncated(Prompt(asked=jig, steered=True, styled=True)) == [True, False]  # metre, key
    assert truncated(Prompt(steered=True, styled=True)) == [False, True, False]  # style or metre, metre of a style, key
    assert truncated(Prompt(steered=True)) == [False, False]  # metre, key
    assert truncated(Prompt("6/8", asked=jig, steered=True, styled=True)) == [False]  # key


def test_a_line_that_stands_is_not_drawn_again() -> None:
    def draw_line(beginnings: list[str], number: int, choice: prompt.Choice | None = None) -> list[str]:
        assert choice is not None
        return {1: ["R:jig\n", "M:4/4\n"], 2: ["M:6/8\n", "M:3/4\n"]}.get(number, ["K:G\n", "K:D\n"])

    texts = prompt.prefixes(Prompt(steered=True, styled=True), 2, draw_line)
    assert texts == ["R:jig\nM:6/8\nL:1/8\nK:G\n", "M:4/4\nL:1/8\nK:D\n"]


@pytest.mark.parametrize(
    ("drawn", "line"), [("M:6/8\n", "M:6/8\n"), ("M:6/8", "M:6/8\n"), ("M:6/8\nL:1", "M:6/8\n"), ("", "\n")]
)
def test_a_drawn_line_ends_once(drawn: str, line: str) -> None:
    tokenizer = tokens.build("characters")
    assert prompt.line_of(tokenizer, tokenizer.encode(drawn)) == line


@pytest.mark.parametrize("kind", ["characters", "grammar"])
def test_a_beginning_is_spelled_with_the_tokens_of_the_whole_text(kind: str, real_tunes: list[str]) -> None:
    """Else the model would be asked to go on from something it was never trained on."""
    tokenizer = tokens.build(kind)
    for text in real_tunes[::400]:
        whole = tokenizer.encode(text)
        header_end = text.index("\nK:") + 1 + text[text.index("\nK:") + 1 :].index("\n") + 1
        for end in (text.index("\n") + 1, header_end, text.index("|", header_end) + 1):
            if text[end : end + 1] not in ("|", ":", "]", "1", "2"):  # inside a bar line
                beginning = tokenizer.encode(text[:end])
                assert whole[: len(beginning)] == beginning


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("X:1 K:G", "field X: cannot be prompted. Allowed are M: .* K: .* L: "),
        ("R:jig", "field R: cannot be prompted"),
        ("K:H", "K:H is not a key; write for example K:G"),
        ("K:Dfoo", "'foo' is not a mode"),
        ("K:", "K: field is empty"),
        ("K:G|", "K:G| is not a key"),
        ("K:G#", "would need 8"),
        ("M:7", "M:7 is not a metre"),
        ("M:", "M: field is empty"),
        ("M:6/8 M:4/4", "M: is given twice"),
        ("L:1/16 K:G", "none follow"),
        ("M:6/8 L:7 abc|", "L:7 is not a unit note length"),
        ("K:G play me a jig", "first bars .* cannot be read as ABC: line 1: column"),
        ("K:G abc|\nef&g|", "overlay"),
        ("K:G abc|\nefjg|", "line 2: column 3"),
        ("K:G |: |", "no notes"),
        ("K:G abc|\nV:2\nabc|", "hold a field or a second voice"),
    ],
)
def test_faults_are_named(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("|", r"\|")):
        prompt.read_prompt(text)
