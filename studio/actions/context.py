"""What an action is given: the folder it fills, and a way to tell how it goes on."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PARTIAL_SECONDS = 0.1  # between two events with unfinished text


def cpu_seconds() -> float:
    """Processor time of this process and of the children that it has waited for."""
    return sum(os.times()[:4])


class CancelledError(Exception):
    """The person no longer wants the result."""


@dataclass
class ActionContext:
    """`folder` is the take's; `uploads` has what was sent in; `data` is the studio's folder. `tell` keeps an event;
    `is_cancelled` says whether to stop."""

    folder: Path
    data: Path
    tell: Callable[[dict[str, Any]], None]
    is_cancelled: Callable[[], bool]
    _told: float = field(default=0.0, repr=False)

    def say(self, **event: Any) -> None:
        """Tell an event. Raises CancelledError when the job is to end."""
        self.check()
        self.tell(event)

    def show(self, **event: Any) -> None:
        """Tell an event that a later one will replace: at most one every PARTIAL_SECONDS."""
        self.check()
        if time.monotonic() - self._told >= PARTIAL_SECONDS:
            self._told = time.monotonic()
            self.tell(event)

    def check(self) -> None:
        """Raise CancelledError when the job is to end."""
        if self.is_cancelled():
            raise CancelledError
