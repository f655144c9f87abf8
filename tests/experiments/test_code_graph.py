"""What a script reads and what changed, on a small project of its own."""

import subprocess
from pathlib import Path

import pytest

from experiments import code_graph


def git(folder: Path, *words: str) -> str:
    own = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """experiments.speed reads symbolic.notes at once, symbolic.late inside a function, the verb train by its name."""
    texts = {
        "experiments/__init__.py": "",
        "experiments/speed.py": "from symbolic import notes\n\n\ndef run():\n    import symbolic.late\n    VERB\n",
        "symbolic/__init__.py": "",
        "symbolic/__main__.py": "VERBS = {'train': ('symbolic.train', ''), 'other': ('symbolic.other', '')}\n",
        "symbolic/notes.py": '"""Notes."""\n\nC = 60  # middle\n',
        "symbolic/late.py": "X = 1\n",
        "symbolic/train.py": "Y = 1\n",
        "symbolic/other.py": "Z = 1\n",
        "symbolic/kernel.c": "int x;\n",
    }
    texts["experiments/speed.py"] = texts["experiments/speed.py"].replace("VERB", "return ['-m', 'symbolic', 'train']")
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_imports_anywhere_and_verbs_by_name_are_read(project: Path) -> None:
    found = code_graph.sources_of(project, "experiments.speed")
    assert {f"symbolic/{name}.py" for name in ("notes", "late", "train", "__main__", "__init__")} <= found
    assert "symbolic/other.py" not in found and code_graph.sources_of(project, "experiments.gone") == set()


def test_words_do_not_count_and_values_do(project: Path) -> None:
    commit, sources = git(project, "rev-parse", "HEAD"), code_graph.sources_of(project, "experiments.speed")
    assert code_graph.changed_since(project, commit, sources) == []
    (project / "symbolic/other.py").write_text("Z = 2\n")  # not read
    (project / "symbolic/late.py").write_text('"""Late."""\n\n\nX = 1  # one\n')
    assert code_graph.changed_since(project, commit, sources) == []
    (project / "symbolic/kernel.c").write_text("int y;\n")
    (project / "symbolic/train.py").write_text("Y = 2\n")
    assert code_graph.changed_since(project, commit, sources) == ["symbolic/kernel.c", "symbolic/train.py"]
    assert code_graph.changed_since(project, "0" * 40, sources) is None


def test_docstrings_of_every_level_are_words() -> None:
    one = 'class A:\n    """x"""\n\n    def f(self):\n        """y"""\n        return 1\n'
    other = one.replace('"""y"""', '"""z"""').replace('"""x"""', '"""w"""')
    assert code_graph.meaning(one) == code_graph.meaning(other)
    assert code_graph.meaning(one) != code_graph.meaning(one.replace("1", "2"))
    assert code_graph.meaning("not python(") == "not python("
