"""Progress of long work on stderr: messages, and one status line that is rewritten in place.

On a terminal the live line is redrawn; elsewhere (a log file, a pipe) it is printed as a line of its own, now and then.
Every verb that shows progress does so through `Console`.
"""

import math
import shutil
import sys
import time
from typing import TextIO

LINE_SECONDS = 15.0  # between lines where they cannot be rewritten in place
REDRAW_SECONDS = 0.2  # between two drawings of a line that counts along


class Console:
    """Messages and the live line on a stream: rewritten in place on a terminal, now and then elsewhere.

    stream: default stderr. late: elsewhere than on a terminal show nothing of work that takes less than LINE_SECONDS.
    """

    def __init__(self, stream: TextIO | None = None, late: bool = False) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self.drawn = -math.inf
        self.shown = time.monotonic() if late else -math.inf
        self.open_line = False

    def is_due(self) -> bool:
        """Return whether it is time for `show`; for loops that turn many times a second."""
        wait = REDRAW_SECONDS if self.live else LINE_SECONDS
        return time.monotonic() - (self.drawn if self.live else self.shown) >= wait

    def show(self, line: str, narrow: str = "", is_last: bool = False) -> None:
        """Show where the work stands; `narrow` is the line for a terminal that is too narrow for it."""
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            self._draw(line if len(line) <= width or not narrow else narrow[:width])
        elif is_last or time.monotonic() - self.shown >= LINE_SECONDS:
            self.stream.write(line + "\n")
            self.stream.flush()
            self.shown = time.monotonic()

    def working(self, text: str) -> None:
        """Show, on a terminal only, what is being done meanwhile."""
        if self.live and self.is_due():
            self._draw(text)

    def say(self, text: str) -> None:
        """Print a message on a line of its own."""
        self.stream.write(("\r\x1b[K" if self.open_line else "") + text + "\n")
        self.open_line = False
        self.drawn = -math.inf
        self.stream.flush()

    def close(self, wipe: bool = False) -> None:
        """Leave the live line as it is and go on below it, or wipe it."""
        if self.open_line:
            self.stream.write("\r\x1b[K" if wipe else "\n")
            self.stream.flush()
        self.open_line = False

    def _draw(self, text: str) -> None:
        self.stream.write(f"\r{text}\x1b[K")
        self.stream.flush()
        self.drawn, self.open_line = time.monotonic(), True


def clock(seconds: float) -> str:
    """Write seconds as `1:02:03`, or `2:03` under an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
