"""Exact speculation in one row: guesses at the next tokens are read in the same pass, and kept where they are drawn.

A pass streams all weights through the processor once, whether it reads one token or four. So the tokens that are
likely to come next, looked up in what was drawn before, are read along with the pending one. The next token is then
drawn from its scores with its own random number, as always. If it is the guess, the pass has given the scores after it
as well, and another token is drawn; what was read of the first wrong guess and those after it is undone
(kernel/model.h, `ahead`). A token is a function of its scores and one number, and scores do not depend on what is read
beside them: the tunes are, bit for bit, those without guesses.

Guess    the token that last followed the same 8, else 7 ... 2 tokens, in this tune or an earlier one of this process.
Number   how many guesses a pass reads is what promises most tokens a second: by the measured seconds of passes of 1 to
         4 tokens, and by how often guesses from as long an ending were right before.
Switch   whether guesses pay depends on the processor, the weights and the tunes. Blocks of tokens drawn with and
         without them are timed; the slower kind is drawn again at times, to see whether that is still so.

Leviathan, Kalman & Matias 2023, Fast Inference from Transformers via Speculative Decoding (arXiv:2211.17192), with
look-up in place of a small model (Saxena 2023, prompt lookup decoding).
"""

# K numbers of a call, one a token

import time
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from symbolic.decode.engine.kernel_library import MOST_AHEAD
from symbolic.decode.engine.mask import Mask
from symbolic.decode.engine.native_step import Ahead, NativeModel
from symbolic.decode.engine.rejection import take_allowed
from symbolic.decode.engine.samplers import Drawn, Sampler
from symbolic.decode.engine.sampling_rules import Sampling

LONGEST, SHORTEST = 8, 2  # tokens by which a guess is looked up
MAX_KEPT = 1 << 18  # endings remembered
WEIGHT = 0.1  # of the newest measurement in a running mean
TRIALS = 3  # passes of a size, or blocks of a kind, that are timed before the first comparison
RETRY = 24  # blocks after which the slower kind is drawn again
GAIN = 1.02  # by which blocks with guesses must be faster


class Lookup:
    """What followed the last few tokens when they last stood together."""

    def __init__(self) -> None:
        self._history: list[int] = []
        self._next: dict[tuple[int, ...], int] = {}
        self._tried = [2] * (LONGEST + 1)  # by the length of the ending, as if one of two had been right
        self._right = [1] * (LONGEST + 1)

    def begin(self, tokens: Sequence[int]) -> None:
        """Begin a tune with these tokens."""
        self._history = []
        if len(self._next) > MAX_KEPT:
            self._next.clear()
        for token in tokens:
            self.add(token)

    def add(self, token: int) -> None:
        """Append a token to the history."""
        history = self._history
        for n in range(SHORTEST, len(history) + 1):
            self._next[tuple(history[-n:])] = token
        history.append(token)
        del history[:-LONGEST]

    def guesses(self, most: int) -> list[tuple[int, int]]:
        """Return up to `most` tokens to come, each with the length of the ending that it was looked up by."""
        ending, found = list(self._history), list[tuple[int, int]]()
        while len(found) < most and (guess := self._guess(ending)) is not None:
            found.append(guess)
            ending = [*ending, guess[0]][-LONGEST:]
        return found

    def note(self, length: int, is_right: bool) -> None:
        """Note whether a guess by an ending of this length was right."""
        self._tried[length] += 1
        self._right[length] += is_right

    def chance(self, length: int) -> float:
        """Return how likely a guess by an ending of this length is right."""
        return self._right[length] / self._tried[length]

    def _guess(self, ending: list[int]) -> tuple[int, int] | None:
        for n in range(len(ending), SHORTEST - 1, -1):
            token = self._next.get(tuple(ending[-n:]))
            if token is not None:
                return token, n
        return None


class GuessTimes:
    """What passes and blocks took, as running means of seconds."""

    def __init__(self) -> None:
        self.of_pass: dict[int, list[float]] = {n: [] for n in range(1, MOST_AHEAD + 1)}  # by the tokens it reads
        self.of_token: dict[bool, list[float]] = {False: [], True: []}  # in blocks without and with guesses
        self._n_same = 0

    def add_pass(self, n_tokens: int, seconds: float) -> None:
        """Note a pass."""
        _add(self.of_pass[n_tokens], seconds)

    def add_block(self, with_guesses: bool, seconds: float, n_tokens: int) -> None:
        """Note a block."""
        _add(self.of_token[with_guesses], seconds / n_tokens)
        self._n_same = self._n_same + 1 if with_guesses == self.pays else 0

    @property
    def pays(self) -> bool:
        """True if blocks with guesses were faster."""
        plain, guessed = self.of_token[False], self.of_token[True]
        return not plain or not guessed or GAIN * guessed[-1] <= plain[-1]

    @property
    def guesses(self) -> bool:
        """True if the next block should be drawn with guesses."""
        counts = {kind: len(seconds) for kind, seconds in self.of_token.items()}
        if min(counts.values()) < TRIALS:
            return counts[True] < counts[False]
        return self.pays != (self._n_same >= RETRY)

    def best_number(self, chances: Sequence[float]) -> int:
        """Return how many of the guesses, which come true with these chances, to read."""
        untried = [n for n in range(2, len(chances) + 2) if len(self.of_pass[n]) < TRIALS]
        if untried:
            return untried[0] - 1
        if not self.of_pass[1]:
            return len(chances)
        best, best_rate, expected, all_right = 0, 1 / self.of_pass[1][-1], 1.0, 1.0
        for n, chance in enumerate(chances, start=1):
            all_right *= chance
            expected += all_right
            rate = expected / self.of_pass[n + 1][-1]
            if rate > best_rate:
                best, best_rate = n, rate
        return best


def _add(means: list[float], seconds: float) -> None:
    """Append the next running mean; the first few are plain means. A time beyond thrice the mean, as of a process that
    lost its core, counts as thrice."""
    if means:
        weight = max(WEIGHT, 1 / (len(means) + 1))
        seconds = means[-1] + weight * (min(seconds, 3 * means[-1]) - means[-1])
    means.append(seconds)
    del means[: -2 * TRIALS]


_KNOWN: WeakKeyDictionary[NativeModel, tuple[Lookup, dict[bool, GuessTimes]]] = WeakKeyDictionary()  # with a mask?


class SpeculativeSampler:
    """Draws in the one row of a native state, with guesses while they pay."""

    def __init__(
        self,
        plain: Sampler,
        ahead: Ahead,
        pending: np.ndarray,
        rules: Sampling,
        eos: int | None,
        mask: Mask | None = None,
    ) -> None:
        """plain: the sampler without guesses, of the same state and mask."""
        assert len(pending) == 1
        self.plain, self.ahead = plain, ahead
        self.pending, self.eos, self.rules, self.mask = pending, eos, rules, mask
        model = ahead.model
        if model not in _KNOWN:
            _KNOWN[model] = Lookup(), {False: GuessTimes(), True: GuessTimes()}
        self.lookup, times = _KNOWN[model]
        self.times = times[mask is not None]
        self.n_passes = self.n_drawn = self.n_guesses = 0

    def begin(self, prompt: Sequence[int]) -> None:
        """Hear of the tune that begins."""
        self.lookup.begin(prompt)

    def draw(self, live: Sequence[int], numbers: Any) -> Drawn:
        """Draw up to K tokens, in blocks with guesses while these are the faster ones."""
        began, guesses = time.thread_time(), self.times.guesses
        drawn = self._draw(numbers[:, 0]) if guesses else self._draw_plainly(live, numbers)
        self.times.add_block(guesses, time.thread_time() - began, len(drawn[0][0]))
        return drawn

    def _draw_plainly(self, live: Sequence[int], numbers: np.ndarray) -> Drawn:
        """Draw without guesses: a mask's sampler a token a call, the other all at once."""
        tokens: list[int] = []
        log_probabilities: list[float] = []
        while not tokens or (self.mask is not None and len(tokens) < len(numbers) and tokens[-1] != self.eos):
            drawn = self.plain.draw(live, numbers[len(tokens) :])
            tokens += drawn[0][0]
            log_probabilities += drawn[1][0]
        for token in tokens:
            self._read_along(self.lookup.guesses(1), [token])
        return [tokens], [log_probabilities]

    def _draw(self, numbers: np.ndarray) -> Drawn:
        """Draw with guesses; the state has then read all but the last token, as after any block."""
        tokens: list[int] = []
        log_probabilities: list[float] = []
        pending = int(self.pending[0])
        self.ahead.begin()
        while len(tokens) < len(numbers) and not (tokens and pending == self.eos):
            guesses = self._guesses(len(numbers) - len(tokens))
            reads = [pending, *(token for token, _ in guesses)]
            began = time.thread_time()
            drawn, values = self._read(reads, numbers[len(tokens) : len(tokens) + len(reads)])
            self.times.add_pass(len(reads), time.thread_time() - began)
            self._read_along(guesses, drawn)
            tokens += drawn
            log_probabilities += values
            pending = tokens[-1]
            self.n_passes, self.n_drawn, self.n_guesses = (
                self.n_passes + 1, self.n_drawn + len(drawn), self.n_guesses + len(guesses),
            )  # fmt: skip
        self.ahead.end()
        self.pending[0] = pending
        return [tokens], [log_probabilities]

    def _read(self, reads: list[int], numbers: np.ndarray) -> tuple[list[int], list[float]]:
        """Read tokens and draw after each while the guess that follows is what was drawn."""
        if self.mask is None:
            return self.ahead.draw(reads, numbers)
        self.ahead.read(reads)
        tokens: list[int] = []
        log_probabilities: list[float] = []
        for place, number in enumerate(numbers.tolist()):
            token, log_probability = self._choose(self.mask, place, number)
            tokens.append(token)
            log_probabilities.append(log_probability)
            if token == self.eos or reads[place + 1 : place + 2] != [token]:
                break
        self.ahead.keep(len(reads), len(tokens))
        return tokens, log_probabilities

    def _choose(self, mask: Mask, place: int, number: float) -> tuple[int, float]:
        """Draw one allowed token, and return it with its log-probability."""
        token, log_probability = 0, 0.0

        def draw(allowed: np.ndarray | None = None) -> int:
            nonlocal token, log_probability, number
            token, log_probability, number = self.ahead.choose(place, number, allowed)
            return token

        take_allowed(mask, 0, None if self.rules.truncates else draw(), draw)
        return token, log_probability

    def _guesses(self, n_left: int) -> list[tuple[int, int]]:
        """Return the guesses to read along with the pending token, where at most `n_left` tokens are to be drawn."""
        found = self.lookup.guesses(min(n_left, MOST_AHEAD) - 1)
        ends = [place for place, (token, _) in enumerate(found) if token == self.eos]
        found = found[: ends[0]] if ends else found
        return found[: self.times.best_number([self.lookup.chance(length) for _, length in found])]

    def _read_along(self, guesses: Sequence[tuple[int, int]], drawn: Sequence[int]) -> None:
        """Note which guesses were right, and add what was drawn to the look-up."""
        for (guess, length), token in zip(guesses, drawn, strict=False):
            self.lookup.note(length, guess == token)
        for token in drawn:
            self.lookup.add(token)
