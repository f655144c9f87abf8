"""What an interrupt (Ctrl-C) prints that nothing catches, such as one while modules are being imported.

The first thing that a program here imports, so it imports nothing heavier than `sys`.
"""

import sys


def end_in_one_line() -> None:
    """Have an uncaught KeyboardInterrupt print one line instead of a traceback; the exit status stays 130."""
    show_others = sys.excepthook

    def show(kind, error, trace):  # type: ignore[no-untyped-def]  # the types' module is not imported yet
        if issubclass(kind, KeyboardInterrupt):
            print("interrupted; nothing was left half-written.", file=sys.stderr)
        else:
            show_others(kind, error, trace)

    sys.excepthook = show
