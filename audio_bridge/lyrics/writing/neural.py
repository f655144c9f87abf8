"""Lyrics by a language model, line by line under a form.

The model is a run of this project, or any causal checkpoint that `transformers` loads (a folder, or a hub name, which
needs a network). It is prompted as it was trained: control lines (genre, language, artist, title), section headers, the
lines so far. For each line many continuations are drawn (temperature, top-k, top-p); kept are those with the right
number of syllables and the right rhyme, which are new and do not loop. Since few rhyme by chance, continuations are
also tried with their last word replaced by a known word that rhymes; the model ranks all by bits per byte. Where
nothing holds after ROUNDS rounds the grammar's line stands there, and the record says so. The first line of the chorus
has the title: the model chooses among the ways in which the grammar sings it, and its own lines that have it.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from audio_bridge.lyrics import lyric_measures
from audio_bridge.lyrics.lyric_text import FIELDS, clean_line, header_of
from audio_bridge.lyrics.prosody.rhyme import ending, last_word
from audio_bridge.lyrics.prosody.stress import count
from audio_bridge.lyrics.prosody.syllables import syllables
from audio_bridge.lyrics.training import lyric_corpus
from audio_bridge.lyrics.training.prepare_lyrics import header
from audio_bridge.lyrics.writing import compose, phrase_grammar
from audio_bridge.lyrics.writing.compose import Brief, Draft, Fit
from audio_bridge.lyrics.writing.phrase_grammar import LyricLine
from audio_bridge.lyrics.writing.song_forms import SongForm
from symbolic.errors import UserError

DRAWN = 24  # continuations a round
ROUNDS = 3
RANKED = 16  # lines that the model scores
MOST_LINE_TOKENS = 48
LEAST_RHYMES = 3  # known words that must rhyme with a line which a later one has to answer
_NOT_SUNG = re.compile(rf"[][]|\b({'|'.join(FIELDS)})\s*:", re.IGNORECASE)


@dataclass(frozen=True)
class Rules:
    """How lines are drawn; the defaults are the study's."""

    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 0.95


class Model(Protocol):
    """What writes lines."""

    name: str

    def continued(self, prompt: str, n: int, rules: Rules, seed: int) -> list[str]:
        """Return n continuations of the prompt up to the end of its line."""

    def bits(self, prompt: str, lines: Sequence[str]) -> list[float]:
        """Return bits per byte of each line (with its line end) after the prompt."""


def write(
    model: str | Model,
    brief: Brief,
    form: SongForm,
    *,
    fit: Fit | None = None,
    rules: Rules = Rules(),
    candidates: int = 1,
) -> Draft:
    """Return lyrics that keep the form: of several candidates the one with the fewest notes and the lowest bits per
    byte."""
    writer = load(model) if isinstance(model, str) else model
    brief = replace(brief, title=clean_line(brief.title)[:200], artist=clean_line(brief.artist)[:200],
                    first_line=clean_line(brief.first_line)[:300], genre=clean_line(brief.genre)[:60])  # fmt: skip
    drafts = [
        _Draft(writer, replace(brief, seed=brief.seed + turn), form, fit, rules).write() for turn in range(candidates)
    ]
    return min(drafts, key=lambda draft: (len(draft.notes), draft.cost))


def load(name: str) -> Model:
    """Return a model by run, folder or hub name. UserError says what is missing."""
    from symbolic import runs
    from symbolic.errors import UsageError

    try:
        folder = runs.resolve(name)
    except UsageError:
        if Path(name).exists() or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
            raise
        return _Library(name)
    if folder in runs.ready_made():
        raise UserError(f"{name} is a model of tunes, not of words. Train a lyric model: lyrics train CONFIG.yaml.")
    config = folder / "tokenizer_config.json"
    own = config.is_file() and "padded_vocab_size" in config.read_text(encoding="utf-8")
    return _Own(str(folder), name) if own else _Library(str(folder))


class _Own:
    """A model of this project."""

    def __init__(self, folder: str, name: str) -> None:
        from symbolic.decode.loaded_model import load_source

        self.name = name
        self.source = load_source(folder, "cpu", "float32", threads=1)
        tokenizer = self.source.tokenizer
        self.line_ends = {i for i in range(tokenizer.n_tokens) if b"\n" in tokenizer.token_bytes(i)}
        self.context = getattr(self.source.model.config, "n_positions", 4096)

    def continued(self, prompt: str, n: int, rules: Rules, seed: int) -> list[str]:
        from symbolic.decode.engine import engine
        from symbolic.decode.engine.sampling import Sampling

        tokenizer = self.source.tokenizer
        ids = [tokenizer.bos, *tokenizer.encode(prompt)][-(self.context - MOST_LINE_TOKENS) :]
        drawn = engine.generate(
            self.source.model,
            [ids] * n,
            max_new_tokens=MOST_LINE_TOKENS,
            n_tokens=tokenizer.n_tokens,
            eos=tokenizer.eos,
            sampling=Sampling(rules.temperature, min(rules.top_k, tokenizer.n_tokens), rules.top_p),
            seed=seed,
            batch_size=n,
            on_token=lambda _, token: token in self.line_ends,
        )
        return [tokenizer.decode(tune.tokens).partition("\n")[0] for tune in drawn]

    def bits(self, prompt: str, lines: Sequence[str]) -> list[float]:
        from symbolic.training import likelihood

        tokenizer = self.source.tokenizer
        texts = [prompt, *(prompt + line + "\n" for line in lines)]
        ids = [tokenizer.encode(text)[-(self.context - 2) :] for text in texts]
        found = likelihood.score(self.source.model, ids, [len(t.encode()) for t in texts], context=self.context)
        base = found[0].nats
        return [(one.nats - base) / 0.6931 / max(1, len(line.encode()) + 1) for one, line in zip(found[1:], lines)]


class _Library:
    """Any causal model of transformers."""

    def __init__(self, target: str) -> None:
        from audio_bridge.lyrics.training import causal_lm

        self.name = target
        self.tokenizer, self.model = causal_lm.load(target)
        self.model.eval()
        self.context = int(getattr(self.model.config, "n_positions", 0) or
                           getattr(self.model.config, "max_position_embeddings", 1024))  # fmt: skip

    def continued(self, prompt: str, n: int, rules: Rules, seed: int) -> list[str]:
        import torch

        torch.manual_seed(seed)
        ids = self._ids(prompt)[-(self.context - MOST_LINE_TOKENS) :]
        settings: dict[str, Any] = {"do_sample": rules.temperature != 0, "max_new_tokens": MOST_LINE_TOKENS}
        if rules.temperature:
            settings |= {"temperature": rules.temperature, "top_k": rules.top_k, "top_p": rules.top_p}
        else:
            n = 1
        pad = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else self.tokenizer.eos_token_id
        inputs = torch.tensor([ids] * n)
        with torch.inference_mode():
            out = self.model.generate(
                inputs, attention_mask=torch.ones_like(inputs), pad_token_id=pad, **self._read(ids, n), **settings
            )
        texts = self.tokenizer.batch_decode(out[:, len(ids) :], skip_special_tokens=True)
        return [text.lstrip("\n").partition("\n")[0] for text in texts]

    def bits(self, prompt: str, lines: Sequence[str]) -> list[float]:
        import torch

        tails = [self.tokenizer(line + "\n", add_special_tokens=False)["input_ids"] for line in lines]
        longest = max(map(len, tails))
        head = self._ids(prompt)[-(self.context - longest) :]
        before = self._read(head, len(lines))
        known = head[-1:] if before else head  # the rest of the head is in the cache
        rows = torch.tensor([[*known, *tail, *[0] * (longest - len(tail))][:-1] for tail in tails])
        with torch.inference_mode():
            logits = self.model(rows, **before).logits[:, len(known) - 1 :].float()
        found = []
        for line, tail, row in zip(lines, tails, logits):
            nats = torch.nn.functional.cross_entropy(row[: len(tail)], torch.tensor(tail), reduction="sum")
            found.append(float(nats) / 0.6931 / max(1, len(line.encode()) + 1))
        return found

    def _read(self, ids: Sequence[int], n: int) -> dict[str, Any]:
        """Return what the model keeps of the tokens but the last, for n rows that go on from them; {} where it keeps no
        keys and values (a recurrent one)."""
        import torch

        if len(ids) < 2:
            return {}
        with torch.inference_mode():
            cache = getattr(self.model(torch.tensor([ids[:-1]]), use_cache=True), "past_key_values", None)
        if cache is None:
            return {}
        cache.batch_repeat_interleave(n)
        return {"past_key_values": cache}

    def _ids(self, text: str) -> list[int]:
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return list(ids) or [self.tokenizer.bos_token_id or 0]


@lru_cache(maxsize=8)
def rhyme_words(language: str) -> dict[str, tuple[str, ...]]:
    """Return known words by what they rhyme on: those of the bundled verses and of the grammar."""
    words: set[str] = set()
    for song in lyric_corpus.bundled():
        if song.language == language:
            words |= set(lyric_measures.plain_words(song.lyrics.splitlines()))
    for rows in phrase_grammar.load(language).phrases.values():
        words |= {word for _, phrase in rows for word in lyric_measures.plain_words([phrase])}
    found: dict[str, list[str]] = defaultdict(list)
    for word in sorted(words):
        found[ending(word, language)].append(word)
    return {key: tuple(values) for key, values in found.items()}


class _Draft:
    """One candidate under way."""

    def __init__(self, model: Model, brief: Brief, form: SongForm, fit: Fit | None, rules: Rules) -> None:
        self.model, self.brief, self.fit, self.rules = model, brief, fit, rules
        self.form = compose.form_for(brief, form)
        self.hooks: list[LyricLine] = []
        if brief.title and "chorus" in form.kinds:
            self.hooks = phrase_grammar.hooks(brief.title, brief.language, brief.phrase_list, brief.seed)
            self.form = compose.with_room(self.form, "chorus", self.hooks)
        self.rng = random.Random(f"{brief.seed}")
        self.text = header(brief.genre, brief.language, brief.artist, brief.title)
        self.lines: list[str] = []
        self.notes: list[str] = []
        self.sources: dict[str, str] = {}
        self.costs: list[float] = []
        self.pool = phrase_grammar.pool(brief.language, brief.phrase_list, brief.seed)

    def write(self) -> Draft:
        """Return all sections in order."""
        made: dict[str, list[str]] = {}
        stanzas: list[tuple[str, list[str]]] = []
        for index, kind in enumerate(self.form.kinds):
            if kind in ("chorus", "pre-chorus") and kind in made:
                stanzas.append((kind, made[kind]))
                continue
            made[kind] = self._section(kind, index)
            stanzas.append((kind, made[kind]))
        n_grammar = sum(source == "grammar" for source in self.sources.values())
        if n_grammar:
            self.notes.append(
                f"{n_grammar} of {len(self.sources)} lines are the grammar's: the model gave none that held."
            )
        lyrics = compose.assemble(self.form, self.brief, stanzas)
        return Draft(lyrics, self.sources, self.notes, sum(self.costs) / max(1, len(self.costs)))

    def _section(self, kind: str, index: int) -> list[str]:
        stanza = self.form.stanzas[kind]
        self.text += f"\n[{kind.title()}]\n"
        own: list[str] = []
        for place, (n, letter) in enumerate(zip(stanza.syllables, stanza.rhyme)):
            partners = [own[i] for i in range(place) if stanza.rhyme[i] == letter and letter != "X"]
            if index == 0 and place == 0 and self.brief.first_line:
                line, source = self.brief.first_line, "given"
            elif kind == "chorus" and place == 0 and (title_line := self._title_line(n, letter in stanza.rhyme[1:])):
                line, source = title_line
            else:
                answered = letter != "X" and letter in stanza.rhyme[place + 1 :]
                line, source = self._line(kind, place, n, partners, answered)
            line = compose.capitalised(line)
            own.append(line)
            self.lines.append(line)
            self.sources[line] = source
            self.text += line + "\n"
        return own

    def _line(self, kind: str, place: int, n: int, partners: list[str], answered: bool) -> tuple[str, str]:
        """Return one line that holds, by the model if it can; `answered` says that a later line must rhyme with it."""
        for turn in range(ROUNDS):
            seed = self.brief.seed * 7919 + len(self.lines) * ROUNDS + turn
            drawn = [clean_line(text) for text in self.model.continued(self.text, DRAWN, self.rules, seed)]
            able = [line for line in [*drawn, *self._rhymed(drawn, partners)] if self._holds(line, n, partners)]
            able = [line for line in dict.fromkeys(able) if not answered or self._can_be_answered(line)][:RANKED]
            if able:
                bits = self.model.bits(self.text, able)
                costs = [b + (self.fit(kind, place, line) if self.fit else 0.0) for b, line in zip(bits, able)]
                best = min(range(len(able)), key=lambda i: costs[i])
                self.costs.append(bits[best])
                return able[best], self.model.name
        return self._by_grammar(n, partners, answered), "grammar"

    def _title_line(self, n: int, answered: bool) -> tuple[str, str] | None:
        """Return the likeliest line with the title, and who wrote it; None where no such line has n syllables."""
        title = lyric_measures.plain_line(self.brief.title)
        if not title:
            return None
        known = {lyric_measures.plain_line(line) for line in self.lines}
        texts = [one.text for one in self.hooks if one.n_syllables == n]
        texts = [text for text in texts if lyric_measures.plain_line(text) not in known]
        able = [text for text in texts if not answered or self._can_be_answered(text)] or texts
        able = self.rng.sample(able, min(RANKED, len(able)))
        drawn = [clean_line(text) for text in self.model.continued(self.text, DRAWN, self.rules, self.brief.seed)]
        own = [line for line in drawn if title in lyric_measures.plain_line(line) and self._holds(line, n, [])]
        if not able and not own:
            self.notes.append(f"the title {self.brief.title!r} does not fit a chorus line of {n} syllables.")
            return None
        choices = [*own[:RANKED], *able]
        bits = self.model.bits(self.text, choices)
        best = min(range(len(choices)), key=lambda i: bits[i])
        self.costs.append(bits[best])
        return choices[best], self.model.name if best < len(own[:RANKED]) else "title"

    def _can_be_answered(self, line: str) -> bool:
        """Return whether enough known words rhyme with the line's last one."""
        known = rhyme_words(self.brief.language).get(ending(last_word(line), self.brief.language), ())
        return len(set(known) - {last_word(line).lower()}) >= LEAST_RHYMES

    def _holds(self, line: str, n: int, partners: list[str]) -> bool:
        words = line.split()
        if (
            not words
            or _NOT_SUNG.search(line)
            or header_of(line)
            or count(line, self.brief.language) != n
            or len(set(words)) < len(words) / 2
        ):
            return False
        plain = lyric_measures.plain_line(line)
        if (
            not plain
            or plain in {lyric_measures.plain_line(one) for one in self.lines}
            or lyric_measures.loop([line]) >= lyric_measures.LOOP
        ):
            return False
        return all(self._rhymes(line, partner) for partner in partners)

    def _rhymes(self, line: str, partner: str) -> bool:
        a, b = last_word(line).lower(), last_word(partner).lower()
        return a != b and ending(a, self.brief.language) == ending(b, self.brief.language)

    def _rhymed(self, drawn: Sequence[str], partners: list[str]) -> list[str]:
        """Return continuations with another last word of as many syllables that rhymes."""
        if not partners:
            return []
        language = self.brief.language
        words = rhyme_words(language).get(ending(last_word(partners[0]), language), ())
        by_length: dict[int, list[str]] = defaultdict(list)
        for word in words:
            by_length[len(syllables(word, language))].append(word)
        made = []
        for line in drawn:
            last = last_word(line)
            options = by_length.get(len(syllables(last, language)), []) if last else []
            if options and len(line.split()) > 1:
                made.append(line[: line.rfind(last)] + self.rng.choice(options))
        return made

    def _by_grammar(self, n: int, partners: list[str], answered: bool) -> str:
        used = Counter(lyric_measures.plain_line(line) for line in self.lines)
        fitting = [
            line.text for line in self.pool if line.n_syllables == n and not used[lyric_measures.plain_line(line.text)]
        ]
        if answered:  # by another line of the grammar, since the model may give none
            words: dict[str, set[str]] = defaultdict(set)
            for line in fitting:
                words[ending(last_word(line), self.brief.language)].add(last_word(line).lower())
            paired = [line for line in fitting if len(words[ending(last_word(line), self.brief.language)]) > 1]
            fitting = paired or fitting
        rhymed = [line for line in fitting if all(self._rhymes(line, partner) for partner in partners)]
        if partners and not rhymed:
            self.notes.append(f"nothing at hand rhymes with {last_word(partners[0])!r}: the line is left unrhymed.")
        return self.rng.choice(rhymed or fitting or [line.text for line in self.pool])
