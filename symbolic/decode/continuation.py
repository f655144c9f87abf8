"""Prompts continued to whole tunes: header lines first, then the tune, with a status line while it goes on."""

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from symbolic.data import augmentation
from symbolic.decode import prompt as prompts
from symbolic.decode.engine.sampling_rules import Sampling
from symbolic.decode.loaded_model import LoadedModel
from symbolic.progress import Console

if TYPE_CHECKING:
    from symbolic.decode.constraint.automaton import Automaton
    from symbolic.decode.constraint.token_mask import TokenMask
    from symbolic.decode.constraint.voice_mask import VoiceMask, Voices
    from symbolic.decode.engine.engine import Generated
    from symbolic.decode.engine.mask import Mask
    from symbolic.tokens import Tokenizer

MAX_TOKENS = 1024  # of a tune, after its prompt
FORCED_STREAM = 99  # of random numbers, for the marks of a given beginning; header lines have 1, 2, ...


def generate_tunes(
    source: LoadedModel,
    prompt: prompts.Prompt,
    rules: Sampling,
    *,
    n: int,
    seed: int = 0,
    max_tokens: int = MAX_TOKENS,
    batch_size: int = 32,
    automaton: "Automaton | Voices | None" = None,
    beginning: str = "",
    plan: tuple[int, ...] | None = None,
    indices: Sequence[int] | None = None,
    stream: int = 0,
    on_token: Callable[[int, int], bool | None] | None = None,
    on_tune: "Callable[[Generated], None] | None" = None,
    show_progress: bool = True,
) -> tuple[list["Generated"], int]:
    """Draw n tunes that begin with the prompt; return them and the number of tokens drawn, header lines included.

    automaton: rules that every tune keeps. beginning: a text to continue in place of a prompt. plan: bars of each
    section (0 is free), which a model of counted tokens is made to count. indices: numbers of the n tunes (default: 0
    to n - 1); each index and stream has random numbers of its own. on_tune(tune) is called as each tune ends, in any
    order; on_token(index, token) after each token of a tune but its end, and stops that tune by returning True.
    show_progress: write a status line on standard error.
    """
    mask = _mask(source, automaton) if automaton else None
    progress = GenerationProgress(n, is_shown=show_progress)
    fixed = {"sampling": rules, "seed": seed, "batch_size": batch_size, "indices": indices}
    settings = _Settings(source, mask, progress, fixed, stream)
    knows_lines, is_styled = source.codes or source.styles or source.infill, source.styles and not is_voices(automaton)
    steered = replace(prompt, steered=knows_lines, styled=is_styled)
    beginnings = [beginning] * n if beginning else prompts.prefixes(steered, n, settings.draw_line)
    body_mask = _body_mask(source, mask, bool(beginning), plan, max_tokens)

    def end_tune(tune: "Generated") -> None:
        progress.add_tune()
        if on_tune is not None:
            on_tune(tune)

    tunes = settings.draw_from(
        settings.beginning_ids(beginnings, plan),
        max_new_tokens=max_tokens,
        on_tune=end_tune,
        on_token=on_token,
        mask=body_mask,
        never=control_signs(source.tokenizer),
    )
    progress.close()
    return tunes, progress.n_tokens


def is_voices(automaton: "Automaton | Voices | None") -> bool:
    """Return whether the rules are of several voices."""
    from symbolic.decode.constraint.voice_mask import Voices

    return isinstance(automaton, Voices)


def control_signs(tokenizer: "Tokenizer") -> list[int]:
    """Return ids that stand in training text to steer a model and in no tune: code lines, signs of bars taken out."""
    signs = {augmentation.HIDDEN.encode(), augmentation.ANSWER.encode()}
    words = ((id, tokenizer.token_bytes(id)) for id in range(tokenizer.n_tokens))
    return [id for id, word in words if word in signs or re.fullmatch(rb"[RI]:[^\n]+\n", word)]


def _mask(source: LoadedModel, automaton: "Automaton | Voices") -> "TokenMask | VoiceMask":
    from symbolic.decode.constraint.token_mask import TokenMask
    from symbolic.decode.constraint.voice_mask import VoiceMask, Voices

    vocab_size = source.model.config.vocab_size
    if isinstance(automaton, Voices):
        return VoiceMask(source.tokenizer, automaton, vocab_size)
    return TokenMask(source.tokenizer, automaton, vocab_size=vocab_size)


def _body_mask(
    source: LoadedModel,
    mask: "TokenMask | VoiceMask | None",
    continues: bool,
    plan: tuple[int, ...] | None,
    max_tokens: int,
) -> "Mask | None":
    """Build the mask of what follows the prompt: the rules, a given text that must go on, marks of counted tokens."""
    from symbolic.decode.constraint import line_mask, token_mask
    from symbolic.decode.constraint.mark_mask import MarkMask
    from symbolic.decode.engine import engine
    from symbolic.tokens.counted import CountedTokenizer

    tokenizer, vocab_size = source.tokenizer, source.model.config.vocab_size
    single = mask if isinstance(mask, token_mask.TokenMask) else None  # of one voice
    if single is not None:
        single.limit(max_tokens, engine.context_limit(source.model))
    body: Mask | None = line_mask.ContinuationMask(tokenizer, vocab_size, single) if continues else mask
    if isinstance(tokenizer, CountedTokenizer) and (body is not None or plan is not None):
        return MarkMask(tokenizer, vocab_size, body, plan, budget=single)
    return body


class _Settings:
    """What stays the same while tunes are drawn."""

    def __init__(
        self,
        source: LoadedModel,
        mask: "TokenMask | VoiceMask | None",
        progress: "GenerationProgress",
        fixed: dict[str, Any],
        stream: int,
    ) -> None:
        self.source, self.mask, self.progress, self.fixed, self.stream = source, mask, progress, fixed, stream
        tokenizer = source.tokenizer
        self.line_ends = {id for id in range(tokenizer.n_tokens) if b"\n" in tokenizer.token_bytes(id)}

    def draw(self, beginnings: Sequence[str], **settings: Any) -> list["Generated"]:
        """Go on with each beginning."""
        return self.draw_from(self.encoded(beginnings), **settings)

    def encoded(self, beginnings: Sequence[str]) -> list[list[int]]:
        """Return ids of texts, the beginning-of-tune id first."""
        tokenizer = self.source.tokenizer
        return [[tokenizer.bos, *ids] for ids in tokenizer.encode_many(list(beginnings))]

    def beginning_ids(self, beginnings: Sequence[str], plan: tuple[int, ...] | None) -> list[list[int]]:
        """Return ids of the beginnings of tunes; the marks of counted tokens in their music are drawn, for they tell
        what is yet to come."""
        from symbolic.decode.constraint.mark_mask import MarkMask
        from symbolic.tokens.counted import CountedTokenizer

        tokenizer = self.source.tokenizer
        music = beginnings[0].rpartition("\n")[2]
        if not music or not isinstance(tokenizer, CountedTokenizer):
            return self.encoded(beginnings)
        assert all(text.endswith("\n" + music) for text in beginnings)
        n_read: Counter[int] = Counter()

        def ends(index: int, token: int) -> bool:
            n_read[index] += len(tokenizer.token_bytes(token))
            return n_read[index] >= len(music.encode())

        drawn = self.draw_from(
            self.encoded([text.removesuffix(music) for text in beginnings]),
            max_new_tokens=3 * len(music) + 8,
            stream=FORCED_STREAM,
            on_token=ends,
            mask=MarkMask(tokenizer, self.source.model.config.vocab_size, plan=plan, forced=music),
        )
        return [tune.prompt + tune.tokens for tune in drawn]

    def draw_from(self, ids: Sequence[list[int]], stream: int = 0, **settings: Any) -> list["Generated"]:
        """Go on with each list of ids."""
        from symbolic.decode.engine import engine

        tokenizer = self.source.tokenizer
        settings |= {"eos": tokenizer.eos, "n_tokens": tokenizer.n_tokens, "on_block": self.progress.add_tokens}
        return engine.generate(self.source.model, list(ids), stream=self.stream + stream, **{**self.fixed, **settings})

    def draw_line(self, beginnings: list[str], number: int, choice: prompts.Choice | None = None) -> list[str]:
        """Return a line after each beginning (`prompts.DrawLine`); under the mask it is one that a right tune may
        have."""
        from symbolic.decode.constraint import line_mask

        tokenizer = self.source.tokenizer
        mask: Any = self.mask
        settings: dict[str, Any] = {}
        if choice is not None:
            if not choice.truncated:
                settings["sampling"] = Sampling(temperature=self.fixed["sampling"].temperature)
            fitting = line_mask.fitting(choice.lines, None if mask is None else mask.automaton)
            mask = line_mask.LineMask(tokenizer, fitting, self.source.model.config.vocab_size)
        drawn = self.draw(
            beginnings,
            max_new_tokens=prompts.MAX_LINE_TOKENS,
            stream=number,
            on_token=lambda _, token: token in self.line_ends,
            mask=mask,
            **settings,
        )
        return [prompts.line_of(tokenizer, tune.tokens) for tune in drawn]


class GenerationProgress:
    """A status line on standard error: rewritten in place on a terminal, one line every ten seconds elsewhere."""

    def __init__(self, n_tunes: int, *, is_shown: bool = True) -> None:
        self.n_tunes = n_tunes
        self.is_shown = is_shown
        self.n_done = 0
        self.n_tokens = 0
        self.started, self.console = time.monotonic(), Console(late=True)

    def add_tokens(self, n: int) -> None:
        """Count tokens that were drawn."""
        self.n_tokens += n
        self.show()

    def add_tune(self) -> None:
        """Count a tune that has ended."""
        self.n_done += 1

    def show(self) -> None:
        """Print the line when it is time to."""
        if self.is_shown and self.console.is_due():
            self.console.show(self.line(time.monotonic() - self.started))

    def line(self, seconds: float) -> str:
        """Word how much is done, the rate and the time left."""
        left = f"{seconds * (self.n_tunes - self.n_done) / self.n_done:.0f} s left" if self.n_done else "..."
        rate = f"{self.n_tokens / seconds:,.0f} tokens/s"
        return f"{self.n_done}/{self.n_tunes} tunes, {self.n_tokens:,} tokens, {rate}, {left}"

    def close(self) -> None:
        """Wipe the line."""
        self.console.close(wipe=True)
