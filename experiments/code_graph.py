"""Which definitions a script of this project uses, and which of them mean something else since a commit.

A module is a set of definitions: its functions, classes and constants, and the statements that run when it is imported.
A script uses all of its own, and each definition that one in use names: by an import, at the top or inside a function,
or by a dotted name that stands in a text. A class is used as a whole. A script that runs `python -m symbolic train`
uses the modules of the verbs that it names. So a change to a function that nothing in a script calls changes nothing.

Words do not count: versions that differ in comments, docstrings, layout, help texts and messages of errors are the
same. Nor do the modules BYSTANDERS count, through which no measured number goes.
"""

import ast
import functools
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PACKAGES = ("symbolic", "audio_bridge", "studio", "experiments", "benchmarks")
BYSTANDERS = (  # they say things on the screen, or write down what was measured
    *("benchmarks.result_file", "symbolic.command_line", "symbolic.progress", "symbolic.errors", "symbolic.interrupts"),
)
OTHER_SOURCES = (".c", ".h", ".json", ".toml", ".txt", ".safetensors")  # beside the modules that load them
IMPORTING = ""  # the name of what runs when a module is imported
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_TEXT_ARGUMENTS = ("help", "description", "epilog", "metavar")

Used = dict[str, set[str]]  # path relative to the project -> names of the definitions that are used


@dataclass
class _Definitions:
    """A module taken apart: the statements of each name, and what the names that it imports stand for."""

    statements: dict[str, list[ast.stmt]] = field(default_factory=lambda: defaultdict(list))
    imports: dict[str, str] = field(default_factory=dict)  # local name -> dotted name


def used_by(root: Path, script: str) -> Used:
    """The definitions that a script uses, its own included; empty where there is no such script."""
    known = _modules(root)
    waiting = [(script, name) for name in (_parts(known[script]).statements if script in known else ())]
    if script in known:
        for module in _modules_of_verbs(root, _texts_in(known[script])):
            waiting += _whole(module, known)
    found: Used = defaultdict(set)
    while waiting:
        module, name = waiting.pop()
        path = str(known[module].relative_to(root))
        if name in found[path]:
            continue
        found[path].add(name)
        waiting += _named_in(module, name, root)
    return dict(found)


def changed_since(root: Path, commit: str, used: Mapping[str, Iterable[str]]) -> list[str] | None:
    """What of `used` means something else than at `commit`: "path (names)", with data files beside modules in use; None
    where git does not know the commit."""
    changed = _git(root, "diff", "--name-only", "--no-renames", commit, "--", *PACKAGES)
    if changed is None:
        return None
    folders = {str(Path(path).parent) for path, names in used.items() if set(names) - {IMPORTING}}
    found = []
    for path in filter(None, changed.splitlines()):
        if path in used:
            before, now = _meanings_at(root, commit, path), _meanings_now(root / path)
            names = sorted(name for name in used[path] if before.get(name) != now.get(name))
            if names:
                found.append(f"{path} ({', '.join(name or 'on import' for name in names)})")
        elif path.endswith(OTHER_SOURCES) and str(Path(path).parent) in folders and "results" not in path:
            found.append(path)
    return sorted(found)


def meanings(text: str) -> dict[str, str]:
    """Each definition of Python source without comments, docstrings, layout and words for people."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return {IMPORTING: text}
    parts = _taken_apart(tree)
    return {name: " ".join(ast.dump(_wordless(one)) for one in own) for name, own in parts.statements.items()}


def _wordless(tree: ast.stmt) -> ast.stmt:
    """A statement without docstrings, help texts and messages of errors."""
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node):
            node.body = node.body[1:]
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        elif isinstance(node, ast.Call):
            node.keywords = [one for one in node.keywords if one.arg not in _TEXT_ARGUMENTS]
    return tree


def _taken_apart(tree: ast.Module) -> _Definitions:
    """The definitions of a module. What a decorator of the project's own decorates also runs on import."""
    parts = _Definitions()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                parts.imports[alias.asname or whole] = whole
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            parts.imports.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    for statement in tree.body:
        for name in _names_of(statement):
            parts.statements[name].append(statement)
        if isinstance(statement, _DEFINITIONS) and any(_is_own(one, parts) for one in statement.decorator_list):
            parts.statements[IMPORTING].append(statement)
    parts.statements.setdefault(IMPORTING, [])
    return parts


def _names_of(statement: ast.stmt) -> list[str]:
    """The names that a statement defines; IMPORTING where it only runs. Imports run when they are followed."""
    if isinstance(statement, _DEFINITIONS):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        return names or [IMPORTING]
    if isinstance(statement, ast.If) and {"TYPE_CHECKING", "__name__"} & {
        node.id for node in ast.walk(statement.test) if isinstance(node, ast.Name)
    }:
        return []
    is_docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return [] if is_docstring or isinstance(statement, ast.Import | ast.ImportFrom) else [IMPORTING]


def _is_own(decorator: ast.expr, parts: _Definitions) -> bool:
    """Whether a decorator comes from this project, where it may put what it decorates into a table."""
    names = [node.id for node in ast.walk(decorator) if isinstance(node, ast.Name)]
    return any(name in parts.statements or parts.imports.get(name, "").partition(".")[0] in PACKAGES for name in names)


@functools.cache
def _named_in(module: str, name: str, root: Path) -> tuple[tuple[str, str], ...]:
    return tuple(_names_in(module, name, root))


def _names_in(module: str, name: str, root: Path) -> Iterator[tuple[str, str]]:
    """The definitions, of this module or others, that one of a module's definitions names."""
    known = _modules(root)
    parts = _parts(known[module])
    is_table = known[module].name in ("__main__.py", "__init__.py")  # of verbs, of names imported late
    if name == IMPORTING:
        for target in {one for one in parts.imports.values() if one.partition(".")[0] in PACKAGES}:
            yield from _on_import(target, known)
    for statement in parts.statements[name]:
        inside = {id(node.value) for node in ast.walk(statement) if isinstance(node, ast.Attribute)}
        for node in ast.walk(statement):
            if isinstance(node, ast.Name | ast.Attribute) and id(node) not in inside:
                words = _chain(node)
                if words and words[0] in parts.imports:
                    yield from _definitions(".".join([parts.imports[words[0]], *words[1:]]), known)
                elif words and words[0] in parts.statements:
                    yield module, words[0]
            elif isinstance(node, ast.Constant) and not is_table and node.value in known:
                yield from _whole(node.value, known)
    yield module, IMPORTING


def _chain(node: ast.expr) -> list[str]:
    """The names of `a.b.c`, and `a` of `a(x).b`; empty for other expressions."""
    words: list[str] = []
    while isinstance(node, ast.Attribute):
        words.insert(0, node.attr)
        node = node.value
    return [node.id, *words] if isinstance(node, ast.Name) else []


def _definitions(dotted: str, known: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """The definition that a dotted name means: the longest module in front, then its name there, wherever that module
    has it from; the whole module where the name is none of its own."""
    words = dotted.split(".")
    front = next((n for n in range(len(words), 0, -1) if ".".join(words[:n]) in known), 0)
    module = ".".join(words[:front])
    if not front or module in BYSTANDERS:
        return
    parts = _parts(known[module])
    if front == len(words):
        yield from _whole(module, known)
    elif words[front] in parts.statements:
        yield module, words[front]
    elif words[front] in parts.imports:
        yield module, IMPORTING
        yield from _definitions(".".join([parts.imports[words[front]], *words[front + 1 :]]), known)
    else:
        yield from _whole(module, known)


def _whole(module: str, known: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """All definitions of a module; of a package what runs when it is imported."""
    if module in known and module not in BYSTANDERS:
        is_package = known[module].name == "__init__.py"
        yield from ((module, name) for name in ([IMPORTING] if is_package else _parts(known[module]).statements))


def _on_import(dotted: str, known: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """What runs when `dotted`, a module or a name in one, is imported: that module and the packages around it."""
    words = dotted.split(".")
    for n in range(1, len(words) + 1):
        module = ".".join(words[:n])
        if module in known and module not in BYSTANDERS:
            yield module, IMPORTING


@functools.cache
def _parts(path: Path) -> _Definitions:
    return _taken_apart(ast.parse(path.read_text(encoding="utf-8")))


@functools.cache
def _modules(root: Path) -> dict[str, Path]:
    """Every module of the packages by its dotted name; `python -m symbolic` is `symbolic.__main__`."""
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


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
                    for text in _constants(value)
                ]
    return found


def _texts_in(path: Path) -> frozenset[str]:
    return frozenset(_constants(ast.parse(path.read_text(encoding="utf-8"))))


def _constants(tree: ast.AST) -> set[str]:
    """The texts of a piece of source; `f"..."` and docstrings included."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@functools.cache
def _meanings_at(root: Path, commit: str, path: str) -> dict[str, str]:
    return meanings(_git(root, "show", f"{commit}:{path}") or "")


@functools.cache
def _meanings_now(path: Path) -> dict[str, str]:
    return meanings(path.read_text(encoding="utf-8") if path.is_file() else "")


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
