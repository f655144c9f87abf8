"""Training text rearranged: nothing is lost, nothing depends on order, signs are one token each."""

from pathlib import Path

import numpy as np
import pytest

from symbolic import config, files, tokens
from symbolic.data import augmentation, shards
from symbolic.data.augmentation import ANSWER, FILL, HIDDEN, Arrangement
from symbolic.errors import UserError
from symbolic.notation import control_codes

ROOT = Path(__file__).resolve().parents[3]
TUNE = "M:6/8\nL:1/8\nK:G\nD|:GABd2B|1c2AAFD:|2[K:D]GABd2e||d6|]\n"


def test_bars_lie_between_bar_lines() -> None:
    music = control_codes.music_of(TUNE)
    assert [music[a:b] for a, b in augmentation.bars(music)] == ["D", "GABd2B", "c2AAFD", "GABd2e", "d6"]


def test_hidden_bars_stand_at_the_end() -> None:
    framed = f"M:6/8\nL:1/8\nK:G\nD|:{HIDDEN}|1c2AAFD:|2[K:D]{HIDDEN}||d6|]\n"
    assert augmentation.arrange(TUNE, [1, 3]) == f"{FILL}{framed}{ANSWER}GABd2B{ANSWER}GABd2e"


def test_taking_out_and_putting_back_is_nothing(some_tunes: list[str]) -> None:
    generator = np.random.default_rng(0)
    for text in some_tunes:
        if "\nV:" in text:
            continue
        n_bars = len(augmentation.bars(control_codes.music_of(text)))
        hidden = augmentation.draw_hidden(n_bars, generator)
        assert len(hidden) <= n_bars // 2
        framed, bodies = augmentation.taken_out(text, hidden)
        assert framed.count(HIDDEN) == len(bodies) == len(hidden)
        assert augmentation.put_back(framed, bodies) == text


def test_an_arrangement_depends_on_seed_and_text_alone(real_tunes: list[str]) -> None:
    arrange, row = Arrangement(control="codes", infill=0.5, seed=3), {"rhythm": "reel"}
    made = [arrange(text, row) for text in real_tunes[:300]]
    assert made[::-1] == [arrange(text, row) for text in real_tunes[:300][::-1]]
    assert made != [Arrangement(control="codes", infill=0.5, seed=4)(text, row) for text in real_tunes[:300]]
    filled = sum(text.startswith(FILL) for text in made)
    coded = sum(text.startswith(("R:", "I:lowest", "S:")) for text in made)
    plain = [text for text in made if text.startswith("M:")]
    assert 110 < filled < 190 and coded > 70 and 15 < len(plain) < 80
    assert all(text in real_tunes for text in plain)


def test_codes_that_came_with_a_tune_are_taken() -> None:
    row = {"rhythm": "Slipjig", "fields": {"control code": ["S:2\nB:7\nE:3\nB:8\n"]}}
    assert augmentation.code_lines(TUNE, row)[::2] == ("R:slip jig\n", "S:2\nB:7\nE:3\nB:8\n")
    damaged = {"fields": {"control code": ["S:2\n"]}}
    assert augmentation.code_lines(TUNE, damaged)[2] == control_codes.encode(control_codes.codes_of(TUNE))


@pytest.mark.parametrize("kind", ["characters", "grammar", "bytepair"])
def test_every_vocabulary_spells_signs_and_codes(kind: str, real_tunes: list[str]) -> None:
    lines = [*control_codes.words(), FILL]
    tokenizer = tokens.build(kind, 896, real_tunes[:200], lines)
    assert [len(tokenizer.encode(sign)) for sign in (HIDDEN, ANSWER)] == [1, 1]
    for text in real_tunes[:20]:
        made = augmentation.arrange(text, [1, 2])
        assert tokenizer.decode(tokenizer.encode(made)) == made
        before, _, after = made.rpartition(ANSWER)
        assert tokenizer.encode(before) + tokenizer.encode(ANSWER) + tokenizer.encode(after) == tokenizer.encode(made)
    if kind == "grammar":
        assert all(len(tokenizer.encode(line)) == 1 for line in lines)


def test_vocabularies_without_codes_are_what_they_were() -> None:
    plain, coded = tokens.build("grammar"), tokens.build("grammar", 896, lines=control_codes.words())
    assert plain.digest == tokens.build("grammar", lines=()).digest != coded.digest
    text = TUNE * 2
    assert plain.encode(text) == coded.encode(text)
    with pytest.raises(UserError, match="grammar vocabulary holds 874 ids"):
        tokens.build("grammar", 768, lines=control_codes.words())


def test_shards_rearrange_training_tunes_only(tmp_path: Path, real_tunes: list[str]) -> None:
    for split, texts in {"train": real_tunes[:40], "valid": real_tunes[40:44], "test": real_tunes[44:48]}.items():
        files.write_jsonl(tmp_path / "tunes" / f"{split}.jsonl", [{"text": text, "rhythm": "jig"} for text in texts])
    tokenizer, arrange = tokens.build("grammar", 896, lines=control_codes.words()), Arrangement("codes", 0.5, 0)
    folder = shards.build(tmp_path, tokenizer, range(2), arrange=arrange)
    assert folder != shards.build(tmp_path, tokenizer, range(2))
    assert folder == shards.build(tmp_path, tokenizer, range(2), arrange=arrange)
    train, valid = (shards.load(folder, split, tokenizer.digest) for split in ("train", "valid"))
    texts = [tokenizer.decode(train.document(tune)) for tune in range(train.n_tunes)]
    assert texts == [arrange(text, {"rhythm": "jig"}) for text in real_tunes[:40]]
    assert [tokenizer.decode(valid.document(tune)) for tune in range(4)] == real_tunes[40:44]


def test_the_shipped_pair_differs_in_name_and_model_only() -> None:
    one, other = (config.load(path) for path in sorted((ROOT / "configs").glob("*-1m-control.yaml")))
    assert all(key == "name" or key.startswith("model.") for key in config.differences(one, other))
    assert augmentation.of(one.data, one.seed) == Arrangement("codes", 0.5, 0)
    assert len(augmentation.lines(one.data)) == len(control_codes.words()) + 1
