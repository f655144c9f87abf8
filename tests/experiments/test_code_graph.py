"""What a script uses and what changed, on a small project of its own."""

import subprocess
from pathlib import Path

import pytest

from experiments import code_graph


def git(folder: Path, *words: str) -> str:
    own = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


PUBLIC = """
if TYPE_CHECKING:
    from symbolic.tunes import tune as public

def __getattr__(name): ...
"""
SPEED = """
from symbolic import notes as n, public
from symbolic.keys import Key

def run():
    import symbolic.late
    symbolic.late.used()
    return [n.C, Key(), public, '-m', 'symbolic', 'train', 'symbolic.plug']
"""
KEYS = """
from typing import TYPE_CHECKING
from symbolic.table import enter
from symbolic.notes import D

if TYPE_CHECKING:
    from symbolic.other import Z

@enter
def entered():
    return 1

class Key:
    def name(self):
        return inner()

def inner():
    raise ValueError("no key")

def idle():
    return D
"""
TEXTS = {
    "experiments/__init__.py": "",
    "experiments/speed.py": SPEED,
    "symbolic/__init__.py": PUBLIC,
    "symbolic/__main__.py": "VERBS = {'train': ('symbolic.train', ''), 'other': ('symbolic.other', '')}\n",
    "symbolic/notes.py": '"""Notes."""\n\nC = 60  # middle\nD = 62\n',
    "symbolic/keys.py": KEYS,
    "symbolic/table.py": "def enter(f): ...\n",
    "symbolic/tunes.py": "tune = 1\nother = 2\n",
    "symbolic/late.py": "def used():\n    return 1\n\n\ndef unused():\n    return 1\n",
    "symbolic/train.py": "Y = 1\n",
    "symbolic/plug.py": "Y = 1\n",
    "symbolic/other.py": "Z = 1\n",
    "symbolic/errors.py": "X = 1\n",
    "symbolic/kernel.c": "int x;\n",
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in TEXTS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_definitions_that_are_named_are_used(project: Path) -> None:
    """By imports anywhere, through a package that imports late, by verbs and dotted texts, by a decorator of ours."""
    found = {path: names - {""} for path, names in code_graph.used_by(project, "experiments.speed").items()}
    assert {path: names for path, names in found.items() if names} == {
        "experiments/speed.py": {"run"},
        "symbolic/__main__.py": {"VERBS"},
        "symbolic/notes.py": {"C"},
        "symbolic/keys.py": {"Key", "inner"},
        "symbolic/table.py": {"enter"},
        "symbolic/tunes.py": {"tune"},
        "symbolic/late.py": {"used"},
        "symbolic/train.py": {"Y"},
        "symbolic/plug.py": {"Y"},
    }
    assert code_graph.used_by(project, "experiments.gone") == {}


@pytest.mark.parametrize(
    ("path", "was", "becomes", "changed"),
    [
        ("notes.py", "60  # middle", "60", ""),
        ("notes.py", "60", "61", "symbolic/notes.py (C)"),
        ("notes.py", "62", "63", ""),
        ("keys.py", "no key", "no such key", ""),
        ("keys.py", "ValueError", "KeyError", "symbolic/keys.py (inner)"),
        ("keys.py", "return D", "return 2 * D", ""),
        ("keys.py", "return 1", "return 2", "symbolic/keys.py (on import)"),
        ("keys.py", "class Key", "class Key(int)", "symbolic/keys.py (Key)"),
        ("other.py", "1", "2", ""),
        ("errors.py", "1", "2", ""),
        ("kernel.c", "x", "y", "symbolic/kernel.c"),
        ("train.py", "Y = 1", "Y = 1; Y += 1", "symbolic/train.py (Y)"),
    ],
)
def test_a_change_counts_where_it_is_used(project: Path, path: str, was: str, becomes: str, changed: str) -> None:
    commit, used = git(project, "rev-parse", "HEAD"), code_graph.used_by(project, "experiments.speed")
    text = (project / "symbolic" / path).read_text()
    assert was in text
    (project / "symbolic" / path).write_text(text.replace(was, becomes))
    assert code_graph.changed_since(project, commit, used) == ([changed] if changed else [])


def test_a_commit_that_is_not_there(project: Path) -> None:
    assert code_graph.changed_since(project, "0" * 40, code_graph.used_by(project, "experiments.speed")) is None


def test_docstrings_of_every_level_and_help_are_words() -> None:
    one = 'class A:\n    """x"""\n\n    def f(self):\n        """y"""\n        return g(1, help="z")\n'
    other = one.replace('"""y"""', '"""z"""').replace('"""x"""', '"""w"""').replace('"z"', '"a"')
    assert code_graph.meanings(one) == code_graph.meanings(other)
    assert code_graph.meanings(one) != code_graph.meanings(one.replace("1", "2"))
    assert code_graph.meanings("not python(") == {"": "not python("}
