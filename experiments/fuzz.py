"""Damaged tunes and headers through prepare, evaluate and the mask, and damaged files of every other kind: no crash, no
hang, no unbounded memory.

    python -m experiments.fuzz -n 20000                      # ABC
    python -m experiments.fuzz --all -n 100000               # every kind, see experiments.fuzz_files
    python -m experiments.fuzz --all -n 100000 --minutes 12 --resume         # in turns, as often as it takes
    python -m experiments.fuzz --kinds wav --first 4711 -n 1 # one again

Each tune is a real one (or two) damaged by one to four of DAMAGES: characters dropped, replaced, repeated a thousand
times, brackets nested without end, numbers that nobody can count, fields missing, twice or senseless, control
characters, bytes that are no text. Each then goes

- through `prepare`: split into tunes, cleaned, spelled canonically; what is spelled must read back as the same;
- through `evaluate`: every observation of a tune, and, set by set, every measure, the cards and the page;
- through the mask: as a prompt, and as what a model has written so far, after which the mask must still offer a token.

A stage may say no with the project's own errors, and nothing else: any other exception, more than SECONDS for one
input, a child that dies or that needs more than MEMORY_BYTES is a fault, printed with the number of the input, which
with --first makes it again. Children do the work, --chunk inputs each, kinds in turn, so that a native crash is caught
and memory is measured. The exit status is 1 when there is a fault.
"""

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import result_file
from experiments import fuzz_files
from experiments.fuzz_outcomes import SECONDS, guarded, recorded
from symbolic import command_line, files, machine

SET_SECONDS = 120.0  # for the measures of one set
MEMORY_BYTES = 2 * 2**30  # of a child: torch alone takes some 400 MB
SET_TUNES = 500  # measured together
PEAK, SLOWEST = "peak memory of a child", "slowest input in one stage, processor time"
STAGES = ("prepare", "evaluate", "mask")
SHARES = {"abc": 0.15, "midi": 0.2, "musicxml": 0.15, "yaml": 0.15, "json": 0.15, "wav": 0.1, "safetensors": 0.1}
MASK_STEPS = 8  # tokens drawn after a damaged beginning
ALPHABET = "".join(map(chr, range(32, 127))) + "\n\t\r\0\x1b\x7f\x85\u2028éß♯♭𝄞\ufeff\ud800"
SIGNS = ("[", "{", "(", "((3", '"', "!", "[V:1]", "|:", "[1", "(3:2:9", "[K:C]", "[M:3/8]", "-", ">", "/")
NUMBERS = ("0", "00", "9999", "9" * 400, "-1", "1/0", "/", "٣", "²", "1e9", "1-9999999", "1,2,3,4,5,6,7,8,9")
VALUES = (
    *("", "C", "none", "0/0", "4/0", "7/8", "99/64", "(2+3+2)/8", "1/3", "1/9999999999", "H#m", "Cbb", "F#loc", "1"),
    *("1 clef=bass", "1/4=99999999999", "0", "\0", "a" * 5000, "%%include /etc/passwd", "G ^c _b =a", 'G clef="', "|:"),
)
REPEATS = ("|:c:|", "|1,2-16c:|2c:|3", "::", "[1-16", ":|16", "|:" * 40 + "c" + ":|" * 40)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: child(args) if args.child else run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("-n", type=int, default=20_000, help="damaged inputs of all kinds together (default 20,000)")
    made.add_argument("--kinds", nargs="+", choices=list(SHARES), default=["abc"], help="default: abc")
    made.add_argument("--all", action="store_true", help="every kind")
    made.add_argument("--minutes", type=float, default=math.inf, help="begin no chunk after this time")
    made.add_argument("--resume", action="store_true", help="go on from the result file: its inputs count as tried")
    made.add_argument("--first", type=int, default=0, help="number of the first of each kind")
    made.add_argument("--chunk", type=int, default=500, help="inputs of one child")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--data", type=Path, default=Path("data/folk"))
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "fuzz.json")
    made.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return made


def run(args: argparse.Namespace) -> int:
    """Children one after another, kinds in turn; their outcomes added up."""
    kinds = list(SHARES) if args.all else args.kinds
    settings = {"n": args.n, "first": args.first, "seconds": SECONDS, "memory_bytes": MEMORY_BYTES, "kinds": kinds}
    recorder = result_file.Recorder("fuzz", args.seed, settings, data_digest=result_file.data_digest(args.data))
    before = _Before.read(recorder, args.output) if args.resume else _Before()
    outcomes, n_tried, faults = before.outcomes, before.n_tried, before.faults
    peak, slowest = before.sizes[PEAK], before.sizes[SLOWEST]
    until = time.monotonic() + 60 * args.minutes
    for kind, first, n in chunks(kinds, args.n, args.first, args.chunk, n_tried.copy()):
        if time.monotonic() > until:
            break
        found = _chunk(args, kind, first, n)
        n_tried[kind] += n
        outcomes.update({(stage, name): count for stage, name, count in found["outcomes"]})
        faults += found["faults"]
        for fault in found["faults"]:
            print(f"fault: {fault}", file=sys.stderr, flush=True)
        if found["peak_mib"] > MEMORY_BYTES / 2**20:
            faults.append(f"{kind} from {first}: the child needed {found['peak_mib']:,.0f} MiB")
        peak, slowest = max(peak, found["peak_mib"]), max(slowest, found["slowest_seconds"])
        print(f"{n_tried.total():,}/{args.n:,}: {len(faults)} faults", file=sys.stderr, flush=True)
    for kind in kinds:
        recorder.measured([n_tried[kind]], "inputs", kind=kind, measure="inputs tried")
    recorder.settings["faults"] = faults[:100]
    sizes = {PEAK: (peak, "MiB"), SLOWEST: (slowest, "s")}
    return recorded(recorder, args.output, "inputs", outcomes, sizes, faults)


@dataclass
class _Before:
    """What a result file tells of earlier turns; nothing where there was none."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    n_tried: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    sizes: dict[str, float] = field(default_factory=lambda: dict.fromkeys((PEAK, SLOWEST), 0.0))

    @classmethod
    def read(cls, recorder: result_file.Recorder, path: Path) -> "_Before":
        """Raises UserError where the file was measured on another machine, of other data or settings."""
        recorder.keep(path, lambda row: False)
        rows, recorder.rows = recorder.rows, []
        found = cls(faults=list(recorder.settings.get("faults", [])))
        for row in rows:
            if "outcome" in row:
                found.outcomes[row["stage"], row["outcome"]] = row["repeats"][0]
            elif "kind" in row:
                found.n_tried[row["kind"]] = row["repeats"][0]
            else:
                found.sizes[row["measure"]] = row["repeats"][0]
        return found


def chunks(
    kinds: Sequence[str], n: int, first: int, size: int, n_tried: Mapping[str, int] | None = None
) -> Iterator[tuple[str, int, int]]:
    """(kind, first number, inputs) of each child: kinds in turn, in all of each kind its share of `n`; of each the
    first `n_tried` are left out."""
    whole, n_tried = sum(SHARES[kind] for kind in kinds), n_tried or {}
    left = {kind: max(0, round(n * SHARES[kind] / whole) - n_tried.get(kind, 0)) for kind in kinds}
    begins = {kind: first + n_tried.get(kind, 0) for kind in kinds}
    while any(left.values()):
        for kind in kinds:
            part = min(size, left[kind])
            if part:
                yield kind, begins[kind], part
            left[kind], begins[kind] = left[kind] - part, begins[kind] + part


def _chunk(args: argparse.Namespace, kind: str, first: int, n: int) -> dict[str, Any]:
    """What a child says of its inputs, or how it died."""
    command = [sys.executable, "-m", "experiments.fuzz", "--child", "--first", str(first), "-n", str(n)]
    command += ["--seed", str(args.seed), "--data", str(args.data), "--kinds", kind]
    limit = 4 * n * SECONDS
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False, cwd=result_file.ROOT)
    except subprocess.TimeoutExpired:
        return _died(f"{kind} {first} to {first + n - 1}: the child did not end in {limit:.0f} s")
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        why = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        at = lines[-1] if lines else "its start"
        return _died(f"the child died after {at} ({why[0][:300]})")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def _died(message: str) -> dict[str, Any]:
    return {"outcomes": [], "faults": [message], "peak_mib": 0.0, "slowest_seconds": 0.0}


def child(args: argparse.Namespace) -> int:
    """Run the inputs of one child and print their outcomes as the last line."""
    _limit_memory()
    if args.kinds != ["abc"]:
        print(json.dumps(fuzz_files.tried(args.kinds[0], range(args.first, args.first + args.n), args.seed, args.data)))
        return 0
    tunes = [row["text"] for row in files.read_jsonl(args.data / "tunes" / "train.jsonl")]
    stages = {"prepare": prepare, "evaluate": evaluate, "mask": mask_stage()}
    outcomes: Counter[tuple[str, str]] = Counter()
    faults: list[str] = []
    slowest = 0.0
    texts = [(number, damaged(tunes, args.seed, number)) for number in range(args.first, args.first + args.n)]
    for number, text in texts:
        for stage, through in stages.items():
            seconds, name = guarded(lambda through=through, text=text: through(text), SECONDS)  # type: ignore[misc]
            outcomes[stage, name.partition(":")[0]] += 1
            slowest = max(slowest, seconds)
            faults += [f"abc {number}, {stage}: {name}"] if name.startswith("FAULT") else []
        print(f"abc {number}", flush=True)
    measured = sets_stage(list(files.read_jsonl(args.data / "tunes" / "test.jsonl")))
    for start in range(0, len(texts), SET_TUNES):
        own = [text for _, text in texts[start : start + SET_TUNES]]
        _, name = guarded(lambda own=own: measured(own), SET_SECONDS)  # type: ignore[misc]
        faults += [f"abc from {texts[start][0]}, as a set: {name}"] if name.startswith("FAULT") else []
    found = {"outcomes": [[*key, count] for key, count in outcomes.items()], "faults": faults}
    print(json.dumps({**found, "peak_mib": machine.peak_mib(), "slowest_seconds": slowest}))
    return 0


def prepare(text: str) -> str:
    """As `prepare` treats a file's text."""
    from symbolic.corpus import cleaning
    from symbolic.corpus.corpora import Found
    from symbolic.notation.abc_parser import canonical, parse, pretty, split_tunes

    names = []
    for raw in split_tunes(text) or []:
        found = cleaning.clean(Found("fuzz", "fuzz.abc", raw.line, raw.text, raw.line))
        if isinstance(found, cleaning.CleanTune):
            score = parse(found.text)
            assert canonical(score) == found.text, "canonical text does not read back as itself"
            assert canonical(parse(pretty(found.text, title=found.title))) == found.text, "nor does its layout"
            names.append("kept")
        else:
            names.append(f"rejected, {found.reason}")
    return names[0] if names else "no tune"


def evaluate(text: str) -> str:
    """As `evaluate` looks at one tune."""
    from symbolic.evaluate import sets
    from symbolic.evaluate.metrics import control_adherence
    from symbolic.evaluate.tune_features import observe
    from symbolic.notation.abc_parser import parse

    seen = observe(text)
    sets.canonical_text(text)
    if seen.check.parses:
        control_adherence.find_codes(parse(text))
    return seen.check.reason or "measured"


def mask_stage() -> Callable[[str], str]:
    """A tune as a prompt and as a beginning, under the mask of the grammar tokenizer."""
    from symbolic import tokens
    from symbolic.decode import prompt as prompts
    from symbolic.decode.constraint.automaton import Automaton
    from symbolic.decode.constraint.token_mask import TokenMask, rules_after_prompt

    tokenizer = tokens.build("grammar")
    mask = TokenMask(tokenizer, Automaton(), vocab_size=tokenizer.vocab_size)
    mask.limit(200)

    def through(text: str) -> str:
        rng = random.Random(len(text))
        _, n_read = mask.automaton.read(text)
        beginning = [tokenizer.bos, *tokenizer.encode(text[:n_read])]
        mask.start(0, beginning)
        for _ in range(MASK_STEPS):
            allowed = mask.allowed(0).nonzero()[0].tolist()
            assert allowed, "the mask offers no token"
            token = rng.choice(allowed)
            if token == tokenizer.eos:
                break
            mask.advance(0, token)
        rules_after_prompt(prompts.read_prompt(text))
        return "read whole" if n_read == len(text) else "read in part"

    return through


def sets_stage(rows: Sequence[dict[str, Any]]) -> Callable[[list[str]], str]:
    """A set of damaged tunes beside human ones, to the page."""
    from symbolic.evaluate import comparison, sets
    from symbolic.evaluate.report import page, tune_cards
    from symbolic.evaluate.sets import Human, SetTune

    human = [SetTune(str(row["id"]), str(row["title"]), row["text"]) for row in rows]
    reference = comparison.TuneReference(Human("human", human, human))

    def through(texts: list[str]) -> str:
        result = comparison.evaluate_tunes(texts, reference)
        table = comparison.comparison_table({"fuzz": result["measures"]}, reference)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tunes.jsonl"
            files.write_whole(path, "".join(json.dumps({"text": text}) + "\n" for text in texts))
            shown = tune_cards.tune_cards(sets.read_tunes(path), result["tunes"], reference)
            page.write_report(Path(folder) / "report.html", title="fuzz", intro="", tables=[table], tunes=shown)
        return "measured"

    return through


def damaged(tunes: Sequence[str], seed: int, number: int) -> str:
    """The damaged tune of that number."""
    rng = random.Random(f"{seed}:{number}")
    text = f"X:{number}\nT:A tune\n" + rng.choice(tunes)
    for _ in range(rng.randint(1, 4)):
        text = rng.choice(DAMAGES)(text, tunes, rng)
    return text[:400_000]


def _edited(text: str, tunes: Sequence[str], rng: random.Random) -> str:
    """Some characters dropped, replaced or put in."""
    characters = list(text)
    for _ in range(rng.choice((1, 2, 5, 20, 100))):
        place = rng.randrange(len(characters) + 1)
        characters[place : place + rng.randint(0, 2)] = rng.choices(ALPHABET, k=rng.randint(0, 2))
    return "".join(characters)


def _cut(text: str, tunes: Sequence[str], rng: random.Random) -> str:
    low, high = sorted(rng.randrange(len(text) + 1) for _ in range(2))
    return text[:low] + text[high:] if rng.random() < 0.5 else text[low:high]


def _spliced(text: str, tunes: Sequence[str], rng: random.Random) -> str:
    other = rng.choice(tunes)
    return text[: rng.randrange(len(text) + 1)] + other[rng.randrange(len(other)) :]


def _repeated(text: str, tunes: Sequence[str], rng: random.Random) -> str:
    """A piece over and over."""
    low = rng.randrange(len(text) + 1)
    piece = text[low : low + rng.choice((1, 2, 8, 40))]
    return text[:low] + piece * rng.choice((3, 30, 1000, 5000)) + text[low:]


def _nested(text: str, tunes: Sequence[str], rng: random.Random) -> str:
    place = rng.randrange(len(text) + 1)
    sign = rng.choice(SIGNS)
    return text[:place] + sign * rng.choice((1, 2, 50, 3000)) + text[place:]


def _numbered(text: str, tunes: Sequence[str], rng: random.Random) -> str:
    """Numbers that are too long, zero, or of other scripts."""
    places = [place for place, character in enumerate(text) if character.isdigit()]
    if not places:
        return text + rng.choice(("/0", "c999999", "Z9999", "[1-99999999"))
    place = rng.choice(places)
    number = rng.choice(NUMBERS)
    return text[:place] + number + text[place + 1 :]


def _headed(text: str, tunes: Sequence[str], rng: random.Random) -> str:
    """A field dropped, doubled, misspelled or put in anywhere."""
    lines = text.split("\n")
    place = rng.randrange(len(lines) + 1)
    field = rng.choice("XTMLKVQRSBEIPWwmUN%+")
    value = rng.choice(VALUES)
    lines[place : place + rng.randint(0, 2)] = [f"{field}:{value}"] * rng.choice((1, 1, 2, 300))
    return "\n".join(lines)


def _unrolled(text: str, tunes: Sequence[str], rng: random.Random) -> str:
    """Repeats and endings that multiply."""
    place = rng.randrange(len(text) + 1)
    return text[:place] + rng.choice(REPEATS) * 200 + text[place:]


def _bytes(text: str, tunes: Sequence[str], rng: random.Random) -> str:
    """Bytes flipped, then read as Latin-1, as files are."""
    data = bytearray(text.encode("utf-8", "replace"))
    for _ in range(rng.randint(1, 40)):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data.decode("latin-1")


DAMAGES = (_edited, _edited, _cut, _spliced, _repeated, _nested, _numbered, _headed, _headed, _unrolled, _bytes)


def _limit_memory() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    address_space = 4 * MEMORY_BYTES  # of which torch maps much that it does not use
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))


if __name__ == "__main__":
    sys.exit(main())
