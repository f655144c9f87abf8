"""The public names of `symbolic` and `audio_bridge`: imported lazily, documented, and doing what they say."""

import ast
import doctest
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import audio_bridge
import symbolic
from symbolic.errors import UsageError, UserError

ROOT = Path(__file__).parents[1]
PACKAGES = (symbolic, audio_bridge)
NAMES = [(package, name) for package in PACKAGES for name in (*package.PUBLIC, *package.CALLABLE_PACKAGES)]
REEL = "X:7\nT:Reel\nC:trad.\nM:4/4\nL:1/8\nQ:1/4=90\nK:D\nDEFG ABcd | dcBA GFED | FAdA FADF | D8 |]\n"
JIG = "X:1\nT:Jig\nM:6/8\nL:1/8\nK:G\nGAB cde | dcB AGF | GAB d2B | G6 |]\n"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_docstring_examples_run(package: ModuleType) -> None:
    assert doctest.testmod(package).failed == 0
    assert doctest.testmod(package).attempted >= 4


@pytest.mark.parametrize(("package", "name"), NAMES, ids=lambda value: getattr(value, "__name__", value))
def test_every_name_is_documented_in_its_package_and_in_itself(package: ModuleType, name: str) -> None:
    assert callable(getattr(package, name)) and name in dir(package)
    assert name in (package.__doc__ or "")
    assert len(inspect.getdoc(getattr(package, name)) or "") > 20


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_type_checkers_see_the_same_names_from_the_same_modules(package: ModuleType) -> None:
    tree = ast.parse(Path(package.__file__ or "").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: f"{node.module}:{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {name: place for name, place in seen.items() if name in package.PUBLIC} == package.PUBLIC
    assert set(seen) == {*package.PUBLIC, *package.CALLABLE_PACKAGES}
    assert (Path(package.__file__ or "").parent / "py.typed").exists()


def test_import_and_a_small_tune_load_neither_torch_nor_transformers() -> None:
    program = (
        "import sys, symbolic, audio_bridge\n"
        "symbolic.to_midi(symbolic.parse('X:1\\nM:4/4\\nL:1/4\\nK:C\\nCEGc |]'))\n"
        "print([name for name in ('torch', 'transformers', 'music21', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'generete'"):
        _ = symbolic.generete


def test_package_that_is_also_a_verb_can_be_called_and_still_holds_its_modules() -> None:
    assert list(inspect.signature(symbolic.evaluate).parameters)[:2] == ["tunes", "against"]
    assert import_module("symbolic.evaluate.metrics").__name__ == "symbolic.evaluate.metrics"
    assert next(iter(inspect.signature(audio_bridge.song).parameters)) == "folder"


@pytest.mark.parametrize("suffix", [".abc", ".mid", ".musicxml"])
def test_convert_and_read_keep_notes_in_every_format(suffix: str, tmp_path: Path) -> None:
    source, target = tmp_path / "book.abc", tmp_path / f"out{suffix}"
    source.write_text(REEL, encoding="utf-8")
    done = symbolic.convert(source, target)
    assert done.n_converted == 1 and done.files == [target]
    (before,), (after,) = symbolic.read(source), symbolic.read(target)
    assert notes(after) == notes(before) and len(notes(before)) == 25


def notes(score: symbolic.Score) -> list[int]:
    """MIDI pitches in order."""
    import io

    import mido

    track = mido.MidiFile(file=io.BytesIO(symbolic.to_midi(score)))
    return [message.note for message in track if message.type == "note_on" and message.velocity]


def test_to_abc_keeps_fields_and_number_and_to_musicxml_the_title() -> None:
    score = symbolic.parse(REEL)
    written = symbolic.to_abc(score)
    assert written.startswith("X:7\n") and "C:trad." in written and "Q:1/4=90" in written
    assert "Reel" in symbolic.to_musicxml(score)
    assert symbolic.canonical(symbolic.parse(written)) == symbolic.canonical(score)


def test_read_takes_the_tune_with_that_number(tmp_path: Path) -> None:
    book = tmp_path / "book.abc"
    book.write_text(REEL + "\n" + JIG, encoding="utf-8")
    assert [score.title for score in symbolic.read(str(book))] == ["Reel", "Jig"]
    assert [score.title for score in symbolic.read(book, tune=7)] == ["Reel"]


def test_errors_are_exceptions_that_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.abc"):
        symbolic.read(tmp_path / "gone.abc")
    with pytest.raises(UsageError, match=r"out\.doc"):
        symbolic.convert(tmp_path / "gone.abc", tmp_path / "out.doc")
    with pytest.raises(UserError, match=r"nothing\.yaml"):
        symbolic.train(tmp_path / "nothing.yaml")
    bad = tmp_path / "bad.abc"
    bad.write_text("X:1\nM:4/4\nK:C\n(3 | ]]\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"bad\.abc, tune 1"):
        symbolic.read(bad)


def test_generate_writes_the_same_tune_from_the_same_seed() -> None:
    model = symbolic.load_model("gpt2-6m")
    first, second = (
        symbolic.generate(model, n=1, seed=5, prompt="M:6/8 K:Dmix", max_tokens=24).tunes for _ in range(2)
    )
    assert first[0].text == second[0].text and first[0].text.startswith("M:6/8")


def test_check_tells_a_bar_that_is_too_long() -> None:
    assert symbolic.check(REEL).is_right
    found = symbolic.check(REEL.replace("GFED |", "GFED D |"))
    assert not found.is_right and (found.n_full, found.n_bars) == (3, 4)


def test_prepare_and_evaluate_measure_tunes_beside_human_ones(tmp_path: Path, music21_corpus: Path) -> None:
    few = sorted((music21_corpus / "ryansMammoth").glob("*.abc"))[:40]
    folder = tmp_path / "own"
    folder.mkdir()
    for path in few:
        (folder / path.name).write_bytes(path.read_bytes())
    summary = symbolic.prepare([str(folder)], tmp_path / "data")
    assert sum(split["tunes"] for split in summary["splits"].values()) > 20
    scores = symbolic.evaluate([REEL, JIG], tmp_path / "data")
    assert scores.measures["share_that_parse"] == 1.0 and len(scores.rows) == 2
    assert "human, held out" in scores.columns
