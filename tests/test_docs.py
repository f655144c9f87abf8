"""The documentation: commands are read by their parsers, code blocks and notebooks run, the site builds."""

import argparse
import ast
import importlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MADE = ("commands", "reference", "_build")  # by docs/conf.py
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if path.relative_to(DOCS).parts[0] not in MADE]
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
PROGRAMS = {"symbolic": "symbolic", "audio-bridge": "audio_bridge", "symbolic-studio": "studio"}
BLOCK = re.compile(r"(<!-- not run: [^>]+ -->\n)?^( *)```(bash|python)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def blocks(path: Path) -> Iterator[tuple[str, str, bool]]:
    """Language, text and whether it is to be run, of each code block of a page."""
    for skipped, indent, language, text in BLOCK.findall(path.read_text(encoding="utf-8")):
        yield language, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE), not skipped


def commands(text: str) -> Iterator[list[str]]:
    """Commands of ours in a shell block: program, verb, arguments."""
    text = re.sub(r"<<'END'\n.*?\nEND\n", "\n", text.replace("\\\n", " "), flags=re.DOTALL)
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words[:2] == ["python", "-m"] and words[2].partition(".")[0] in PROGRAMS.values():
            words = [{package: program for program, package in PROGRAMS.items()}[words[2]], *words[3:]]
        if words and words[0] in PROGRAMS:
            yield words


def parsed(words: list[str]) -> None:
    """Parse a command as its verb does; SystemExit where an option does not exist."""
    program, verb, *arguments = words
    verbs = importlib.import_module(f"{PROGRAMS[program]}.__main__").VERBS
    assert verb in verbs, words
    if importlib.util.find_spec(verbs[verb][0]) is None:
        pytest.skip(f"{verbs[verb][0]} is not there yet")
    if verb == "lyrics":
        verb, *arguments = arguments
        module = importlib.import_module(importlib.import_module("audio_bridge.lyrics.lyrics_verb").VERBS[verb][0])
    else:
        module = importlib.import_module(verbs[verb][0])
    parser = argparse.ArgumentParser(allow_abbrev=False)
    module.add_arguments(parser)
    parser.parse_args(arguments)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda path: path.stem)
def test_every_command_is_read_by_its_parser(page: Path) -> None:
    for language, text, _ in blocks(page):
        if language == "bash":
            for words in commands(text):
                parsed(words)
    for command in re.findall(r"`((?:symbolic|audio-bridge|symbolic-studio) [a-z]+ [^`]*)`", page.read_text("utf-8")):
        if "..." not in command:
            parsed(shlex.split(command))


def test_option_that_does_not_exist_is_found() -> None:
    with pytest.raises(SystemExit):
        parsed(["symbolic", "generate", "gpt2-6m", "--constrained"])
    assert list(commands("symbolic generate \\\n  gpt2-6m # words\necho x\n")) == [["symbolic", "generate", "gpt2-6m"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_python_blocks_are_python(page: Path) -> None:
    for language, text, _ in blocks(page):
        if language == "python":
            ast.parse(text)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A shell in which `symbolic`, `audio-bridge` and `python` are this project's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program, package in PROGRAMS.items():
        script = folder / program
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {package} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    (folder / "python").symlink_to(sys.executable)
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run a command in a folder; the assertion shows what it said."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"


# Pages of howto/ show commands on files of one's own: those are parsed, not run.
WITH_CODE = [page for page in PAGES if page.parent.name != "howto" and any(is_run for _, _, is_run in blocks(page))]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda path: path.stem)
def test_code_blocks_of_a_page_run_in_order(page: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    earlier = ""  # python blocks of one page go on from one another
    for language, text, is_run in blocks(page):
        if is_run and language == "bash":
            run(["bash", "-e", "-c", text], folder, environment)
        elif is_run:
            run([sys.executable, "-c", earlier + text], folder, environment)
            earlier += text + "\n"


def test_walkthrough_names_no_file_twice() -> None:
    text = (DOCS / "walkthrough.md").read_text(encoding="utf-8")
    steps = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    named = [set(re.findall(r"(?:symbolic|audio_bridge)/[\w/]+\.py", step)) for step in steps]
    assert sum(map(len, named)) == len(set().union(*named)) >= 18
    assert all(named)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_sound_and_holds_no_output(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert notebook["cells"][0]["cell_type"] == "markdown"
    assert all(cell["outputs"] == [] for cell in notebook["cells"] if cell["cell_type"] == "code")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    run([sys.executable, "-c", code], tmp_path, environment)


@pytest.mark.slow
def test_site_builds_and_a_broken_link_fails(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    copy = tmp_path / "project" / "docs"
    shutil.copytree(DOCS, copy, ignore=shutil.ignore_patterns(*MADE))
    for name in ("experiments/figures", "symbolic/ready", "studio/plugins"):
        (copy.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (copy.parent / name).symlink_to(ROOT / name)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run([*command, str(copy), str(tmp_path / "html")], ROOT, environment)
    page = copy / "howto" / "installing.md"
    page.write_text(page.read_text(encoding="utf-8") + "\n[lost](nowhere.md)\n", encoding="utf-8")
    done = subprocess.run(
        [*command, str(copy), str(tmp_path / "html")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0 and "nowhere.md" in done.stderr
