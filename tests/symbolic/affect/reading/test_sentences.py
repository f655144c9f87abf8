"""Sentences and the scope of negation."""

import pytest

from symbolic.affect.reading.sentences import plain_text, sentences, tokens, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Ellis woke. It was 3.5 miles.", ["Dr. Ellis woke.", "It was 3.5 miles."]),
        ('"Who is there?" she asked. Nobody.', ['"Who is there?" she asked.', "Nobody."]),
        ("He waited... and waited. Then he left!", ["He waited... and waited.", "Then he left!"]),
        ("no full stop at all", ["no full stop at all"]),
        ("One\n\nTwo", ["One", "Two"]),
        ("HELP ME! NOW!!", ["HELP ME!", "NOW!!"]),
        ("J. S. Bach wrote it. I did not.", ["J. S. Bach wrote it.", "I did not."]),
        ("So good 😀. ...", ["So good 😀. ..."]),
        ("", []),
        ("   \n ", []),
    ],
)
def test_sentence_ends(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_html_scripts_and_marks_go() -> None:
    head = "<head><style>p{color:red}</style><script>alert('no.');</script></head>"
    page = f"\ufeff<html>{head}<p>One &amp; all.</p><p>Two.</p>"
    assert sentences(page) == ["One & all.", "Two."]
    assert plain_text("a < b and c > d") == "a < b and c > d"


def test_what_a_page_hides_goes_where_it_ends() -> None:
    assert sentences("<p>One.</p><!-- Two. --><style>a</style><script>b</script ><p>Three.") == ["One.", "Three."]
    assert sentences("<p>It goes on.</p><script>for ever") == ["It goes on.", "for ever"]


@pytest.mark.parametrize("part", ["<script>", "<!--", "<a ", "!\n\n", ".", '"', "\n ", "a'", "&lt;p>"])
def test_what_never_ends_is_read_in_one_pass(part: str) -> None:
    # Whoever looks for an end from every beginning never comes back from this.
    assert len(sentences("Good day.\n\n" + part * 200_000 + "x")) < 5


def _negated(text: str) -> list[str]:
    return [token.text for token in tokens(text) if token.is_negated]


def test_negation_ends_at_commas_and_but() -> None:
    assert _negated("I am not sad but angry") == ["sad"]
    assert _negated("She was not happy, she was proud") == ["happy"]
    assert _negated("There was no danger at all") == ["danger", "at", "all"]
    assert _negated("I don't like it; I love it") == ["like", "it"]
    assert _negated("I am happy") == []


def test_words_are_small_letters() -> None:
    assert words("It's OVER, John!") == ["it's", "over", "john"]
