"""The rules that keep the house liveable: one arrow of imports, one reader of YAML, a README that names what exists."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A module imports only what stands before it. A package name stands for all its modules.
ARROW = [
    *("symbolic.errors", "symbolic.command_line", "symbolic.files", "symbolic.subprocess_limits", "symbolic.machine"),
    *("symbolic.config", "symbolic.runs"),
    *(
        "symbolic.notation",
        "symbolic.formats",
        "symbolic.corpus",
        "symbolic.tokens",
        "symbolic.data",
        "symbolic.models",
    ),
    *("symbolic.training", "symbolic.decode", "symbolic.evaluate", "symbolic.judge", "symbolic.__main__"),
    *("audio_bridge.sound", "audio_bridge.render", "audio_bridge.musicgen", "audio_bridge.lyrics", "audio_bridge.song"),
    "audio_bridge.__main__",
]
MODELS_MUST_NOT_KNOW = ("symbolic.notation", "symbolic.tokens", "symbolic.corpus", "symbolic.data", "symbolic.runs")


def python_files(*folders: str) -> list[Path]:
    """Every module of the named top-level folders."""
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def module_name(path: Path) -> str:
    """symbolic/notation/score.py -> symbolic.notation.score; a package's __init__ has the package's name."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, at_run_time: bool = True) -> set[str]:
    """Our own modules that a file imports; blocks under TYPE_CHECKING do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in hidden and at_run_time:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            found.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


def place(module: str) -> int | None:
    """Where a module stands on the arrow."""
    matches = [i for i, name in enumerate(ARROW) if module == name or module.startswith(name + ".")]
    return matches[0] if matches else None


def test_every_module_stands_on_the_arrow() -> None:
    names = {module_name(path) for path in python_files("symbolic", "audio_bridge")} - {"symbolic", "audio_bridge"}
    assert [name for name in names if place(name) is None] == []


def test_imports_point_backwards() -> None:
    wrong = [
        (module_name(path), name)
        for path in python_files("symbolic", "audio_bridge")
        for name in imports(path)
        if (here := place(module_name(path))) is not None and (there := place(name)) is not None and there > here
    ]
    assert wrong == []


def test_models_see_integers() -> None:
    wrong = [
        (path.name, name)
        for path in python_files("symbolic/models")
        for name in imports(path)
        if name.startswith(MODELS_MUST_NOT_KNOW)
    ]
    assert wrong == []


def test_nothing_imports_scripts_or_tests() -> None:
    wrong = [
        (module_name(path), name)
        for path in python_files("symbolic", "audio_bridge")
        for name in imports(path)
        if name.split(".")[0] in ("experiments", "benchmarks", "tests")
    ]
    assert wrong == []


def test_only_config_reads_yaml() -> None:
    readers = {path.name for path in python_files("symbolic", "audio_bridge") if "yaml" in imports(path)}
    assert readers <= {"config.py"}


def test_no_pickle_eval_or_shell() -> None:
    wrong = []
    for path in python_files("symbolic", "audio_bridge", "experiments", "benchmarks"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                shell = any(k.arg == "shell" and ast.unparse(k.value) == "True" for k in node.keywords)
                if name in ("eval", "exec", "pickle.load", "pickle.loads", "torch.load", "os.system") or shell:
                    wrong.append((path.name, node.lineno, name))
    assert wrong == []


def test_readme_tree_is_true() -> None:
    """Each path in the README's annotated tree exists, and each module is listed."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = re.search(r"```text tree\n(.*?)```", text, re.DOTALL)
    assert tree is not None
    listed: set[str] = set()
    folders: list[str] = []
    for line in tree[1].splitlines():
        match = re.match(r"( *)([\w./-]+)", line)
        if match:
            depth = len(match[1]) // 2
            folders[depth:] = [match[2].rstrip("/")]
            listed.add("/".join(folders))
    assert [path for path in sorted(listed) if not (ROOT / path).exists()] == []
    modules = {str(p.relative_to(ROOT)) for p in python_files("symbolic", "audio_bridge", "experiments", "benchmarks")}
    assert sorted(m for m in modules - listed if not m.endswith("__init__.py")) == []


@pytest.mark.parametrize(
    ("package", "verbs"),
    [
        ("symbolic", "prepare train generate evaluate judge sizes"),
        ("audio_bridge", "render condition adherence dataset finetune"),
    ],
)
def test_help_imports_nothing_heavy(package: str, verbs: str) -> None:
    """--help answers at once because torch, transformers, music21, numpy and matplotlib are not imported for it."""
    program = (
        "import sys, importlib, argparse\n"
        "for name in {modules!r}: importlib.import_module(name).add_arguments(argparse.ArgumentParser())\n"
        "print([m for m in ('torch', 'transformers', 'music21', 'matplotlib', 'pandas', 'scipy') if m in sys.modules])"
    )
    table = importlib.import_module(f"{package}.__main__").VERBS
    code = program.format(modules=[table[verb][0] for verb in verbs.split()])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (run.stdout.strip(), run.stderr) == ("[]", "")
