"""Clean lyrics, filter, drop near-duplicates, split by song family.

    python -m audio_bridge lyrics prepare bundled -o data/lyrics
    python -m audio_bridge lyrics prepare songs.csv --language en --genre rock,pop,rap --min-views 1000 -o data/genius

The folder has what `symbolic train` reads, so a lyric model is trained like any other:

    tunes/train.jsonl, valid.jsonl, test.jsonl   id, source, where, title, artist, genre, language, family, bytes, text
    rejects.jsonl   what was left out and why; of a duplicate, of which song
    summary.json, sources.json

`text` is all that a model sees:

    Genre: folk
    Language: en
    Artist: Alder & Finch
    Title: Barley Lane

    [Verse 1]
    I walked along the barley lane

Near-duplicates are songs whose word 4-grams overlap (containment, estimated from the NEAREST smallest hashes, Broder
1997) by DUPLICATE or more: re-releases, remixes, the same song of another artist. Songs that share FAMILY of them, or a
title and an artist, are one family and lie in one split.
"""

import argparse
import hashlib
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from audio_bridge.lyrics import lyric_text as texts
from audio_bridge.lyrics.lyric_text import Lyrics
from audio_bridge.lyrics.training import lyric_corpus
from audio_bridge.lyrics.training.lyric_corpus import LyricRejection, Song
from symbolic import files
from symbolic.errors import UsageError, UserError

FORMAT = 1
SPLITS = ("train", "valid", "test")
NEAREST = 256  # hashes kept of a song
GRAM = 4  # words
DUPLICATE, FAMILY = 0.6, 0.2
MIN_LINES, MAX_LINES = 4, 400
MOST_SHARED = 200  # songs with one 4-gram in common, above which it says nothing (la la la la)


@dataclass(frozen=True)
class LyricOptions:
    """Filters and split; an empty filter keeps all."""

    languages: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    min_views: int = 0
    most: int = 0  # songs; 0: all
    seed: int = 0
    valid_fraction: float = 0.1
    test_fraction: float = 0.1


@dataclass
class Kept:
    """A cleaned song."""

    song: Song
    lyrics: Lyrics
    hashes: frozenset[int]
    residue: Counter[str]  # what was taken out of its text, by kind

    @property
    def key(self) -> str:
        """A name that does not depend on order."""
        return files.digest(training_text(self.lyrics))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="bundled, a file, a folder, hf:OWNER/NAME")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--language", default="", help="as en, or en,pt,es (default: all)")
    parser.add_argument("--genre", default="", help="as rap, or rock,pop,rap (default: all)")
    parser.add_argument("--min-views", type=int, default=0, metavar="N", help="leave out songs with fewer views")
    parser.add_argument("--most", type=int, default=0, metavar="N", help="stop after N kept songs (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="which families are held out")
    parser.add_argument("--valid-fraction", type=float, default=0.1, metavar="F")
    parser.add_argument("--test-fraction", type=float, default=0.1, metavar="F")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON in the last line")


def run(args: argparse.Namespace) -> int:
    """Prepare as asked on the command line."""
    options = LyricOptions(
        _names(args.language), _names(args.genre), args.min_views, args.most, args.seed, args.valid_fraction,
        args.test_fraction,
    )  # fmt: skip
    summary = prepare(args.sources, args.output, options)
    print(table(summary))
    print(f"written to {args.output}", file=sys.stderr)
    if args.json:
        print(json.dumps(summary, ensure_ascii=False))
    return 0


def prepare(sources: Sequence[str], folder: Path | str, options: LyricOptions = LyricOptions()) -> dict[str, Any]:
    """Read, clean, deduplicate and split; return the summary, as in summary.json."""
    folder = Path(folder)
    _check(folder, options)
    records = [lyric_corpus.record(source) for source in sources]
    kept, rejects, n_read = _gather(sources, options)
    kept, repeats = without_duplicates(kept)
    rejects += repeats
    if not kept:
        counts = ", ".join(f"{n} {reason}" for reason, n in Counter(r.reason for r in rejects).most_common())
        first = f" The first: {rejects[0].message}" if rejects else ""
        raise UserError(f"no song of {', '.join(sources)} can be used ({counts or 'they are empty'}).{first}")
    family = families(kept)
    split = _split(kept, family, options)
    summary = _summary(records, kept, rejects, family, split, options, n_read)
    _write(folder, kept, rejects, family, split, summary)
    return summary


def training_text(lyrics: Lyrics) -> str:
    """Return the text that a model sees of a song."""
    return header(lyrics.genre, lyrics.language, lyrics.artist, lyrics.title) + "\n" + texts.write(lyrics.sections)


def header(genre: str, language: str, artist: str, title: str) -> str:
    """Return the control lines of a song; lines nobody knows are left out."""
    fields = (("Genre", genre), ("Language", language), ("Artist", artist), ("Title", title))
    return "".join(f"{name}: {value}\n" for name, value in fields if value)


def hashes(lines: Iterable[str]) -> frozenset[int]:
    """Return the NEAREST smallest 64-bit hashes of a text's word 4-grams."""
    words = re.findall(r"[^\W_]+", "\n".join(lines).lower())
    grams = {" ".join(words[i : i + GRAM]) for i in range(max(1, len(words) - GRAM + 1))}
    values = sorted(int.from_bytes(hashlib.blake2b(g.encode(), digest_size=8).digest(), "big") for g in grams)
    return frozenset(values[:NEAREST])


def containment(one: frozenset[int], other: frozenset[int]) -> float:
    """Estimate how much of the shorter text is in the longer, 0 to 1."""
    if not one or not other:
        return 0.0
    limit = min(max(one), max(other)) if len(one) == NEAREST or len(other) == NEAREST else max(max(one), max(other))
    a, b = {h for h in one if h <= limit}, {h for h in other if h <= limit}
    return len(a & b) / max(1, min(len(a), len(b)))


def without_duplicates(kept: list[Kept]) -> tuple[list[Kept], list[LyricRejection]]:
    """Return the songs that are no near-duplicate of one before them; more views come first."""
    order = sorted(range(len(kept)), key=lambda i: (-(kept[i].song.views or 0), i))
    index: dict[int, list[int]] = defaultdict(list)
    left: list[int] = []
    rejects: list[LyricRejection] = []
    for i in order:
        one = kept[i]
        same = next((j for j in _near(one, index) if containment(one.hashes, kept[j].hashes) >= DUPLICATE), None)
        if same is not None:
            original = kept[same].song
            message = f"near-duplicate of {original.title!r} by {original.artist or 'unknown'} ({original.where})."
            rejects.append(LyricRejection(one.song.source, one.song.where, "duplicate", message, one.song.title))
            continue
        left.append(i)
        for h in one.hashes:
            index[h].append(i)
    return [kept[i] for i in sorted(left)], rejects


def families(kept: Sequence[Kept]) -> list[int]:
    """Return the family of each song, named by its smallest member."""
    root = list(range(len(kept)))

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = i = root[root[i]]
        return i

    index: dict[int, list[int]] = defaultdict(list)
    names: dict[tuple[str, str], int] = {}
    for i, one in enumerate(kept):
        name = (_name(one.song.title), _name(one.song.artist))
        related = [j for j in _near(one, index) if containment(one.hashes, kept[j].hashes) >= FAMILY]
        if name[0] and name in names:
            related.append(names[name])
        names.setdefault(name, i)
        for j in related:
            a, b = sorted((find(i), find(j)))
            root[b] = a
        for h in one.hashes:
            index[h].append(i)
    return [find(i) for i in range(len(kept))]


def table(summary: dict[str, Any]) -> str:
    """Write the summary for people."""
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in summary["rejected"].items()) or "-"
    residue = ", ".join(f"{n:,} {name}" for name, n in summary["residue"].items()) or "-"
    lines = [f"read {summary['read']:,}, kept {summary['kept']:,}; left out: {reasons}"]
    lines += [f"taken out of the texts: {residue}", ""]
    lines.append(f"{'split':8}{'songs':>8}{'families':>10}{'lines':>9}{'bytes':>11}")
    for name, one in summary["splits"].items():
        lines.append(f"{name:8}{one['songs']:8,}{one['families']:10,}{one['lines']:9,}{one['bytes']:11,}")
    groups = ", ".join(f"{name} {n:,}" for name, n in summary["genres"].items())
    return "\n".join([*lines, "", f"genres: {groups}", "languages: " + ", ".join(
        f"{name} {n:,}" for name, n in summary["languages"].items())])  # fmt: skip


def _gather(sources: Sequence[str], options: LyricOptions) -> tuple[list[Kept], list[LyricRejection], int]:
    kept: list[Kept] = []
    rejects: list[LyricRejection] = []
    n_read = 0
    for source in sources:
        for found in lyric_corpus.read(source):
            n_read += 1
            one = found if isinstance(found, LyricRejection) else _cleaned(found, options)
            if isinstance(one, LyricRejection):
                rejects.append(one)
            else:
                kept.append(one)
                if options.most and len(kept) >= options.most:
                    return kept, rejects, n_read
    return kept, rejects, n_read


def _cleaned(song: Song, options: LyricOptions) -> Kept | LyricRejection:
    """Return a song as a model sees it, or why it is left out."""

    def reject(reason: str, message: str) -> LyricRejection:
        return LyricRejection(song.source, song.where, reason, f"{song.where}: {message}", song.title[:80])

    if options.genres and not any(g == song.genre or g in re.split(r"[,;/|\s]+", song.genre) for g in options.genres):
        return reject("genre", f"the genre is {song.genre or 'not said'}.")
    if song.views is not None and song.views < options.min_views:
        return reject("views", f"{song.views} views.")
    if len(song.lyrics) > texts.MAX_CHARACTERS:
        return reject("too_long", f"{len(song.lyrics):,} characters.")
    try:
        lyrics = texts.parse(
            song.lyrics, language=song.language, title=song.title, artist=song.artist, genre=song.genre
        )
    except UserError as error:
        return reject("empty", str(error))
    if options.languages and lyrics.language not in options.languages:
        return reject("language", f"the language is {lyrics.language}.")
    if not MIN_LINES <= len(lyrics.lines) <= MAX_LINES:
        return reject("length", f"{len(lyrics.lines)} lines; {MIN_LINES} to {MAX_LINES} are kept.")
    return Kept(song, lyrics, hashes(lyrics.lines), texts.residue(song.lyrics))


def _near(one: Kept, index: dict[int, list[int]]) -> list[int]:
    """Yield songs that share hashes with this one, those that share most first."""
    counts: Counter[int] = Counter()
    for h in one.hashes:
        if len(index.get(h, ())) <= MOST_SHARED:
            counts.update(index.get(h, ()))
    return [i for i, _ in counts.most_common(50)]


def _split(kept: Sequence[Kept], family: Sequence[int], options: LyricOptions) -> list[str]:
    from symbolic.corpus import families as tunes

    return tunes.split(family, [one.key for one in kept], valid_fraction=options.valid_fraction,
                       test_fraction=options.test_fraction, seed=options.seed)  # fmt: skip


def _name(text: str) -> str:
    """Strip from a title what re-releases add: (Live), - Remastered 2009, feat. …"""
    plain = re.sub(r"\(.*?\)|\[.*?\]|\s-\s.*$|\b(feat|ft)\b\.?.*$", "", text.lower())
    return re.sub(r"\W+", " ", plain).strip()


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in text.split(",") if part.strip())


def _check(folder: Path, options: LyricOptions) -> None:
    for name in ("valid_fraction", "test_fraction"):
        if not 0 <= getattr(options, name) < 0.5:
            raise UsageError(f"--{name.replace('_', '-')} {getattr(options, name)}: give a share from 0 to below 0.5.")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: choose another folder.")
    ours = folder / "summary.json"
    if folder.is_dir() and any(folder.iterdir()) and not (ours.is_file() and "languages" in files.read_json(ours)):
        raise UsageError(
            f"{folder} exists and was not written by `lyrics prepare`: choose another folder, or empty it."
        )


def _summary(
    records: Sequence[lyric_corpus.Record],
    kept: Sequence[Kept],
    rejects: Sequence[LyricRejection],
    family: Sequence[int],
    split: Sequence[str],
    options: LyricOptions,
    n_read: int,
) -> dict[str, Any]:
    splits = {}
    for name in SPLITS:
        own = [i for i, one in enumerate(split) if one == name]
        splits[name] = {
            "songs": len(own),
            "families": len({family[i] for i in own}),
            "lines": sum(len(kept[i].lyrics.lines) for i in own),
            "bytes": sum(len(training_text(kept[i].lyrics).encode()) for i in own),
        }
    return {
        "format": FORMAT,
        "read": n_read,
        "kept": len(kept),
        "residue": dict(sum((one.residue for one in kept), Counter())),
        "rejected": dict(Counter(r.reason for r in rejects).most_common()),
        "splits": splits,
        "genres": dict(Counter(one.lyrics.genre or "not said" for one in kept).most_common()),
        "languages": dict(Counter(one.lyrics.language for one in kept).most_common()),
        "options": asdict(options),
        "sources": [asdict(record) for record in records],
    }


def _write(
    folder: Path, kept: Sequence[Kept], rejects: Sequence[LyricRejection], family: Sequence[int], split: Sequence[str],
    summary: dict[str, Any],
) -> None:  # fmt: skip
    with files.whole_folder(folder) as temporary:
        for name in SPLITS:
            rows = [_row(kept[i], f"family-{family[i]}") for i, one in enumerate(split) if one == name]
            files.write_jsonl(temporary / "tunes" / f"{name}.jsonl", rows)
        files.write_jsonl(temporary / "rejects.jsonl", (asdict(one) for one in rejects))
        files.write_json(temporary / "summary.json", summary)
        files.write_json(temporary / "sources.json", summary["sources"])


def _row(one: Kept, family: str) -> dict[str, Any]:
    text = training_text(one.lyrics)
    return {
        "id": one.key[:16], "source": one.song.source, "where": one.song.where, "title": one.lyrics.title,
        "artist": one.lyrics.artist, "genre": one.lyrics.genre, "language": one.lyrics.language, "year": one.song.year,
        "family": family, "bytes": len(text.encode("utf-8")), "text": text,
    }  # fmt: skip
