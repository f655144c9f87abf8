"""Who writes the words of a song: a person, a language model, or the grammar; for a tune or free.

For a given tune each phrase is a line: it gets as many syllables as the phrase has notes to sing (its beats where it
runs in more than MOST_NOTES), and among the lines that could stand there the one that fits the phrase's beats best is
taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audio_bridge.lyrics import scraper_residue
from audio_bridge.lyrics.genre_styles import find_style
from audio_bridge.lyrics.lyric_text import LANGUAGES, Lyrics, headed, parse, residue
from audio_bridge.lyrics.prosody.stress import line_syllables
from audio_bridge.lyrics.setting import syllable_alignment
from audio_bridge.lyrics.setting.sung_melody import SungNote, seconds_per_tick, sung_notes, written_out
from audio_bridge.lyrics.writing import compose, song_forms
from audio_bridge.lyrics.writing.compose import Brief, Fit
from audio_bridge.lyrics.writing.song_forms import SongForm, Stanza
from symbolic.errors import UsageError
from symbolic.notation.score import Score

FORM = ("structure", "lines", "syllables")  # options that say a form
MOST_NOTES = 10  # of a phrase that is sung note for note
MOST_PHRASES = 12  # of a tune that words are written for, in one pass
LEAST_SYLLABLES = 4
SONG_SECONDS = 60.0
_FIT_WEIGHT = 1.5


@dataclass(frozen=True)
class Written:
    """Lyrics with their record; `writer` is `given`, `grammar (…)` or `model NAME`."""

    lyrics: Lyrics
    writer: str
    sources: dict[str, str]
    notes: list[str]


def written(options: Mapping[str, Any], seed: int, tune: Score | None) -> Written:
    """Return the words that a song's options ask for; a title that is missing is that of the given words, or the
    tune's."""
    options = _headed(options, tune)
    if options["lyrics"] is None:
        options = {**options, "language": options["language"] or "en"}
    style = find_style(options["genre"], options.get("genres"))
    brief = Brief(
        options["language"] or "", options["genre"], options["title"], options["artist"], options["first_line"], seed,
        style.words,
    )  # fmt: skip
    if options["lyrics"] is not None:
        return _given(options, brief)
    form, fit = (_plain_form(options), None) if tune is None else tune_form(tune, options)
    if options["lyric_model"]:
        from audio_bridge.lyrics.writing import neural

        draft = neural.write(options["lyric_model"], brief, form, fit=fit)
        return Written(draft.lyrics, f"model {options['lyric_model']}", draft.sources, draft.notes)
    draft = compose.write(brief, form, fit=fit)
    return Written(draft.lyrics, f"grammar (this project's phrases, {brief.language})", draft.sources, draft.notes)


def _headed(options: Mapping[str, Any], tune: Score | None) -> dict[str, Any]:
    """Return the options with what is not said in them from the head of the given words, which then is no line, and the
    title at last from the tune."""
    fields, words = headed(options["lyrics"] or "")
    heads = {name: options[name] or fields[name] or None for name in ("title", "artist", "language")}
    title = heads["title"] or (tune.title if tune else "")
    given = None if options["lyrics"] is None else words
    return {**options, **heads, "title": title, "artist": heads["artist"] or "", "lyrics": given}


def tune_form(tune: Score, options: Mapping[str, Any]) -> tuple[SongForm, Fit]:
    """Return the form that a tune gives: a verse a pass, a line a phrase; and how well a line fits its phrase.

    UsageError where the options ask for another.
    """
    for name in FORM:
        if options[name] is not None:
            raise UsageError(f"--{name}: with --tune the tune's phrases decide the form. Leave one of them out.")
    notes = sung_notes(written_out(tune))
    phrases = _phrases(notes)[:MOST_PHRASES]
    qpm = options["tempo"] or 100.0
    seconds = (notes[-1].end_ticks - notes[0].onset_ticks) * seconds_per_tick(qpm)
    passes = max(1, min(3, round(SONG_SECONDS / max(1.0, seconds))))
    style = find_style(options["genre"], options.get("genres"))
    rhyme = song_forms.make(style, "verse", lines=len(phrases), rhyme=options["rhyme"]).stanzas["verse"].rhyme
    form = SongForm(("verse",) * passes, {"verse": Stanza(tuple(n_syllables(p) for p in phrases), rhyme)})

    def fit(kind: str, place: int, text: str) -> float:
        syllables = line_syllables(text, options["language"])
        return _FIT_WEIGHT * min(5.0, syllable_alignment.cost(syllables, phrases[place % len(phrases)]))

    return form, fit


def n_syllables(phrase: list[SungNote]) -> int:
    """Return syllables that a phrase asks for: one a note (slurred ones together), or one a beat where it runs."""
    notes = [note for note in phrase if not note.slurred]
    if len(notes) <= MOST_NOTES:
        return max(1, len(notes))
    beats = [note for note in notes if note.strength]
    return max(LEAST_SYLLABLES, min(MOST_NOTES, len(beats) + (len(notes) - len(beats)) // 3))


def _phrases(notes: list[SungNote]) -> list[list[SungNote]]:
    found: list[list[SungNote]] = [[]]
    for note in notes:
        found[-1].append(note)
        if note.boundary == 1.0:
            found.append([])
    return [phrase for phrase in found if phrase]


def _given(options: Mapping[str, Any], brief: Brief) -> Written:
    lyrics = parse(
        options["lyrics"], language=brief.language, title=brief.title, artist=brief.artist, genre=brief.genre
    )
    notes = scraper_residue.told(residue(options["lyrics"])) + unruled(lyrics.language)
    return Written(lyrics, "given", dict.fromkeys(lyrics.lines, "given"), notes)


def unruled(language: str) -> list[str]:
    """Return what is to be said of a language that has no rules here."""
    if language in LANGUAGES:
        return []
    return [
        f"language {language}: syllables are parted by their vowels and stress is not known; "
        f"there are rules for {', '.join(LANGUAGES)} (--language)."
    ]


def _plain_form(options: Mapping[str, Any]) -> SongForm:
    structure = options["structure"] or song_forms.DEFAULT_STRUCTURE
    style = find_style(options["genre"], options.get("genres"))
    return song_forms.make(style, structure, lines=options["lines"], syllables=options["syllables"],
                      rhyme=options["rhyme"])  # fmt: skip
