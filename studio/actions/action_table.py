"""The closed list of verbs: what each is called, does, and costs.

Time-outs are ten times the CPU seconds measured on two idle cores, and a minute at least.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from studio.actions.context import ActionContext

ActionFunction = Callable[[ActionContext, dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Action:
    """`function` is module:name, imported in the worker; `seconds` are measured CPU seconds of a usual request."""

    verb: str
    function: str
    lane: str
    seconds: float
    needs_model: bool = False

    @property
    def limit_seconds(self) -> float:
        """When a job of it is stopped."""
        return max(60.0, 10 * self.seconds)

    def load(self) -> ActionFunction:
        """The function."""
        module, _, name = self.function.partition(":")
        loaded: ActionFunction = getattr(importlib.import_module(module), name)
        return loaded


_TUNES, _SONGS = "studio.actions.tune_actions", "studio.actions.song_actions"
_EMOTION = "studio.actions.emotion_actions"
ACTIONS = {
    action.verb: action
    for action in (
        Action("words", f"{_SONGS}:make_song", "short", 0.5),
        Action("score", f"{_SONGS}:make_song", "short", 4.0),
        Action("song", f"{_SONGS}:make_song", "long", 15.0),
        Action("tune", f"{_TUNES}:write", "short", 0.5, needs_model=True),
        Action("import", f"{_TUNES}:bring", "short", 0.2),
        Action("fill", f"{_TUNES}:fill", "short", 0.4, needs_model=True),
        Action("vary", f"{_TUNES}:vary", "short", 0.6, needs_model=True),
        Action("continue", f"{_TUNES}:go_on", "short", 0.5, needs_model=True),
        Action("harmonise", f"{_TUNES}:harmonise", "short", 0.1),
        Action("transpose", f"{_TUNES}:transpose", "short", 0.1),
        Action("render", f"{_TUNES}:play", "short", 1.5),
        Action("condition", "studio.actions.sound_actions:condition", "long", 60.0),
        Action("story", f"{_EMOTION}:tell_story", "short", 4.0),
        Action("soundtrack", f"{_EMOTION}:score_story", "long", 20.0, needs_model=True),
        Action("grid", "studio.actions.score_grid:edit_grid", "short", 0.5, needs_model=True),
    )
}
