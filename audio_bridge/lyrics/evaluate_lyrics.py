"""Measures of lyrics, beside human ones and a corpus that they may have copied from.

    python -m audio_bridge lyrics evaluate words.txt more/*.txt --against data/lyrics
    python -m audio_bridge lyrics evaluate songs.jsonl --against data/lyrics --model runs/lyrics-gpt2-small -o out.json

The files are read as `lyrics prepare` reads them, a song a text file. Beside them stand the held-out songs and the
training songs of --against (copying is measured against the latter); --model adds bits per byte of the held-out songs.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from symbolic.errors import UserError

COLUMNS = ("rhyme_density", "syllable_regularity", "repeated_lines", "self_copy", "loops", "distinct_1", "distinct_2",
           "copied_lines")  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="lyrics to measure")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="of `lyrics prepare`: human songs")
    parser.add_argument("--model", metavar="MODEL", help="also its bits per byte of the held-out songs")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="every song's measures")
    parser.add_argument("--json", action="store_true", help="end with the means as one line of JSON")


def run(args: argparse.Namespace) -> int:
    """Measure and print the table."""
    from symbolic import files
    from symbolic.evaluate.report import tables

    result = evaluate(args.files, args.against, args.model)
    print(tables.console(table(result)), end="")
    copied = [(song["title"], one) for song in result["songs"] for one in song["copied"]]
    for title, one in copied[:20]:
        print(f"copied in {title!r}: {one['line']!r}, from {one['source']}")
    if args.output:
        files.write_json(args.output, result)
        print(f"written to {args.output}", file=sys.stderr)
    if args.json:
        print(json.dumps({"means": result["means"], "bits_per_byte": result["bits_per_byte"]}, ensure_ascii=False))
    return 0


def evaluate(paths: Sequence[str], against: Path | None = None, model: str | None = None) -> dict[str, Any]:
    """Return measures of each song, and means by set and genre."""
    from audio_bridge.lyrics import lyric_measures

    songs = [song for path in paths for song in _found(path)]
    if not songs:
        raise UserError(f"no lyrics in {', '.join(map(str, paths))}.")
    human = {split: list(prepared(against, split)) for split in ("train", "test")} if against else {}
    index = lyric_measures.line_index((f"{name} ({where})", lyrics) for name, where, lyrics in human.get("train", []))
    rows = [
        {"title": name, "genre": lyrics.genre, **lyric_measures.of_song(lyrics, index)} for name, _, lyrics in songs
    ]
    means: dict[str, Any] = {"given": lyric_measures.mean_of(rows)}
    for genre in sorted({row["genre"] for row in rows if row["genre"]}):
        means[f"given, {genre}"] = lyric_measures.mean_of([row for row in rows if row["genre"] == genre])
    for split, name in (("test", "human, held out"), ("train", "human, training")):
        if human.get(split):
            corpus = index if split == "test" else None
            means[name] = lyric_measures.mean_of(
                [lyric_measures.of_song(lyrics, corpus) for _, _, lyrics in human[split]]
            )
    bits = _bits(model, against) if model and against else None
    return {"songs": rows, "means": means, "bits_per_byte": bits}


def table(result: dict[str, Any]) -> Any:
    """Return the means as a table."""
    from symbolic.evaluate.report.tables import Share, Table

    names = list(result["means"])
    rows: list[list[Any]] = [["songs", *(result["means"][name]["songs"] for name in names)]]
    for key in COLUMNS:
        values = [result["means"][name].get(key) for name in names]
        rows.append([key.replace("_", " "), *(None if v is None else Share(v) for v in values)])
    note = "" if result["bits_per_byte"] is None else f"bits per byte of held-out songs: {result['bits_per_byte']:.3f}"
    return Table("lyrics", ["measure", *names], rows, note)


def prepared(folder: Path, split: str) -> Iterator[tuple[str, str, Any]]:
    """Yield (title, where, lyrics) of a split of a prepared folder."""
    from audio_bridge.lyrics.lyric_text import parse
    from symbolic import files

    for row in files.read_jsonl(folder / "tunes" / f"{split}.jsonl"):
        body = str(row["text"]).partition("\n\n")[2]
        lyrics = parse(body, language=row["language"], title=row["title"], artist=row["artist"], genre=row["genre"])
        yield row["title"], row["where"], lyrics


def _found(path: str) -> Iterator[tuple[str, str, Any]]:
    from audio_bridge.lyrics.lyric_text import parse
    from audio_bridge.lyrics.training import lyric_corpus

    for one in lyric_corpus.read(path):
        if isinstance(one, lyric_corpus.LyricRejection):
            print(f"left out: {one.message}", file=sys.stderr)
            continue
        try:
            lyrics = parse(one.lyrics, language=one.language, title=one.title, artist=one.artist, genre=one.genre)
        except UserError as error:
            print(f"left out: {one.where}: {error}", file=sys.stderr)
            continue
        yield one.title or one.where, one.where, lyrics


def _bits(model: str, folder: Path) -> float:
    from audio_bridge.lyrics.training import finetune_lyrics
    from audio_bridge.lyrics.writing import neural
    from symbolic import files
    from symbolic.training import likelihood

    texts = [str(row["text"]) for row in files.read_jsonl(folder / "tunes" / "test.jsonl")]
    sizes = [len(text.encode("utf-8")) for text in texts]
    writer: Any = neural.load(model)
    if hasattr(writer, "source"):
        ids = writer.source.tokenizer.encode_many(texts)
        return likelihood.bits_per_byte(likelihood.score(writer.source.model, ids, sizes, context=writer.context))
    end = writer.tokenizer.eos_token_id or 0
    framed = [([*writer.tokenizer(t, add_special_tokens=False)["input_ids"], end], n) for t, n in zip(texts, sizes)]
    return finetune_lyrics.bits_per_byte(writer.model, framed, writer.context, end)
