"""Tunes that every tokenizer must survive: real ones as found and canonical, and hand-made hard ones."""

import random
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from symbolic import tokens
from symbolic.tokens.tokenizer import Tokenizer

COLLECTIONS = ("airdsAirs", "oneills1850", "ryansMammoth")

HARD = {
    "pick-up": "M:6/8\nL:1/8\nK:Em\nB|E3/2G/2EGEG|B3B2|]\n",
    "tuplets": "M:2/4\nL:1/8\nK:D\n(3ABC(3:2:4A/2B/2cd|(5:4:5ABcde(9:2:9ABcdefgab|(7:3:12abcabcabcabc|]\n",
    "chords": "M:4/4\nL:1/8\nK:C\n[CEG]2[C,^F_Bc']3/2[ce]/2-[ce]4|]\n",
    "endings": "M:4/4\nL:1/8\nK:Ador\n|:A8|1B8:|2c8||[3d8|1,3e8:|]\n",
    "inline fields": "M:4/4\nL:1/8\nK:F#m\nf8|[M:9/8][K:C#m]c9|[K:Dbloc]d9|[K:Gmix]\n",
    "graces": "M:3/4\nL:1/8\nK:Bb\n{ab}c2{/d}e2{^f'g'}f2|]\n",
    "broken rhythm": "X: 1\nT:Strathspey\nM: C|\nL: 1/8\nK: A\nA>B c<d e>>f|g<<<a B> c :|\n",
    "decorations": "M:4/4\nL:1/8\nK:G\n.A~BHcLdMeOfPgSa|TbuAvB!trill!c!fermata!d!<(!e!<)!f!D.C.!g|]\n",
    "voices": "M:4/4\nL:1/8\nK:G\nV:1 clef=treble\nV:2 clef=bass\nV:1\nG8|]\nV:2\nG,,8|]\n",
    "lyrics": 'X:1\nT:Song\nM:3/4\nK:C\n"Am"c2 "F#m7b5/C"d2 e2|\nw: la-la * na~na_ |\nW: O <eos> come!\n',
    "non-ASCII": "X:1\nT:Ó’Súilleabháin – Für Élise 音楽 🎻\nC:Dvořák\nK:C\nC8|]\n",
    "line ends": "X:1\r\nK:C\r\nC D\\\r\nE F|\r\n% a comment | with :: bars\r\n\r\n",
    "no line end": "K:D",
    "short music line": "K:C\nA:|\nB::\n",
    "odd bars": "K:C\n[|A:||:B:|:c|::d::e|||f[|]g|]:[1a|[2b.|\n",
}


@cache
def raw_files() -> list[str]:
    corpus = Path(find_spec("music21").submodule_search_locations[0]) / "corpus"
    paths = sorted(path for name in COLLECTIONS for path in (corpus / name).glob("*.abc"))
    return [path.read_bytes().decode("latin-1") for path in paths]


@pytest.fixture(scope="session")
def raw_pieces() -> list[str]:
    """Real ABC text as found, file by file (Ryan has one tune a file)."""
    files = raw_files()
    return files[:60:3] + files[60::30]


@pytest.fixture(scope="session")
def canonical(real_tunes: list[str]) -> list[str]:
    """A quarter of the tunes of the bundled collections in canonical spelling, drawn."""
    return random.Random(1).sample(real_tunes, len(real_tunes) // 4)


@pytest.fixture(scope="session")
def learnt_pairs(canonical: list[str]) -> Tokenizer:
    """Byte pairs of those tunes."""
    return tokens.build("bytepair", 768, canonical)


@pytest.fixture(params=list(HARD), ids=lambda name: name.replace(" ", "-"))
def hard_tune(request: pytest.FixtureRequest) -> str:
    return HARD[request.param]


@pytest.fixture(scope="session")
def hard_tunes() -> list[str]:
    return list(HARD.values())
