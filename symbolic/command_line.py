"""The command line: one dispatcher for both packages, which imports a verb's module only when that verb is asked for.

A verb module has `add_arguments(parser)` and `run(args) -> int`; its docstring is its help.
"""

import argparse
import difflib
import importlib
import os
import signal
import sys
from collections.abc import Callable
from types import ModuleType
from typing import NoReturn

from symbolic.errors import UserError

INTERRUPTED = 128 + signal.SIGINT


def main(program: str, verbs: dict[str, tuple[str, str]], arguments: list[str]) -> int:
    """Run one verb and return its exit status; `verbs` maps a name to (module, one line of help)."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview(program, verbs), file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    name = arguments[0]
    if name not in verbs:
        print(f"error: '{name}' is not a verb of {program}.\n\n{_overview(program, verbs)}", file=sys.stderr)
        return 2
    module = importlib.import_module(verbs[name][0])
    parser = _parser(f"python -m {program} {name}", module)
    args, unknown = parser.parse_known_args(arguments[1:])
    if unknown:
        parser.error(parser.unknown(unknown[0]))
    return guarded(lambda: module.run(args))


def guarded(action: Callable[[], int]) -> int:
    """Run `action`; print the errors that a user can mend as one line, and return the exit status."""
    try:
        return action()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("interrupted; nothing was left half-written.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def leave(status: int) -> NoReturn:
    """End the process. One of several, of torchrun, ends without the interpreter's own shutdown: a thread of gloo may
    still hold a tensor of the last exchange, and to give it back to an interpreter that is gone aborts the process
    and with it the run (pytorch/pytorch#179291).
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        sys.exit(status)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _overview(program: str, verbs: dict[str, tuple[str, str]]) -> str:
    width = max(map(len, verbs))
    lines = [f"usage: python -m {program} VERB ...", ""]
    lines += [f"  {name:{width}}  {text}" for name, (_, text) in verbs.items()]
    return "\n".join([*lines, "", f"python -m {program} VERB --help tells a verb's options."])


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line: the usage of a verb with many options would hide it."""

    def error(self, message: str) -> NoReturn:
        end = "" if message.endswith((".", "?")) else "."
        self.exit(2, f"error: {message}{end} {self.prog} --help tells the options.\n")

    def unknown(self, argument: str) -> str:
        """The message for an argument that no option takes, with the nearest option."""
        name = argument.split("=")[0]
        if not name.startswith("-"):
            return f"{argument!r} is one argument too many"
        near = difflib.get_close_matches(name, self._option_string_actions, n=1)
        return f"{name}: no such option{f': did you mean {near[0]}?' if near else ''}"


def _parser(program: str, module: ModuleType) -> _Parser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser(prog=program, description=module.__doc__, formatter_class=raw, allow_abbrev=False)
    module.add_arguments(parser)
    return parser
