"""README.md: one page whose links lead somewhere. Its numbers: test_pages.py as well; its commands: test_docs.py."""

import re
from pathlib import Path

import pytest

from experiments import pages
from symbolic.config import load
from symbolic.models.sizes import parameters

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_to_files(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    assert len(links) > (10 if page == "README.md" else -1)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_it_is_one_page_that_begins_with_what_it_is() -> None:
    assert len(README.splitlines()) <= 120
    before = README.partition("## Two commands")[0]
    assert "docs/pictures/tune.svg" in before
    assert not re.search(r"AMX|wait policy|PPMd|bf16|safetensors", README.partition("## Results")[0])


def test_numbers_are_those_of_the_result_files_and_each_names_its_source() -> None:
    assert pages.differences(README) == []
    assert pages.unsourced(README) == []
    assert "<!-- ready -->" in README and "<!-- fastest -->" in README


def test_sizes_are_those_of_the_configurations() -> None:
    shown = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    for name in ("gpt2", "mamba", "mamba2", "lstm"):
        for size in ("6m", "60m"):
            assert f"{parameters(load(ROOT / 'configs' / f'{name}-{size}.yaml').model):,}" in shown


def test_scripts_and_configurations_that_pages_name_exist() -> None:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = page.read_text(encoding="utf-8")
        for module in re.findall(r"python -m ((?:experiments|benchmarks)\.\w+)", text):
            assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists(), (page, module)
        for path in re.findall(r"configs/[\w./-]+\.yaml", text):
            assert (ROOT / path).exists(), (page, path)
        for path in re.findall(
            r"`((?:symbolic|audio_bridge|studio|experiments|tests)/[\w./-]+\.(?:py|md|json))`", text
        ):
            assert (ROOT / path).exists(), (page, path)
