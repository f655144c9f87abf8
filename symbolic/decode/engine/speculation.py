"""Exact speculation in one row: a guess at the next token is read in the same pass, and kept where it is drawn anyway.

A pass streams all weights through the processor once, whether it reads one token or two. So the token that is likely to
come next, looked up in what was drawn before, is read along with the pending one. The next token is then drawn from its
scores with its own random number, as always. If it is the guess, the pass has given the scores after it as well, and a
second token is drawn; if not, what was read of the guess is undone. A token is a function of its scores and one number,
and scores do not depend on what is read beside them: the tunes are, bit for bit, those without guesses.

Guess    the token that last followed the same 6, else 5 ... 2 tokens, in this tune or an earlier one of the same call.
Undoing  GPT-2's cache forgets its last position. The state of the Mambas is copied before, and put back; what it then
         lacks is read with the next pass.
Switch   whether guesses pay depends on the processor, the weights and the tunes. A model's first blocks of tokens are
         drawn with and without them in turn, and timed; after that it guesses or does not (`GuessTrial`).

Leviathan, Kalman & Matias 2023, Fast Inference from Transformers via Speculative Decoding (arXiv:2211.17192), with
look-up in place of a small model (Saxena 2023, prompt lookup decoding).
"""

# K numbers of a call, one a token

import time
from collections.abc import Sequence
from statistics import median
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from symbolic.decode.engine import native_step
from symbolic.decode.engine.native_step import NativeModel
from symbolic.decode.engine.samplers import Drawn, NativeSampler
from symbolic.decode.engine.sampling import Sampling

LONGEST, SHORTEST = 6, 2  # tokens by which a guess is looked up
MAX_UNREAD = 2  # tokens that a state put back may lack before they are read without a guess
TRIAL_BLOCKS = 5  # timed with guesses, and as many without; of those with, the first two only fill the table
GAIN = 1.03  # by which blocks with guesses must be faster


class Lookup:
    """What followed the last few tokens when they last stood together."""

    def __init__(self) -> None:
        self._history: list[int] = []
        self._next: dict[tuple[int, ...], int] = {}

    @property
    def last(self) -> int | None:
        """The token added last."""
        return self._history[-1] if self._history else None

    def add(self, token: int) -> None:
        """Append a token to the history."""
        for n in range(SHORTEST, min(LONGEST, len(self._history)) + 1):
            self._next[tuple(self._history[-n:])] = token
        self._history.append(token)
        del self._history[:-LONGEST]

    def guess(self) -> int | None:
        """Return the token that followed the longest ending known; None where none is."""
        for n in range(min(LONGEST, len(self._history)), SHORTEST - 1, -1):
            token = self._next.get(tuple(self._history[-n:]))
            if token is not None:
                return token
        return None


class GuessTrial:
    """Times blocks with and without guesses in turn, then judges once. `verdict`: whether guesses pay, None before."""

    def __init__(self) -> None:
        self.verdict: bool | None = None
        self._seconds: dict[bool, list[float]] = {False: [], True: []}

    @property
    def guesses(self) -> bool:
        """True if the next block should be drawn with guesses."""
        return len(self._seconds[True]) < len(self._seconds[False]) if self.verdict is None else self.verdict

    def add(self, with_guesses: bool, seconds: float, n_tokens: int) -> None:
        """Note a block."""
        if self.verdict is not None:
            return
        self._seconds[with_guesses].append(seconds / n_tokens)
        if all(len(blocks) == TRIAL_BLOCKS for blocks in self._seconds.values()):
            # medians: a block that waited for the processor says nothing
            self.verdict = GAIN * median(self._seconds[True][2:]) <= median(self._seconds[False])


_TRIALS: WeakKeyDictionary[NativeModel, GuessTrial] = WeakKeyDictionary()


class SpeculativeSampler:
    """Draws in the one row of a native state, with guesses while they pay."""

    def __init__(
        self, model: NativeModel, state: Any, pending: Tensor, rules: Sampling, bias: Tensor, eos: int | None
    ) -> None:
        assert len(pending) == 1
        self.model, self.state, self.pending, self.eos = model, state, pending, eos
        self.plain = NativeSampler(model, state, pending, rules, bias, eos)
        self.chooser = native_step.Chooser(model, rules, bias)
        self.lookup, self.trial = Lookup(), _TRIALS.setdefault(model, GuessTrial())
        self.n_guesses = self.n_right = 0
        self.kept = [] if state.blocks else [part.clone() for part in state.parts]  # of a recurrent state
        self.kept_length = 0

    def draw(self, live: Sequence[int], numbers: Tensor) -> Drawn:
        """Draw for the one row: guess tokens and verify them in one pass while the trial finds that faster."""
        if self.trial.verdict is False:
            return self.plain.draw(live, numbers)
        if (pending := int(self.pending[0])) != self.lookup.last:  # a tune begins
            self.lookup.add(pending)
        began, guesses = time.perf_counter(), self.trial.guesses
        drawn = self._draw(numbers) if guesses else self._draw_plainly(live, numbers)
        self.trial.add(guesses, time.perf_counter() - began, len(drawn[0][0]))
        return drawn

    def _draw_plainly(self, live: Sequence[int], numbers: Tensor) -> Drawn:
        drawn = self.plain.draw(live, numbers)
        for token in drawn[0][0]:
            self.lookup.add(token)
        return drawn

    def _draw(self, numbers: Tensor) -> Drawn:
        """Draw with guesses; the state has then read all but the last token, as after any block."""
        values = numbers[:, 0].tolist()
        drawn: list[tuple[int, float]] = []
        pending, unread = int(self.pending[0]), list[int]()
        while len(drawn) < len(values) and not (drawn and pending == self.eos):
            guess = self._guess(len(values) - len(drawn), len(unread))
            if guess is not None and not unread:
                self._keep()
            reads = [*unread, pending]
            scores = self._read(reads if guess is None else [*reads, guess], 1 if guess is None else 2)
            drawn.append(self.chooser.choose(scores, 0, values[len(drawn)]))
            is_right = drawn[-1][0] == guess
            if is_right:
                drawn.append(self.chooser.choose(scores, 1, values[len(drawn)]))
            unread = [] if guess is None or is_right else self._undo(reads)
            for token, _ in drawn[-1 - is_right :]:
                self.lookup.add(token)
            pending = drawn[-1][0]
            self.n_guesses += guess is not None
            self.n_right += is_right
        if unread:
            self._read(unread, 1)
        self.pending[0] = pending
        return [[token for token, _ in drawn]], [[log_probability for _, log_probability in drawn]]

    def _guess(self, n_left: int, n_unread: int) -> int | None:
        """Return a token to read along; None where none is known, or none may follow it."""
        if n_left < 2 or n_unread >= MAX_UNREAD:
            return None
        guess = self.lookup.guess()
        return None if guess == self.eos else guess

    def _read(self, tokens: list[int], n_wanted: int) -> Tensor:
        """Read tokens; return the scores after each of the last `n_wanted` (n_wanted, V)."""
        places = torch.arange(len(tokens))
        return self.model.read(torch.zeros_like(places), torch.tensor(tokens), places[-n_wanted:], self.state)

    def _keep(self) -> None:
        """Keep the state, to put it back where a guess is wrong."""
        for kept, part in zip(self.kept, self.state.parts, strict=False):
            kept.copy_(part)
        self.kept_length = int(self.state.lengths[0])

    def _undo(self, reads: list[int]) -> list[int]:
        """Undo a pass that read `reads` and a wrong guess; return what the state then lacks."""
        if not self.kept:
            self.state.lengths[0] -= 1
            return []
        for kept, part in zip(self.kept, self.state.parts, strict=True):
            part.copy_(kept)
        self.state.lengths[0] = self.kept_length
        return reads
