"""Mask for models of counted tokens (symbolic.tokens.counted): marks, sections as asked, a beginning as given.

A mark says how much is left of a bar or a section; it has no text, so other masks know nothing of it. Here marks may
come in the music, one at a time, and where sections are asked for only those that count them:

    MarkMask(tokenizer, V, inner)              marks beside what `inner` allows
    MarkMask(tokenizer, V, plan=(8, 8))        the tune begins with @S2;@B8; and its second section with @S1;@B8;
    MarkMask(tokenizer, V, forced="|:GABc|")   only tokens that spell this text; their marks are the model's choice,
                                               but no section is shorter than in the text

Bars of a plan are counted without pick-up; 0 is free.
"""

# V vocabulary entries

import re
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from symbolic.data import augmentation
from symbolic.decode.engine.mask import Mask
from symbolic.tokens import counted

if TYPE_CHECKING:
    from symbolic.decode.constraint.token_mask import TokenMask
    from symbolic.tokens.counted import CountedTokenizer

_SECTION = re.compile(r"@S(\d+|\+);")
_BARS = re.compile(r"@B(\d+|\+);(@D[^;]*;)?")


class _Row:
    """What one tune has come to."""

    __slots__ = ("is_music", "last", "line", "n_sections", "rest", "wanted")

    def __init__(self) -> None:
        self.line = ""  # so far
        self.last = ""  # token as the engine reads it
        self.is_music = False
        self.n_sections = 0
        self.rest = ""  # of the forced text
        self.wanted: list[int] = []  # bars of each section that the forced text begins

    def read(self, token: str, text: str) -> None:
        """Advance by a token and its plain text."""
        self.line += text
        if text.endswith("\n") or augmentation.ANSWER in text:
            self.is_music = self.line.startswith("K:") or augmentation.ANSWER in text
            self.line = ""
        self.n_sections += token.startswith("@S")
        self.rest = self.rest[len(text) :]
        self.last = token


class MarkMask(Mask):
    """Allows marks beside what `inner` allows; see the module's head."""

    def __init__(
        self,
        tokenizer: "CountedTokenizer",
        vocab_size: int,
        inner: Mask | None = None,
        plan: tuple[int, ...] | None = None,
        forced: str = "",
        budget: "TokenMask | None" = None,
    ) -> None:
        """budget: the mask inside `inner` that counts the tokens left, of which each mark takes one."""
        self.inner, self.plan, self.forced, self.budget = inner, plan, forced, budget
        self.raw = [tokenizer.engine_bytes(id).decode("latin-1") for id in range(tokenizer.n_tokens)]
        self.texts = [tokenizer.token_bytes(id).decode("latin-1") for id in range(tokenizer.n_tokens)]
        self.is_mark = [bool(word) and not text for word, text in zip(self.raw, self.texts, strict=True)]
        self.marks = np.zeros(vocab_size, bool)
        self.marks[: len(self.raw)] = self.is_mark
        self.everything = np.ones(vocab_size, bool)
        self.opening = np.zeros(vocab_size, bool)  # bar lines, which may stand before the first section
        self.opening[[id for id, word in enumerate(self.raw) if re.fullmatch(r"[|:]+", word)]] = True
        self.ends = np.zeros(vocab_size, bool)  # of the music
        self.ends[[tokenizer.eos, *(id for id, text in enumerate(self.texts) if "\n" in text)]] = True
        self.rows: dict[int, _Row] = {}
        self._masks: dict[Hashable, np.ndarray] = {}

    def start(self, row: int, prompt: list[int]) -> None:
        """Begin a tune with this prompt in a row."""
        at = self.rows[row] = _Row()
        for id in prompt:
            at.read(self.raw[id], self.texts[id])
        if self.forced:
            at.rest, at.wanted = self.forced, _bars_of("".join(self.texts[id] for id in prompt) + self.forced)
        if self.inner is not None:
            self.inner.start(row, prompt)

    def advance(self, row: int, token: int) -> None:
        """Advance by a token that is known to be allowed."""
        if not self.is_mark[token]:
            if self.inner is not None:
                self.inner.advance(row, token)
        elif self.budget is not None:
            self.budget.tokens_left[row] -= 1
        self.rows[row].read(self.raw[token], self.texts[token])

    def take(self, row: int, token: int) -> bool:
        """Advance by a drawn token; return False, and change nothing, if it is not allowed."""
        if self.is_mark[token]:
            if not self._marks(row)[token]:
                return False
            self.advance(row, token)
            return True
        if (self._must_mark(row) and not self._may_open(row, token)) or (self.forced and not self._spells(row)[token]):
            return False
        if self.ends[token] and self._has_more(row) and not self.allowed(row)[token]:
            return False
        if self.inner is not None and not self.inner.take(row, token):
            return False
        self.rows[row].read(self.raw[token], self.texts[token])
        return True

    def allowed(self, row: int) -> np.ndarray:
        """Return the boolean mask (V,) of the tokens that may come next."""
        marks = self._marks(row)
        others = self.everything if self.inner is None else self.inner.allowed(row)
        if self._must_mark(row):
            others = others & self.opening if self.rows[row].last[:2] != "@S" else self.marks
        if self.forced:
            others = others & self._spells(row)
        if self._has_more(row) and ((others & ~self.ends).any() or marks.any()):
            others = others & ~self.ends
        return (others & ~self.marks) | marks

    def _must_mark(self, row: int) -> bool:
        """True where a section that is asked for begins, and its bars are not told yet."""
        at = self.rows[row]
        if self.plan is None or not at.is_music or self._is_near_limit(row):
            return False
        return at.n_sections == 0 or at.last.startswith("@S")

    def _has_more(self, row: int) -> bool:
        """True in the music before the last section of a plan."""
        at = self.rows[row]
        if self.plan is None or not at.is_music or self._is_near_limit(row):
            return False
        return at.n_sections < len(self.plan)

    def _is_near_limit(self, row: int) -> bool:
        """True where the tokens that are left are needed to end the tune: no marks then, and no further sections."""
        return self.budget is not None and self.budget.is_near_limit(row)

    def _may_open(self, row: int, token: int) -> bool:
        return self.rows[row].last[:2] != "@S" and bool(self.opening[token])

    def _marks(self, row: int) -> np.ndarray:
        """Return the boolean mask (V,) of the marks that may come next."""
        at = self.rows[row]
        key = (
            at.is_music and not self._is_near_limit(row),
            at.last[:2] == "@S",
            at.last.endswith(";"),
            at.n_sections,
            tuple(at.wanted),
        )
        mask = self._masks.get(key)
        if mask is None:
            mask = self._masks[key] = np.zeros_like(self.marks)
            mask[[id for id, word in enumerate(self.raw) if self.is_mark[id] and self._fits(word, *key)]] = True
        return mask

    def _fits(
        self, word: str, may_mark: bool, in_head: bool, follows_mark: bool, n_sections: int, wanted: tuple[int, ...]
    ) -> bool:
        """True if a mark may come: after the number of a section that of its bars, else none after another."""
        if not may_mark or (follows_mark and not in_head):
            return False
        section, bars = _SECTION.fullmatch(word), _BARS.fullmatch(word)
        if in_head:
            index = n_sections - 1
            asked = self.plan[index] if self.plan is not None and index < len(self.plan) else 0
            return bars is not None and _holds(bars[1], asked, wanted, index)
        if section is None:
            return self.plan is None or n_sections > 0
        left = len(self.plan) - n_sections if self.plan is not None else 0
        if self.plan is not None and left < 1:
            return False
        return _number(section[1]) >= max(1, len(wanted) - n_sections) and left in (0, _number(section[1]))

    def _spells(self, row: int) -> np.ndarray:
        """Return the boolean mask (V,) of the tokens that go on with the forced text."""
        rest = self.rows[row].rest
        mask = self._masks.get(("rest", rest))
        if mask is None:
            begins = {rest[:end] for end in range(1, len(rest) + 1)}
            mask = np.zeros_like(self.marks)
            mask[[id for id, text in enumerate(self.texts) if text in begins]] = True
            self._masks["rest", rest] = mask
        return mask


def _holds(bars: str, asked: int, wanted: Sequence[int], index: int) -> bool:
    """True if the bars told of a section are those asked for, and not fewer than the forced text has of it."""
    n_bars = _number(bars)
    if asked and n_bars != asked:
        return False
    if index < len(wanted) - 1:
        return n_bars == wanted[index]
    return index >= len(wanted) or n_bars >= wanted[index]


def _bars_of(text: str) -> list[int]:
    """Return bars of each section that the beginning of a tune begins, as if it ended there."""
    return [_number(bars) for bars in re.findall(r"@S[^;]*;@B([^;]*);", counted.count(text))]


def _number(text: str) -> int:
    """Return the number of a mark; what is above the limit is one number."""
    return counted.MAX_BARS + 1 if text == "+" else int(text)
