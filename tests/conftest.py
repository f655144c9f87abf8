"""Fixtures shared by all tests: the real tunes that music21 carries, read once a session."""

import fcntl
import importlib.util
import json
import os
import random
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from symbolic.notation.abc_parser import NotationError, canonical, parse, split_tunes

# The same examples on every run, and no bound on their seconds; HYPOTHESIS_PROFILE=default draws new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
PUBLIC_DOMAIN = ("airdsAirs", "oneills1850", "ryansMammoth")


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A suite that a shell runs in the background starts with SIGINT ignored, and so would the programs it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """A random network of a test is the same network whichever tests ran before it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def music21_corpus() -> Path:
    """The folder of music21's corpus, found without importing music21."""
    spec = importlib.util.find_spec("music21")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "corpus"


@pytest.fixture(scope="session")
def real_tunes(music21_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The canonical text of every tune of Aird, O'Neill and Ryan that parses; one worker reads them for all."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return _read_tunes(music21_corpus)
    path = tmp_path_factory.getbasetemp().parent / "real_tunes.json"
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            path.write_text(json.dumps(_read_tunes(music21_corpus)))
    texts: list[str] = json.loads(path.read_text())
    return texts


@pytest.fixture(scope="session")
def some_tunes(real_tunes: list[str]) -> list[str]:
    """Four hundred of them, drawn: for laws whose tests of every tune are slow."""
    return random.Random(0).sample(real_tunes, 400)


def _read_tunes(music21_corpus: Path) -> list[str]:
    texts = []
    for folder in PUBLIC_DOMAIN:
        for path in sorted((music21_corpus / folder).glob("*.abc")):
            for raw in split_tunes(path.read_text(encoding="latin-1")):
                try:
                    texts.append(canonical(parse(raw.text, raw.line)))
                except NotationError:
                    continue
    return texts
