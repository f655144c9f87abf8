"""Every number that the README shows stands in a result file, and every command that it names exists."""

import re
from pathlib import Path

from benchmarks import readme, result_file
from experiments import quickstart
from symbolic import files
from symbolic.__main__ import VERBS
from symbolic.config import load
from symbolic.evaluate.report import tables
from symbolic.models.sizes import parameters

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    """What stands between <!-- name --> and <!-- /name -->."""
    match = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README, re.DOTALL)
    assert match is not None, name
    return match[1].strip()


def test_quickstart_tables_are_those_of_the_result_file() -> None:
    scores = files.read_json(ROOT / "experiments" / "results" / "quickstart.json")
    shown = "\n".join(tables.markdown(table) for table in quickstart.short_tables_of(scores))
    assert section("quickstart") == shown.strip()


def test_speeds_are_those_of_the_result_files() -> None:
    assert section("benchmarks") == readme.section(result_file.BENCHMARKS).strip()


def test_sizes_are_those_of_the_configurations() -> None:
    for name in ("gpt2", "mamba", "mamba2"):
        for size in ("6m", "60m"):
            assert f"{parameters(load(ROOT / 'configs' / f'{name}-{size}.yaml').model):,}" in section("sizes")


def test_verbs_and_scripts_that_it_names_exist() -> None:
    for verb in re.findall(r"python -m symbolic (\w+)", README):
        assert verb in VERBS
    for module in re.findall(r"python -m ((?:experiments|benchmarks)\.\w+)", README):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists()
    for path in re.findall(r"configs/[\w.-]+\.yaml", README):
        assert (ROOT / path).exists()


def test_study_figures_are_those_of_the_result_files() -> None:
    shown = section("study")
    for name in ("gpt2-6m", "mamba2-6m"):
        result = files.read_json(result_file.EXPERIMENTS / f"ready-{name}.json")
        assert (
            f"| {result['bits_per_byte']:.3f} |" in shown
            and f"PPMd order 16: {result['ppmd_bits_per_byte']:.3f}" in shown
        )
        for key in ("share_that_parse", "share_of_full_bars", "share_of_right_tunes", "share_with_copied_phrase"):
            assert f"| {result['measures'][key]:.1%} |".replace("%", " %") in shown
    for row in files.read_json(result_file.EXPERIMENTS / "copying.json")["rows"]:
        if row["class"] != "header":
            assert f"| {row['repeats'][0]:.3f} ({row['low']:.3f}–{row['high']:.3f}) |" in shown
