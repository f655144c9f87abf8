"""Words as people paste them: symbols, markup, other scripts, no words, too many."""

import pytest

from audio_bridge.lyrics import lyric_text
from audio_bridge.lyrics.inputs import MOST_SYLLABLES, singable, tune_of, tune_text
from audio_bridge.lyrics.prosody.stress import count
from audio_bridge.lyrics.writing.writers import unruled
from symbolic.errors import UsageError, UserError


def test_emoji_are_not_sung() -> None:
    lyrics, _ = singable(lyric_text.parse("The moon 🌙 is low ✨\n🎵🎵\nSail home ⛵️ with me ❤", language="en"))
    assert lyrics.lines == ("The moon is low", "Sail home with me")


@pytest.mark.parametrize("text", ["...\n!!!\n- - -", "[Chorus]\n", "🎵", "[?]\n(x2)\n12Embed"])
def test_words_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="the lyrics have no words"):
        lyric_text.parse(text)


def test_markup_is_no_text() -> None:
    lyrics = lyric_text.parse("<script>alert(1)</script><b>Sail</b> home<br>with &lt;i&gt;me&lt;/i&gt; &amp; you")
    assert lyrics.lines == ("Sail home", "with me & you")
    assert lyric_text.clean_line('A <b>&"x') == 'A &"x'


def test_cyrillic_words_have_syllables_but_no_stress() -> None:
    lyrics, _ = singable(lyric_text.parse("Тихая ночь над рекой\nЛодка плывёт домой"))
    assert (lyrics.language, [count(line, "ru") for line in lyrics.lines]) == ("ru", [7, 6])
    assert unruled("ru")[0].endswith("stress is not known; there are rules for en, pt, es (--language).")


def test_long_lines_are_parted_and_too_many_words_refused() -> None:
    lyrics, notes = singable(lyric_text.parse("the sea and the light " * 6, language="en"))
    assert len(lyrics.lines) == 2 and "lines longer than 16 syllables were parted (1)." in notes
    with pytest.raises(UserError, match=f"at most {MOST_SYLLABLES:,} make a song"):
        singable(lyric_text.parse("the sea " * 1000, language="en"))


def test_a_number_means_the_tune_that_bears_it() -> None:
    book = "X:7\nT:Seven\nM:4/4\nL:1/4\nK:C\nCDEF|]\n\nX:2\nT:Two\nM:4/4\nL:1/4\nK:C\nGGGG|]\n"
    titles = [tune_of(tune_text(book, number)).title for number in (None, 7, 2, 1)]
    assert titles == ["Seven", "Seven", "Two", "Seven"]  # there is no X:1, so the first
    with pytest.raises(UsageError, match="--number 3: the tune holds 2 tunes"):
        tune_text(book, 3)
