"""Grammar words: every note of canonical text is accidental, pitch, length, and the vocabulary covers the corpora."""

import json
import re

import pytest

from symbolic import files, tokens
from symbolic.notation import abc_parser
from symbolic.tokens import grammar
from symbolic.tokens.tokenizer import Tokenizer

MOST_FALLBACK = 0.0005  # share of ids spent on spelling unknown words in bytes; measured: 0 in all three collections


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return tokens.build("grammar")


def words(tokenizer: Tokenizer, text: str) -> list[str]:
    return [tokenizer.token_text(id) for id in tokenizer.encode(text)]


def test_words_of_a_tune(tokenizer: Tokenizer) -> None:
    text = "M:6/8\nL:1/8\nK:F#m\nB,|:^c'3/2-c'/2(3.def\"Am\"[CE]2|1{ab}z6:|2[K:D](E3_E3)|]\n"
    expected = [
        *["M:6/8\n", "L:1/8\n", "K:F#m\n", "B,", "|:", "^", "c'", "3/2", "-", "c'", "/2", "(3", ".", "d", "e", "f"],
        *['"Am"', "[", "C", "E", "]", "2", "|1", "{", "a", "b", "}", "z", "6", ":|2", "[K:D]"],
        *["(", "E", "3", "_", "E", "3", ")", "|]", "\n"],
    ]
    assert words(tokenizer, text) == expected


def test_words_of_several_voices(tokenizer: Tokenizer) -> None:
    text = "M:3/4\nL:1/8\nK:C\nV:1 clef=treble\nV:2 clef=bass\nV:1\n(5:4:5abcde|]\nV:2\nC,6|]\n"
    got = words(tokenizer, text)
    assert got[3:9] == ["V:1 clef=treble\n", "V:2 clef=bass\n", "V:1\n", "(5", ":4", ":5"]
    assert got[-5:] == ["V:2\n", "C,", "6", "|]", "\n"]


def test_every_piece_is_one_id(tokenizer: Tokenizer) -> None:
    """In its place: fields at a line start, an ending's number after its bar line."""
    listed = [word for kind in grammar.pieces().values() for word in kind]
    assert len(set(listed)) == len(listed)
    assert [word for word in listed if len(tokenizer.encode(word)) != 1] == []


def test_vocabulary_is_fixed(tokenizer: Tokenizer) -> None:
    """Trained models depend on the numbering: a change here orphans every checkpoint."""
    assert tokenizer.n_tokens == 752
    names = [tokenizer.engine.id_to_token(id) for id in range(tokenizer.n_tokens)]
    assert files.digest(json.dumps(names)) == "3b74adaa1a699818606b360aba72f57215c1cad27bbb3fbb163306bccaf5a5ee"
    assert tokenizer.encode("M:4/4\n") == [259]
    assert tokenizer.digest == grammar.build().digest


def test_keys_are_those_the_parser_accepts() -> None:
    assert len(set(grammar.key_names())) == 7 * 15
    assert all(abc_parser.parse(f"M:4/4\nL:1/8\nK:{key}\nC8|]\n").key.text == key for key in grammar.key_names())
    assert {"C", "Em", "Ador", "Dmix", "Glyd", "Bphr", "F#loc", "Cb", "A#m"} <= set(grammar.key_names())


def test_pieces_agree_with_the_parser_s_symbols(canonical: list[str]) -> None:
    """A word never straddles two symbols of `notation.lex`, and a note is [accidental] pitch [length]."""
    note = re.compile(rf"(?:{grammar.ACCIDENTAL})?(?:{grammar.PITCH})(?:{grammar.LENGTH})?")
    for text in canonical[::3]:
        line = text.splitlines()[3]
        starts = {match.start() for match in re.finditer(grammar.PATTERN, line, re.MULTILINE)}
        symbols = list(abc_parser.lex(line))
        assert {symbol.start for symbol in symbols} <= starts, line
        assert all(note.fullmatch(symbol.text) for symbol in symbols if symbol.kind == "note")


def test_words_agree_with_the_pattern(tokenizer: Tokenizer, canonical: list[str]) -> None:
    """The library's regular expressions cut as Python's do, and no canonical text lies between two matches."""
    for text in canonical[::3]:
        cut = re.findall(grammar.PATTERN, text, re.MULTILINE)
        assert "".join(cut) == text
        assert [id for word in cut for id in tokenizer.encode(word)] == tokenizer.encode(text)


@pytest.mark.parametrize("semitones", [0, -5, 6])
def test_canonical_corpus_needs_no_bytes(tokenizer: Tokenizer, canonical: list[str], semitones: int) -> None:
    texts = canonical if semitones == 0 else [abc_parser.transpose(text, semitones) for text in canonical[::3]]
    known = {word for kind in grammar.pieces().values() for word in kind}
    cut = [word for text in texts for word in re.findall(grammar.PATTERN, text, re.MULTILINE)]
    spelled = sum(len(word) for word in cut if word not in known)
    assert spelled <= MOST_FALLBACK * sum(map(len, tokenizer.encode_many(texts)))


def test_unknown_words_fall_back_to_bytes(tokenizer: Tokenizer) -> None:
    assert words(tokenizer, "C17/64") == ["C", *"17/64"]
    assert words(tokenizer, '"Dsus4"') == list('"Dsus4"')
    assert words(tokenizer, "K:Hp\n") == list("K:Hp\n")
