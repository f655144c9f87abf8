"""The help of every verb can be printed, and every option has a line of help."""

import argparse
import importlib
from collections.abc import Iterator

import pytest

import audio_bridge.__main__
import studio.__main__
import symbolic.__main__

TABLES = (symbolic.__main__.VERBS, audio_bridge.__main__.VERBS, studio.__main__.VERBS)
MODULES = [module for table in TABLES for module, _ in table.values()]
OWN_PACKAGES = ("fastapi", "mcp", "redis")  # of extras: a verb whose extra is absent has no parser to look at


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its sub-verbs."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from parsers(inner)


@pytest.mark.parametrize("module", MODULES)
def test_help_can_be_printed_and_leaves_no_option_out(module: str) -> None:
    try:
        verb = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in OWN_PACKAGES:
            pytest.skip(f"needs {error.name}")
        raise
    parser = argparse.ArgumentParser(prog=module, description=verb.__doc__)
    verb.add_arguments(parser)
    for one in parsers(parser):
        text = one.format_help()
        assert "%%" not in text and "%(" not in text
        nameless = [
            action.option_strings or [action.dest]
            for action in one._actions
            if not action.help and not isinstance(action, argparse._SubParsersAction)
        ]
        assert nameless == [], one.prog
