"""Token shards: what is written is what was encoded; stale, damaged and foreign folders are noticed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbolic import files, tokens
from symbolic.data import shards
from symbolic.errors import UserError
from symbolic.notation import abc_parser

TUNES = {
    "train": [
        "M:6/8\nL:1/8\nK:Em\nB|E3/2G/2EGEG|\n",
        "M:4/4\nL:1/8\nK:D\nDEFG|ABcd|]\n",
        "M:3/4\nL:1/8\nK:Bb\n=B2^c2z2|]\n",
    ],
    "valid": ["M:2/4\nL:1/8\nK:G\nGABc|]\n"],
    "test": ["M:2/4\nL:1/8\nK:C\nCDEF|]\n", "M:2/4\nL:1/8\nK:F\nFGAB|]\n"],
}
DOUBLY_SHARP = "M:4/4\nL:1/8\nK:C\n^^B8|]\n"  # a triple sharp in other keys


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    return write_tunes(tmp_path / "data", TUNES)


def write_tunes(folder: Path, tunes: dict[str, list[str]]) -> Path:
    for split, texts in tunes.items():
        files.write_jsonl(
            folder / "tunes" / f"{split}.jsonl", [{"id": f"{split}{i}", "text": t} for i, t in enumerate(texts)]
        )
    return folder


def documents(shard: shards.Shard, tokenizer: tokens.Tokenizer) -> list[list[str]]:
    return [
        [tokenizer.decode(shard.document(tune, n)) for n in range(shard.n_transpositions)]
        for tune in range(shard.n_tunes)
    ]


@pytest.mark.parametrize("kind", tokens.KINDS)
def test_documents_are_the_tunes(data_folder: Path, kind: str) -> None:
    tokenizer = tokens.build(kind, 1024, TUNES["train"])
    folder = shards.build(data_folder, tokenizer, range(-5, 7))
    for split, texts in TUNES.items():
        shard = shards.load(folder, split, tokenizer.digest)
        semitones = [0, *range(-5, 0), *range(1, 7)] if split == "train" else [0]
        assert documents(shard, tokenizer) == [[abc_parser.transpose(text, n) for n in semitones] for text in texts]
        assert shard.transpositions == tuple(semitones)
        assert (shard.n_tunes, shard.n_transpositions) == (len(texts), len(semitones))
        assert shard.n_bytes == sum(len(abc_parser.transpose(text, n).encode()) for text in texts for n in semitones)
        assert shard.n_tokens == len(shard.tokens)
        assert shard.bytes_of(0) == len(texts[0].encode())


def test_ids_are_raw_uint16_without_frames(data_folder: Path) -> None:
    tokenizer = tokens.build("grammar")
    folder = shards.build(data_folder, tokenizer, range(1))
    expected = [id for ids in tokenizer.encode_many(TUNES["test"]) for id in ids]
    assert np.frombuffer((folder / "test.bin").read_bytes(), dtype="<u2").tolist() == expected
    assert not {tokens.PAD, tokens.BOS, tokens.EOS} & set(expected)
    assert isinstance(shards.load(folder, "test", tokenizer.digest).tokens, np.memmap)


def test_header_records_origin_and_terms(data_folder: Path) -> None:
    terms = [{"name": "oneills1850", "terms": "public domain", "sha256": "0" * 64}]
    files.write_json(data_folder / "sources.json", terms)
    tokenizer = tokens.build("grammar")
    folder = shards.build(data_folder, tokenizer, range(-1, 2))
    header = files.read_json(folder / "header.json")
    assert header["sources"] == terms
    assert (header["tokenizer_digest"], header["tokenizer_kind"], header["dtype"]) == (
        tokenizer.digest,
        "grammar",
        "uint16",
    )
    assert header["splits"]["train"]["n_tunes"] == 3
    assert header["splits"]["train"]["n_tokens"] * 2 == (folder / "train.bin").stat().st_size
    assert folder.name.startswith(tokenizer.digest[:12])
    assert folder.name.endswith("--1_1")


def test_built_once_and_used_again(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = tokens.build("grammar")
    folder = shards.build(data_folder, tokenizer, range(-1, 2))
    monkeypatch.setattr(shards, "_write", lambda *_: pytest.fail("made again"))
    assert shards.build(data_folder, tokenizer, [1, 0, -1]) == folder


@pytest.mark.parametrize(
    "damage", ["short", "no header", "bad header", "old format", "no offsets", "bad offsets", "list"]
)
def test_damaged_folder_is_made_again(data_folder: Path, damage: str) -> None:
    tokenizer = tokens.build("grammar")
    folder = shards.build(data_folder, tokenizer, range(1))
    break_folder(folder, damage)
    with pytest.raises(UserError, match=r"train again|not valid JSON|cannot read"):
        shards.load(folder, "train", tokenizer.digest)
    assert shards.build(data_folder, tokenizer, range(1)) == folder
    assert documents(shards.load(folder, "train", tokenizer.digest), tokenizer) == [[text] for text in TUNES["train"]]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def break_folder(folder: Path, damage: str) -> None:
    header, binary, offsets = folder / "header.json", folder / "train.bin", folder / "train.offsets.npy"
    match damage:
        case "short":
            binary.write_bytes(binary.read_bytes()[:-2])
        case "no header":
            header.unlink()
        case "bad header":
            header.write_text(header.read_text()[:50])
        case "old format":
            files.write_json(header, {**files.read_json(header), "format": 0})
        case "no offsets":
            offsets.unlink()
        case "bad offsets":
            offsets.write_bytes(offsets.read_bytes()[:60])
        case "list":
            header.write_text("[]")


def test_changed_tunes_make_other_shards(data_folder: Path) -> None:
    tokenizer = tokens.build("grammar")
    first = shards.build(data_folder, tokenizer, range(1))
    write_tunes(data_folder, {"valid": TUNES["test"]})
    second = shards.build(data_folder, tokenizer, range(1))
    assert first != second
    assert shards.load(second, "valid", tokenizer.digest).n_tunes == 2


def test_another_tokenizer_is_refused_with_both_digests(data_folder: Path) -> None:
    grammar, characters = tokens.build("grammar"), tokens.build("characters")
    folder = shards.build(data_folder, grammar, range(1))
    with pytest.raises(UserError) as error:
        shards.load(folder, "train", characters.digest)
    assert grammar.digest in str(error.value)
    assert characters.digest in str(error.value)


def test_chunks_do_not_show(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = tokens.build("grammar")
    whole = (shards.build(data_folder, tokenizer, range(-1, 2)) / "train.bin").read_bytes()
    monkeypatch.setattr(shards, "CHUNK_DOCUMENTS", 3)
    (data_folder / "tokens").rename(data_folder / "aside")
    seen: list[tuple[int, int]] = []
    folder = shards.build(data_folder, tokenizer, range(-1, 2), lambda done, total: seen.append((done, total)))
    assert (folder / "train.bin").read_bytes() == whole
    assert seen == [(1, 6), (2, 6), (3, 6), (4, 6), (6, 6)]


def test_a_tune_that_cannot_be_transposed_stands_as_it_is(tmp_path: Path) -> None:
    folder = write_tunes(tmp_path, {**TUNES, "train": [DOUBLY_SHARP, TUNES["train"][0]]})
    tokenizer = tokens.build("characters")
    built = shards.build(folder, tokenizer, range(-5, 7))
    held = documents(shards.load(built, "train", tokenizer.digest), tokenizer)
    n_untransposed = held[0].count(DOUBLY_SHARP) - 1
    assert files.read_json(built / "header.json")["splits"]["train"]["n_untransposed"] == n_untransposed > 0
    assert len(set(held[1])) == 12


def test_empty_splits(tmp_path: Path) -> None:
    folder = write_tunes(tmp_path, {"train": TUNES["train"], "valid": [], "test": []})
    tokenizer = tokens.build("grammar")
    shard = shards.load(shards.build(folder, tokenizer, range(1)), "valid", tokenizer.digest)
    assert (shard.n_tunes, shard.n_tokens, shard.n_bytes) == (0, 0, 0)
    with pytest.raises(IndexError, match="no document"):
        shard.document(0)


def test_missing_tunes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.jsonl is missing.*prepare"):
        shards.build(tmp_path, tokens.build("grammar"), range(1))


@pytest.mark.parametrize("row", [{"id": "x"}, {"id": "x", "text": 3}])
def test_row_without_text_leaves_nothing_behind(data_folder: Path, row: dict[str, Any]) -> None:
    with open(data_folder / "tunes" / "valid.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=r"valid\.jsonl: row 2"):
        shards.build(data_folder, tokens.build("grammar"), range(1))
    assert list((data_folder / "tokens").iterdir()) == []


def test_ids_beyond_uint16_are_refused(data_folder: Path) -> None:
    with pytest.raises(UserError, match="vocab_size"):
        shards.build(data_folder, tokens.build("characters", 70_000), range(1))


def test_unknown_split(data_folder: Path) -> None:
    tokenizer = tokens.build("characters")
    with pytest.raises(UserError, match="no dev split"):
        shards.load(shards.build(data_folder, tokenizer, range(1)), "dev", tokenizer.digest)
