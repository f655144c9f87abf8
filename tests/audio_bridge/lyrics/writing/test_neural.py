"""Causal models of transformers as writers: the prompt is read once, and the numbers are those of whole texts."""

import os
from pathlib import Path

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from audio_bridge.lyrics.prosody.stress import count
from audio_bridge.lyrics.writing import neural, song_forms
from audio_bridge.lyrics.writing.compose import Brief

PROMPT = "Genre: folk\nTitle: Sea\n\n[Verse 1]\nI walk along"
GPT2 = transformers.GPT2Config(
    vocab_size=256, n_embd=32, n_layer=2, n_head=2, n_positions=128, bos_token_id=0, eos_token_id=0
)
LLAMA = transformers.LlamaConfig(
    vocab_size=256, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
    max_position_embeddings=128,
)  # fmt: skip


@pytest.fixture(params=[GPT2, LLAMA], ids=["gpt2", "llama"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model of random weights whose tokens are bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="!").save_pretrained(tmp_path)
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(request.param).save_pretrained(tmp_path)
    return tmp_path


def test_bits_are_those_of_the_whole_text(folder: Path) -> None:
    writer = neural.load(str(folder))
    lines = ["along the sea", "home", "the light is on the water"]
    for line, bits in zip(lines, writer.bits(PROMPT, lines), strict=True):
        ids = torch.tensor([writer.tokenizer(PROMPT + line + "\n")["input_ids"]])  # type: ignore[attr-defined]
        with torch.inference_mode():
            logits = writer.model(ids).logits[0, :-1]  # type: ignore[attr-defined]
        n = len(line) + 1
        nats = torch.nn.functional.cross_entropy(logits[-n:], ids[0, -n:], reduction="sum")
        assert bits == pytest.approx(float(nats) / 0.6931 / n, abs=1e-4)


def test_a_prompt_beyond_the_context_is_cut_at_its_head(folder: Path) -> None:
    writer = neural.load(str(folder))
    assert writer.bits("x" * 500 + PROMPT, ["home"]) == pytest.approx(writer.bits("y" * 500 + PROMPT, ["home"]), abs=1)
    assert len(writer.continued(PROMPT * 20, 3, neural.Rules(), 0)) == 3


def test_the_same_seed_draws_the_same_lines(folder: Path) -> None:
    writer = neural.load(str(folder))
    first = writer.continued(PROMPT, 4, neural.Rules(), 1)
    assert len(set(first)) > 1 and first == writer.continued(PROMPT, 4, neural.Rules(), 1)
    assert first != writer.continued(PROMPT, 4, neural.Rules(), 2)
    assert len(writer.continued(PROMPT, 4, neural.Rules(temperature=0), 1)) == 1


def test_the_title_is_sung_in_the_chorus(folder: Path) -> None:
    form = song_forms.make("folk", "verse-chorus", lines=2)
    draft = neural.write(str(folder), Brief("en", "folk", "River of Gold", seed=1), form)
    _, chorus = draft.lyrics.sections
    assert "River of Gold" in chorus.lines[0] and count(chorus.lines[0], "en") == form.stanzas["chorus"].syllables[0]
    assert draft.sources[chorus.lines[0]] == "title"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_language_model_of_the_field_writes_under_the_form() -> None:
    """Of a folder that the person who runs the tests names, as docs/howto/songs.md says (SmolLM2)."""
    name = os.environ.get("ABC_SYMBOLIC_LYRIC_MODEL")
    if not name:
        pytest.skip("ABC_SYMBOLIC_LYRIC_MODEL names no folder")
    form = song_forms.make("folk", "verse-chorus", lines=2)
    draft = neural.write(name, Brief("en", "folk", "River of Gold", seed=0), form)
    for section, kind in zip(draft.lyrics.sections, form.kinds):
        assert [count(line, "en") for line in section.lines] == list(form.stanzas[kind].syllables)
    assert "River of Gold" in draft.lyrics.sections[1].lines[0]
    assert name in draft.sources.values(), "a line at least is the model's"
