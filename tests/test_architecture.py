"""The rules of the house: one arrow of imports, names that mean one thing, a head on every module, a true tree.

Each rule is a function of a folder, so that it can be tried on a planted fault as well as on this project.
"""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP = ("symbolic", "audio_bridge", "studio", "benchmarks", "experiments")
# A module imports only what stands before it. A package's name stands for all its modules.
ARROW = (
    *("symbolic.interrupts", "symbolic.callable_package", "symbolic.errors", "symbolic.command_line"),
    "symbolic.progress",
    "symbolic.files",
    *("symbolic.checkpoint_record", "symbolic.subprocess_limits", "symbolic.machine"),
    *(
        "symbolic.strict_yaml",
        "symbolic.config",
        "symbolic.runs",
        "symbolic.notation",
        "symbolic.formats",
        "symbolic.corpus",
    ),
    *("symbolic.tokens", "symbolic.data", "symbolic.models", "symbolic.training", "symbolic.decode"),
    *("symbolic.evaluate", "symbolic.judge", "symbolic.affect", "symbolic.api", "symbolic.__main__"),
    *("audio_bridge.sound", "audio_bridge.render", "audio_bridge.musicgen", "audio_bridge.lyrics"),
    *("audio_bridge.song", "audio_bridge.affect", "audio_bridge.api", "audio_bridge.__main__"),
    *("studio", "benchmarks", "experiments"),
)
MODELS_MUST_NOT_KNOW = ("symbolic.notation", "symbolic.tokens", "symbolic.corpus", "symbolic.data", "symbolic.runs")
# Rooms that lean on one another inside a package. To be parted, not added to.
ENTWINED = {"audio_bridge.lyrics", "symbolic.decode", "symbolic.evaluate", "symbolic.formats"}
# Classes that two modules of the same kind name alike, as the library that they follow does.
SHARED_CLASSES = {"Mixer": "Mamba and Mamba-2", "Block": "GPT-2 and both Mambas"}
UNSAFE_CALLS = ("eval", "exec", "pickle.load", "pickle.loads", "torch.load", "os.system")
_UNSAFE_NAMES = {name.rpartition(".")[2] for name in UNSAFE_CALLS}
MAX_FILES = 15  # modules side by side in a folder


def module_name(path: Path, root: Path) -> str:
    """symbolic/notation/score.py -> symbolic.notation.score; a package's __init__ has the package's name."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def modules(root: Path, *tops: str) -> dict[str, Path]:
    """Every module of the top-level packages, by name."""
    found = (path for top in tops or TOP for path in sorted((root / top).rglob("*.py")))
    return {module_name(path, root): path for path in found}


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imported_names(path: Path) -> frozenset[str]:
    """Dotted names that a file imports at run time: blocks under TYPE_CHECKING do not count."""
    tree = tree_of(path)
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return frozenset(names)


def imports(root: Path, *tops: str) -> dict[str, set[str]]:
    """For each module the modules of ours that it imports; `from package import module` is the module alone."""
    known = modules(root, *tops)
    return {name: _modules_among(imported_names(path), known) for name, path in known.items()}


def _modules_among(names: frozenset[str], known: Mapping[str, Path]) -> set[str]:
    found = names & known.keys()
    parents = {name.rpartition(".")[0] for name in found}
    packages = {name for name in parents & found if known[name].name == "__init__.py"}
    return set(found) - {p for p in packages if not any(n.rpartition(".")[0] == p and n not in known for n in names)}


def cycles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import one another in a circle, each sorted (Tarjan 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in edges.get(name, ()):
            if other not in order:
                visit(other)
            if other in stack:
                low[name] = min(low[name], low[other])
        if low[name] == order[name]:
            group = stack[stack.index(name) :]
            del stack[len(stack) - len(group) :]
            groups.append(sorted(group))

    for name in edges:
        if name not in order:
            visit(name)
    return [group for group in groups if len(group) > 1]


def rooms(edges: Mapping[str, set[str]], package: str) -> dict[str, set[str]]:
    """The imports inside a package with each of its folders taken as one module."""
    depth = package.count(".") + 2
    shortened = {name: ".".join(name.split(".")[:depth]) for name in edges if name.startswith(package + ".")}
    joined: dict[str, set[str]] = {room: set() for room in shortened.values()}
    for name, room in shortened.items():
        joined[room] |= {shortened[other] for other in edges[name] if other in shortened} - {room}
    return joined


def place(module: str) -> int | None:
    """Where a module stands on the arrow; None for a package that only opens its folder, such as `symbolic`."""
    return next((i for i, name in enumerate(ARROW) if module == name or module.startswith(name + ".")), None)


def upward_imports(root: Path) -> list[tuple[str, str]]:
    """(module, what it imports) wherever the arrow points the other way."""
    return [
        (name, other)
        for name, others in imports(root).items()
        for other in sorted(others)
        if (here := place(name)) is not None and (there := place(other)) is not None and there > here
    ]


def repeated_file_names(root: Path) -> list[str]:
    """Names of modules that stand in two folders."""
    counts = Counter(path.stem for path in modules(root).values() if not path.stem.startswith("__"))
    return sorted(name for name, count in counts.items() if count > 1)


def repeated_classes(root: Path) -> list[str]:
    """Public classes of one name in two modules."""
    names = [
        node.name
        for path in modules(root).values()
        for node in tree_of(path).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    return sorted(name for name, count in Counter(names).items() if count > 1)


def without_head(root: Path) -> list[str]:
    """Modules whose first line does not say what they are."""
    return [name for name, path in modules(root).items() if not ast.get_docstring(tree_of(path))]


def without_test(root: Path) -> list[str]:
    """Modules with functions and no test_<module>.py anywhere under tests/."""
    tests = {path.stem.removeprefix("test_") for path in (root / "tests").rglob("test_*.py")}
    return [
        str(path.relative_to(root))
        for path in modules(root).values()
        if not path.stem.startswith("__") and path.stem not in tests and _has_functions(path)
    ]


def misplaced_tests(root: Path) -> list[str]:
    """Test files of a module's name that do not stand in the module's place below tests/ (of one package)."""
    places = {path.stem: path.parent.relative_to(root) for path in modules(root).values()}
    found = []
    for path in sorted((root / "tests").rglob("test_*.py")):
        here = path.parent.relative_to(root / "tests")
        place = places.get(path.stem.removeprefix("test_"), here)
        found += [str(path.relative_to(root))] if place != here and place.parts[:1] == here.parts[:1] else []
    return found


def _has_functions(path: Path) -> bool:
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(tree_of(path)))


def listed_paths(page: Path) -> Iterator[str]:
    """The paths of an annotated tree: one name a line, two spaces deeper in each folder."""
    tree = re.search(r"```text tree\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert tree is not None, page
    folders: list[str] = []
    for line in tree[1].splitlines():
        if match := re.match(r"( *)([\w./-]+)", line):
            folders[len(match[1]) // 2 :] = [match[2].rstrip("/")]
            yield "/".join(folders)


# --- the project -----------------------------------------------------------------------------------------------------


def test_every_module_stands_on_the_arrow() -> None:
    names = set(modules(ROOT)) - {"symbolic", "audio_bridge"}
    assert [name for name in sorted(names) if place(name) is None] == []


def test_imports_point_backwards() -> None:
    assert upward_imports(ROOT) == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert [group for group in cycles(imports(ROOT)) if "symbolic.formats.sandbox" not in group] == []


def test_rooms_inside_a_package_stand_in_an_order() -> None:
    edges = imports(ROOT)
    packages = {name for name, path in modules(ROOT).items() if path.name == "__init__.py"} - set(TOP)
    assert {package for package in packages if cycles(rooms(edges, package))} <= ENTWINED


def test_names_mean_one_thing() -> None:
    assert repeated_file_names(ROOT) == []
    assert set(repeated_classes(ROOT)) <= SHARED_CLASSES.keys()


def test_every_module_says_what_it_is() -> None:
    assert without_head(ROOT) == []


def test_every_module_with_logic_has_a_test() -> None:
    """Those that have none yet stand in a list, which is to shrink."""
    known = (ROOT / "tests" / "without_test.txt").read_text(encoding="utf-8").split()
    assert [path for path in without_test(ROOT) if path not in known] == []


def test_tests_stand_in_the_place_of_their_module() -> None:
    assert misplaced_tests(ROOT) == []


def test_folders_stay_small() -> None:
    counts = Counter(path.parent for path in modules(ROOT, "symbolic", "audio_bridge", "studio").values())
    assert {str(folder.relative_to(ROOT)): n for folder, n in counts.items() if n > MAX_FILES + 1} == {}


def test_models_see_integers() -> None:
    edges = imports(ROOT)
    known = {name: edges[name] for name in edges if name.startswith("symbolic.models")}
    assert [(n, o) for n, others in known.items() for o in others if o.startswith(MODELS_MUST_NOT_KNOW)] == []


def test_nothing_imports_scripts_or_tests() -> None:
    packages = modules(ROOT, "symbolic", "audio_bridge", "studio").values()
    tops = {(path.name, name.split(".")[0]) for path in packages for name in imported_names(path)}
    assert [pair for pair in sorted(tops) if pair[1] in ("experiments", "benchmarks", "tests")] == []


def test_one_module_reads_yaml() -> None:
    packages = modules(ROOT, "symbolic", "audio_bridge", "studio").values()
    assert {path.name for path in packages if "yaml" in imported_names(path)} == {"strict_yaml.py"}


def test_no_pickle_eval_or_shell() -> None:
    wrong = []
    for name, path in modules(ROOT).items():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func) if _last_name(node.func) in _UNSAFE_NAMES else ""
                shell = any(k.arg == "shell" and ast.unparse(k.value) == "True" for k in node.keywords)
                if called in UNSAFE_CALLS or shell:
                    wrong.append((name, node.lineno, called))
    assert wrong == []


def _last_name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


def test_tree_is_true() -> None:
    """Each path of the annotated tree exists, and each module is listed."""
    listed = set(listed_paths(ROOT / "docs" / "tree.md"))
    assert [path for path in sorted(listed) if not (ROOT / path).exists()] == []
    paths = {path.relative_to(ROOT).as_posix() for path in modules(ROOT).values()}
    assert sorted(path for path in paths - listed if not path.endswith("__init__.py")) == []


@pytest.mark.parametrize("package", ["symbolic", "audio_bridge"])
def test_help_imports_nothing_heavy(package: str) -> None:
    """--help answers at once because torch, transformers, music21, numpy and matplotlib are not imported for it."""
    verbs = import_module(f"{package}.__main__").VERBS
    code = (
        "import sys, importlib, argparse\n"
        f"for name in {[module for module, _ in verbs.values()]!r}:\n"
        "    importlib.import_module(name).add_arguments(argparse.ArgumentParser())\n"
        "print([m for m in ('torch', 'transformers', 'music21', 'matplotlib', 'pandas', 'scipy') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (run.stdout.strip(), run.stderr) == ("[]", "")


# --- the rules refuse planted faults ---------------------------------------------------------------------------------


def _plant(root: Path, **texts: str) -> Path:
    """Write modules, named with __ for each dot: symbolic__notation__pitch."""
    for name, text in texts.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_a_cycle_is_refused(tmp_path: Path) -> None:
    _plant(
        tmp_path,
        symbolic__notation__pitch='"""Pitch."""\nfrom symbolic.notation import key\n',
        symbolic__notation__key='"""Key."""\ndef name():\n    from symbolic.notation.pitch import step\n',
        symbolic__notation__meter='"""Meter."""\nfrom symbolic.notation import key\n',
    )
    assert cycles(imports(tmp_path)) == [["symbolic.notation.key", "symbolic.notation.pitch"]]


def test_a_cycle_between_folders_is_refused(tmp_path: Path) -> None:
    _plant(
        tmp_path,
        symbolic__decode__engine__batch="from symbolic.decode.constraint import mask",
        symbolic__decode__constraint__mask="x = 1",
        symbolic__decode__constraint__beam="from symbolic.decode.engine import batch",
    )
    edges = imports(tmp_path)
    assert cycles(edges) == []
    assert cycles(rooms(edges, "symbolic.decode")) == [["symbolic.decode.constraint", "symbolic.decode.engine"]]


def test_an_upward_import_is_refused(tmp_path: Path) -> None:
    _plant(
        tmp_path,
        symbolic__notation__pitch="from symbolic.decode import engine\n",
        symbolic__decode__engine="from symbolic.notation import pitch\n",
        symbolic__decode__page="from audio_bridge.sound import mix\n",
        audio_bridge__sound__mix="",
    )
    assert upward_imports(tmp_path) == [
        ("symbolic.decode.page", "audio_bridge.sound.mix"),
        ("symbolic.notation.pitch", "symbolic.decode.engine"),
    ]


def test_an_import_for_the_type_checker_is_no_import(tmp_path: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from symbolic.decode import engine\n"
    _plant(tmp_path, symbolic__notation__pitch=text, symbolic__decode__engine="")
    assert upward_imports(tmp_path) == []


def test_doubled_names_and_missing_heads_are_refused(tmp_path: Path) -> None:
    _plant(
        tmp_path,
        symbolic__notation__pitch='"""Pitch."""\nclass Note: ...\nclass _Step: ...\n',
        audio_bridge__sound__pitch='"""Pitch of a sound."""\nclass Note: ...\nclass _Step: ...\n',
        studio__page="x = 1\n",
    )
    assert (repeated_file_names(tmp_path), repeated_classes(tmp_path)) == (["pitch"], ["Note"])
    assert without_head(tmp_path) == ["studio.page"]


def test_a_module_without_a_test_is_found(tmp_path: Path) -> None:
    _plant(tmp_path, symbolic__notation__pitch="def step(): ...\n", symbolic__notation__tables="TABLE = 1\n")
    assert without_test(tmp_path) == ["symbolic/notation/pitch.py"]
    _plant(tmp_path, tests__symbolic__notation__test_pitch="")
    assert without_test(tmp_path) == []


def test_a_test_in_another_place_is_found(tmp_path: Path) -> None:
    _plant(tmp_path, symbolic__notation__pitch="def step(): ...\n", tests__symbolic__test_pitch="")
    assert misplaced_tests(tmp_path) == ["tests/symbolic/test_pitch.py"]
