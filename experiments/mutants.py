"""Small changes to the code that decides results: do the tests notice?

    make mutants
    python -m experiments.mutants --each 10 --seed 0
    python -m experiments.mutants --each 40 --minutes 12 --resume     # in turns, as often as it takes
    python -m experiments.mutants --areas loader --each 40 -o loader.json

Cosmic Ray (https://cosmic-ray.readthedocs.io; extra `mutation`) makes the changes: another operator or comparison, a
number one larger or smaller, `not`, `and` for `or`, a loop that ends at once. Of each area `--each` places are drawn by
the seed, and of each place one change. A change is killed when one of the test files that mirror the module fails or
does not end; a survivor is a change that nobody would notice. Survivors that change nothing which can be seen from
outside stand in tests/equivalent_mutants.tsv (path, line as it was, line as it became, why), and do not count.
The result is written after each change. With --resume a change that was killed stays so while its module is the same,
and one that survived while module and tests are the same; all others are tried.

Cosmic Ray's own runner starts a Python for each change, of which importing torch takes longer than the tests. Here one
process imports the libraries, and forks for each change: what is ours is imported anew, from a copy of the tree.
"""

import argparse
import ast
import contextlib
import hashlib
import json
import math
import os
import random
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TOPS = ("symbolic", "audio_bridge", "studio", "experiments", "benchmarks", "tests", "configs", "pyproject.toml")
WARM = (
    *("numpy", "scipy.signal", "scipy.sparse", "torch", "transformers", "tokenizers", "safetensors.torch", "mir_eval"),
    *("transformers.models.musicgen_melody.modeling_musicgen_melody", "soundfile", "yaml", "matplotlib"),
)
EQUIVALENT = Path("tests", "equivalent_mutants.tsv")
LEAST_SECONDS, TIMES_LONGER = 10.0, 3.0  # of processor time, after which a change has made a loop endless
WALL_TIMES = 20.0  # of it by the clock: the machine may be busy, a test may wait for what never comes
_LEFT_OUT = re.compile(  # a change of decorators, or one that Python's small integers and None hide
    r"RemoveDecorator|Variable|Comparison\w*_(Eq|NotEq|Lt|LtE|Gt|GtE)_(Is|IsNot)$|Comparison\w*_(Is|IsNot)_(Eq|NotEq)$"
)
_NAMED_ONLY = re.compile(r"\*\s*(,|$)")  # before arguments that must be named: Cosmic Ray takes it for a product
_READER = "tests/symbolic/notation/reading/test_voice_reader.py"
_NOTATION = tuple(f"tests/symbolic/notation/test_{name}.py" for name in ("abc_parser", "performance", "play_order"))
_MEASURES = ("bootstrap", "diversity", "form", "histograms", "novelty", "set_distance", "tonality")
Key = tuple[str, str, str, int]  # of a change: path and SHA-256 of the module, operator, occurrence
# area -> module -> the test files that mirror it
AREAS: dict[str, dict[str, tuple[str, ...]]] = {
    "notation": {
        "symbolic/notation/reading/voice_reader.py": (_READER, *_NOTATION),
        "symbolic/notation/play_order.py": ("tests/symbolic/notation/test_play_order.py", *_NOTATION),
        "symbolic/notation/validity.py": ("tests/symbolic/notation/test_validity.py",),
        "symbolic/notation/transposition.py": _NOTATION,
    },
    "score": {
        "symbolic/notation/performance.py": _NOTATION,
        "symbolic/notation/score.py": ("tests/symbolic/notation/test_score.py", *_NOTATION),
    },
    "families": {"symbolic/corpus/families.py": ("tests/symbolic/corpus/test_families.py",)},
    "likelihood": {"symbolic/training/likelihood.py": ("tests/symbolic/training/test_likelihood.py",)},
    "loader": {"symbolic/data/loader.py": ("tests/symbolic/data/test_loader.py",)},
    "optimiser": {
        "symbolic/training/optim.py": ("tests/symbolic/training/test_optim.py", "tests/symbolic/training/test_muon.py"),
    },
    "sampling": {"symbolic/decode/engine/sampling.py": ("tests/symbolic/decode/engine/test_sampling.py",)},
    "measures": {
        f"symbolic/evaluate/metrics/{name}.py": (f"tests/symbolic/evaluate/metrics/test_{name}.py",)
        for name in _MEASURES
    },
    "alignment": {
        "audio_bridge/lyrics/setting/syllable_alignment.py": (
            "tests/audio_bridge/lyrics/setting/test_syllable_alignment.py",
        )
    },
    "adherence": {
        "audio_bridge/musicgen/melody_adherence.py": ("tests/audio_bridge/musicgen/test_melody_adherence.py",),
        "audio_bridge/sound/chroma.py": ("tests/audio_bridge/sound/test_chroma.py",),
    },
    "fine-tuning": {
        "audio_bridge/musicgen/finetune.py": ("tests/audio_bridge/musicgen/test_finetune.py",),
        "audio_bridge/musicgen/clips.py": (
            "tests/audio_bridge/musicgen/test_clips.py", "tests/audio_bridge/musicgen/test_finetune.py",
        ),
    },
}  # fmt: skip
TESTS = {path: tests for modules in AREAS.values() for path, tests in modules.items()}


@dataclass(frozen=True)
class Mutant:
    """One change: where it is, by which operator of Cosmic Ray, and the first line that differs, before and after."""

    area: str
    path: str
    operator: str
    occurrence: int
    line: int
    was: str
    becomes: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    if args.serve:
        return serve(args.serve)
    from symbolic import command_line

    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--each", type=int, default=10, help="changes of each area (default: %(default)s)")
    made.add_argument("--areas", nargs="+", choices=list(AREAS), default=list(AREAS), help="default: all")
    made.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    made.add_argument("--minutes", type=float, default=60.0, help="draw no more after this time (default: %(default)s)")
    made.add_argument("--resume", action="store_true", help="go on from the result file")
    made.add_argument("-o", "--output", type=Path, help="result file (default: experiments/results/mutants.json)")
    made.add_argument("--serve", type=Path, metavar="COPY", help=argparse.SUPPRESS)
    return made


def run(args: argparse.Namespace) -> int:
    """Draw, test, write the result; exit status 1 where a survivor is not argued."""
    from benchmarks import result_file

    output = args.output or result_file.EXPERIMENTS / "mutants.json"
    recorder = result_file.Recorder("mutants", args.seed, {"each": args.each})
    known = _known(recorder, output, args.areas) if args.resume else {}
    argued = equivalents(ROOT / EQUIVALENT)
    others = [one for one in recorder.settings.get("survivors", []) if one["area"] not in args.areas]
    survivors = list[dict[str, Any]]()
    until = time.monotonic() + 60 * args.minutes
    with TestServer(ROOT) as server:
        for area in args.areas:
            counts = {path: Counter[str]() for path in AREAS[area]}
            for mutant in drawn(ROOT, area, args.each, args.seed):
                key = _key(mutant)
                if key not in known and time.monotonic() > until:
                    counts[mutant.path]["not tried"] += 1
                    continue
                by = known.get(key, "") or ("" if key in known else server.killer(mutant))
                known[key] = by
                if not by:
                    survivors.append({**asdict(mutant), "argued": argued.get(_argument(mutant), "")})
                name = "killed" if by else "equivalent" if survivors[-1]["argued"] else "survived"
                counts[mutant.path][name] += 1
                print(f"{mutant.path}:{mutant.line}: {mutant.was}  ->  {mutant.becomes}: {by}", file=sys.stderr)
                recorder.settings |= {"survivors": [*others, *survivors], "tried": _as_rows(known)}
                result_file.write(output, recorder.result())
            _record(recorder, area, counts)
    recorder.settings |= {"survivors": [*others, *survivors], "tried": _as_rows(known)}
    recorder.write(output)
    return int(any(not one["argued"] for one in survivors))


def _known(recorder: Any, output: Path, areas: Sequence[str]) -> dict[Key, str]:
    """Return what killed each change that the result file has, '' for nothing, where that is still so; keep its rows
    of other areas."""
    recorder.keep(output, lambda row: row["area"] in areas)
    return {
        (path, module, operator, occurrence): by
        for path, module, operator, occurrence, by, tested in recorder.settings.pop("tried", [])
        if path in TESTS and module == _digest(path) and (by or tested == _digest(*TESTS[path]))
    }


def _as_rows(known: dict[Key, str]) -> list[list[Any]]:
    """Return what was tried as JSON: the change, what killed it, and the digest of the tests that it survived."""
    return [[*key, by, "" if by else _digest(*TESTS[key[0]])] for key, by in sorted(known.items())]


def _record(recorder: Any, area: str, counts: dict[str, Counter[str]]) -> None:
    for path, own in counts.items():
        if own["not tried"]:
            recorder.not_run("the time was over: go on with --resume", area=area, module=path)
            continue
        for name in ("killed", "survived", "equivalent"):
            recorder.measured([own[name]], "mutants", area=area, module=path, measure=name)


def _key(mutant: "Mutant") -> Key:
    return mutant.path, _digest(mutant.path), mutant.operator, mutant.occurrence


def _digest(*paths: str) -> str:
    """Return the SHA-256 of some files of this tree, one after the other."""
    return hashlib.sha256(b"".join((ROOT / path).read_bytes() for path in paths)).hexdigest()


def _argument(mutant: "Mutant") -> tuple[str, str, str]:
    return mutant.path, mutant.was, mutant.becomes


def drawn(root: Path, area: str, n: int, seed: int) -> list[Mutant]:
    """`n` changes of an area, fewer where it has fewer places; the same for the same seed and code."""
    places: dict[tuple[str, tuple[int, int]], list[tuple[str, int]]] = {}
    for path in AREAS[area]:
        for start, operator, occurrence in changes(_text(root / path)):
            places.setdefault((path, start), []).append((operator, occurrence))
    rng = random.Random(f"{seed}:{area}")
    order = sorted(places)
    rng.shuffle(order)
    found: list[Mutant] = []
    for path, start in order:
        if len(found) == n:
            break
        variants = sorted(places[path, start])
        mutant = made(root, area, path, *variants[rng.randrange(len(variants))])
        found += [mutant] if mutant else []
    return found


def changes(text: str) -> Iterator[tuple[tuple[int, int], str, int]]:
    """(line and column, operator, occurrence) of everything that Cosmic Ray can change in a module."""
    provider, get_ast, ast_nodes = _cosmic_ray()
    lines = text.splitlines()
    nodes = list(ast_nodes(get_ast(text)))
    for name in provider:
        if _LEFT_OUT.search(name):
            continue
        operator = provider[name]()
        positions = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, (line, column) in enumerate(positions):
            if not _NAMED_ONLY.match(lines[line - 1][column:]):
                yield (line, column), name, occurrence


def made(root: Path, area: str, path: str, operator: str, occurrence: int) -> Mutant | None:
    """A change as a record; None where it changes no meaning: annotations, names for the type checker."""
    before = _text(root / path)
    after = mutated(before, operator, occurrence)
    if meaning(before) == meaning(after):
        return None
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    line, was, becomes = next((i, a, b) for i, (a, b) in enumerate(pairs, start=1) if a != b)
    return Mutant(area, path, operator, occurrence, line, was.strip(), becomes.strip())


def mutated(text: str, operator: str, occurrence: int) -> str:
    """A module's text with one change."""
    provider, _, _ = _cosmic_ray()
    from cosmic_ray.mutating import mutate_code

    after = mutate_code(text, provider[operator](), occurrence)
    assert after is not None, (operator, occurrence)
    return str(after)


def meaning(text: str) -> str:
    """The syntax tree of a module without annotations and without what only the type checker reads."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.test, node.body = ast.Constant(False), [ast.Pass()]
    return ast.dump(tree)


def equivalents(path: Path) -> dict[tuple[str, str, str], str]:
    """(path, line as it was, line as it became) -> why nobody can see the change."""
    rows = [line.split("\t") for line in _text(path).splitlines()[1:] if line]
    return {(path, was, becomes): why for path, was, becomes, why in rows}


class TestServer:
    """A copy of the tree and a process in it that runs test files, see `serve`."""

    __test__ = False  # no test of pytest's

    def __init__(self, root: Path) -> None:
        self.root, self.seconds = root, dict[tuple[str, ...], float]()

    def __enter__(self) -> "TestServer":
        self.temporary = tempfile.TemporaryDirectory(prefix="mutants-")
        self.copy = Path(self.temporary.name)
        for name in TOPS:
            source = self.root / name
            if source.is_dir():
                shutil.copytree(source, self.copy / name, ignore=shutil.ignore_patterns("__pycache__", "results"))
            elif source.is_file():
                shutil.copy(source, self.copy / name)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "--serve", str(self.copy)], cwd=self.copy, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**environment, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.temporary.cleanup()

    def killer(self, mutant: Mutant) -> str:
        """Run the mirrored tests of a change; the test that notices it, `over time`, or '' where none does.

        Raises UserError where they fail without it.
        """
        from symbolic.errors import UserError

        tests = AREAS[mutant.area][mutant.path]
        if tests not in self.seconds:
            before = self.tested(tests, 600.0)
            if before["status"] != "passed":
                raise UserError(
                    f"the tests fail without any change ({before['by'] or before['status']}): mend them first."
                )
            self.seconds[tests] = before["seconds"]
        path, limit = self.copy / mutant.path, LEAST_SECONDS + TIMES_LONGER * self.seconds[tests]
        own = _text(path)
        path.write_text(mutated(own, mutant.operator, mutant.occurrence), encoding="utf-8")
        try:
            after = self.tested(tests, limit)
        finally:
            path.write_text(own, encoding="utf-8")
        return "" if after["status"] == "passed" else str(after["by"] or after["status"])

    def tested(self, tests: Sequence[str], seconds: float) -> dict[str, Any]:
        """Run test files as the tree now stands, for so many seconds of processor time at most."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"tests": list(tests), "seconds": seconds}) + "\n")
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found


def serve(folder: Path) -> int:
    """Answer requests {"tests", "seconds"} on stdin, a line each, with a fork that runs pytest in `folder`."""
    import importlib

    for name in WARM:
        try:
            importlib.import_module(name)
        except ImportError:  # an extra that is not here: the tests that need it are skipped too
            continue
    import pytest  # noqa: F401
    import torch

    torch.set_num_threads(1)
    sys.path[:] = [
        str(folder),
        *(entry for entry in sys.path if Path(entry or ".").resolve() not in (ROOT, ROOT / "experiments")),
    ]
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(_forked(request["tests"], request["seconds"])), flush=True)
    return 0


def _forked(tests: list[str], seconds: float) -> dict[str, Any]:
    """What pytest says in a process of its own, which has so many seconds of processor time."""
    began = time.monotonic()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds), math.ceil(seconds)))
        os._exit(_tested(tests, writing))
    os.close(writing)
    is_said = bool(select.select([reading], [], [], WALL_TIMES * seconds)[0])
    said = os.read(reading, 4000).decode("utf-8", "replace") if is_said else ""
    os.close(reading)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # and what its tests have started
    _, ending, used = os.wait4(child, 0)
    status, _, by = said.partition(" ")
    if not said:
        is_over = not is_said or (os.WIFSIGNALED(ending) and os.WTERMSIG(ending) in (signal.SIGXCPU, signal.SIGKILL))
        status, by = ("over time", "") if is_over else ("failed", "the process died")
    spent = used.ru_utime + used.ru_stime
    return {"status": status, "by": by, "seconds": spent, "wall_seconds": time.monotonic() - began}


class _FirstFailure:
    """A plug-in of pytest that keeps the name of the first test or file that fails."""

    name = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.name:
            self.name = f"{report.nodeid} cannot be imported"


def _tested(tests: list[str], answer: int) -> int:
    """Run pytest in this process; write `passed` or `failed NAME` to the file descriptor `answer`."""
    import pytest

    quiet = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(quiet, number)
    sys.dont_write_bytecode = True  # a change of the same second and size would be taken for the code before it
    first = _FirstFailure()
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow and not gpu"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # plug-ins that the libraries have imported
    try:
        status = pytest.main([*options, *tests], plugins=[first])
    except BaseException as error:  # what pytest itself stumbles over, such as a warning while it reads its settings
        status, first.name = 1, first.name or f"pytest: {type(error).__name__}: {error}"
    os.write(answer, (b"passed" if status == 0 else f"failed {first.name}".encode())[:4000])
    return 0


def _cosmic_ray() -> Any:
    """Operators by name, the parser, the walk over its nodes. Raises UserError where Cosmic Ray is not installed."""
    from symbolic.errors import UserError

    try:
        import parso  # noqa: F401  before cosmic_ray, whose imports are circular without it
        from cosmic_ray.ast import ast_nodes, get_ast
        from cosmic_ray.operators.provider import OperatorProvider
    except ImportError as error:
        raise UserError("Cosmic Ray is not installed: pip install 'abc-symbolic[mutation]'.") from error
    provider = OperatorProvider()
    return {name: provider[name] for name in provider}, get_ast, ast_nodes


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
