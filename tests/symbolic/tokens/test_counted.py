"""Counted text: marks that are right by hand, that vanish without a trace, and that come down to nothing."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symbolic import tokens
from symbolic.tokens import counted
from symbolic.tokens.counted import CountedTokenizer, count, strip

HEAD = "M:6/8\nL:1/8\nK:G\n"
SOUP = st.text(alphabet="ABCabcz^_=,'/0123456789|:[](){}<>-\"!@;.~KMLVTwSD \n\x1a\x1dé")


def music(text: str, meter: str = "6/8", kind: str = counted.KIND) -> str:
    return count(f"M:{meter}\nL:1/8\nK:G\n{text}\n", kind).split("K:G\n")[1].removesuffix("\n")


@pytest.fixture(scope="module", params=counted.KINDS)
def tokenizer(request: pytest.FixtureRequest) -> CountedTokenizer:
    made = tokens.build(request.param, counted.VOCAB_SIZE, lines=["R:jig\n"])
    assert isinstance(made, CountedTokenizer)
    return made


@pytest.mark.parametrize(
    ("meter", "text", "marked"),
    [
        pytest.param(
            "6/8", "ABc d2e|f6|", "@S1;@B2;A@5;B@4;c@3; d2@1;e@0;|@B1;f6@0;|@B0;", id="bars of a section count down"
        ),
        pytest.param(
            "6/8", "d|G6|g5:|", "@S1;@B2;@D1;d@0;|@B2;@D1;G6@0;|@B1;@D1;g5@1;:|", id="a pick-up and what is left for it"
        ),
        pytest.param(
            "4/4", "|:G8|1A8:|2B8|]", "|:@S1;@B2;G8@0;|1@B1;A8@0;:|2@B1;B8@0;|]", id="endings: the second counts anew"
        ),
        pytest.param("2/4", "(3GABc2|", "@S1;@B1;(3G@10/3;A@8/3;B@2;c2@0;|@B0;", id="a tuplet's notes are thirds"),
        pytest.param("6/8", "d|:G6:|", "@S1;@B0;d@0;|:@S1;@B1;G6@0;:|", id="a pick-up before |: is no section"),
        pytest.param("6/8", "G6||[M:9/8]G9|]", "@S2;@B1;G6@0;||@S1;@B1;[M:9/8]G9@0;|]", id="the meter changes"),
        pytest.param("4/4", "[GB]4{ag}z4|", "@S1;@B1;[GB]4@4;{ag}z4@0;|@B0;", id="chords and rests, no grace notes"),
        pytest.param("none", "G40A|", "@S1;@B1;G40@1;A@0;|@B0;", id="free meter"),
        pytest.param("4/4", "G40A8|", "@S1;@B1;G40@8;A8@0;|@B0;", id="a bar that is too long"),
        pytest.param("4/4", "A20G20|", "@S1;@B1;A20@?;G20@0;|@B0;", id="a room that the vocabulary lacks"),
        pytest.param("6/8", "a@b|", "@S1;@B1;a@1;@@b@0;|@B0;", id="an @ of the text"),
        pytest.param("6/8", "G6|\x1a|", "@S1;@B2;G6@0;|@B1;\x1a|@B0;", id="a bar taken out is a bar"),
    ],
)
def test_marks(meter: str, text: str, marked: str) -> None:
    assert music(text, meter) == marked


def test_one_countdown_alone() -> None:
    assert music("A3B3|c6|", kind=counted.ROOMS) == "A3@3;B3@0;|c6@0;|"
    assert music("A3B3|c6|", kind=counted.SECTIONS) == "@S1;@B2;A3B3|@B1;c6|@B0;"


def test_an_answer_is_counted_to_its_end() -> None:
    assert count(HEAD + "\x1a|G6|\n\x1dA3B3\x1dc6").endswith("\n\x1dA3@3;B3@0;\x1dc6@0;")


def test_what_is_left_comes_down_to_nothing(canonical: list[str]) -> None:
    for text in canonical[::3]:
        marked = count(text)
        before_lines = re.findall(r"@([\d/?]+);[^@A-Ga-gz]*\|@B(?!0)", marked)
        assert set(before_lines) <= {"0"}, text


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(), SOUP, SOUP.map(lambda text: HEAD + text)))
def test_marks_vanish_from_any_text(text: str) -> None:
    for kind in counted.KINDS:
        assert strip(count(text, kind)) == text


@settings(max_examples=150, deadline=None)
@given(text=st.one_of(st.text(), SOUP.map(lambda text: HEAD + text)))
def test_round_trip_of_any_unicode(tokenizer: CountedTokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.counted_text(ids) == count(text, tokenizer.kind)
    assert max(ids, default=0) < tokenizer.n_tokens <= tokenizer.vocab_size


def test_round_trip_of_tunes(tokenizer: CountedTokenizer, canonical: list[str], raw_pieces: list[str]) -> None:
    texts = canonical[::5] + raw_pieces[::7]
    assert [tokenizer.decode(ids) for ids in tokenizer.encode_many(texts)] == texts


def test_a_tune_is_words_without_loose_bytes() -> None:
    made = tokens.build(counted.KIND, counted.VOCAB_SIZE, lines=["R:jig\n"])
    assert isinstance(made, CountedTokenizer)
    ids = made.encode(f"R:jig\n{HEAD}d|G2AB3|g5:|\n")
    assert [made.counted_text([id]) for id in ids] == [
        *("R:jig\n", "M:6/8\n", "L:1/8\n", "K:G\n", "@S1;", "@B2;@D1;", "d", "@0;", "|@B2;@D1;"),
        *("G", "2@4;", "A", "@3;", "B", "3@0;", "|@B1;@D1;", "g", "5", "@1;", ":|", "\n"),
    ]


def test_files_and_the_library_read_the_same(tokenizer: CountedTokenizer, canonical: list[str], tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer.save(tmp_path)
    loaded, texts = tokens.load(tmp_path), canonical[:50]
    assert isinstance(loaded, CountedTokenizer)
    assert (loaded.digest, loaded.kind) == (tokenizer.digest, tokenizer.kind)
    assert loaded.encode_many(texts) == tokenizer.encode_many(texts)
    library = AutoTokenizer.from_pretrained(tmp_path)  # knows no marks: it is given counted text
    found = library([count(text, tokenizer.kind) for text in texts])["input_ids"]
    assert found == [[tokens.BOS, *ids] for ids in tokenizer.encode_many(texts)]
