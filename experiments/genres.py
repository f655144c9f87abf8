"""One lyric model per genre against one model with genre control, on the bundled verses.

    python -m experiments.genres                        # GPT-2 and Mamba, three seeds: some ten minutes of one core
    python -m experiments.genres --seeds 0 --songs 2

For each seed every genre's songs are split by family (`lyrics prepare`), and six models of each family are trained with
the same settings: `own`, one for each genre on its songs alone; `control`, one on all songs, which begin with their
`Genre:` line; `blind`, the same songs without that line, which tells what the other genres' songs alone are worth. Each
keeps its best checkpoint by its own validation songs.

Bits per byte are of the held-out songs of a genre from their first section on, given the lines before it: the header
itself is not scored. `other genre` is the control model on the same songs under the line of each other genre. Then each
model writes songs freely (top-k 50, top-p 0.95, temperature 1) from `Genre:` and `Language:`, which are measured as
`lyrics evaluate` does, beside the held-out human songs and those with their words shuffled among all their lines. A
repeat is a seed, which changes the split and the initial weights.
"""

import argparse
import math
import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audio_bridge.lyrics import evaluate_lyrics, lyric_measures
from audio_bridge.lyrics.lyric_text import Lyrics, parse
from audio_bridge.lyrics.training import lyric_corpus, prepare_lyrics
from benchmarks import result_file
from symbolic import command_line, files, runs
from symbolic import config as configuration
from symbolic.errors import UsageError, UserError
from symbolic.evaluate.report import tables

FAMILIES = ("gpt2", "mamba")
CONDITIONS = ("own", "control", "blind")
FOLDER = runs.ROOT / "genres"
HELD_OUT = prepare_lyrics.LyricOptions(valid_fraction=0.15, test_fraction=0.25)
MOST_BYTES = 600  # of a written song; the longest verses have about as many
MEASURES = (*evaluate_lyrics.COLUMNS, "known_words", "with_words")
TOP_K, TOP_P = 50, 0.95
BITS = "bits_per_byte"

Row = dict[str, Any]
Keys = tuple[str, str, str, str]  # family, condition, genre, measure


@dataclass(frozen=True)
class Split:
    """The songs of one seed: rows of `lyrics prepare` by genre and split."""

    folder: Path
    genres: tuple[str, ...]

    def rows(self, genre: str, split: str) -> list[Row]:
        """The songs of a genre; '' for all."""
        wanted = self.genres if not genre else (genre,)
        return [row for one in wanted for row in files.read_jsonl(self.folder / one / "tunes" / f"{split}.jsonl")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--families", nargs="+", default=list(FAMILIES), metavar="NAME", help="configs/lyrics/genre-NAME")
    made.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N")
    made.add_argument("--genres", nargs="+", default=[], metavar="NAME", help="default: all of the bundled verses")
    made.add_argument("--songs", type=int, default=12, metavar="N", help="written by each model in each genre")
    made.add_argument("--steps", type=int, help="other than the configurations'")
    made.add_argument("--folder", type=Path, default=FOLDER, help="where the runs are kept")
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "genres.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Train what is missing, score, write, measure."""
    genres = tuple(args.genres or sorted({song.genre for song in lyric_corpus.bundled()}))
    if args.songs < 1:
        raise UsageError(f"--songs {args.songs}: give 1 or more.")
    settings = {"families": args.families, "seeds": args.seeds, "genres": genres, "songs": args.songs,
                "steps": args.steps, "top_k": TOP_K, "top_p": TOP_P, "most_bytes": MOST_BYTES}  # fmt: skip
    recorder = result_file.Recorder("genres", seed=args.seeds[0], settings=settings)
    found: dict[Keys, dict[int, float]] = {}
    for seed in args.seeds:
        split = divided(args.folder / f"seed{seed}", genres, seed)
        recorder.data_digest = recorder.data_digest or result_file.data_digest(split.folder / "control")
        for what, value in measured(split, args, seed, recorder):
            found.setdefault(what, {})[seed] = value
    for (family, condition, genre, measure), by_seed in found.items():
        keys = {"family": family, "condition": condition, "genre": genre, "measure": measure, "seeds": list(by_seed)}
        recorder.measured(list(by_seed.values()), "bits/byte" if measure == BITS else "share", **keys)
    for table in tables_of(recorder.result()):
        print(tables.console(table), file=sys.stderr)
    recorder.write(args.output)
    return 0


def divided(folder: Path, genres: Sequence[str], seed: int) -> Split:
    """Every genre split on its own, so that each has held-out songs; and the folders that the models are trained on."""
    for genre in genres:
        options = replace(HELD_OUT, genres=(genre,), seed=seed)
        summary = prepare_lyrics.prepare([lyric_corpus.BUNDLED], folder / genre, options)
        empty = [name for name, one in summary["splits"].items() if not one["songs"]]
        if empty:
            raise UserError(f"seed {seed}: no {empty[0]} song of the genre {genre}. Take another seed.")
    split = Split(folder, tuple(genres))
    for name in ("control", "blind"):
        for part in prepare_lyrics.SPLITS:
            rows = split.rows("", part)
            rows = rows if name == "control" else [_blind(row) for row in rows]
            files.write_jsonl(folder / name / "tunes" / f"{part}.jsonl", rows)
        for one in ("summary.json", "sources.json"):
            files.write_json(folder / name / one, files.read_json(folder / genres[0] / one))
    return split


def measured(
    split: Split, args: argparse.Namespace, seed: int, recorder: result_file.Recorder
) -> Iterator[tuple[Keys, float]]:
    """(family, condition, genre, measure) and its value, of one seed."""
    index = lyric_measures.line_index((title, lyrics) for title, lyrics in _songs(split.rows("", "train")))
    known = frozenset(word for line in index for word in line.split())
    for genre in split.genres:
        held_out = [lyrics for _, lyrics in _songs(split.rows(genre, "test"))]
        for name, songs in (("held out", held_out), ("shuffled", [shuffled(one, seed) for one in held_out])):
            yield from _each("human", name, genre, of_songs(songs, len(songs), index, known))
    for family in args.families:
        for condition in CONDITIONS:
            for genres in [(genre,) for genre in split.genres] if condition == "own" else [split.genres]:
                source = trained(split, family, condition, genres[0], args, seed, recorder)
                for genre in genres:
                    yield from _of_model(source, split, family, condition, genre, args.songs, seed, index, known)


def trained(
    split: Split, family: str, condition: str, genre: str, args: argparse.Namespace, seed: int,
    recorder: result_file.Recorder,
) -> Any:  # fmt: skip
    """The model of a condition, trained unless it is there."""
    from symbolic.decode.loaded_model import load_source
    from symbolic.training import train

    data = split.folder / (genre if condition == "own" else condition)
    path = Path("configs/lyrics") / f"genre-{family}.yaml"
    name = f"genre-{family}-{condition}" + (f"-{genre}" if condition == "own" else "")
    changes: dict[str, Any] = {"name": name, "data.folder": data, "seed": seed}
    if args.steps:
        changes |= {"train.steps": args.steps, "train.warmup_steps": args.steps // 10}
        changes |= {"train.evaluate_every": max(1, args.steps // 8), "train.checkpoint_every": args.steps}
    config = configuration.load(path, [(key, str(value)) for key, value in changes.items()])
    folder = split.folder / "runs" / name
    train.train(config, folder, resume=True)
    recorder.config_digests[f"{name}-seed{seed}"] = configuration.digest(config)
    return load_source(str(folder), "cpu", "float32", threads=1)


def bits_per_byte(source: Any, rows: Sequence[Row], heads: Sequence[str]) -> float:
    """Of the songs from their first section on, each after its head."""
    from symbolic.training import likelihood

    tokenizer = source.tokenizer
    bodies = [row["text"].partition("\n\n")[2] for row in rows]
    ids = tokenizer.encode_many([head + body for head, body in zip(heads, bodies, strict=True)])
    context = getattr(source.model.config, "n_positions", MOST_BYTES)
    nats = likelihood.token_nats(source.model, ids, context=context)
    scored = sum(float(one[len(tokenizer.encode(head)) :].sum()) for one, head in zip(nats, heads, strict=True))
    return scored / math.log(2) / sum(len(body.encode()) for body in bodies)


def written(source: Any, heads: Sequence[str], seed: int) -> list[str]:
    """A song after each head, as the model draws it, the head included."""
    from symbolic.decode.engine import engine
    from symbolic.decode.engine.sampling import Sampling

    tokenizer = source.tokenizer
    drawn = engine.generate(
        source.model,
        [[tokenizer.bos, *tokenizer.encode(head)] for head in heads],
        max_new_tokens=MOST_BYTES - max(len(head) for head in heads),
        n_tokens=tokenizer.n_tokens,
        eos=tokenizer.eos,
        sampling=Sampling(1.0, TOP_K, TOP_P),
        seed=seed,
        batch_size=len(heads),
    )
    return [head + tokenizer.decode(one.tokens) for head, one in zip(heads, drawn, strict=True)]


def of_songs(songs: Sequence[Lyrics], asked: int, index: dict[str, str], known: frozenset[str]) -> dict[str, float]:
    """Means of the measures, and: `known_words`, the share of the words that the songs of training have; `with_words`,
    the share of the songs asked for that have any word at all."""
    rows = [lyric_measures.of_song(song, index) for song in songs]
    means = lyric_measures.mean_of(rows)
    words = lyric_measures.plain_words(line for song in songs for line in song.lines)
    means["known_words"] = sum(word in known for word in words) / len(words) if words else None
    means["with_words"] = len(songs) / asked
    return {key: means[key] for key in MEASURES if means.get(key) is not None}


def shuffled(song: Lyrics, seed: int) -> Lyrics:
    """The same words in another order, in lines of the same lengths: what a measure of lyrics should tell from them."""
    words = [word for line in song.lines for word in line.split()]
    random.Random(f"{seed}:{song.title}").shuffle(words)
    rest = iter(words)
    body = "\n\n".join(
        "\n".join([f"[{s.label}]", *(" ".join(next(rest) for _ in line.split()) for line in s.lines)])
        for s in song.sections
    )
    return parse(body, language=song.language, title=song.title, genre=song.genre)


def tables_of(result: dict[str, Any]) -> list[tables.Table]:
    """Bits per byte by genre, and the measures over all genres; medians over seeds with their range."""
    genres = list(result["settings"]["genres"])
    rows = {
        (r["family"], r["condition"], r["genre"], r["measure"]): dict(zip(r["seeds"], r["repeats"], strict=True))
        for r in result["rows"]
    }
    writers = list(dict.fromkeys((family, condition) for family, condition, _, _ in rows))
    bits = [
        [f"{family}, {condition}", *(_range([rows[family, condition, genre, BITS]]) for genre in genres),
         _range([rows[family, condition, genre, BITS] for genre in genres])]
        for family, condition in writers if (family, condition, genres[0], BITS) in rows
    ]  # fmt: skip
    writing = [pair for pair in writers if (*pair, genres[0], "with_words") in rows]
    shares = []
    for measure in MEASURES:
        found = [[rows[(*pair, g, measure)] for g in genres if (*pair, g, measure) in rows] for pair in writing]
        shares.append([measure.replace("_", " "), *(_range(one) for one in found)])
    return [
        tables.Table("bits per byte of held-out songs", ["model", *genres, "all"], bits, "median (range) over seeds"),
        tables.Table("written songs", ["measure", *(f"{f}, {c}" for f, c in writing)], shares, "all genres together"),
    ]


def _of_model(
    source: Any, split: Split, family: str, condition: str, genre: str, songs: int, seed: int, index: dict[str, str],
    known: frozenset[str],
) -> Iterator[tuple[Keys, float]]:  # fmt: skip
    """Bits per byte of a genre's held-out songs and the measures of what the model writes in it."""
    rows = split.rows(genre, "test")
    rows = rows if condition != "blind" else [_blind(row) for row in rows]
    heads = [row["text"].partition("\n\n")[0] + "\n\n" for row in rows]
    yield (family, condition, genre, BITS), bits_per_byte(source, rows, heads)
    if condition == "control":
        others = [one for one in split.genres if one != genre]
        wrong = [bits_per_byte(source, rows, [_as(head, genre, one) for head in heads]) for one in others]
        yield (family, "other genre", genre, BITS), statistics.mean(wrong)
    languages = sorted({row["language"] for row in split.rows("", "train")})
    asked = "" if condition == "blind" else genre
    heads = [prepare_lyrics.header(asked, languages[i % len(languages)], "", "") for i in range(songs)]
    yield from _each(
        family, condition, genre, of_songs(_read(written(source, heads, seed), genre), songs, index, known)
    )


def _each(family: str, condition: str, genre: str, values: dict[str, float]) -> Iterator[tuple[Keys, float]]:
    yield from (((family, condition, genre, measure), value) for measure, value in values.items())


def _songs(rows: Sequence[Row]) -> Iterator[tuple[str, Lyrics]]:
    for row in rows:
        body = row["text"].partition("\n\n")[2]
        yield row["title"], parse(body, language=row["language"], title=row["title"], genre=row["genre"])


def _read(texts: Sequence[str], genre: str) -> list[Lyrics]:
    """What the models wrote, where it has words."""
    found = []
    for text in texts:
        head, _, body = text.partition("\n\n")
        language = next((line[10:] for line in head.splitlines() if line.startswith("Language: ")), "")
        try:
            found.append(parse(body, language=language, genre=genre))
        except UserError:
            continue
    return found


def _blind(row: Row) -> Row:
    """A row whose text does not name its genre."""
    text = row["text"].removeprefix(f"Genre: {row['genre']}\n")
    return {**row, "text": text, "bytes": len(text.encode())}


def _as(head: str, genre: str, other: str) -> str:
    assert head.startswith(f"Genre: {genre}\n"), head
    return f"Genre: {other}\n" + head.removeprefix(f"Genre: {genre}\n")


def _range(genres: Sequence[dict[int, float]]) -> str:
    """The mean over genres of each seed, as median (range) over seeds."""
    seeds = sorted({seed for one in genres for seed in one})
    each = [statistics.mean(one[seed] for one in genres if seed in one) for seed in seeds]
    return result_file.spread_text(result_file.spread(each), 3) if each else tables.MISSING


if __name__ == "__main__":
    sys.exit(main())
