"""Which source files a script of this project reads, and which of them mean something else since a commit.

A module counts as read when it is imported anywhere in a file, at the top or inside a function, or when its dotted
name stands there as a text. A script that runs `python -m symbolic train` reads the modules of the verbs that it names.
Words do not count: versions of a file that differ in comments, docstrings and layout only are the same.
"""

import ast
import functools
import subprocess
from collections.abc import Iterable
from pathlib import Path

PACKAGES = ("symbolic", "audio_bridge", "studio", "experiments", "benchmarks")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
OTHER_SOURCES = (".c", ".h", ".json", ".toml", ".txt", ".safetensors")  # beside the modules that load them


def sources_of(root: Path, script: str) -> set[str]:
    """The modules that a script reads, directly or through others, as paths relative to `root`; itself included."""
    known = dict(_modules(root))
    found: set[str] = set()
    waiting = [script]
    if script in known:
        waiting += _modules_of_verbs(root, _texts_in(known[script]))
    while waiting:
        name = waiting.pop()
        if name in found or name not in known:
            continue
        found.add(name)
        waiting += _names_in(known[name]) & known.keys()
    return {str(known[name].relative_to(root)) for name in found}


def changed_since(root: Path, commit: str, paths: Iterable[str]) -> list[str] | None:
    """Those of `paths` whose meaning is another than at `commit`, with data files beside them; None where git does not
    know the commit."""
    changed = _git(root, "diff", "--name-only", "--no-renames", commit, "--", *PACKAGES)
    if changed is None:
        return None
    modules = set(paths)
    folders = {str(Path(path).parent) for path in modules}
    found = []
    for path in filter(None, changed.splitlines()):
        if path in modules:
            if _meaning_at(root, commit, path) != _meaning_now(root / path):
                found.append(path)
        elif path.endswith(OTHER_SOURCES) and str(Path(path).parent) in folders and "results" not in path:
            found.append(path)
    return sorted(found)


def meaning(text: str) -> str:
    """Python source without comments, docstrings and layout; the text itself where it is none."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return text
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node):
            node.body = node.body[1:]
    return ast.dump(tree)


@functools.cache
def _modules(root: Path) -> tuple[tuple[str, Path], ...]:
    """Every module of the packages by its dotted name; `python -m symbolic` is `symbolic.__main__`."""
    found = []
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return tuple(found)


def _modules_of_verbs(root: Path, texts: frozenset[str]) -> list[str]:
    """The modules behind the verbs that a script names, from the tables `VERBS` of the packages it names."""
    found = []
    for package in texts & set(PACKAGES):
        path = root / package / "__main__.py"
        if not path.is_file():
            continue
        found.append(f"{package}.__main__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Dict):
                found += [
                    text
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant) and key.value in texts
                    for text in _dotted(_constants(value))
                ]
    return found


def _texts_in(path: Path) -> frozenset[str]:
    return frozenset(_constants(ast.parse(path.read_text(encoding="utf-8"))))


def _constants(tree: ast.AST) -> set[str]:
    """The texts of a piece of source; `f"..."` and docstrings included."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _dotted(texts: Iterable[str]) -> set[str]:
    """Those that may be names of modules inside a package."""
    return {text for text in texts if text.partition(".")[0] in PACKAGES and "." in text}


@functools.cache
def _names_in(path: Path) -> frozenset[str]:
    """What a file names that may be modules, and the packages that they would lie in."""
    names: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path.name not in ("__main__.py", "__init__.py"):  # tables of verbs, tables of lazy names
        names |= _dotted(_constants(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    parents = {name.rsplit(".", n)[0] for name in names for n in range(1, name.count(".") + 1)}
    return frozenset(names | parents)


@functools.cache
def _meaning_at(root: Path, commit: str, path: str) -> str:
    return meaning(_git(root, "show", f"{commit}:{path}") or "")


@functools.cache
def _meaning_now(path: Path) -> str:
    return meaning(path.read_text(encoding="utf-8") if path.is_file() else "")


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
