"""The site: Sphinx with MyST and furo. `make docs` builds it strictly; nothing is fetched.

Pages that would go stale are made while building, in folders that git ignores: docs/commands/ from the help of the
verbs, docs/reference/measures.md from the table of measures.
"""

import argparse
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))

from symbolic import __version__  # noqa: E402

project = "abc-symbolic"
author = "The abc-symbolic authors"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"abc-symbolic {__version__}"
html_copy_source = False
myst_heading_anchors = 3
myst_links_external_new_tab = False
suppress_warnings = ["myst.header"]
nitpicky = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
highlight_language = "text"

PROGRAMS = {"symbolic": "symbolic", "audio_bridge": "audio-bridge", "studio": "symbolic-studio"}


def setup(app: Any) -> None:
    """Make the generated pages before the sources are read; show prose docstrings as they are written."""
    app.connect("builder-inited", lambda _: make_pages())
    app.connect("autodoc-process-docstring", as_literal)


def as_literal(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text, not reStructuredText: escape what Sphinx would read as markup."""
    if what == "module":
        lines[:] = ["::", "", *(f"    {line}" for line in lines), ""]
    else:
        lines[:] = [re.sub(r"([*`|_\\])", r"\\\1", line.strip()) for line in lines]


def make_pages() -> None:
    """Write docs/commands/*.md and docs/reference/*.md."""
    folder = DOCS / "commands"
    folder.mkdir(exist_ok=True)
    names = []
    for package, program in PROGRAMS.items():
        for verb, (module, line) in importlib.import_module(f"{package}.__main__").VERBS.items():
            if importlib.util.find_spec(module) is None:  # announced, not there yet
                continue
            names.append(f"{program}-{verb}")
            write(folder / f"{names[-1]}.md", verb_page(program, verb, importlib.import_module(module), line))
    entries = "\n".join(names)
    head = "# How to: every command\n\nMade from the commands' own `--help`.\n"
    write(folder / "index.md", f"{head}\n```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n")
    reference = DOCS / "reference"
    reference.mkdir(exist_ok=True)
    write(reference / "measures.md", measures_page())
    write(reference / "configuration.md", configuration_page())


def verb_page(program: str, verb: str, module: Any, line: str) -> str:
    """A verb's help as a page: its text, and its options as the parser shows them."""
    parser = argparse.ArgumentParser(prog=f"{program} {verb}", formatter_class=argparse.RawDescriptionHelpFormatter)
    module.add_arguments(parser)
    parser.formatter_class = lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=100)  # type: ignore[assignment]
    parts = [f"# {program} {verb}", f"*{line[0].upper()}{line[1:]}.*"]
    parts += [
        f"```text\n{(module.__doc__ or '').strip()}\n```",
        "## Options",
        f"```text\n{parser.format_help().strip()}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def measures_page() -> str:
    """Every measure of `evaluate`: which way is better, and what it claims to catch."""
    from symbolic.evaluate.comparison import MEASURES

    way = {"more": "more is better", "less": "less is better", "as human": "as close as possible to human tunes"}
    rows = [f"| {one.label} | `{one.key}` | {way.get(one.good, '')} | {', '.join(one.catches)} |" for one in MEASURES]
    head = "# Measures of `evaluate`\n\nThe last column names the baselines that a measure tells from human tunes "
    head += (
        "(`python -m experiments.controls` checks it).\n\n| measure | key | which way | catches |\n|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def configuration_page() -> str:
    """Every key of a configuration with its line of help, as `train --help` shows it."""
    from symbolic.training import train

    parser = argparse.ArgumentParser(prog="symbolic train", add_help=False)
    train.add_arguments(parser)
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=100)  # type: ignore[assignment]
    text = parser.format_help()
    head = (
        "# Every key of a configuration\n\nA YAML file in `configs/` is one complete run. Each key is also an option.\n"
    )
    return f"{head}\n```text\n{text[text.index('options') :] if 'options' in text else text}\n```\n"


def write(path: Path, text: str) -> None:
    """Write a page only if it changed, so that Sphinx reads only what is new."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
