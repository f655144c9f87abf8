"""Write every measured number of README.md, docs/ and the models' cards from its result file, in tables and prose.

    python -m experiments.pages            # write
    python -m experiments.pages --check    # name what differs, and numbers without a source; exit status 1

A section between `<!-- NAME -->` and `<!-- /NAME -->` is made whole (SECTIONS). In prose a comment behind a number
names where it comes from; pages show the number only:

    1.002<!-- =ready-gpt2-6m bits_per_byte .3f -->                    experiments/results/ready-gpt2-6m.json, one value
    0.87<!-- =melody_from_scratch rows[sound=own melody,guidance=3.0,against=own].repeats.mean .2f -->
    97.7 %<!-- =ready-gpt2-6m measures.share_that_parse .1% -->
    12.3<!-- =polyphony rows[quantity=tokens].repeats *1e-6 .1f -->   a factor before the format
    0.2<!-- given -->                                                 a setting or a fact, nothing that was measured
    <!-- numbers here: WHERE FROM -->                                 of a whole page whose numbers are other people's

`benchmarks/decoding` names a file of benchmarks/results. Numbers in code, in links and in sections need no comment; any
other that looks measured (MEASURED) is refused without one.
"""

import argparse
import re
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks import result_file, speed_tables
from experiments import affect_tables
from symbolic import command_line, files
from symbolic.errors import UserError

ROOT = result_file.ROOT
MOST_SHOWN = 10  # faults of a page
PAGES = ("README.md", "docs/*.md", "docs/*/*.md", "symbolic/ready/*/README.md")
NOT_READ = ("docs/tree.md", "docs/commands/", "docs/reference/", "docs/_build/")  # listings and pages made from code
NUMBER = r"[-−]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?: ?%)?"
SOURCED = re.compile(rf"({NUMBER})<!-- =(\S+) (.+?) (\*\S+ )?(\S+) -->")
GIVEN = re.compile(rf"({NUMBER})<!-- given -->")
OTHERS = re.compile(r"^<!-- numbers here: [^>]{10,} -->$", re.MULTILINE)
LICENCE = re.compile(r"CC[ -]BY[A-Z-]*\s+\d\.\d")  # a version is no measurement
MEASURED = re.compile(r"(?<![\d.])\d+\.\d+(?!\.?\d)|\d+(?: ?%)|\d{1,3}(?:,\d{3})+")
SUMMARIES: dict[str, Callable[[list[Any]], float]] = {  # of a list
    "mean": statistics.fmean, "median": statistics.median, "min": min, "max": max, "n": len, "sum": sum,
}  # fmt: skip


def main() -> int:
    """Run as the command line says."""
    return command_line.guarded(_run)


def _run() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; name what differs")
    args = parser.parse_args()
    faults = []
    for path in pages(ROOT):
        text = path.read_text(encoding="utf-8")
        written = filled(text)
        if args.check:
            faults += [f"{path.relative_to(ROOT)}: {fault}" for fault in differences(text)[:MOST_SHOWN]]
        elif written != text:
            files.write_whole(path, written)
            print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)
        faults += [f"{path.relative_to(ROOT)}: {fault}" for fault in unsourced(written)[:MOST_SHOWN]]
    print("\n".join(faults) or "every number stands in its result file.")
    return int(bool(faults))


def pages(root: Path) -> list[Path]:
    """The pages that may show measured numbers."""
    found = sorted({path for pattern in PAGES for path in root.glob(pattern)})
    return [path for path in found if not path.relative_to(root).as_posix().startswith(NOT_READ)]


def filled(text: str) -> str:
    """A page with all its sections and numbers as the result files say."""
    for name in dict.fromkeys(re.findall(r"^<!-- ([a-z_0-9]+) -->$", text, re.MULTILINE)):
        if name not in SECTIONS:
            raise UserError(f"<!-- {name} -->: no such section; there are {', '.join(SECTIONS)}.")
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        if not end:
            raise UserError(f"<!-- {name} --> has no end, <!-- /{name} -->.")
        text = f"{before}<!-- {name} -->\n\n{SECTIONS[name]().strip()}\n\n<!-- /{name} -->{after}"
    return SOURCED.sub(lambda match: match[0].replace(match[1], shown(*match.groups()[1:]), 1), text)


def differences(text: str) -> list[str]:
    """The lines of a page that are not as the result files say, each with what it should be."""
    pairs = zip(text.splitlines(), filled(text).splitlines(), strict=False)
    found = [
        f"line {n}: {_plain(is_)!r} should be {_plain(should)!r}"
        for n, (is_, should) in enumerate(pairs, 1)
        if is_ != should
    ]
    return found or (["the number of lines differs"] if text.count("\n") != filled(text).count("\n") else [])


def unsourced(text: str) -> list[str]:
    """Numbers in a page's prose that look measured and name no source."""
    if OTHERS.search(text):
        return []
    text = re.sub(r"^(```|~~~).*?^\1", lambda match: "\n" * match[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL)
    for name in SECTIONS:
        text = re.sub(rf"<!-- {name} -->.*?<!-- /{name} -->", lambda m: "\n" * m[0].count("\n"), text, flags=re.DOTALL)
    text = GIVEN.sub("", SOURCED.sub("", text))
    text = LICENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    text = re.sub(r"`[^`]*`|\]\([^)]*\)|<!--.*?-->|<[^>]*>", "", text, flags=re.DOTALL)
    return [
        f"line {n}: {match[0]} names no source: {line.strip()[:80]!r}"
        for n, line in enumerate(text.splitlines(), 1)
        for match in MEASURED.finditer(line)
    ]


def shown(file: str, place: str, factor: str | None, form: str) -> str:
    """The value at a place of a result file as it is shown."""
    value = value_at(result(file), place, file)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{file} {place}: is no number but {value!r:.60}.")
    scaled = value * float(factor.strip()[1:]) if factor else value
    return format(scaled, form).replace("%", " %")


@cache
def result(name: str) -> dict[str, Any]:
    """A result file by name: of experiments, or as benchmarks/NAME."""
    folder, _, stem = name.rpartition("/")
    path = (result_file.BENCHMARKS if folder == "benchmarks" else result_file.EXPERIMENTS) / f"{stem}.json"
    found: dict[str, Any] = files.read_json(path)
    return found


def value_at(tree: Any, place: str, file: str = "") -> Any:
    """The value at `measures.share_that_parse`, `rows[0].low`, `rows[model=a,class=b].repeats` or `columns."a b"`."""
    for key, inner in _steps(place):
        if isinstance(tree, list) and key in SUMMARIES:
            tree = SUMMARIES[key](tree)
        elif key:
            if not isinstance(tree, Mapping) or key not in tree:
                raise UserError(f"{file} {place}: there is no {key!r}.")
            tree = tree[key]
        if inner:
            tree = _chosen(tree, inner, f"{file} {place}")
    return tree


def _steps(place: str) -> Iterator[tuple[str, str]]:
    for match in re.finditer(r'(?:"([^"]+)"|([^.\[\]"]+))?(?:\[([^\]]+)\])?(?:\.|$)', place):
        if match[0]:
            yield match[1] or match[2] or "", match[3] or ""


def _chosen(items: Any, inner: str, where: str) -> Any:
    if re.fullmatch(r"-?\d+", inner):
        return items[int(inner)]
    wanted = dict(pair.split("=", 1) for pair in inner.split(","))
    matches = [row for row in items if all(str(row.get(key)) == value for key, value in wanted.items())]
    if len(matches) != 1:
        raise UserError(f"{where}: {len(matches)} rows have {inner}.")
    return matches[0]


def _plain(line: str) -> str:
    return re.sub(r"<!--.*?-->", "", line)[:110]


# --- sections --------------------------------------------------------------------------------------------------------


def _quickstart() -> str:
    from experiments import quickstart
    from symbolic.evaluate.report import tables

    return "\n".join(map(tables.markdown, quickstart.short_tables_of(result("quickstart"))))


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(value: float) -> str:
    return f"{value:.1%}".replace("%", " %")


READY = ("gpt2-6m", "mamba2-6m")
READY_ROWS = {
    "tunes that parse": "share_that_parse",
    "bars that fit the metre, unconstrained": "share_of_full_bars",
    "tunes with all bars right, unconstrained": "share_of_right_tunes",
    "sections of 4, 8, 12... bars": "share_of_square_sections",
    "tunes with a copied 17-note phrase": "share_with_copied_phrase",
}


def _ready() -> str:
    """The models that ship, beside human tunes."""
    found = [result(f"ready-{name}") for name in READY]
    human = found[0]["comparison"]["human, held out"]
    rows = [["bits per byte of held-out tunes", *(f"{one['bits_per_byte']:.3f}" for one in found), ""]]
    for title, key in READY_ROWS.items():
        rows.append([title, *(_percent(one["measures"][key]) for one in found), _percent(human[key])])
    return _table(["", *READY, "human, held out"], rows)


def _card(name: str) -> str:
    """All measures of one model that ships."""
    from experiments import ready_made

    return ready_made.card_table(name, result(f"ready-{name}"))


def _alike() -> str:
    """Both architectures on equal tokens: what is new in a tune, and what it repeats."""
    rows = []
    for title, kind in (("new in the tune", "first"), ("repeated by the tune", "repeated")):
        cells = [value_at(result("copying"), f"rows[model={name}-folk,class={kind}]") for name in READY]
        rows.append([title, *(f"{one['repeats'][0]:.3f} ({one['low']:.3f}–{one['high']:.3f})" for one in cells)])
    return _table(["bits per byte (95 % interval)", "GPT-2 6M", "Mamba-2 6M"], rows)


def _sizes() -> str:
    from symbolic import config
    from symbolic.models.sizes import parameters

    rows = []
    for family, name in (("gpt2", "GPT-2"), ("mamba", "Mamba"), ("mamba2", "Mamba-2"), ("lstm", "LSTM")):
        models = [config.load(ROOT / "configs" / f"{family}-{size}.yaml").model for size in ("6m", "60m")]
        rows.append([name, *(cell for model in models for cell in (_shape(model), f"{parameters(model):,}"))])
    return _table(["", "6M", "parameters", "60M", "parameters"], rows)


def _shape(model: Any) -> str:
    if model.family == "gpt2":
        return f"{model.n_layer} layers of {model.n_embd}, {model.n_head} heads"
    state = f", state {model.d_state}" if model.family != "lstm" else ""
    heads = f", heads of {model.head_dim}" if model.family == "mamba2" else ""
    return f"{model.n_layer} layers of {model.d_model}{heads}{state}"


def _speeds() -> str:
    return speed_tables.section(result_file.BENCHMARKS)


def _fastest() -> str:
    """Of the speeds the few that a first page shows: float32, one thread."""
    columns, lines_of = speed_tables.TABLES["decoding"]
    shown = [columns.index(name) for name in ("ours", "best peer", "ours over it")]
    cells = lines_of({"rows": result_file.select(result("benchmarks/decoding"), quantity="speed")})
    lines = []
    for model, batch in (("gpt2-6m", 1), ("gpt2-6m", 32), ("mamba2-6m", 1), ("mamba2-6m", 32)):
        line = next(one for one in cells if one[:3] == [f"{model}, batch {batch}", "1", "float32"])
        lines.append([line[0], *(line[place] for place in shown)])
    return _table(["tokens/s of one thread, float32", *(columns[place] for place in shown)], lines)


def _conversions() -> str:
    """What each conversion of each source keeps, in percent."""
    rows = result("conversions")["rows"]
    quantities = ("onsets", "durations", "heard", "exact", "told", "key", "metre")
    lines = []
    for direction, source in dict.fromkeys((row["direction"], row["source"]) for row in rows):
        own = {row["quantity"]: row for row in rows if (row["direction"], row["source"]) == (direction, source)}
        first = max(own.values(), key=lambda row: row["pieces"])  # the share told is of parts with something to tell
        shares = [f"{100 * own[name]['repeats'][0]:.2f}" if name in own else "–" for name in quantities]
        lines.append([direction, source, f"{first['pieces']:,}", f"{first['n_notes']:,}", *shares])
    names = ["in place", "and as long", "played", "exact", "told", "key", "metre"]
    return _table(["%", "source", "pieces", "notes", *names], lines)


def _seeds() -> str:
    """Validation bits per byte at the end of training: the mean over seeds, and the difference paired over seeds."""
    from experiments import learning_curves, seeds

    ends = seeds.final_losses(result("seeds"))
    ordered = sorted(ends, key=lambda model: statistics.fmean(ends[model].values()))
    rows = []
    for before, model in zip([None, *ordered], ordered, strict=False):
        found = learning_curves.interval(list(ends[model].values()))
        difference = learning_curves.paired_interval(ends[model], ends[before]) if before else None
        words = seeds.difference_text(difference) if difference else "–"
        rows.append([model, str(len(ends[model])), f"{found.median:.3f}", f"{found.low:.3f}–{found.high:.3f}", words])
    return _table(["model", "seeds", "bits per byte, mean", "95 % interval", "more than the one above, by seed"], rows)


def _mutants() -> str:
    """Small changes to the code that decides results, by area: how many the tests notice."""
    from experiments import mutants

    rows, lines = result("mutants")["rows"], list[list[str]]()
    for area, modules in mutants.AREAS.items():
        own = [row for row in rows if row["area"] == area]
        counts = [
            int(sum(row["repeats"][0] for row in own if row.get("measure") == name))
            for name in ("killed", "equivalent", "survived")
        ]
        seen = counts[0] + counts[2]
        n_left = len(modules) - len({row["module"] for row in own if "repeats" in row})
        title = f"{area} ({n_left} of {len(modules)} modules not run)" if n_left and seen else area
        lines.append([title, *map(str, counts), _percent(counts[0] / seen)] if seen else [area, *["not run"] * 4])
    total = [sum(int(line[place]) for line in lines if line[1] != "not run") for place in (1, 2, 3)]
    lines.append(["all that were run", *map(str, total), _percent(total[0] / (total[0] + total[2]))])
    return _table(["area", "noticed", "cannot be seen", "not noticed", "noticed of those that can be seen"], lines)


def _streaming() -> str:
    """Memory and processor time of preparing, making shards and opening them, as the corpus grows."""
    rows = result("streaming")["rows"]
    lines = []
    for tunes in dict.fromkeys(row["tunes"] for row in rows):
        cells = [
            _only(rows, tunes=tunes, stage=stage, quantity=quantity)
            for stage in ("prepare", "shards", "open")
            for quantity in ("memory", "processor seconds")
        ]
        lines.append([f"{tunes:,}", *(f"{value:,.0f}" if value >= 10 else f"{value:.1f}" for value in cells)])
    stages = ("prepare", "make shards", "open them and read ten batches")
    return _table(["tunes", *(cell for stage in stages for cell in (f"{stage}, MiB", "processor s"))], lines)


def _notations() -> str:
    """ABC and MIDI of the same tunes: what each model makes of either."""
    rows = result("abc_vs_midi")["rows"]
    lines = []
    for model, kind in dict.fromkeys((row["model"], row["kind"]) for row in rows if row["family"] != "human"):
        cells = {
            quantity: _only(rows, model=model, kind=kind, quantity=quantity)
            for quantity in ("bits per note", "seconds to train", "seconds per minute of music", "in bars")
        }
        notation = "ABC" if kind == "bytepair" else "MIDI"
        lines.append(
            [
                f"{model.removesuffix('-folk')}, {notation}",
                f"{cells['bits per note']:.2f}",
                f"{cells['seconds to train']:.0f}",
                f"{cells['seconds per minute of music']:.2f}",
                _percent(cells["in bars"]),
            ]
        )
    human = _only(rows, family="human", kind="ABC", quantity="in bars")
    lines.append(["human, held out", "", "", "", _percent(human)])
    columns = ["", "bits per note", "processor s to train", "s for a minute of music", "end and keep to their bars"]
    return _table(columns, lines)


def _curves() -> str:
    """Validation bits per byte in the course of a long training: the best and the last."""
    lines = []
    for row in result("learning_curves")["rows"]:
        best = min(range(len(row["repeats"])), key=row["repeats"].__getitem__)
        lines.append(
            [
                row["model"].removesuffix("-folk"),
                f"{row['repeats'][best]:.3f} (step {row['steps'][best]:,})",
                f"{row['repeats'][-1]:.3f} (step {row['steps'][-1]:,})",
            ]
        )
    return _table(["validation bits per byte, one seed", "best", "at the end"], lines)


def _only(rows: list[dict[str, Any]], **keys: Any) -> float:
    """The single number of the row that has these keys."""
    found = [row["repeats"] for row in rows if all(row.get(key) == value for key, value in keys.items())]
    if len(found) != 1 or len(found[0]) != 1:
        raise UserError(f"{len(found)} rows have {keys}.")
    return float(found[0][0])


def _bound(function: Callable[[], str]) -> Callable[[], str]:
    return cache(function)


SECTIONS: dict[str, Callable[[], str]] = {
    "quickstart": _bound(_quickstart),
    "ready": _bound(_ready),
    **{f"card_{name.replace('-', '_')}": _bound(partial(_card, name)) for name in READY},
    "alike": _bound(_alike),
    "sizes": _bound(_sizes),
    "speeds": _bound(_speeds),
    "fastest": _bound(_fastest),
    "conversions": _bound(_conversions),
    "seeds": _bound(_seeds),
    "mutants": _bound(_mutants),
    "streaming": _bound(_streaming),
    "notations": _bound(_notations),
    "curves": _bound(_curves),
    **{name: _bound(table) for name, table in affect_tables.TABLES.items()},
}

if __name__ == "__main__":
    sys.exit(main())
