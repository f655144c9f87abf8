"""The package as it is handed out: declared dependencies, one version, and a wheel that works without the checkout."""

import ast
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

import symbolic
from symbolic import config, machine
from symbolic.errors import UsageError

ROOT = Path(__file__).parents[1]
PACKAGES = ("symbolic", "audio_bridge", "studio")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IMPORTED_AS = {  # distribution -> import name, where they differ
    "pyyaml": "yaml",
    "llama-cpp-python": "llama_cpp",
    "pyfluidsynth": "fluidsynth",
}
NOT_ON_THE_INDEX_FOR_EVERY_PYTHON = {"audiobox_aesthetics"}  # a network that is asked for by name


def distributions(requirements: list[str]) -> set[str]:
    """Normalised names of requirements such as "torch>=2.13,<3"."""
    return {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", one)[0]).lower() for one in requirements}  # type: ignore[index]


def imported(*tops: str) -> set[str]:
    """Top-level names that the packages import, the standard library and our own left out."""
    names: set[str] = set()
    for path in (path for top in tops for path in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {*PACKAGES, "benchmarks", "experiments"}


def test_every_import_is_declared() -> None:
    extras = PROJECT["optional-dependencies"]
    declared = distributions([*PROJECT["dependencies"], *(one for extra in extras.values() for one in extra)])
    names = {IMPORTED_AS.get(name, name.replace("-", "_")) for name in declared}
    assert imported(*PACKAGES, "benchmarks", "experiments") - names <= NOT_ON_THE_INDEX_FOR_EVERY_PYTHON


def test_dependencies_are_ranges_and_the_lock_pins_each() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lock if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!-]+", line) for line in pins)
    assert all(">=" in one and "==" not in one for one in PROJECT["dependencies"])
    extras = PROJECT["optional-dependencies"]
    wanted = distributions([*PROJECT["dependencies"], *extras["dev"], *extras["docs"], *extras["studio"]])
    assert wanted - distributions(pins) == set()


def test_what_is_pinned_installs_on_the_oldest_python_that_is_promised() -> None:
    """Its first release: Debian's 3.11 is older than some packages ask for."""
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    names = [line.partition("==")[0] for line in lock if line and not line.startswith("#")]
    asked = {name: importlib.metadata.metadata(name).get("Requires-Python") or ">=3" for name in names}
    assert {name: range for name, range in asked.items() if oldest not in SpecifierSet(range)} == {}


def test_version_is_one() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"version: {symbolic.__version__}\n" in citation
    first = re.search(r"^## (\S+)", changes, re.MULTILINE)
    assert first is not None and first[1] == symbolic.__version__
    date = re.search(rf"^## {re.escape(first[1])} - (\d{{4}}-\d\d-\d\d)$", changes, re.MULTILINE)
    assert date is None or f"date-released: {date[1]}\n" in citation


def test_configurations_are_found_by_name_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert config.load("configs/gpt2-6m.yaml") == config.load("gpt2-6m.yaml")
    assert config.find("configs/finetune/melody.yaml").is_file()
    with pytest.raises(UsageError, match=r"Did you mean gpt2-6m\.yaml\?"):
        config.load("configs/gtp2-6m.yaml")
    (tmp_path / "gpt2-6m.yaml").write_text("own", encoding="utf-8")
    assert config.find("gpt2-6m.yaml") == Path("gpt2-6m.yaml"), "a file of one's own comes first"
    assert config.find("../gpt2-6m.yaml") == Path("../gpt2-6m.yaml")


def git(folder: Path, *arguments: str) -> str:
    """The answer of git in a folder, with an author of its own."""
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def own_repository(folder: Path) -> str:
    """Make `folder` a repository with one commit, and return that."""
    folder.mkdir(exist_ok=True)
    git(folder, "init", "-q")
    (folder / "thesis.tex").write_text("x", encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "thesis")
    return git(folder, "rev-parse", "HEAD")


def test_commit_is_that_of_the_package_never_that_of_a_repository_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_repository(tmp_path)
    package = tmp_path / "venv" / "site-packages" / "symbolic"
    package.mkdir(parents=True)
    monkeypatch.setattr(machine, "__file__", str(package / "machine.py"))
    assert machine.commit() is None
    (package / "commit.txt").write_text("abc123+\n", encoding="ascii")
    assert machine.commit() == "abc123+"


def test_commit_of_a_checkout_says_whether_files_were_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = own_repository(tmp_path)
    (tmp_path / "symbolic").mkdir()
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "symbolic" / "machine.py"))
    assert machine.commit() == head
    (tmp_path / "thesis.tex").write_text("y", encoding="utf-8")
    assert machine.commit() == head + "+"


# --- the wheel -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built here."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment that holds the wheel, and sees the dependencies of this one but not this checkout."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    scripts = home / ("Scripts" if sys.platform == "win32" else "bin")
    install = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "install", "--no-deps", "--no-index"]
    subprocess.run([*install, "--quiet", str(wheel)], check=True)
    (site,) = home.rglob("site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    return scripts


@pytest.mark.slow
def test_wheel_holds_every_file_of_the_packages_and_the_configurations(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = git(ROOT, "ls-files", *PACKAGES, "configs").splitlines()
    wanted = {f"symbolic/{name}" if name.startswith("configs/") else name for name in tracked}
    assert {name for name in wanted if not name.endswith(".gitkeep")} - names == set()
    assert "symbolic/commit.txt" in names and "symbolic/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "experiments/", "docs/"))]


@pytest.mark.slow
def test_two_builds_are_the_same_bytes(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another folder, with files of other dates and another umask."""
    copy = tmp_path / "elsewhere"
    git(ROOT, "clone", "-q", "--shared", "--no-checkout", str(ROOT), str(copy))
    git(copy, "checkout", "-q", git(ROOT, "rev-parse", "HEAD"))
    for name in git(ROOT, "diff", "--name-only", "HEAD").splitlines():  # of this tree, where it is not clean
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, copy / name)
        else:
            (copy / name).unlink(missing_ok=True)
    for path in copy.rglob("*.py"):
        os.utime(path, (10**9, 10**9))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=copy, check=True, umask=0o077)
    (again,) = tmp_path.glob("*.whl")
    assert again.read_bytes() == wheel.read_bytes()


@pytest.mark.slow
def test_wheel_works_outside_a_checkout(bin_folder: Path, tmp_path: Path) -> None:
    theirs = own_repository(tmp_path)

    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def say(program: str, *arguments: str) -> str:
        command = [str(bin_folder / program), *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=outside, capture_output=True, text=True, timeout=280, check=False
        )
        assert done.returncode == 0, f"{program} {arguments}: {done.stderr}"
        return done.stdout

    where = say("python", "-c", "import symbolic; print(symbolic.__file__)")
    assert str(bin_folder.parent) in where
    assert say("symbolic", "--version") == f"abc-symbolic {symbolic.__version__}\n"
    assert "gpt2-6m " in say("symbolic", "sizes")
    assert "usage: symbolic VERB" in say("symbolic", "--help")
    assert "usage: audio-bridge VERB" in say("audio-bridge", "--help")
    assert "usage: symbolic-studio VERB" in say("symbolic-studio", "--help")

    say("symbolic", "generate", "gpt2-6m", "-n", "1", "--constrain", "--max-tokens", "120", "-o", "tune.abc")
    say("audio-bridge", "render", "tune.abc", "-o", "tune.wav")
    assert (tmp_path / "tune.wav").stat().st_size > 10_000
    say("symbolic", "convert", "tune.abc", "-o", "tune.musicxml")

    book = [tmp_path / "book" / f"{n}.abc" for n in range(40)]
    book[0].parent.mkdir()
    for n, path in enumerate(book):
        notes = "CDEFGABcdefgab"
        bars = [" ".join(notes[(n * k + k * i + n) % 14] + "2" for i in range(4)) for k in range(1, 9)]
        path.write_text(f"X:{n}\nT:{n}\nM:4/4\nL:1/8\nK:C\n{'|'.join(bars)}|]\n", encoding="utf-8")
    say("symbolic", "prepare", "book", "-o", "data/book")
    short = ["--train.steps", "2", "--train.warmup_steps", "1", "--tokenizer.kind", "characters"]
    say("symbolic", "train", "configs/gpt2-debug.yaml", "--data.folder", "data/book", *short)
    found = say("python", "-c", "from symbolic import machine; print(machine.commit())").strip()
    assert found != theirs and found == git(ROOT, "rev-parse", "HEAD") + found[40:]
    assert found[:40] in (tmp_path / "runs" / "gpt2-debug" / "run.json").read_text(encoding="utf-8")
