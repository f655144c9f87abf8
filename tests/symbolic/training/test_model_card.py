"""The card says what its run's records say, of a run in progress as well, and text of others stays text."""

from pathlib import Path
from typing import Any

import pytest

from symbolic import config as configuration
from symbolic import files, runs
from symbolic.training import model_card

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
RECORD: dict[str, Any] = {
    "parameters": 165_632,
    "machine": {"cpu": "a processor", "torch": "2.13.0", "commit": "abc1"},
    "terms": [{"title": "Airs | of <b>Aird</b>", "terms": "The tunes are in the public domain.", "n_tunes": 1180}],
    "device": "cpu",
    "dtype": "float32",
    "config_digest": "0123456789abcdef0123",
}


def card(folder: Path, name: str = "gpt2-debug", *changes: tuple[str, str], **record: Any) -> str:
    config = configuration.load(CONFIGS / f"{name}.yaml", changes)
    files.write_whole(runs.config_file(folder), configuration.dump(config))
    files.write_json(runs.run_file(folder), {**RECORD, **record})
    rows: list[dict[str, Any]] = [{"kind": "train", "step": 1, "loss": 5.0}]
    for step, value in ((20, 3.25), (40, 2.5), (60, 2.75)):
        rows.append({"kind": "speed", "step": step, "seconds": 2.0 * step})
        rows.append({"kind": "validation", "step": step, "bits_per_byte": value})
    files.write_jsonl(runs.metrics_file(folder), rows)
    model_card.write(folder)
    return runs.card_file(folder).read_text(encoding="utf-8")


def test_it_says_what_the_run_is_learnt_from_and_how_well(tmp_path: Path) -> None:
    text = card(tmp_path, summary={"steps": 60})
    assert "A language model of ABC notation (grammar tokens): GPT-2, 165,632 parameters." in text
    assert "The tunes are in the public domain. 1,180 tunes." in text
    assert "60 steps of 4 rows of 256 tokens: 61,440 tokens" in text
    assert "adamw, learning rate 0.002" in text and "seed 0, cpu, float32" in text
    assert "a processor" in text and "torch 2.13.0, commit abc1" in text and "`0123456789abcdef`" in text
    assert "| best | 40 | 2.5000 | 1:20 |" in text and "| last | 60 | 2.7500 | 2:00 |" in text
    assert f"symbolic generate {tmp_path}" in text and "GPT2LMHeadModel.from_pretrained" in text
    assert text.startswith("---\nlibrary_name: transformers\ntags: [music, abc-notation, gpt2]\n---")
    assert "In progress" not in text


def test_titles_of_others_are_no_mark_up(tmp_path: Path) -> None:
    text = card(tmp_path, summary={"steps": 60})
    assert "Airs \\| of &lt;b>Aird&lt;/b>" in text


def test_a_run_in_progress_and_one_that_began_with_another_say_so(tmp_path: Path) -> None:
    text = card(tmp_path, start={"model": "gpt2-6m", "step": 6000})
    assert "**In progress**: 60 of 60 steps." in text and "It began with the weights of gpt2-6m." in text
    changes = (("start", "gpt2-6m"), ("train.lora_rank", "8"))
    text = card(tmp_path, "gpt2-debug", *changes, start={"model": "gpt2-6m"})
    assert "It began with the weights of gpt2-6m, by LoRA of rank 8." in text


@pytest.mark.parametrize("name", ["gpt2-modern-1m", "mamba2-hybrid-1m", "lstm-1m"])
def test_families_of_ours_are_said_to_load_here_alone(tmp_path: Path, name: str) -> None:
    text = card(tmp_path, name)
    assert "has no class of this family" in text and "from_pretrained" not in text and "library_name" not in text
    assert ("muon, learning rate 0.003, of Muon 0.02" in text) == (name == "gpt2-modern-1m")


def test_every_family_has_a_name() -> None:
    assert set(model_card.FAMILY_NAMES) == set(configuration.FAMILIES)


def test_without_an_evaluation_or_terms_it_says_so(tmp_path: Path) -> None:
    card(tmp_path)
    files.write_jsonl(runs.metrics_file(tmp_path), [])
    files.write_json(runs.run_file(tmp_path), {})
    model_card.write(tmp_path)
    text = runs.card_file(tmp_path).read_text(encoding="utf-8")
    assert "Not evaluated yet." in text and "Terms of the data are not recorded" in text
