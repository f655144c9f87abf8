"""Changes are drawn by a seed, change a meaning, and are met by the tests in a process that has forked."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import result_file
from experiments import mutants

ROOT = Path(__file__).resolve().parents[2]


def test_every_area_names_modules_and_tests_that_are_there() -> None:
    named = {path for modules in mutants.AREAS.values() for path in modules}
    tests = {path for modules in mutants.AREAS.values() for own in modules.values() for path in own}
    assert [path for path in sorted(named | tests) if not (ROOT / path).is_file()] == []


def test_every_argued_survivor_is_of_a_line_that_is_there() -> None:
    """A line that has changed must be argued anew."""
    for (path, was, becomes), why in mutants.equivalents(ROOT / mutants.EQUIVALENT).items():
        lines = {line.strip() for line in (ROOT / path).read_text(encoding="utf-8").splitlines()}
        assert was in lines and becomes != was and why, (path, was)


def test_annotations_have_no_meaning() -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import x\n"
    text += "def f(a: int | None) -> int | str:\n    return a\n"
    for was, becomes in (("int | None", "int + None"), ("int | str", "int - str"), ("if TYPE", "if not TYPE")):
        assert mutants.meaning(text) == mutants.meaning(text.replace(was, becomes)), was
    assert mutants.meaning(text) != mutants.meaning(text.replace("return a", "return not a"))


@pytest.mark.slow
def test_a_fork_tells_what_the_tests_say(tmp_path: Path) -> None:
    """Passed, failed with the first test's name, over time; each import is anew."""
    (tmp_path / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\npythonpath=['.']\nmarkers=['slow: s', 'gpu: g']\n", encoding="utf-8"
    )
    (tmp_path / "symbolic").mkdir()
    (tmp_path / "symbolic" / "__init__.py").write_text("")
    (tmp_path / "test_a.py").write_text("from symbolic.a import f\ndef test_f():\n    assert f(2) == 4\n")
    code = (
        f"import sys; from pathlib import Path; sys.path.insert(0, {str(ROOT)!r}); from experiments import mutants; "
        "mutants.WARM = (); sys.path.pop(0); sys.exit(mutants.serve(Path(sys.argv[1])))"
    )
    request = json.dumps({"tests": ["test_a.py"], "seconds": 60})
    short = json.dumps({"tests": ["test_a.py"], "seconds": 2})
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=tmp_path, text=True, stdin=-1, stdout=-1
    ) as server:
        assert server.stdin is not None and server.stdout is not None
        answers = []
        bodies = ("return x * x", "return x + x + 1", "return (", "while True: pass", "return x + x")
        for body, asked in zip(bodies, (request, request, request, short, request), strict=True):
            (tmp_path / "symbolic" / "a.py").write_text(f"def f(x):\n    {body}\n")
            server.stdin.write(asked + "\n")
            server.stdin.flush()
            answers.append(json.loads(server.stdout.readline()))
        server.stdin.close()
    assert [one["status"] for one in answers] == ["passed", "failed", "failed", "over time", "passed"]
    assert answers[1]["by"] == "test_a.py::test_f" and answers[2]["by"] == "test_a.py cannot be imported"


def test_changes_are_drawn_by_the_seed() -> None:
    pytest.importorskip("cosmic_ray", exc_type=ImportError)
    first = mutants.drawn(ROOT, "optimiser", 5, 0)
    assert first == mutants.drawn(ROOT, "optimiser", 5, 0) != mutants.drawn(ROOT, "optimiser", 5, 1)
    assert len({(one.path, one.line, one.becomes) for one in first}) == 5
    for one in first:
        text = (ROOT / one.path).read_text(encoding="utf-8")
        assert text.splitlines()[one.line - 1].strip() == one.was != one.becomes
        assert one.becomes in mutants.mutated(text, one.operator, one.occurrence)


def test_the_sign_before_named_arguments_is_no_product() -> None:
    pytest.importorskip("cosmic_ray", exc_type=ImportError)
    found = list(mutants.changes("def f(a, *, b, c=2):\n    return a * b\n"))
    assert {line for (line, _), _, _ in found} == {1, 2}
    assert not any("BinaryOperator" in operator for (line, _), operator, _ in found if line == 1)


def test_what_was_tried_stays_known_while_module_and_tests_are_the_same(tmp_path: Path) -> None:
    path = "symbolic/training/optim.py"
    digest = hashlib.sha256((ROOT / path).read_bytes()).hexdigest()
    killed, survived = (path, digest, "NumberReplacer", 0), (path, digest, "NumberReplacer", 1)
    rows = mutants._as_rows({killed: "tests/test_a.py::test_f", survived: ""})
    other_tests = [*rows[1][:3], 2, "", "0" * 64]
    other_module = [path, "0" * 64, *rows[0][2:]]
    recorder = result_file.Recorder("mutants", 0, {"each": 2, "tried": [*rows, other_tests, other_module]})
    result_file.write(tmp_path / "mutants.json", recorder.result())
    again = result_file.Recorder("mutants", 0, {"each": 2})
    found = mutants._known(again, tmp_path / "mutants.json", ["optimiser"])
    assert found == {killed: "tests/test_a.py::test_f", survived: ""}
