"""C sources built on demand: once, again when a part of them changes, and why not in words."""

import threading
from pathlib import Path

import pytest

from symbolic.models import compiler as native
from symbolic.models import scan

compiler = pytest.mark.skipif(scan.problem() is not None, reason=str(scan.problem()))


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A C file with a part, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "part.h").write_text("enum { ANSWER = 41 };\n")
    (tmp_path / "whole.c").write_text('#include "part.h"\nint answer(void) { return ANSWER; }\n')
    return tmp_path / "whole.c"


@compiler
def test_a_library_is_built_once_and_again_when_a_part_changes(source: Path) -> None:
    assert native.build(source).answer() == 41
    (built,) = native.cache().iterdir()
    assert built.name.startswith("whole-") and built.suffix == ".so"
    before = built.stat().st_mtime_ns
    assert native.build(source).answer() == 41 and built.stat().st_mtime_ns == before
    source.with_name("part.h").write_text("enum { ANSWER = 42 };\n")
    assert native.build(source).answer() == 42
    assert native.build(source, [*native.FLAGS, "-O1"]).answer() == 42
    assert len(list(native.cache().iterdir())) == 3


@compiler
def test_two_that_want_a_library_at_once_compile_it_once(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that waited for the lock on the source finds the library made."""
    plain, made = native._compile, []
    both = threading.Barrier(2)
    digest = native.digest

    def meet(text: str) -> str:
        both.wait(60)
        return digest(text)

    monkeypatch.setattr(native, "digest", meet)
    monkeypatch.setattr(native, "_compile", lambda *words: (made.append(words), plain(*words)))
    threads = [threading.Thread(target=native.build, args=(source,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and len(list(native.cache().iterdir())) == 1


@compiler
def test_why_there_is_no_library(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert native.problem_of(lambda: native.build(source)) is None
    source.write_text("int answer(void) { return }\n")
    assert "error: expected expression" in str(native.problem_of(lambda: native.build(source)))
    monkeypatch.setenv("CC", "no-such-compiler")
    assert "CC is 'no-such-compiler', which is absent" in str(native.problem_of(lambda: native.build(source)))
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", "")
    assert "apt install gcc" in str(native.problem_of(lambda: native.build(source)))
