"""Voices that stand bar by bar: what is right is read, what leaves them apart is not, and drawing never gets stuck."""

import random

import numpy as np
import pytest
import torch

from symbolic import tokens
from symbolic.decode.constraint.voice_mask import VoiceMask, Voices, drop_partial_bar
from symbolic.decode.engine import engine
from symbolic.errors import UserError
from symbolic.evaluate.metrics import voice_alignment as measured
from symbolic.notation import abc_parser
from symbolic.notation.canonical import interleaved

HEADER = "M:4/4\nL:1/8\nK:G\nV:1 clef=treble\nV:2 clef=bass\n"
DUET = (
    HEADER + "V:1\nG2|\nV:2\nG,B,|\n"
    "V:1\nB4d4-|\nV:2\nG,2(A,2B,2)C2|\n"
    "V:1\nd2c2B2A2|\nV:2\nz8|\n"
    "V:1\nGABcd2B2|\nV:2\nG,8|\n"
    "V:1\nG6|]\nV:2\n[G,D]6|]\n"
)
RULES = Voices()


def test_a_duet_with_a_pick_up_is_read() -> None:
    assert RULES.accepts(DUET)
    score = abc_parser.parse(DUET)
    assert interleaved(score) == DUET
    assert measured.bars_that_differ(score) == (5, 0)


@pytest.mark.parametrize(("right", "wrong"), [
    ("G,B,|", "G,B,C|"),  # longer than the first voice's pick-up
    ("G,B,|", "G,|"),  # shorter
    ("[G,D]6|]", "[G,D]6|"),  # another bar line
    ("[G,D]6|]", "[G,D]4|]"),
    ("V:2\nz8|\n", ""),  # a voice is left out
    ("V:2\nz8|\n", "V:1\nz8|\n"),
    ("B4d4-|", "B4d6|"),  # the meter has no room
    ("d2c2B2A2|\nV:2", "c2c2B2A2|\nV:2"),  # what was tied does not come
    ("[G,D]6|]", "[G,D]6-|]"),  # a tie that nothing follows
    ("(A,2B,2)C2|\n", "(A,2B,2)C2|[K:D]\n"),
    ("V:1 clef=treble\n", "V:3 clef=treble\n"),
    ("V:1 clef=treble\n", "V:1 clef=vocal\n"),
    ("d2c2B2A2|", "(7:4:7dcBABcd|"),  # fills half a bar
])  # fmt: skip
def test_what_is_not_right_is_refused(right: str, wrong: str) -> None:
    assert right in DUET
    assert not RULES.accepts(DUET.replace(right, wrong))


def test_a_tuplet_may_have_a_ratio() -> None:
    assert RULES.accepts(DUET.replace("d2c2B2A2|", "(7:8:7dcBABcd|"))


def test_a_tune_does_not_end_before_its_voices_do() -> None:
    whole = DUET.rstrip("\n").split("\nV:2\n[G,D]")[0] + "\n"
    parts = RULES.read(whole)
    assert parts is not None and not parts.may_end
    last = RULES.read(whole + "V:2\n[G,D]6|]\n")
    assert last is not None and last.may_end


def test_the_number_of_voices_can_be_asked_for() -> None:
    assert Voices(n_voices=2).accepts(DUET)
    assert Voices(n_voices=3).read(HEADER + "V:1\n") is None


def test_what_is_cut_is_whole_up_to_a_bar_of_all_voices() -> None:
    cut = DUET[: DUET.index("G,8|")]
    assert DUET.startswith(drop_partial_bar(cut)) and drop_partial_bar(cut).endswith("V:2\nz8|\n")
    assert drop_partial_bar(HEADER + "V:1\nG2|\nV:2\nG,") == ""


@pytest.mark.parametrize("seed", range(6))
def test_drawing_at_random_never_gets_stuck_and_stays_together(seed: int) -> None:
    """Every character is drawn among those that may come; whatever stands after a last bar reads back aligned."""
    draw, rules = random.Random(seed), Voices()
    alphabet = sorted(set("".join(chr(n) for n in range(32, 127))) | {"\n"})
    parts = rules.read(HEADER)
    assert parts is not None
    text, whole = HEADER, ""
    for _ in range(600):
        found = [(c, after) for c in alphabet if (after := rules.step(parts, c)) is not None]
        if not found:
            assert parts.may_end, f"stuck after {text[-60:]!r}"
            break
        character, parts = draw.choice(found)
        text += character
        if parts.voice == 0 and parts.text == "":
            whole = text
    score = abc_parser.parse(whole)
    assert measured.bars_that_differ(score)[1] == 0 < measured.bars_that_differ(score)[0]


def test_the_engine_draws_under_the_mask() -> None:
    """An untrained model: under the mask every whole bar is aligned, and the judge and the mask agree."""
    from symbolic import models
    from symbolic.config import GPT2Config

    torch.manual_seed(0)
    tokenizer = tokens.build("grammar")
    model = models.build(GPT2Config(n_layer=1, n_embd=32, n_head=2, n_positions=256)).eval()
    mask = VoiceMask(tokenizer, vocab_size=model.config.vocab_size)
    prompt = [tokenizer.bos, *tokenizer.encode(HEADER)]
    drawn = engine.generate(
        model, [prompt] * 3, max_new_tokens=120, n_tokens=tokenizer.n_tokens, eos=tokenizer.eos, mask=mask, seed=3
    )
    for one in drawn:
        text = HEADER + tokenizer.decode(one.tokens)
        assert RULES.read(text) is not None
        mask.start(0, prompt)
        for token in one.tokens[:60]:
            allowed = mask.allowed(0)
            assert bool(allowed[token]) and np.array_equal(allowed, mask._mask(mask.rows[0]))
            mask.advance(0, token)
    with pytest.raises(UserError, match="begins with"):
        mask.start(0, [tokenizer.bos, *tokenizer.encode("M:4/4\nL:1/8\nK:G\nGABc|\n")])
