"""The verbs: `python -m studio serve|survey|work|watch|assistant`; each has its own --help.

Results go to stdout, messages to stderr; exit status 0 done, 1 failed, 2 usage, 130 interrupted.
"""

import sys

from symbolic import interrupts

VERBS = {
    "serve": ("studio.server.serve", "the web page and the REST API, on this machine"),
    "survey": ("studio.survey.survey_verb", "listening surveys: make, plan, report"),
    "work": ("studio.jobs.work", "worker processes without a server, for a shared queue"),
    "watch": ("studio.watch", "a folder: MIDI and ABC files dropped in come back continued or filled"),
    "assistant": ("studio.assistant", "a tool server for assistants (Model Context Protocol, stdio)"),
}


def run() -> None:
    """Run the verb that the command line names, and end the process; the console script `symbolic-studio`."""
    interrupts.end_in_one_line()
    from symbolic.command_line import leave, main

    leave(main("studio", VERBS, sys.argv[1:]))


if __name__ == "__main__":
    run()
