"""Prompts continued to whole tunes: header lines first, then the tune, with a status line while it goes on."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from symbolic.decode import prompt as prompts
from symbolic.decode.loaded_model import LoadedModel

if TYPE_CHECKING:
    from symbolic.decode.constraint.automaton import Automaton
    from symbolic.decode.constraint.token_mask import TokenMask
    from symbolic.decode.constraint.voice_mask import VoiceMask, Voices
    from symbolic.decode.engine.engine import Generated
    from symbolic.decode.engine.sampling import Sampling

MAX_TOKENS = 1024  # of a tune, after its prompt
PROGRESS_SECONDS = 0.5


def generate_tunes(
    source: LoadedModel,
    prompt: prompts.Prompt,
    rules: "Sampling",
    *,
    n: int,
    seed: int = 0,
    max_tokens: int = MAX_TOKENS,
    batch_size: int = 32,
    automaton: "Automaton | Voices | None" = None,
    beginning: str = "",
    on_token: Callable[[int, int], bool | None] | None = None,
    on_tune: "Callable[[Generated], None] | None" = None,
    show_progress: bool = True,
) -> tuple[list["Generated"], int]:
    """Draw n tunes that begin with the prompt; return them and the number of tokens drawn, header lines included.

    automaton: rules that every tune keeps. beginning: a text to continue in place of a prompt. on_tune(tune) is called
    as each tune ends, in any order; on_token(index, token) after each token of a tune but its end, and stops that tune
    by returning True. show_progress: write a status line on standard error.
    """
    from symbolic.decode.constraint import line_mask, token_mask
    from symbolic.decode.engine import engine

    mask = _mask(source, automaton) if automaton else None
    progress = GenerationProgress(n, is_shown=show_progress)
    settings = _Settings(source, mask, progress, {"sampling": rules, "seed": seed, "batch_size": batch_size})
    steered = replace(prompt, steered=source.codes or source.infill)
    beginnings = [beginning] * n if beginning else prompts.prefixes(steered, n, settings.draw_line)
    single = mask if isinstance(mask, token_mask.TokenMask) else None  # of one voice
    if single is not None:
        single.limit(max_tokens, engine.context_limit(source.model))

    vocab_size = source.model.config.vocab_size
    continuation_mask = line_mask.ContinuationMask(source.tokenizer, vocab_size, single)

    def end_tune(tune: "Generated") -> None:
        progress.add_tune()
        if on_tune is not None:
            on_tune(tune)

    tunes = settings.draw(
        beginnings,
        max_new_tokens=max_tokens,
        on_tune=end_tune,
        on_token=on_token,
        mask=continuation_mask if beginning else mask,
    )
    progress.close()
    return tunes, progress.n_tokens


def _mask(source: LoadedModel, automaton: "Automaton | Voices") -> "TokenMask | VoiceMask":
    from symbolic.decode.constraint.token_mask import TokenMask
    from symbolic.decode.constraint.voice_mask import VoiceMask, Voices

    vocab_size = source.model.config.vocab_size
    if isinstance(automaton, Voices):
        return VoiceMask(source.tokenizer, automaton, vocab_size)
    return TokenMask(source.tokenizer, automaton, vocab_size=vocab_size)


class _Settings:
    """What stays the same while tunes are drawn."""

    def __init__(
        self,
        source: LoadedModel,
        mask: "TokenMask | VoiceMask | None",
        progress: "GenerationProgress",
        fixed: dict[str, Any],
    ) -> None:
        self.source, self.mask, self.progress, self.fixed = source, mask, progress, fixed
        tokenizer = source.tokenizer
        self.line_ends = {id for id in range(tokenizer.n_tokens) if b"\n" in tokenizer.token_bytes(id)}

    def draw(self, beginnings: Sequence[str], **settings: Any) -> list["Generated"]:
        """Each beginning gone on with."""
        from symbolic.decode.engine import engine

        tokenizer = self.source.tokenizer
        ids = [[tokenizer.bos, *one] for one in tokenizer.encode_many(list(beginnings))]
        settings |= {"eos": tokenizer.eos, "n_tokens": tokenizer.n_tokens, "on_block": self.progress.add_tokens}
        return engine.generate(self.source.model, ids, **self.fixed, **settings)

    def draw_line(self, beginnings: list[str], number: int, lines: tuple[str, ...] | None = None) -> list[str]:
        """A line after each beginning (`prompts.DrawLine`); under the mask it is one that a right tune may have."""
        from symbolic.decode.constraint import line_mask

        tokenizer = self.source.tokenizer
        mask: Any = self.mask
        if lines:
            fitting = line_mask.fitting(lines, None if mask is None else mask.automaton)
            mask = line_mask.LineMask(tokenizer, fitting, self.source.model.config.vocab_size)
        drawn = self.draw(
            beginnings,
            max_new_tokens=prompts.MAX_LINE_TOKENS,
            stream=number,
            on_token=lambda _, token: token in self.line_ends,
            mask=mask,
        )
        return [prompts.line_of(tokenizer, tune.tokens) for tune in drawn]


class GenerationProgress:
    """A status line on standard error: rewritten in place on a terminal, one line every ten seconds elsewhere."""

    def __init__(self, n_tunes: int, *, is_shown: bool = True) -> None:
        self.n_tunes = n_tunes
        self.is_shown = is_shown
        self.n_done = 0
        self.n_tokens = 0
        self.started = self.shown = time.monotonic()
        self.live = sys.stderr.isatty()

    def add_tokens(self, n: int) -> None:
        """Tokens were drawn."""
        self.n_tokens += n
        self.show()

    def add_tune(self) -> None:
        """A tune has ended."""
        self.n_done += 1

    def show(self) -> None:
        """Print the line when it is time to."""
        now = time.monotonic()
        if self.is_shown and now - self.shown >= (PROGRESS_SECONDS if self.live else 20 * PROGRESS_SECONDS):
            self.shown = now
            print(self.line(now - self.started), end="" if self.live else "\n", file=sys.stderr, flush=True)

    def line(self, seconds: float) -> str:
        """Done, rate, time left."""
        left = f"{seconds * (self.n_tunes - self.n_done) / self.n_done:.0f} s left" if self.n_done else "..."
        rate = f"{self.n_tokens / seconds:,.0f} tokens/s"
        text = f"{self.n_done}/{self.n_tunes} tunes, {self.n_tokens:,} tokens, {rate}, {left}"
        return f"\r{text:78}" if self.live else text

    def close(self) -> None:
        """Wipe the line."""
        if self.live and self.is_shown:
            print("\r" + " " * 78 + "\r", end="", file=sys.stderr, flush=True)
