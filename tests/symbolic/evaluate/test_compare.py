"""The verb: what it prints, refuses and writes."""

import argparse
import json
from pathlib import Path

import pytest

from symbolic.errors import UsageError
from symbolic.evaluate import compare


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    compare.add_arguments(parser)
    return compare.run(parser.parse_args(arguments))


def test_it_prints_tables_and_ends_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert run("gpt2-6m", "mamba2-6m", "-n", "0", "-o", str(page), "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("model.family") for line in lines)
    assert [one["name"] for one in json.loads(lines[-1])["runs"]] == ["gpt2-6m", "mamba2-6m"]
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_bad_numbers_and_pages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="-n is -1"):
        run("a", "b", "-n", "-1")
    with pytest.raises(UsageError, match=r"name it page\.html"):
        run("a", "b", "-o", str(tmp_path / "page.pdf"))
    with pytest.raises(UsageError, match="no run or checkpoint"):
        run("nothing-of-this-name", "gpt2-6m")
