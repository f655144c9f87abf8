"""What the decoder is trained on, compared with examples worked by hand; every clip of a batch is trained."""

import numpy as np
import pytest
import torch

from audio_bridge.musicgen import clips, finetune, musicgen_model
from audio_bridge.musicgen.clips import Clip, Dropout
from audio_bridge.musicgen.musicgen_model import MusicGen
from symbolic.training import lora

NONE = Dropout(0.0, 0.0, 0.0)


def clip(n_frames: int, seed: int = 0, text: str = "reel") -> Clip:
    rng = np.random.default_rng(seed)
    return Clip(str(seed), rng.integers(0, 64, (4, n_frames)), rng.integers(0, 12, 10), text)


@pytest.fixture
def gen() -> MusicGen:
    return musicgen_model.debug_model()


def test_labels_by_hand() -> None:
    """Two codebooks, clips of three frames and one: label[t, k] = code[k, t - k], -100 elsewhere."""
    a = Clip("a", np.array([[1, 2, 3], [4, 5, 6]]), np.zeros(1, dtype=np.int64), "")
    b = Clip("b", np.array([[7], [8]]), np.zeros(1, dtype=np.int64), "")
    made = clips.labels([a, b])
    assert made.tolist() == [
        [[1, -100], [2, 4], [3, 5], [-100, 6]],
        [[7, -100], [-100, 8], [-100, -100], [-100, -100]],
    ]
    assert clips.inputs(made, 9).tolist() == [
        [[9, 1, 2, 3], [9, 9, 4, 5]],
        [[9, 7, 9, 9], [9, 9, 8, 9]],
    ]


def test_the_loss_is_the_library_s_for_the_same_labels(gen: MusicGen) -> None:
    two = [clip(12, 1), clip(9, 2, "jig")]
    ours = clips.loss(gen, two, NONE, np.random.default_rng(0))
    ids, mask = gen.prompt(["reel", "jig"])
    whole = np.stack([clips.chroma.tiled(c.classes, 235) for c in two])
    theirs = gen.model(
        input_ids=ids,
        attention_mask=mask,
        input_features=torch.from_numpy(clips.chroma.one_hot(whole)),
        labels=clips.labels(two),
    ).loss
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)


def test_every_clip_of_a_batch_is_trained(gen: MusicGen) -> None:
    """The mean over the codes of a batch is the mean of its clips' own losses, weighted by length."""
    batch = [clip(8, 1), clip(20, 2), clip(12, 3)]
    alone = [clips.loss(gen, [one], NONE, np.random.default_rng(0)).item() for one in batch]
    together = clips.loss(gen, batch, NONE, np.random.default_rng(0)).item()
    assert together == pytest.approx(np.average(alone, weights=[8, 20, 12]), abs=1e-5)
    assert len({round(one, 4) for one in alone}) == 3


def test_dropout_by_hand() -> None:
    """default_rng(0) draws .637 .270 .041 for the first clip and .017 .813 .913 for the second."""
    batch = [clip(4, 1, "first"), clip(4, 2, "second")]

    def drop(*chances: float) -> tuple[list[str], list[list[int]]]:
        texts, classes = clips.dropped(batch, Dropout(*chances), np.random.default_rng(0))
        return texts, [row.tolist() for row in classes]

    own = [c.classes.tolist() for c in batch]
    assert drop(0, 0, 0) == (["first", "second"], own)
    assert drop(0.1, 0, 0) == (["first", ""], [own[0], [0]])
    assert drop(0, 0.5, 0) == (["first", "second"], [[0], own[1]])
    assert drop(0, 0, 0.5) == (["", "second"], own)
    assert drop(1, 0, 0) == (["", ""], [[0], [0]])


def test_dropped_conditions_are_those_of_guidance(gen: MusicGen) -> None:
    """A clip that lost both is conditioned as `generate` conditions its unguided half: no text, a held C."""
    texts, classes = clips.dropped([clip(4)], Dropout(1, 0, 0), np.random.default_rng(0))
    hidden, _ = gen.conditions(texts, np.stack(classes))
    assert torch.equal(hidden, gen.conditions([""], None)[0])
    assert (hidden[:, 235:] == 0).all() and not (hidden[:, :235] == 0).all()


def test_shares_of_dropout() -> None:
    rng = np.random.default_rng(1)
    batch = [clip(4, text="x")] * 4000
    texts, classes = clips.dropped(batch, Dropout(0.2, 0.5, 0.1), rng)
    no_text, no_melody = np.array([t == "" for t in texts]), np.array([len(c) == 1 for c in classes])
    assert no_text.mean() == pytest.approx(0.2 + 0.8 * 0.1, abs=0.03)
    assert no_melody.mean() == pytest.approx(0.2 + 0.8 * 0.5, abs=0.03)


def test_crops_keep_codes_and_chroma_together(gen: MusicGen) -> None:
    """0.64 s is the shortest time that both grids share: 32 frames of codes, 5 of chroma."""
    frames = 50 * 10
    whole = Clip("w", np.tile(np.arange(frames), (4, 1)), np.arange(79), "")
    starts = set()
    for seed in range(40):
        cut = clips.crop(whole, 4.0, gen, np.random.default_rng(seed))
        first = int(cut.codes[0, 0])
        starts.add(first)
        assert cut.codes.shape == (4, 200) and first % 32 == 0
        assert cut.classes[0] == first / 6.4 and len(cut.classes) == 32
    assert len(starts) > 5
    assert clips.crop(whole, 30.0, gen, np.random.default_rng(0)).codes.shape == (4, frames)


def test_blanked_frames_lose_all_codebooks() -> None:
    ids = torch.ones(2, 4, 1000, dtype=torch.long)
    out = clips.blanked(ids, 0.8, 9, np.random.default_rng(0))
    gone = out == 9
    assert (gone.all(dim=1) == gone.any(dim=1)).all() and 0.05 < gone.float().mean() < 0.8
    assert clips.blanked(ids, 0.0, 9, np.random.default_rng(0)) is ids


def test_lora_changes_nothing_at_first_and_merges_into_plain_layers(gen: MusicGen) -> None:
    def logits() -> torch.Tensor:
        hidden, _ = gen.conditions(["reel"], np.array([[1, 2]]))
        ids = torch.arange(12).reshape(4, 3)
        return gen.model.decoder(input_ids=ids, encoder_hidden_states=hidden).logits

    before, names = logits(), list(gen.model.state_dict())
    assert lora.attach(gen.model.decoder, finetune.LORA_LAYERS, rank=2, alpha=4.0) == 2 * 6
    assert torch.equal(logits(), before)
    trained = [p for p in gen.model.decoder.parameters() if p.requires_grad]
    assert len(trained) == 24 and all(2 in p.shape for p in trained)
    torch.manual_seed(0)
    with torch.no_grad():
        for p in trained:
            p.normal_(std=0.3)
    changed = logits()
    assert (changed - before).abs().max() > 1e-3
    lora.merge(gen.model.decoder)
    assert list(gen.model.state_dict()) == names
    assert torch.allclose(logits(), changed, atol=1e-4)
