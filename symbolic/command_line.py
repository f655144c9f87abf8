"""The command line: one dispatcher for all packages, which imports a verb's module only when that verb is asked for.

A verb module has `add_arguments(parser)` and `run(args) -> int`; its docstring is its help. Results go to stdout,
messages to stderr; exit status 0 done, 1 failed, 2 usage, 130 interrupted. An interrupt while modules are still being
imported ends in one line, too (`symbolic.interrupts`), and a console that is not UTF-8 gets plain characters for those
it lacks.
"""

import argparse
import codecs
import difflib
import importlib
import os
import signal
import sys
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from symbolic.errors import UsageError, UserError

DISTRIBUTION = "abc-symbolic"  # the name of the package for pip; its import name is `symbolic`
SCRIPTS = {"audio_bridge": "audio-bridge", "studio": "symbolic-studio"}  # console scripts of another name
INTERRUPTED = 128 + signal.SIGINT
_PLAIN = "plain-characters"  # the error handler's name
_LOOKALIKES = str.maketrans(dict(zip("─━│┃–—−×“”‘’♯♭→▁", "--||---x\"\"''#b>_", strict=True)) | {"…": "..."})


def main(program: str, verbs: dict[str, tuple[str, str]], arguments: Sequence[str]) -> int:
    """Run one verb and return its exit status; `verbs` maps a name to (module, one line of help)."""
    use_plain_characters()
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview(program, verbs), file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"{DISTRIBUTION} {_version()}")
        return 0
    if arguments[0] not in verbs:
        print(_unknown_verb(program, verbs, arguments[0]), file=sys.stderr)
        return 2
    return guarded(lambda: _run_verb(program, verbs, arguments))


def _run_verb(program: str, verbs: dict[str, tuple[str, str]], arguments: Sequence[str]) -> int:
    module = importlib.import_module(verbs[arguments[0]][0])
    parser = _parser(f"{started_as(program)} {arguments[0]}", module)
    args, unknown = parser.parse_known_args(arguments[1:])
    if unknown:
        parser.error(parser.unknown(unknown[0]))
    return int(module.run(args))


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


def use_plain_characters() -> None:
    """Have stdout and stderr write a look-alike, or ?, for each character that their encoding lacks."""
    codecs.register_error(_PLAIN, _plain_character)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure and not (stream.encoding or "").lower().startswith("utf"):
            reconfigure(errors=_PLAIN)


def _plain_character(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(_LOOKALIKES)
    return unicodedata.normalize("NFKD", text).encode("ascii", "replace").decode("ascii"), error.end


def started_as(program: str) -> str:
    """Return how this process was started, for messages: `symbolic` by the console script, else `python -m
    symbolic`."""
    script = SCRIPTS.get(program, program)
    return script if Path(sys.argv[0]).stem == script else f"python -m {program}"


def choose_tune(numbers: Sequence[int | None], wanted: int, file: object, option: str = "--tune") -> int:
    """Return the place, counted from 0, of the tune that `--tune N` means, and a word on stderr which it is. `option`
    is what the verb calls it.

    `numbers` are the X: numbers of the file's tunes, None where a tune has none. N is the number of the only tune with
    X:N; else the N-th tune is meant. Raises UsageError where the file has neither.
    """
    matches = [place for place, number in enumerate(numbers) if number == wanted]
    if len(matches) == 1:
        place, how = matches[0], f"the tune X:{wanted}, the {ordinal(matches[0] + 1)} of {len(numbers)}"
    elif 1 <= wanted <= len(numbers):
        why = f"{len(matches)} tunes have that number" if matches else f"no tune has the number X:{wanted}"
        place, how = wanted - 1, f"the {ordinal(wanted)} tune of {len(numbers)}, for {why}"
    else:
        raise UsageError(
            f"{option} {wanted}: {file} holds {len(numbers)} tune{'s' * (len(numbers) > 1)}, none of them X:{wanted}."
        )
    if len(numbers) > 1:
        print(f"note: {option} {wanted} is {how} in {file}.", file=sys.stderr)
    return place


def ordinal(number: int) -> str:
    """Write a number as 1st, 2nd, 3rd, 4th, 11th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


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
    width, start = max(map(len, verbs)), started_as(program)
    lines = [f"usage: {start} VERB ...", ""]
    lines += [f"  {name:{width}}  {text}" for name, (_, text) in verbs.items()]
    return "\n".join([*lines, "", f"{start} VERB --help shows a verb's options; --version the version."])


def _unknown_verb(program: str, verbs: dict[str, tuple[str, str]], name: str) -> str:
    near = difflib.get_close_matches(name, verbs, n=1)
    hint = f": did you mean {near[0]}?" if near else "."
    return f"error: '{name}' is not a verb of {program}{hint}\n\n{_overview(program, verbs)}"


def _version() -> str:
    from symbolic import __version__

    return __version__


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line: the usage of a verb with many options would hide it."""

    def error(self, message: str) -> NoReturn:
        end = "" if message.endswith((".", "?")) else "."
        self.exit(2, f"error: {message}{end} See {self.prog} --help.\n")

    def unknown(self, argument: str) -> str:
        """Return the message for an argument that no option takes, with the nearest option."""
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
