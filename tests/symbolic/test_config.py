"""Configurations: read strictly, refused with file, line, key and mend, equal conditions checked."""

import argparse
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from symbolic import config
from symbolic.errors import UsageError
from symbolic.models import sizes

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
PAIRED = ("gpt2", "mamba", "mamba2", "lstm")  # families that are compared at equal conditions
DEBUG = (CONFIGS / "gpt2-debug.yaml").read_text()


def line_of(text: str, start: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if line.strip().startswith(start))


def refused(text: str, *overrides: config.Override) -> str:
    with pytest.raises(UsageError) as caught:
        config.parse(text, overrides, source="x.yaml")
    assert caught.value.status == 2
    return str(caught.value)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_files_load_and_survive_a_dump(path: Path) -> None:
    loaded = config.load(path)
    assert loaded.name == path.stem
    assert config.parse(config.dump(loaded)) == loaded
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize(
    "pattern",
    [
        *("*-6m.yaml", "*-60m.yaml", "*-1m.yaml", "*-debug.yaml", "*-6m-folk.yaml", "*-6m-counted.yaml"),
        "quickstart-*.yaml",
    ],
)
def test_paired_files_differ_in_name_and_model_only(pattern: str) -> None:
    found = [config.load(path) for path in sorted(CONFIGS.glob(pattern))]
    check_paired([one for one in found if one.model.family in PAIRED])


def check_paired(found: list[config.Config]) -> None:
    """Two or more files of the faithful families, alike but for name and model."""
    assert len(found) > 1 and {one.model.family for one in found} <= set(PAIRED)
    for other in found[1:]:
        changed = config.differences(found[0], other)
        assert changed and all(key == "name" or key.startswith("model.") for key in changed)


@pytest.mark.parametrize("size", ["1m", "6m"])
def test_the_pairs_take_in_no_other_family(size: str) -> None:
    one = config.load(CONFIGS / f"gpt2-{size}.yaml")
    for family in set(config.FAMILIES) - set(PAIRED):
        other = config.load(CONFIGS / f"{family}-{size}.yaml")
        with pytest.raises(AssertionError):
            check_paired([one, other])
    modern, hybrid = (config.load(CONFIGS / f"{family}-{size}.yaml") for family in ("gpt2-modern", "mamba2-hybrid"))
    assert modern.train.optimizer == "muon" and "train.optimizer" in config.differences(one, modern)
    assert all(key == "name" or key.startswith("model.") for key in config.differences(one, hybrid))


def test_full_runs_see_the_tokens_their_headers_say() -> None:
    for path in CONFIGS.glob("*-6*m.yaml"):
        loaded = config.load(path)
        t = loaded.train
        assert (t.steps, t.batch_size * t.accumulation * loaded.data.context) == (100_000, 8192)
        assert "819.2 million" in path.read_text()


def test_headers_state_the_parameters_the_shape_has() -> None:
    for path in CONFIGS.glob("*.yaml"):
        assert f"{sizes.parameters(config.load(path).model):,} parameters" in path.read_text().splitlines()[0]


def test_family_chooses_the_model_class() -> None:
    kinds = {family: type(config.load(CONFIGS / f"{family}-6m.yaml").model) for family in config.FAMILIES}
    assert kinds == config.FAMILIES


def test_dt_rank_null_is_a_sixteenth_of_the_width() -> None:
    assert config.MambaConfig(n_layer=1, d_model=40).dt_rank == 3
    assert config.MambaConfig(n_layer=1, d_model=40, dt_rank=7).dt_rank == 7


@pytest.mark.parametrize(
    ("before", "after", "key", "says"),
    [
        ("  steps: 60", "  stpes: 60", "train.stpes", "did you mean 'steps'?"),
        ("  steps: 60", "  steps: sixty", "train.steps", "a whole number, found `sixty`"),
        ("  steps: 60", "  steps: 6e1", "train.steps", "Write 60."),
        ("  steps: 60", "  steps: 60.0", "train.steps", "a whole number"),
        ("  steps: 60", "  steps: '60'", "train.steps", "quotes away"),
        ("  steps: 60", "  steps: 1:30", "train.steps", "YAML reads it as 90"),
        ("  steps: 60", "  steps: 0100", "train.steps", "write 100"),
        ("  steps: 60", "  steps: 0", "train.steps", "out of range: give a value at least 1"),
        ("  steps: 60", "  steps: [60]", "train.steps", "found a list"),
        ("  steps: 60", "  steps: 60\n  steps: 61", "train.steps", "given twice"),
        ("compile: false", "compile: no", "compile", "YAML reads it as false: write false"),
        ("compile: false", "compile: 0", "compile", "expected true or false"),
        ("  learning_rate: 2e-3", "  learning_rate: 1:30", "train.learning_rate", "write 90"),
        ("  learning_rate: 2e-3", "  learning_rate: .nan", "train.learning_rate", "expected a number"),
        ("  learning_rate: 2e-3", "  learning_rate: 2", "train.learning_rate", "from 1e-08 to 1.0"),
        ("name: gpt2-debug", "name: no", "name", 'write "no" in quotes'),
        ("name: gpt2-debug", "name: ../up", "name", "letters, digits"),
        ("  family: gpt2", "  family: gtp2", "model.family", "not one of gpt2, mamba, mamba2"),
        ("  kind: grammar", "  kind: words", "tokenizer.kind", "not one of characters, grammar, counted"),
        ("  n_head: 2", "  n_head: 3", "model.n_head", "does not divide model.n_embd 64"),
        ("  n_head: 2", "  n_haed: 2", "model.n_haed", "did you mean 'n_head'?"),
        ("  context: 256", "  context: 512", "data.context", "more than model.n_positions 256"),
        ("  transpose_low: -5", "  transpose_low: 7", "data.transpose_low", "swap them"),
        ("  warmup_steps: 10", "  warmup_steps: 61", "train.warmup_steps", "more than train.steps 60"),
    ],
)
def test_errors_name_the_line_the_key_and_the_mend(before: str, after: str, key: str, says: str) -> None:
    assert before in DEBUG
    text = DEBUG.replace(before, after, 1)
    message = refused(text)
    line = line_of(text, after.splitlines()[-1].strip())
    assert message.startswith(f"x.yaml:{line}: {key}: ")
    assert says in message


def test_a_missing_key_is_named_at_its_mapping() -> None:
    message = refused(DEBUG.replace("  steps: 60\n", ""))
    assert "'train.steps' is missing" in message
    assert message.startswith(f"x.yaml:{line_of(DEBUG, 'train:')}:")


def test_text_that_is_no_yaml_mapping_is_refused() -> None:
    assert refused("name: [").startswith("x.yaml:1: not valid YAML")
    assert "expected `key: value` lines" in refused("just words")
    assert "expected `key: value` lines" in refused("")
    assert "expected a mapping of keys, found `3`" in refused("train: 3\nname: a")


def test_exponents_are_numbers_where_numbers_are_wanted() -> None:
    loaded = config.parse(DEBUG.replace("learning_rate: 2e-3", "learning_rate: 3e-4"))
    assert loaded.train.learning_rate == 3e-4


def test_an_absent_file_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "gpt2-6m.yaml").write_text(DEBUG)
    with pytest.raises(UsageError, match=r"Did you mean .*gpt2-6m\.yaml\?"):
        config.load(tmp_path / "gtp2-6m.yaml")


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"x\.yaml is not a text file") as caught:
        config.load(tmp_path / "x.yaml")
    assert "Did you mean" not in str(caught.value)
    (tmp_path / "y.yaml").mkdir()
    with pytest.raises(UsageError, match=r"cannot read the configuration .*y\.yaml: .* Did you mean .*x\.yaml"):
        config.load(tmp_path / "y.yaml")


def test_overrides_replace_and_add_keys() -> None:
    loaded = config.parse(DEBUG, [("train.steps", "100"), ("train.learning_rate", "3e-4"), ("compile", "true")])
    assert (loaded.train.steps, loaded.train.learning_rate, loaded.compile) == (100, 3e-4, True)
    without = DEBUG.replace("  eps: 1e-8\n", "")
    assert config.parse(without, [("train.eps", "1e-6")]).train.eps == 1e-6


def test_bad_overrides_are_named_as_typed() -> None:
    assert "did you mean 'train.steps'?" in refused(DEBUG, ("train.stpes", "3"))
    assert refused(DEBUG, ("train.steps", "many")) == "--train.steps: expected a whole number, found `many`."
    assert refused(DEBUG, ("train.steps", "0")).startswith("--train.steps: 0 is out of range")
    assert refused(DEBUG, ("model.family", "rnn")).startswith("--model.family: `rnn` is not one of")
    assert "not a single value" in refused(DEBUG, ("train.steps", "[1, 2]"))
    assert "not a single value" in refused(DEBUG, ("name", ""))


def test_a_check_that_an_override_breaks_is_blamed_on_it() -> None:
    line = line_of(DEBUG, "warmup_steps")
    expected = f"--train.steps: train.warmup_steps (x.yaml:{line}) is more than train.steps 5: lower it."
    assert refused(DEBUG, ("train.steps", "5")) == expected
    both = refused(DEBUG, ("train.steps", "5"), ("train.warmup_steps", "6"))
    assert both == "--train.warmup_steps: is more than train.steps 5: lower it."


def test_the_command_line_takes_both_spellings() -> None:
    parser = argparse.ArgumentParser()
    config.add_overrides(parser)
    args = parser.parse_args(["--train.steps", "5", "--seed=7", "--model.d_state", "32"])
    assert config.overrides_of(args) == [("model.d_state", "32"), ("train.steps", "5"), ("seed", "7")]


def test_configurations_made_in_python_are_checked_too() -> None:
    loaded = config.parse(DEBUG)
    config.check(loaded)
    with pytest.raises(UsageError, match=r"train\.steps"):
        config.check(dataclasses.replace(loaded, train=dataclasses.replace(loaded.train, steps=0, warmup_steps=0)))


def test_a_vocabulary_too_large_for_the_model_is_refused() -> None:
    assert "tokenizer.vocab_size" in refused(DEBUG, ("tokenizer.vocab_size", "1024"))


def test_mamba2_heads_must_fill_the_width() -> None:
    text = (CONFIGS / "mamba2-6m.yaml").read_text()
    assert "model.head_dim: does not divide expand * d_model 768" in refused(text, ("model.head_dim", "100"))
    assert "model.n_groups" in refused(text, ("model.n_groups", "5"))


def test_shapes_of_the_modern_gpt2_and_optimisers_must_fit() -> None:
    text = (CONFIGS / "gpt2-modern-1m.yaml").read_text()
    assert "heads of 15 channels; rotation needs an even number" in refused(text, ("model.n_head", "8"))
    assert "does not divide model.n_embd 120" in refused(text, ("model.n_head", "7"))
    assert "more than model.n_positions 128" in refused(text, ("model.n_positions", "128"))
    assert "muon needs whole matrices, and sharding is full" in refused(text, ("sharding", "full"))
    assert "not one of adamw, muon" in refused(text, ("train.optimizer", "adam"))


def test_the_digest_is_of_every_value() -> None:
    assert config.digest(config.parse(DEBUG)) == config.digest(config.parse(DEBUG))
    assert config.digest(config.parse(DEBUG)) != config.digest(config.parse(DEBUG, [("seed", "1")]))


def test_reading_a_configuration_needs_no_torch() -> None:
    path = str(CONFIGS / "gpt2-6m.yaml")
    code = f"import sys; from symbolic import config; config.load({path!r}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CONFIGS.parent, check=True)
    assert done.stdout.strip() == "False"


def test_every_key_has_a_line_of_help() -> None:
    lines = config.described_keys()
    assert [key for key, text in lines.items() if not text or text.startswith("(")] == []
    assert lines["train.steps"] == "optimiser updates of the run (at least 1)"
    assert lines["model.d_state"] == "numbers of state in each channel (at least 1; default 16; default 64)"
    assert lines["compile"].endswith("(true, false; default false)")


def test_shipped_files_name_their_sources() -> None:
    assert all(config.load(path).data.sources for path in CONFIGS.glob("*.yaml"))
