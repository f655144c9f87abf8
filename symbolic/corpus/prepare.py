"""Clean tunes, remove duplicates, split by family, measure the leakage.

    python -m symbolic prepare aird oneill ryan -o data/folk
    python -m symbolic prepare configs/gpt2-6m.yaml              # what that run's `data` names
    python -m symbolic prepare my-tunes/ more.zip -o data/mine

    python -m symbolic prepare chorales --as midi -o data/chorales-midi

A SOURCE is the name of a bundled collection (aird, oneill, ryan; the scores chorales, haydn, mozart; essen and others
with --opt-in), a file or folder of .abc, .txt, .json or .jsonl, of MIDI (.mid, .midi, .kar) or MusicXML (.musicxml,
.xml, .mxl), plain or gzipped, or .zip and .tar.gz archives of them, or hf:OWNER/NAME.

The folder holds one notation, --as: `abc` (several voices one after another), `interleaved` (ABC in which the voices of
a bar stand together) or `midi` (symbolic.formats.midi_text; repeats played out). Without it sources of MIDI alone stay
MIDI, and all others become ABC, which leaves MIDI files among them out.

The folder is written whole, or not at all; the same input and options give the same bytes. Cleaned tunes wait on the
disk (`symbolic.corpus.staging`), and so does what duplicates and families are found by
(`symbolic.corpus.phrase_index`): memory holds a batch of tunes, a block of their runs and a few numbers for each tune.
A run of over 4,096 tunes that was interrupted or killed goes on where it stopped when the same command is given again:

    tunes/train.jsonl, valid.jsonl, test.jsonl   one tune a line: id, source, file, line, title, rhythm, text (canonical
                                                 ABC, all that a model sees), bytes (of text), n_notes, family, and
                                                 fields (title, composer, tempo, words and the other header fields)
    rejects.jsonl     one line for what was left out: source, file, line, reason, message, title, of (what it repeats)
    summary.json      counts by source, reason and split, leakage before and after, options, records of the sources
    sources.json      the records: terms, licence, size, SHA-256
    TERMS.txt         the same terms, for people
"""

import argparse
import contextlib
import itertools
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import files, machine
from symbolic.corpus import corpora
from symbolic.corpus.corpora import Corpus, Found, Rejection
from symbolic.errors import UsageError, UserError
from symbolic.progress import Console

if TYPE_CHECKING:  # these import numpy, which --help does not need
    import numpy as np
    from numpy.typing import NDArray

    from symbolic.corpus.cleaning import CleanTune, Limits
    from symbolic.corpus.duplicates import Repeats
    from symbolic.corpus.phrase_index import PhraseIndex
    from symbolic.corpus.split import TuneSplit
    from symbolic.corpus.staging import Staging

FORMAT = 1
SPLITS = ("train", "valid", "test")
NOTATIONS = ("abc", "interleaved", "midi")
BATCH_TUNES = 4096  # held unparsed at once,
BATCH_BYTES = 2**26  # or as many as have this size
POOL_TUNES = 1024  # below this, starting processes costs more than they save;
POOL_SCORES = 32  # of MIDI and MusicXML, which take far longer to read


@dataclass(frozen=True)
class PrepareOptions:
    """What the result depends on besides the tunes; `processes` only changes how long it takes."""

    opt_in: tuple[str, ...] = ()
    seed: int = 0
    min_notes: int | None = None  # None: the defaults of cleaning.Limits
    max_bytes: int | None = None
    valid_fraction: float = 0.05
    test_fraction: float = 0.05
    processes: int = 1
    notation: str = ""  # abc, interleaved, midi; "": as the sources are

    def check(self) -> None:
        """Raise UsageError for numbers out of range and fractions that leave nothing to train on."""
        numbers = (("--seed", self.seed, 0), ("--processes", self.processes, 1))
        limits = (("--min-notes", self.min_notes, 0), ("--max-bytes", self.max_bytes, 1))
        for name, number, least in numbers + limits:
            if number is not None and number < least:
                raise UsageError(f"{name} {number}: give a whole number of at least {least}.")
        for name, value in (("--valid-fraction", self.valid_fraction), ("--test-fraction", self.test_fraction)):
            if not 0 <= value < 1:
                raise UsageError(f"{name} {value}: give a share of the tunes from 0 to below 1, for example 0.05.")
        if self.valid_fraction + self.test_fraction > 0.9:
            raise UsageError("--valid-fraction and --test-fraction leave less than a tenth to train on: lower them.")

    def limits(self) -> "Limits":
        """Return the limits of length, defaults filled in."""
        from symbolic.corpus.cleaning import MAX_BYTES, Limits

        given = {"min_notes": self.min_notes, "max_bytes": self.max_bytes or MAX_BYTES[self.notation or "abc"]}
        return replace(Limits(), **{name: value for name, value in given.items() if value is not None})


@dataclass
class _Work:
    """State of one call of `prepare`: the index of kept tunes, and the rejections by source and reason."""

    corpus_index: "PhraseIndex"
    records: list[Corpus] = field(default_factory=list)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)  # by source and reason
    first_rejection: Rejection | None = None
    warnings: list[str] = field(default_factory=list)
    read: Counter[str] = field(default_factory=Counter)
    n_batches: int = 0

    def reject(self, one: Rejection) -> None:
        """Count a rejection; the first is kept for the error message."""
        self.rejected[one.source, one.reason] += 1
        self.first_rejection = self.first_rejection or one

    def warn(self, message: str) -> None:
        """Print a note on stderr and keep it for summary.json."""
        self.warnings.append(message)
        print(f"note: {message}", file=sys.stderr)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="corpus name, file, folder, hf:OWNER/NAME, or CONFIG.yaml"
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", help="folder to write (with CONFIG.yaml: its data.folder)")
    parser.add_argument("--as", choices=NOTATIONS, dest="notation", default="", help="notation to write (see above)")
    parser.add_argument("--opt-in", action="append", default=[], metavar="NAME",
                        help="accept the terms of a corpus that is used only when asked for")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="which families are held out (default 0)")
    parser.add_argument("--min-notes", type=int, metavar="N", help="reject shorter tunes (default 17)")
    parser.add_argument("--max-bytes", type=int, metavar="N",
                        help="reject longer canonical texts (default 4096); interleaved 8192, midi 262144")  # fmt: skip
    parser.add_argument("--valid-fraction", type=float, default=0.05, metavar="F", help="of the tunes (default 0.05)")
    parser.add_argument("--test-fraction", type=float, default=0.05, metavar="F", help="of the tunes (default 0.05)")
    parser.add_argument("--processes", type=int, default=machine.n_cores(),
                        metavar="N", help="parsing processes (default: one per core)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the summary as JSON in the last line")


def run(args: argparse.Namespace) -> int:
    """Prepare as the command line says, and print the summary."""
    sources, folder = _sources_and_folder(args.sources, args.output)
    options = PrepareOptions(
        opt_in=tuple(args.opt_in),
        seed=args.seed,
        min_notes=args.min_notes,
        max_bytes=args.max_bytes,
        valid_fraction=args.valid_fraction,
        test_fraction=args.test_fraction,
        processes=args.processes,
        notation=args.notation or _notation_named(args.sources),
    )
    summary = prepare(sources, folder, options)
    print(table(summary))
    print(f"written to {folder}", file=sys.stderr)
    if args.json:
        print(json.dumps(summary, ensure_ascii=False))
    return 0


def prepare(sources: Sequence[str], folder: Path | str, options: PrepareOptions = PrepareOptions()) -> dict[str, Any]:
    """Read, clean, deduplicate and split tunes into a folder to train on; return the summary, as in summary.json.

    sources: names of collections (symbolic.corpus.corpora), files, folders, archives or hub data sets. folder: new,
    or one that this function wrote. Raises UserError where nothing is left, UsageError for what is not a source.
    """
    options.check()
    folder = Path(folder)
    sources = list(dict.fromkeys(sources))
    _check_folder(folder, sources)
    kinds: tuple[str, ...] = corpora.SCORES
    if not options.notation:
        options = replace(options, notation=_notation_of(sources, options))
        kinds = kinds if options.notation == "midi" else ("musicxml",)
    records = corpora.distinctly_named(corpora.resolve(source, options.opt_in) for source in sources)
    measured = [corpora.measure_files(record, kinds) for record in records]
    with files.locked(folder, "preparing"):
        return _with_staging(sources, measured, folder, options, kinds)


def _with_staging(
    sources: Sequence[str], records: list[Corpus], folder: Path, options: PrepareOptions, kinds: Sequence[str]
) -> dict[str, Any]:
    """Prepare with a staging folder, which is kept only when the run was interrupted."""
    from symbolic.corpus.staging import Staging

    staging = Staging(folder, _identity(records, options))
    try:
        return _prepared(sources, records, folder, options, kinds, staging)
    except KeyboardInterrupt:
        if staging.has(1):
            print("the tunes read so far are kept: give the same command again to go on.", file=sys.stderr)
            raise
        staging.remove()
        raise
    except BaseException:
        staging.remove()
        raise


def _prepared(
    sources: Sequence[str],
    records: list[Corpus],
    folder: Path,
    options: PrepareOptions,
    kinds: Sequence[str],
    staging: "Staging",
) -> dict[str, Any]:
    from symbolic.corpus import duplicates
    from symbolic.corpus.phrase_index import PhraseIndex

    work = _Work(PhraseIndex(staging.folder / "index"), [corpora.without_path(record) for record in records])
    with work.corpus_index:
        _gather(sources, records, options, kinds, staging, work)
        repeats = duplicates.repeats(work.corpus_index)
        for one in duplicates.rejections(work.corpus_index, repeats):
            work.reject(one)
        held = _held_out(work, repeats, options)
        summary = _summary(work, held, options)
        _write(folder, work, repeats, held, summary, staging)
    staging.remove()
    return summary


def table(summary: dict[str, Any]) -> str:
    """Format the summary for the console: sources, splits and leakage."""
    width = max(len(name) for name in [*summary["by_source"], "source", "all"])
    lines = [f"{'source':{width}}  {'read':>8}  {'kept':>8}  rejected"]
    total = {"read": summary["read"], "kept": summary["kept"], "rejected": summary["rejected"]}
    for name, counts in [*summary["by_source"].items(), ("all", total)]:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in counts["rejected"].items()) or "-"
        lines.append(f"{name:{width}}  {counts['read']:8,}  {counts['kept']:8,}  {reasons}")
    lines += ["", f"{'split':{width}}  {'tunes':>8}  {'families':>8}  {'bytes':>10}"]
    for name, one in summary["splits"].items():
        lines.append(f"{name:{width}}  {one['tunes']:8,}  {one['families']:8,}  {one['bytes']:10,}")
    lines += [
        "",
        "test tunes that share a 17-note phrase with train (in brackets: at least half covered by such phrases)",
    ]
    for name in ("random_split_with_duplicates", "random_split", "family_split"):
        one = summary["leakage"][name]
        shares = f"{one['share_sharing']:7.1%}  ({one['share_half_covered']:.1%})"
        lines.append(f"  {name.replace('_', ' '):30} {shares}  of {one['n_tunes']:,}")
    return "\n".join(lines)


# --- what to read and where to write ---------------------------------------------------------------------------------


def _sources_and_folder(given: Sequence[str], output: str | None) -> tuple[list[str], str]:
    """Return the sources and the output folder, from the command line or from the configuration that it names."""
    configs = [one for one in given if one.lower().endswith((".yaml", ".yml"))]
    sources = [one for one in given if one not in configs]
    if len(configs) > 1:
        raise UsageError(f"give one configuration at a time, not {len(configs)}.")
    if configs:
        from symbolic import config

        data = config.load(configs[0]).data
        sources = sources or data.sources.split()
        if not sources:
            raise UsageError(f"{configs[0]} names no data.sources: add `sources: aird oneill ryan`, or name them here.")
        output = output or data.folder
    if not output:
        raise UsageError("missing -o FOLDER, for example -o data/mine.")
    return sources, output


def _notation_named(given: Sequence[str]) -> str:
    """Return "midi" if a configuration among the arguments has a MIDI tokenizer, else ''."""
    from symbolic import config

    configs = [config.load(one) for one in given if one.lower().endswith((".yaml", ".yml"))]
    return "midi" if any(one.tokenizer.kind in config.MIDI_KINDS for one in configs) else ""


def _notation_of(sources: Sequence[str], options: PrepareOptions) -> str:
    """Return "midi" if the sources hold nothing but MIDI, else "abc"."""
    held = set().union(*(corpora.holds(corpora.resolve(source, options.opt_in)) for source in sources))
    return "midi" if held == {"midi"} else "abc"


def _check_folder(folder: Path, sources: Sequence[str]) -> None:
    """Raise UsageError or UserError unless `folder` can be written: new, empty, or written by `prepare` earlier.

    A folder that contains a source is refused.
    """
    for source in sources:
        if Path(source).exists() and Path(source).resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"-o {folder} would replace the source {source}: choose another folder.")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: choose another folder.")
    if folder.is_dir() and any(folder.iterdir()) and not _is_ours(folder):
        raise UsageError(f"{folder} exists and was not written by `prepare`: choose another folder, or empty it.")
    parent = next(one for one in folder.absolute().parents if one.exists())  # the folder is made beside and renamed
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"cannot write {folder}: {parent} is not a writable folder. Choose another with -o.")


def _is_ours(folder: Path) -> bool:
    try:
        return "leakage" in files.read_json(folder / "summary.json")
    except (UserError, TypeError):
        return False


# --- reading and cleaning --------------------------------------------------------------------------------------------


def _identity(records: Sequence[Corpus], options: PrepareOptions) -> str:
    """Return the digest of everything the cleaned tunes depend on: sources, options, format."""
    chosen = {name: value for name, value in asdict(options).items() if name not in ("processes", "seed")}
    return files.digest(json.dumps([FORMAT, [asdict(record) for record in records], chosen]))


def _gather(
    sources: Sequence[str],
    records: list[Corpus],
    options: PrepareOptions,
    kinds: Sequence[str],
    staging: "Staging",
    work: _Work,
) -> None:
    """Read and clean every source into staging and index. Raises UserError if no tune is left."""
    with _Parsers(options.processes) as parsers:
        for source, record in zip(sources, records, strict=True):
            _gather_one(source, corpora.read(record, options.opt_in, work.warn, kinds), options, work, parsers, staging)
    if not len(work.corpus_index):
        raise UserError(_nothing_left(sources, work))


def _gather_one(
    source: str,
    found: Iterable[Found | Rejection],
    options: PrepareOptions,
    work: _Work,
    parsers: "_Parsers",
    staging: "Staging",
) -> None:
    progress = _Progress(source)
    for batch in _batches(found):
        if not staging.has(work.n_batches):
            staging.write(work.n_batches, parsers.clean(batch, options.limits(), options.notation))
        tunes = []
        for one in staging.read(work.n_batches):
            work.read[one.source] += 1
            if isinstance(one, Rejection):
                work.reject(one)
            else:
                tunes.append(one)
            progress.add(kept=not isinstance(one, Rejection))
        work.corpus_index.add(tunes)
        work.n_batches += 1
    progress.finish()


def _batches(items: Iterable[Found | Rejection]) -> Iterator[list[Found | Rejection]]:
    """Group items, in order, into batches of at most BATCH_TUNES items or about BATCH_BYTES bytes; deterministic."""
    batch: list[Found | Rejection] = []
    size = 0
    for item in items:
        batch.append(item)
        size += len(item.text) + len(item.data) if isinstance(item, Found) else 0
        if len(batch) == BATCH_TUNES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Parsers:
    """Cleans tunes in order, in a pool of processes when a batch is large enough to pay for starting one."""

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self.pool: Pool | None = None

    def __enter__(self) -> "_Parsers":
        return self

    def __exit__(self, *error: object) -> None:
        if self.pool is not None:
            self.pool.terminate()
            self.pool.join()

    def clean(
        self, batch: Sequence[Found | Rejection], limits: "Limits", notation: str
    ) -> "list[CleanTune | Rejection]":
        """Clean a batch: a tune or a rejection for each item, in order; a Rejection passes through."""
        work = partial(_clean_one, limits=limits, notation=notation)
        n_scores = sum(isinstance(item, Found) and bool(item.data) for item in batch)
        if self.processes == 1 or (len(batch) < POOL_TUNES and n_scores < POOL_SCORES):
            return list(map(work, batch))
        return self._pool().map(work, batch, chunksize=4 if n_scores else 64)

    def _pool(self) -> Pool:
        """Start the pool at first use. Spawned, not forked: a fork copies locks that another thread may hold."""
        if self.pool is None:
            self.pool = multiprocessing.get_context("spawn").Pool(self.processes, _leave_interrupts_to_the_parent)
        return self.pool


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _clean_one(item: Found | Rejection, limits: "Limits", notation: str) -> "CleanTune | Rejection":
    from symbolic.corpus.cleaning import clean

    return item if isinstance(item, Rejection) else clean(item, limits, notation)


def _nothing_left(sources: Sequence[str], work: _Work) -> str:
    if work.first_rejection is None:
        return f"no tune in {', '.join(sources)}: give ABC files (X: ... K: ...) or JSON with an 'abc notation' column."
    listed = ", ".join(f"{n:,} {reason}" for reason, n in _by_reason(work.rejected).items())
    return f"no tune of {', '.join(sources)} can be used ({listed}). The first: {_with_place(work.first_rejection)}"


def _with_place(rejection: Rejection) -> str:
    """Return the rejection's message, preceded by file and line unless it names the file already."""
    place = rejection.file if rejection.line is None else f"{rejection.file}:{rejection.line}"
    return rejection.message if rejection.file in rejection.message else f"{place}: {rejection.message}"


class _Progress:
    """Progress on stderr: a line that counts along in a terminal, a single line at the end elsewhere."""

    def __init__(self, source: str) -> None:
        self.source, self.read, self.kept = source, 0, 0
        self.console, self.began = Console(), time.monotonic()

    def add(self, kept: bool) -> None:
        """Count one item."""
        self.read += 1
        self.kept += kept
        if self.console.live and self.console.is_due():
            self.console.show(self._line())

    def finish(self) -> None:
        """Print the final line."""
        self.console.say(self._line())

    def _line(self) -> str:
        speed = self.read / max(time.monotonic() - self.began, 1e-3)
        return f"{self.source}: {self.read:,} read, {self.kept:,} readable, {speed:,.0f} tunes/s"


# --- splitting and writing -------------------------------------------------------------------------------------------


def _held_out(work: _Work, repeats: "Repeats", options: PrepareOptions) -> "TuneSplit":
    from symbolic.corpus import split

    fractions = {"valid": options.valid_fraction, "test": options.test_fraction}
    found = split.split_tunes(work.corpus_index, repeats.stays, fractions, options.seed)
    for name in split.SPLITS[1:]:
        if fractions[name] and not found.of(name).any():
            n, n_families = int(repeats.stays.sum()), len(found.family_sizes())
            work.warn(f"the {name} set is empty: {n} tunes in {n_families} families are too few to split.")
    return found


def _summary(work: _Work, held: "TuneSplit", options: PrepareOptions) -> dict[str, Any]:
    chosen = {name: value for name, value in asdict(options).items() if name != "processes"} | asdict(options.limits())
    if options.notation == "abc":
        del chosen["notation"]  # as folders of earlier versions have it
    sizes = held.family_sizes()
    return {
        "format": FORMAT,
        "options": chosen,
        "read": sum(work.read.values()),
        "kept": int(sizes.sum()),
        "rejected": _by_reason(work.rejected),
        "by_source": _by_source(work, held.part >= 0),
        "splits": {name: _split_counts(work.corpus_index, held, name) for name in SPLITS},
        "families": {"n": len(sizes), "largest": int(sizes.max()), "of_one_tune": int((sizes == 1).sum())},
        "leakage": held.leakage,
        "sources": [asdict(record) for record in work.records],
        "warnings": work.warnings,
    }


def _by_reason(rejected: Mapping[tuple[str, str], int], source: str | None = None) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for (name, reason), n in rejected.items():
        if source in (None, name):
            counts[reason] += n
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _by_source(work: _Work, kept: "NDArray[np.bool_]") -> dict[str, Any]:
    import numpy as np

    names = work.corpus_index.source_names
    n_kept = dict(zip(names, np.bincount(work.corpus_index.sources[kept], minlength=len(names)).tolist(), strict=True))
    return {
        name: {"read": work.read[name], "kept": n_kept.get(name, 0), "rejected": _by_reason(work.rejected, name)}
        for name in (record.name for record in work.records)
    }


def _split_counts(corpus_index: "PhraseIndex", held: "TuneSplit", name: str) -> dict[str, int]:
    chosen = held.of(name)
    return {
        "tunes": int(chosen.sum()),
        "families": len(set(held.named_by[chosen].tolist())),
        "bytes": int(corpus_index.n_bytes[chosen].sum()),
        "notes": int(corpus_index.n_notes[chosen].sum()),
    }


def _write(
    folder: Path, work: _Work, repeats: "Repeats", held: "TuneSplit", summary: dict[str, Any], staging: "Staging"
) -> None:
    with files.whole_folder(folder) as temporary:
        _write_tunes(temporary, work, repeats, held, staging)
        files.write_json(temporary / "sources.json", summary["sources"])
        files.write_whole(temporary / "TERMS.txt", _terms(work.records))
        files.write_json(temporary / "summary.json", summary)


def _write_tunes(folder: Path, work: _Work, repeats: "Repeats", held: "TuneSplit", staging: "Staging") -> None:
    """Write tunes/{train,valid,test}.jsonl and rejects.jsonl in one pass over the staged batches, in input order."""
    from symbolic.corpus import duplicates

    (folder / "tunes").mkdir()
    paths = [folder / "tunes" / f"{name}.jsonl" for name in SPLITS]
    with contextlib.ExitStack() as stack:
        *outputs, rejects = [
            stack.enter_context(open(path, "w", encoding="utf-8")) for path in (*paths, folder / "rejects.jsonl")
        ]
        parts = zip(itertools.count(), held.part.tolist())
        for one in itertools.chain.from_iterable(map(staging.read, range(work.n_batches))):
            if isinstance(one, Rejection):
                rejects.write(_line(asdict(one)))
                continue
            tune, part = next(parts)
            if part >= 0:
                family = work.corpus_index.key(int(held.named_by[tune]))[:16]
                outputs[part].write(_line(_row(one, work.corpus_index.unique_id(tune, one.id), family)))
        rejects.writelines(_line(asdict(one)) for one in duplicates.rejections(work.corpus_index, repeats))


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _row(tune: "CleanTune", id: str, family: str) -> dict[str, Any]:
    return {
        "id": id,
        "source": tune.source,
        "file": tune.file,
        "line": tune.line,
        "title": tune.title,
        "rhythm": tune.rhythm,
        "text": tune.text,
        "bytes": tune.n_bytes,
        "n_notes": tune.n_notes,
        "family": family,
        "fields": tune.fields,
    }


def _terms(records: Sequence[Corpus]) -> str:
    """Return text of TERMS.txt: sources and licences, which also bind models trained on these tunes."""
    parts = ["The tunes in this folder come from the sources below. Pass these terms on with them.\n"]
    for one in records:
        url = f"\n  where     {one.url}" if one.url else ""
        heading = one.name if one.title == one.name else f"{one.name}: {one.title}"
        parts.append(
            f"{heading}{url}\n  terms     {one.terms}\n  licence   {one.licence}\n"
            f"  pass on   {one.redistribution}\n  SHA-256   {one.sha256 or 'not measured'}\n"
        )
    return "\n".join(parts)
