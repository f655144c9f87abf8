"""Rubrics: what a judge is asked, and how strictly its answer is read.

A rubric is a Markdown file with the sections *Scores* (`- name: LOW to HIGH`) or *Choices* (`- name: one, other`),
*System* and *Prompt*; `{tune}`, or `{first}` and `{second}`, are replaced in the prompt. Those of the package are in
rubrics/; a path names one of the user's own.

An answer counts when it is one JSON object, alone or alone in a Markdown code fence, with exactly the fields of the
rubric, each a whole number on its scale or one of its choices. Anything else (prose around it, 7.5, "7", 11, a field
too many) is not read, not guessed at, and counted.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbolic import files
from symbolic.errors import UserError

FOLDER = Path(__file__).parent / "rubrics"
_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n?```", re.DOTALL)
_SCALE = re.compile(r"- ([a-z_]+): (\d+) to (\d+)")
_CHOICE = re.compile(r"- ([a-z_]+): (.+)")


class AnswerError(ValueError):
    """An answer that does not follow the rubric."""


@dataclass(frozen=True)
class Rubric:
    """What a judge is asked: `scales` maps a field to (lowest, highest), `choices` a field to its words; one of the two
    is empty."""

    name: str
    system: str
    prompt: str
    scales: dict[str, tuple[int, int]]
    choices: dict[str, tuple[str, ...]]
    digest: str

    def messages(self, **tunes: str) -> list[dict[str, str]]:
        """Return the conversation in the form of a chat model: roles `system` and `user`."""
        text = re.sub(r"\{(tune|first|second)\}", lambda match: tunes[match[1]].strip(), self.prompt)
        return [{"role": "system", "content": self.system}, {"role": "user", "content": text}]

    def read_answer(self, text: str) -> dict[str, Any]:
        """Parse an answer into its fields. Raises AnswerError where it is not exactly what the rubric asks for."""
        body = text.strip()
        if fenced := _FENCED.fullmatch(body):
            body = fenced[1]
        try:
            value = json.loads(body, object_pairs_hook=_no_field_twice)
        except (ValueError, RecursionError) as error:
            raise AnswerError(f"not one JSON object: {_short(text)}") from error
        if not isinstance(value, dict) or set(value) != set(self.scales) | set(self.choices):
            raise AnswerError(f"not the fields {', '.join([*self.scales, *self.choices])}: {_short(text)}")
        for field, (low, high) in self.scales.items():
            if type(value[field]) is not int or not low <= value[field] <= high:
                raise AnswerError(f"{field} is not a whole number from {low} to {high}: {_short(text)}")
        for field, words in self.choices.items():
            if value[field] not in words:
                raise AnswerError(f"{field} is not one of {', '.join(words)}: {_short(text)}")
        return value


def read(name: str) -> Rubric:
    """Read the rubric of that name, or in that file. Raises UserError when it is absent or lacks a section."""
    path = FOLDER / f"{name}.md"
    path = path if re.fullmatch(r"[a-z]+", name) and path.is_file() else Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(sorted(one.stem for one in FOLDER.glob("*.md")))
        raise UserError(f"no rubric {name!r}: name one of {known}, or a Markdown file.") from error
    parts = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    scales = {field: (int(low), int(high)) for field, low, high in _SCALE.findall(parts.get("Scores", ""))}
    choices = {field: tuple(words.split(", ")) for field, words in _CHOICE.findall(parts.get("Choices", ""))}
    absent = [part for part in ("System", "Prompt") if not parts.get(part, "").strip()]
    if absent or (not scales and not choices):
        raise UserError(f"{path}: a rubric has the sections Scores or Choices, System and Prompt; see {FOLDER}.")
    return Rubric(path.stem, parts["System"].strip(), parts["Prompt"].strip(), scales, choices, files.digest(text))


def _no_field_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a field stands twice")
    return dict(pairs)


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return repr(plain[:80] + ("..." if len(plain) > 80 else ""))
