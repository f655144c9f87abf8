"""Work on a tune that is brought: its other bars come back byte for byte, whoever writes the new ones."""

import re
from pathlib import Path

import pytest
import torch

from symbolic import models, tokens
from symbolic.__main__ import VERBS
from symbolic.command_line import main
from symbolic.config import GPT2Config, Mamba2Config, ModelConfig
from symbolic.data import augmentation
from symbolic.decode.editing import edit, infilling
from symbolic.decode.engine.sampling import Sampling
from symbolic.decode.loaded_model import LoadedModel
from symbolic.errors import UserError
from symbolic.notation import abc_parser, control_codes, validity
from symbolic.notation.score import bars
from symbolic.training import checkpoint
from symbolic.training.checkpoint import Origin, TrainingProgress

GPT2 = GPT2Config(n_layer=2, n_embd=32, n_head=2, n_positions=512, vocab_size=896)
MAMBA2 = Mamba2Config(n_layer=1, d_model=32, d_state=8, head_dim=16, vocab_size=896)
CODED = tokens.build("grammar", 896, lines=[*control_codes.words(), augmentation.FILL])
JIG = "M:6/8\nL:1/8\nK:G\n|:GABd2B|c2AAFD|GABd2e|d2Bc2A|A2BdBG|FGAc2e|dcBAGF|G3G3:|\n"
# Slurs and a tie across bar lines, graces, a tuplet, a chord, an ending, a change of key.
HARD = "M:6/8\nL:1/8\nK:G\nD|GAB(d2B|c2)A(AFD|G)ABd2e|d2Bc2A-|A2B[dg]BG|(3gfed2(.c~B|1{a}A3)D3:|2[K:D]dcBAGF||G3-G2|]\n"
FILE = (
    "X:4\nT:Other\nM:3/4\nK:C\nC2D2E2|\nX:7\nT:Mine % not this\nC:Trad.\nM:6/8\nL:1/8\nK:G\n"
    + JIG.splitlines()[3]
    + "\n"
)


def source_of(shape: ModelConfig, kind: str = "grammar", infill: bool = True) -> LoadedModel:
    torch.manual_seed(0)
    tokenizer = CODED if kind == "grammar" else tokens.build(kind, 896, [JIG, HARD] * 4)
    return LoadedModel(Path(), "untrained", [], models.build(shape).eval(), tokenizer, infill=infill)


def fill(
    source: LoadedModel, text: str, chosen: list[int], constrain: bool, n: int = 2, seed: int = 0
) -> list[infilling.Filled]:
    made, n_drawn = infilling.fill(
        source, text, chosen, n=n, constrain=constrain, sampling=Sampling(), seed=seed, batch_size=8,
        eos=source.tokenizer.eos, n_tokens=source.tokenizer.n_tokens,
    )  # fmt: skip
    assert len(made) == n and n_drawn >= n * len(chosen)
    return made


def other_bars(text: str, chosen: list[int]) -> str:
    """The text with a sign in place of the chosen bars."""
    return augmentation.taken_out(text, chosen)[0]


def lengths(text: str) -> list[int]:
    score = abc_parser.parse(text)
    return [measure.ticks for measure in bars(score.voices[0], score.meter)]


@pytest.mark.parametrize("shape", [GPT2, MAMBA2], ids=["gpt2", "mamba2"])
@pytest.mark.parametrize("kind", ["grammar", "characters", "bytepair"])
def test_constrained_bars_are_full_and_the_others_untouched(shape: ModelConfig, kind: str) -> None:
    source = source_of(shape, kind)
    for text, chosen in ((JIG, [0, 4, 5]), (HARD, [1, 2]), (HARD, [0, 5, 6, 9])):
        for tune in fill(source, text, chosen, constrain=True):
            assert tune.fault == ""
            assert other_bars(tune.text, chosen) == other_bars(text, chosen)
            assert abc_parser.canonical(abc_parser.parse(tune.text)) == tune.text
            assert lengths(tune.text) == lengths(text)


def test_real_tunes_keep_their_other_bars(real_tunes: list[str]) -> None:
    """With the mask always; without it wherever an untrained model happens to write music at all."""
    source = source_of(MAMBA2)
    n_right = n_free = 0
    for seed, text in enumerate(real_tunes[5::420]):
        right = validity.check(text).is_right
        n_bars = len(augmentation.bars(control_codes.music_of(text)))
        chosen = list(range(seed % 3, n_bars, 5))
        try:
            constrained = fill(source, text, chosen, constrain=True, n=1, seed=seed)[0]
        except UserError as error:
            assert re.search("tuplet|key or metre", str(error))
            continue
        assert constrained.fault == "" and other_bars(constrained.text, chosen) == other_bars(text, chosen)
        assert validity.check(constrained.text).is_right >= right
        n_right += right
        free = fill(source, text, chosen, constrain=False, n=1, seed=seed)[0]
        if not free.fault:
            n_free += 1
            assert other_bars(abc_parser.canonical(abc_parser.parse(free.text)), chosen) == other_bars(text, chosen)
    assert n_right > 5


def test_what_crosses_a_bar_stays_whole() -> None:
    found = infilling.holes(HARD, [2, 5, 7])
    assert [(hole.n_closed, hole.n_opened, hole.opening) for hole in found] == [(1, 1, ""), (0, 0, "A"), (1, 0, "")]
    assert infilling._mended("GABAB", found[0]) == "G)ABA(B"
    assert infilling._mended("D6", found[0]) == "(D6)"
    assert infilling._mended("[CE]2-{a}.~B4", found[0]) == "[CE]2-)({a}.~B4"
    for broken in ("", "AB|c", '"', "(3AB", "[CE"):
        assert infilling._mended(broken, found[0]) == ""


def test_bars_that_cannot_be_taken_out_are_named() -> None:
    with pytest.raises(UserError, match=r"bar 1 \(AB\[K:D\]cd\) changes key"):
        infilling.holes("M:2/4\nL:1/8\nK:G\nAB[K:D]cd|ABcd|]\n", [0])
    with pytest.raises(UserError, match="shares a tuplet"):
        infilling.holes("M:2/4\nL:1/8\nK:G\nABc(3A|BcABc|]\n", [1])


def test_a_model_that_knows_both_sides_fills_by_them() -> None:
    """Taught two tunes that differ after the hole only, a model can fill it right only if it reads what follows."""
    tunes = [JIG.replace("dcBAGF", after) for after in ("dcBAGF", "AGFDEF")]
    answers = ["A2BdBG", "E2FGFE"]
    taught = [tune.replace("A2BdBG", answer) for tune, answer in zip(tunes, answers, strict=True)]
    source = source_of(GPT2)
    learn(source.model, [augmentation.arrange(text, [4]) for text in taught])
    for text, answer in zip(taught, answers, strict=True):
        made = fill(source, text.replace(answer, "z6"), [4], constrain=False, n=1)[0]
        assert (made.bodies, made.fault, made.text) == ((answer,), "", text)


def learn(model: torch.nn.Module, texts: list[str]) -> None:
    ids = [[1, *CODED.encode(text), 2] for text in texts]
    rows = torch.tensor([row + [0] * (max(map(len, ids)) - len(row)) for row in ids])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    sign = CODED.encode(augmentation.ANSWER)[0]
    answer = torch.tensor([[place >= row.index(sign) for place in range(rows.shape[1])] for row in ids])
    for _ in range(400):
        logits = model(rows[:, :-1])
        losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), rows[:, 1:], reduction="none")
        if (
            losses[answer[:, 1:] & (rows[:, 1:] > 0)].max() < 0.005
        ):  # drawing at temperature 1 must not miss, on any processor
            break
        loss = losses[rows[:, 1:] > 0].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    else:
        raise AssertionError("not learnt")
    model.eval()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model whose record says that it knows codes and filling in."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("coded") / "best"
    origin = Origin("c" * 64, CODED.digest, [], {"name": "tiny", "data": {"control": "codes", "infill": 0.5}})
    checkpoint.save(folder, models.build(MAMBA2), CODED, TrainingProgress(1), origin)
    return folder


@pytest.fixture
def tune(tmp_path: Path) -> Path:
    path = tmp_path / "mine.abc"
    path.write_text(FILE, encoding="utf-8")
    return path


def call(*arguments: object) -> int:
    return main("symbolic", VERBS, ["generate", *map(str, arguments)])


def written(path: Path) -> list[str]:
    return [abc_parser.canonical(abc_parser.parse(raw.text)) for raw in abc_parser.split_tunes(path.read_text())]


def test_fill_by_the_verb(model: Path, tune: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.abc"
    asked = ["--tune", tune, "--number", 7, "--fill", "2-3,8", "--constrain", "-n", 3, "-o", out]
    assert call(model, *asked) == 0
    assert "% tune" in out.read_text() and "bars 2-3,8 filled" in out.read_text() and "C:Trad." in out.read_text()
    made = written(out)
    assert len(made) == 3 and all(other_bars(text, [1, 2, 7]) == other_bars(JIG, [1, 2, 7]) for text in made)
    before = out.read_text()
    assert call(model, *asked) == 0 and out.read_text() == before


def test_vary_chooses_a_share_of_bars(model: Path, tune: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.abc"
    assert call(model, "--tune", tune, "--number", 7, "--vary", "0.25", "--constrain", "-n", 4, "-o", out) == 0
    changes = [edit.changed_bars(JIG, text) for text in written(out)]
    assert all(len(places) <= 2 for places in changes) and len({tuple(places) for places in changes}) > 1
    assert all(other_bars(text, list(at)) == other_bars(JIG, list(at)) for text, at in zip(written(out), changes))


@pytest.mark.parametrize("n_bars", [[], [3]])
def test_continue_keeps_what_stands(model: Path, tune: Path, tmp_path: Path, n_bars: list[int]) -> None:
    out = tmp_path / "out.abc"
    arguments = ["--number", 7, "--continue", *n_bars, "--constrain", "-n", 2, "-o", out, "--max-tokens", 200]
    assert call(model, "--tune", tune, *arguments) == 0
    kept = edit.kept_text(edit.read_tune(tune, 7), n_bars[0] if n_bars else 8)
    for text in written(out):
        assert text.startswith(kept) and len(text) > len(kept) + 1 and validity.check(text).is_right


@pytest.mark.parametrize(
    ("metre", "music", "message"),
    [
        ("2/4", "E|:ABcd|ABcd|ABcd|E3:|", "bar 4 holds 3/8 of 2/4"),  # tune books' notation of a pick-up
        ("4/4", "E2|:A8|A8|A8|E6:|", "bar 4 holds 6/8 of 4/4"),
        ("6/8", "ABcdef|ABcdefg|", "bar 2 holds 7/8 of 6/8"),
        ("2/4", "E|ABcd|E3|:ABcd|", "bar 3 holds 4/8 of the 1/8 that are left of 2/4"),
        ("4/4", "E2|A8|A8|A8:|c8|", "bar 3 is full, but with ':|' behind it"),
        ("2/4", "ABcd|ABc~[df]|", "bar 2, 'ABc~[df]', has '[df]'"),
        ("2/4", "ABcd|c4-|d4|", "bar 3, 'd4', has 'd4'"),
        ("none", "ABC|DEF|", "'M:none' in the tune's header"),
    ],
)
def test_what_the_rules_do_not_read_is_named(
    metre: str, music: str, message: str, tune: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    tune.write_text(f"X:1\nM:{metre}\nL:1/8\nK:C\n{music}\n", encoding="utf-8")
    assert call(model, "--tune", tune, "--continue", "--constrain") == 1
    assert message in capsys.readouterr().err


def test_a_slur_that_is_cut_off_is_closed() -> None:
    kept = edit.kept_text(edit.GivenTune(HARD, "hard"), 3)
    assert kept.endswith("K:G\nD|GAB(d2B|c2)A(AFD|")
    assert infilling.gone_on(kept, "G3G3|]\n").text == kept + "G3)G3|]\n"
    assert infilling.gone_on(kept, "G3G3)|]\n").text == kept + "G3G3)|]\n"


def test_transposing_and_harmonising_need_no_model(tune: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.abc"
    assert call("--tune", tune, "--number", 7, "--transpose", 2, "-o", out) == 0
    assert written(out) == [abc_parser.transpose(JIG, 2)]
    assert call("--tune", tune, "--number", 7, "--harmonise", "-o", out) == 0
    assert re.sub('"[^"]*"', "", written(out)[0]) == JIG and written(out)[0].count('"') > 6


def test_codes_are_asked_of_a_model_that_knows_them(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.abc"
    asked = ["--sections", 2, "--similarity", 4, "--type", "jig", "--lowest", "D", "--key", "G", "--max-tokens", 300]
    assert call(model, *asked, "--constrain", "-n", 2, "-o", out) == 0
    text = out.read_text()
    assert "% prompt R:jig I:lowest D S:2 B:? E:4 B:? K:G" in text and text.count("% form S:") == 2
    assert all(validity.check(one).is_right and "K:G\n" in one for one in written(out))
    assert call(model, "-n", 2, "--constrain", "-o", out, "--max-tokens", 200) == 0  # and nothing asked
    assert all(validity.check(one).is_right for one in written(out))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fill", "2"], "name it with --tune"),
        (["--tune", "TUNE", "--fill", "2", "--vary", "3"], "one at a time"),
        (["--tune", "TUNE"], "say what to do"),
        (["--tune", "TUNE", "--number", "7", "--fill", "2-9"], "bars 1 to 8"),
        (["--tune", "TUNE", "--number", "7", "--fill", "two"], "write them as 5, 5-8"),
        (["--tune", "TUNE", "--number", "7", "--continue", "9"], "has 8 bars"),
        (["--tune", "TUNE", "--number", "5", "--fill", "2"], "holds 2 tunes, none of them X:5"),
        (["--tune", "nowhere.abc", "--fill", "2"], "nowhere.abc is not there"),
        (["--tune", "TUNE", "--fill", "1", "--key", "G"], "brings its own beginning"),
        (["--tune", "TUNE", "--continue", "0"], "has 1 bars; 1 to 1 of them can be kept"),
        (["--tune", "TUNE", "--continue", "-1"], "1 to 1 of them"),
        (["--tune", "TUNE", "--fill", ""], "write them as 5, 5-8"),
        (["--tune", "TUNE", "--vary", "0"], "--vary 0: a share of the bars is above 0.0 and at most 1.0"),
        (["--tune", "TUNE", "--vary", "0.0"], "above 0.0 and at most 1.0"),
        (["--tune", "TUNE", "--vary", "-0.5"], "above 0.0 and at most 1.0"),
        (["--tune", "TUNE", "--vary", "1.5"], "above 0.0 and at most 1.0"),
        (["--similarity", "4"], "--sections"),
    ],
)
def test_mistakes_are_named(arguments: list[str], message: str, tune: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("gpt2-6m", *[str(tune) if one == "TUNE" else one for one in arguments]) != 0
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_nothing_asked_is_told_from_zero(tune: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.abc"
    assert call("--tune", tune, "--number", 7, "--transpose", 0, "-o", out) == 0
    assert written(out) == [JIG]


@pytest.mark.parametrize(("vary", "n", "told"), [("1.0", 8, "8 of 8"), ("0.0001", 1, "1 of 8"), ("1", 1, "bars 1")])
def test_shares_tell_how_many_bars_they_vary(tune: Path, vary: str, n: int, told: str) -> None:
    varied = edit.vary_edit(edit.read_tune(tune, 7), vary)
    assert varied.description.startswith(told) and len(varied.bars_to_write(0, 0)) == n


def test_models_without_codes_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("gpt2-6m", "--lowest", "D") == 1
    assert "gpt2-6m was not trained with control codes" in capsys.readouterr().err


def test_bars_are_counted_from_the_first_full_one(tune: Path) -> None:
    given = edit.GivenTune(HARD, "hard")
    assert given.has_pickup and edit.parse_bars("0,2-3", given) == (0, 2, 3)
    plain = edit.GivenTune(JIG, "jig")
    assert edit.parse_bars("1,8", plain) == (0, 7) and plain.n_bars == 8
    varied = edit.vary_edit(edit.read_tune(tune, 7), "0.5")
    assert len(varied.bars_to_write(0, 0)) == 4 and varied.bars_to_write(0, 0) != varied.bars_to_write(0, 1)
