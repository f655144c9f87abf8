"""A score as JSON reads back equal."""

import json
from collections import Counter

from symbolic.formats.score_json import decode, encode
from symbolic.notation import abc_parser
from symbolic.notation.score import Annotation, TempoChange, Voice

TUNE = 'X:1\nT:Ünder\nM:6/8\nL:1/8\nK:Dmix\nA|:d2f{g}a2f|(3gab[CEG]2-[CEG]z|1"Am"(d3~d2)A:|2d6|[K:G][M:2/4]g4|]\n'


def test_scores_read_back(real_tunes: list[str]) -> None:
    for text in [TUNE, *real_tunes[:: len(real_tunes) // 20]]:
        score = abc_parser.parse(text)
        assert decode(json.loads(json.dumps(encode(score)))) == score


def test_every_attribute_is_kept() -> None:
    score = abc_parser.parse(TUNE)
    score.losses = Counter({"things": 3})
    score.voices.append(Voice("2", "bass", [Annotation("^slow"), TempoChange("1/4=60")], "Cello", "Vc.", -12, 42, True))
    back = decode(json.loads(json.dumps(encode(score))))
    assert back == score and isinstance(back.losses, Counter)
