"""Lyrics that keep to a form: the lines of a stanza chosen from many so that syllables and rhymes hold.

Any writer proposes lines; here they are chosen. Lines of one letter of the rhyme scheme end alike and in different
words; no line comes twice (a chorus comes whole), no phrase more than MOST_USES times. What cannot hold is given up in
this order, and said: rhyme becomes assonance, then is free; a line that must have an odd number of syllables takes the
nearest. Of several candidates the best is the one with the least repetition and the best fit.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from audio_bridge.lyrics.genre_styles import nearest_style
from audio_bridge.lyrics.lyric_text import Lyrics, Section, clean_line
from audio_bridge.lyrics.prosody.rhyme import assonant, ending, last_word
from audio_bridge.lyrics.prosody.stress import count
from audio_bridge.lyrics.writing import phrase_grammar
from audio_bridge.lyrics.writing.phrase_grammar import LyricLine
from audio_bridge.lyrics.writing.song_forms import SongForm, Stanza
from symbolic.errors import UserError

MOST_USES = 2  # of one phrase in a song
CHOICES = 60  # lines looked at for one place
MAX_HOOK = 12  # syllables of a chorus line with the title
_ON_THEME, _OFF_THEME, _STAGE = (0.8, 0.4), 0.5, 0.4  # beside a repeated phrase, which costs 1
Fit = Callable[[str, int, str], float]  # (kind of section, line in its stanza, text) -> cost
_Pool = dict[int, list[LyricLine]]  # lines that may be sung, by their syllables


@dataclass(frozen=True)
class Brief:
    """What a person asks for. `first_line` and `title` are sung as they are; `words` is the phrase list of a genre that
    is not a bundled one."""

    language: str = "en"
    genre: str = ""
    title: str = ""
    artist: str = ""
    first_line: str = ""
    seed: int = 0
    words: str = ""

    @property
    def phrase_list(self) -> str:
        """The phrase list of the offline writer."""
        return self.words or nearest_style(self.genre).words


@dataclass
class Draft:
    """Lyrics, where each line came from, and what did not hold."""

    lyrics: Lyrics
    sources: dict[str, str]
    notes: list[str] = field(default_factory=list)
    cost: float = 0.0


@dataclass
class _Song:
    """What a song has used so far."""

    brief: Brief
    rng: random.Random
    used: Counter[str] = field(default_factory=Counter)
    spent: set[str] = field(default_factory=set)  # phrases used as often as they may be
    endings: Counter[str] = field(default_factory=Counter)
    lines: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    cost: float = 0.0
    themes: tuple[str, str] = ("", "")
    stage: str = ""  # of the story: first, last, or between


def write(brief: Brief, form: SongForm, *, fit: Fit | None = None, candidates: int = 4) -> Draft:
    """Return lyrics by the grammar: the best of `candidates`."""
    brief = _plain(brief)
    themes = phrase_grammar.themes_for(f"{brief.title} {brief.first_line}", brief.language, brief.seed)
    pool: _Pool = defaultdict(list)
    for line in phrase_grammar.pool(brief.language, brief.phrase_list, brief.seed, themes=themes):
        pool[line.n_syllables].append(line)
    drafts = [_draft(brief, form, dict(pool), fit, turn, themes) for turn in range(max(1, candidates))]
    return min(drafts, key=lambda draft: (len(draft.notes), draft.cost))


def form_for(brief: Brief, form: SongForm) -> SongForm:
    """Return the form with the first line's own number of syllables in its place."""
    line = clean_line(brief.first_line)
    if not line:
        return form
    n = count(line, brief.language)
    kind = form.kinds[0]
    stanza = form.stanzas[kind]
    return SongForm(form.kinds, {**form.stanzas, kind: replace(stanza, syllables=(n, *stanza.syllables[1:]))})


def assemble(form: SongForm, brief: Brief, stanzas: Sequence[tuple[str, Sequence[str]]]) -> Lyrics:
    """Return lyrics from (kind, lines) in the form's order, with headers."""
    totals, numbers = Counter(form.kinds), Counter[str]()
    sections = []
    for kind, lines in stanzas:
        numbers[kind] += 1
        numbered = kind == "verse" or (totals[kind] > 1 and kind not in ("chorus", "pre-chorus"))
        label = kind.title() + (f" {numbers[kind]}" if numbered else "")
        sections.append(Section(kind, label, tuple(capitalised(line) for line in lines)))
    return Lyrics(tuple(sections), brief.language, brief.title, brief.artist, brief.genre)


def capitalised(line: str) -> str:
    """Write a text with a capital letter at its head."""
    return line[:1].upper() + line[1:]


def _plain(brief: Brief) -> Brief:
    fields = {name: clean_line(getattr(brief, name)) for name in ("genre", "title", "artist", "first_line")}
    for name, most in (("title", 200), ("artist", 200), ("genre", 60), ("first_line", 300)):
        if len(fields[name]) > most:
            raise UserError(f"--{name.replace('_', '-')} has {len(fields[name])} characters; at most {most} are sung.")
    return replace(brief, **fields)  # type: ignore[arg-type]


def _draft(brief: Brief, form: SongForm, pool: _Pool, fit: Fit | None, turn: int, themes: tuple[str, str]) -> Draft:
    song = _Song(brief, random.Random(f"{brief.seed}:{turn}"), themes=themes)
    form = form_for(brief, form)
    hooks = []
    if brief.title:
        hooks = phrase_grammar.hooks(brief.title, brief.language, brief.phrase_list, brief.seed + turn)
    made: dict[str, list[str]] = {}
    stanzas: list[tuple[str, list[str]]] = []
    home = "chorus" if "chorus" in form.kinds else ""
    for index, kind in enumerate(form.kinds):
        if kind in ("chorus", "pre-chorus") and kind in made:
            stanzas.append((kind, made[kind]))
            continue
        fixed = {0: LyricLine(brief.first_line, count(brief.first_line, brief.language),
                         ending(last_word(brief.first_line), brief.language), (), "given")} \
            if index == 0 and brief.first_line else {}  # fmt: skip
        if hooks and kind == home:
            form = with_room(form, kind, hooks)
            fixed |= _hook(form.stanzas[kind], hooks, song, pool)
        song.stage = _stage(form.kinds, index)
        made[kind] = _stanza(form.stanzas[kind], kind, pool, fixed, song, fit)
        stanzas.append((kind, made[kind]))
    return Draft(assemble(form, brief, stanzas), song.sources, song.notes, song.cost)


def with_room(form: SongForm, kind: str, hooks: list[LyricLine]) -> SongForm:
    """Return the form with a chorus whose first line has room for the title: the nearest number of syllables that a
    line with it can have."""
    stanza = form.stanzas[kind]
    wanted = stanza.syllables[0]
    able = [one.n_syllables for one in hooks if one.n_syllables <= MAX_HOOK]
    if not able or wanted in able:
        return form
    nearest = min(able, key=lambda n: (abs(n - wanted), n))
    return SongForm(form.kinds, {**form.stanzas, kind: replace(stanza, syllables=(nearest, *stanza.syllables[1:]))})


def _stage(kinds: Sequence[str], index: int) -> str:
    """Return which stage of the story a verse tells: the first begins it, the last of several ends it."""
    verses = [i for i, kind in enumerate(kinds) if kind == "verse"]
    if kinds[index] != "verse" or len(verses) < 2:
        return ""
    return "first" if index == verses[0] else "last" if index == verses[-1] else ""


def _hook(stanza: Stanza, hooks: list[LyricLine], song: _Song, pool: _Pool) -> dict[int, LyricLine]:
    """Put the title into the chorus's first line, in a form that has its syllables and, if it can be, rhymes."""
    n, letter = stanza.syllables[0], stanza.rhyme[0]
    partners = [c for c, one in zip(stanza.syllables[1:], stanza.rhyme[1:]) if one == letter and letter != "X"]
    rhymed = {c: Counter(line.ending for line in pool.get(c, ())) for c in partners}
    fitting = [one for one in hooks if one.n_syllables == n]
    good = [one for one in fitting if all(rhymed[c][one.ending] > len(partners) for c in partners)]
    if not fitting:
        song.notes.append(
            f"the title {song.brief.title!r} does not fit a chorus line of {n} syllables; it is not sung."
        )
        return {}
    return {0: song.rng.choice(good or fitting)}


def _stanza(
    stanza: Stanza, kind: str, pool: _Pool, fixed: dict[int, LyricLine], song: _Song, fit: Fit | None
) -> list[str]:
    """Return lines for one stanza, one letter of its scheme after the other."""
    chosen: dict[int, LyricLine] = dict(fixed)
    for letter in dict.fromkeys(stanza.rhyme):
        places = [i for i, one in enumerate(stanza.rhyme) if one == letter]
        groups = [[i] for i in places] if letter == "X" else [places]
        for group in groups:
            _fill(group, stanza, kind, pool, chosen, song, fit)
    for i in sorted(chosen):
        line = chosen[i]
        song.lines.add(line.text.lower())
        song.sources[capitalised(line.text)] = line.source
    return [chosen[i].text for i in range(len(stanza.syllables))]


def _fill(
    places: list[int],
    stanza: Stanza,
    kind: str,
    pool: _Pool,
    chosen: dict[int, LyricLine],
    song: _Song,
    fit: Fit | None,
) -> None:
    """Choose lines for places that rhyme with each other."""
    open_places = [i for i in places if i not in chosen]
    if not open_places:
        return
    given = [chosen[i] for i in places if i in chosen]
    options = {i: _of_length(pool, stanza.syllables[i], song) for i in open_places}
    key = given[0].ending if given else (_best_ending(options, song) if len(places) > 1 else None)
    for i in open_places:
        taken = {last_word(line.text).lower() for line in [*given, *(chosen[j] for j in places if j in chosen)]}
        able = [line for line in options[i] if (key is None or line.ending == key) and _is_new(line, song)]
        able = [line for line in able if last_word(line.text).lower() not in taken]
        if not able:
            able = _relaxed(options[i], given or [chosen[j] for j in places if j in chosen], taken, song)
        best = _cheapest(able, kind, i, song, fit)
        chosen[i] = best
        song.used.update(best.phrases)
        song.spent.update(phrase for phrase in best.phrases if song.used[phrase] >= MOST_USES)
        song.endings[best.ending] += 1
        song.lines.add(best.text.lower())


def _of_length(pool: _Pool, n: int, song: _Song) -> list[LyricLine]:
    """Return the lines of n syllables; where there are none, of the nearest number, which is said."""
    if n in pool:
        return pool[n]
    nearest = min(pool, key=lambda other: (abs(other - n), other))
    song.notes.append(f"no line of {n} syllables could be written; one of {nearest} stands in its place.")
    return pool[nearest]


def _best_ending(options: dict[int, list[LyricLine]], song: _Song) -> str | None:
    """Return an ending with many different last words at every place, not used before if it can be."""
    counts: list[dict[str, set[str]]] = []
    for lines in options.values():
        words: dict[str, set[str]] = {}
        for line in lines:
            if _is_new(line, song):
                words.setdefault(line.ending, set()).add(last_word(line.text).lower())
        counts.append(words)
    shared = set.intersection(*(set(words) for words in counts))
    able = {key: len(set.union(*(words[key] for words in counts))) for key in shared}
    able = {key: n for key, n in able.items() if n >= len(options)}
    if not able:
        return None
    fresh = [key for key in able if not song.endings[key]] or list(able)
    weights = [math.sqrt(able[key]) for key in sorted(fresh)]
    return song.rng.choices(sorted(fresh), weights)[0]


def _off_thread(line: LyricLine, song: _Song) -> float:
    """Return what a line costs for images of other themes than the song's, and for telling the end first."""
    grammar = phrase_grammar.load(song.brief.language)
    own = grammar.themes_of(line.text)
    cost = -_ON_THEME[0] if song.themes[0] in own else -_ON_THEME[1] if song.themes[1] in own else 0.0
    cost += _OFF_THEME * len(own - set(song.themes))
    stage = grammar.stage_of(line.text)
    if song.stage and stage:
        cost += -_STAGE if stage == song.stage else _STAGE
    return cost


def _is_new(line: LyricLine, song: _Song) -> bool:
    return line.text.lower() not in song.lines and song.spent.isdisjoint(line.phrases)


def _relaxed(lines: list[LyricLine], partners: list[LyricLine], taken: set[str], song: _Song) -> list[LyricLine]:
    """Return a line that assonates, else any, where no line rhymes; and say so."""
    fresh = [line for line in lines if _is_new(line, song)] or lines
    near = [
        line
        for line in fresh
        if last_word(line.text).lower() not in taken
        and partners
        and assonant(line.text, partners[0].text, song.brief.language)
    ]
    if partners:
        what = "only the vowels agree" if near else "the line is left unrhymed"
        song.notes.append(f"nothing at hand rhymes with {last_word(partners[0].text)!r}: {what}.")
    return near or fresh


def _cheapest(able: list[LyricLine], kind: str, place: int, song: _Song, fit: Fit | None) -> LyricLine:
    """Return the line that fits best among a random few; a phrase used before costs."""
    few = song.rng.sample(able, min(CHOICES, len(able)))
    costs = [
        sum(song.used[p] for p in line.phrases)
        + (fit(kind, place, line.text) if fit else 0.0)
        + _off_thread(line, song)
        + song.rng.random() / 4
        for line in few
    ]
    lowest = min(range(len(few)), key=lambda i: costs[i])
    song.cost += costs[lowest]
    return few[lowest]
