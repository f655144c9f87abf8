"""Syllables, stress and rhyme against words worked out by hand, pyphen and laws that every word keeps."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_bridge.lyrics.lyric_text import guess_language, language_code, parse, words_of
from audio_bridge.lyrics.prosody import pronunciation, rhyme
from audio_bridge.lyrics.prosody.stress import count, line_syllables, sung, word_stress
from audio_bridge.lyrics.prosody.syllables import syllables
from audio_bridge.lyrics.training import lyric_corpus
from audio_bridge.lyrics.writing import writers

DIVIDED = {
    "en": "riv-er morn-ing beau-ti-ful re-mem-ber ta-ble lit-tle peo-ple qu-iet sci-ence be-ing po-em gar-den sing-ing "
    "dreamed want-ed na-ïve a-way yes-ter-day moun-tain win-dow some-thing queen ques-tion cre-at-ed hour fire",
    "es": "co-ra-zón can-ción a-ho-ra ciu-dad pa-ís dí-a rí-o a-gua gui-ta-rra es-tre-lla cons-tan-te ins-tru-men-to "
    "llu-via quie-ro cie-lo le-er ca-er o-í ai-re muy rey hoy pin-güi-no no-che pe-rro huir ve-o ma-íz cuan-do",
    "pt": "co-ra-ção sau-da-de á-gua his-tó-ria vi-o-lão ra-i-nha car-ro pas-so nas-cer mui-to não mãe ca-mi-nho lu-a "
    "di-a ri-o céu meu eu quan-do guar-da que-ro ca-ir ju-iz ru-im sa-í-da pás-sa-ro noi-te ao pi-a-no viu sa-iu",
}
STRESSED = {  # the stressed part counted from the end
    "es": {"corazón": 1, "ciudad": 1, "cantaban": 2, "jóvenes": 3, "lunes": 2, "reloj": 1, "guitarra": 2, "página": 3},
    "pt": {"coração": 1, "saudade": 2, "pássaro": 3, "jovem": 2, "feliz": 1, "azul": 1, "amanhã": 1, "também": 1,
           "menina": 2, "aqui": 1},
    "en": {"river": 2, "tonight": 1, "beautiful": 3, "remember": 2, "away": 1},
}  # fmt: skip
RHYMES = [
    ("night", "light", "en", True), ("river", "shiver", "en", True), ("river", "forever", "en", False),
    ("love", "move", "en", False), ("night", "night", "en", False), ("again", "rain", "en", False),
    ("coração", "canção", "pt", True), ("caminho", "sozinho", "pt", True), ("feliz", "país", "pt", True),
    ("noite", "foice", "pt", False), ("canción", "corazón", "es", True), ("cielo", "vuelo", "es", True),
    ("vez", "tres", "es", True), ("amor", "mar", "es", False),
]  # fmt: skip


@pytest.mark.parametrize("language", DIVIDED)
def test_words_part_where_dictionaries_part_them(language: str) -> None:
    for wanted in DIVIDED[language].split():
        assert "-".join(syllables(wanted.replace("-", ""), language)) == wanted


@pytest.mark.parametrize("language", STRESSED)
def test_stress_falls_where_it_is_written_or_known(language: str) -> None:
    for word, from_end in STRESSED[language].items():
        levels = word_stress(word, language)
        assert levels[-from_end] == 2 and levels.count(2) == 1, (word, levels)


@pytest.mark.parametrize(("one", "other", "language", "expected"), RHYMES)
def test_rhymes(one: str, other: str, language: str, expected: bool) -> None:
    assert rhyme.rhymes(one, other, language) is expected
    assert rhyme.rhymes(other, one, language) is expected


def test_pyphen_never_parts_a_portuguese_or_spanish_word_elsewhere() -> None:
    """pyphen knows fewer places than we (none after one letter), and should know no other ones."""
    import pyphen

    for language, name in (("es", "es"), ("pt", "pt_PT")):
        dictionary = pyphen.Pyphen(lang=name)
        words = {w.strip("¿¡,.;").lower() for song in lyric_corpus.bundled() if song.language == language
                 for line in song.lyrics.splitlines() if not line.startswith("[") for w in words_of(line)}  # fmt: skip
        ours = {w: _places(syllables(w, language)) for w in words}
        wrong = [w for w in words if set(dictionary.positions(w)) - ours[w]]
        assert len(words) > 300 and len(wrong) <= 0.01 * len(words), wrong


def test_english_counts_are_the_dictionary_s() -> None:
    for word in ("chocolate", "everything", "walkin'", "river's", "families"):
        assert len(syllables(word)) == pronunciation.n_syllables(word)
    assert pronunciation.source() == "cmudict"
    assert pronunciation.phones("walkin'") == (*pronunciation.phones("walking")[:-1], "N")  # type: ignore[index]


def test_unknown_english_words_go_by_rules() -> None:
    assert pronunciation.phones("brillowed") is None
    assert [len(syllables(w)) for w in ("brillowed", "zorble", "flaption", "snore-glim")] == [2, 2, 2, 2]
    assert word_stress("flaptation", "en")[1] == 2


@given(st.text("aeiouyCT0'-éç", max_size=12), st.sampled_from(["en", "pt", "es", "de"]))
@settings(max_examples=500, deadline=None)
def test_no_part_is_empty(text: str, language: str) -> None:
    """Words with more syllables than vowels written (`CI0T`) once had an empty part."""
    for word in [*words_of(text), "CI0T", "rhythms", "mmm", "w0w", "X0"]:
        assert "".join(syllables(word, language)) == word and all(syllables(word, language))


@given(st.text(max_size=30), st.sampled_from(["en", "pt", "es", "de", "zh"]))
@settings(max_examples=300, deadline=None)
def test_parts_give_the_word_back(text: str, language: str) -> None:
    for word in words_of(text):
        parts = syllables(word, language)
        assert "".join(parts) == word and all(parts)
        assert len(word_stress(word, language)) == len(parts)


def test_every_bundled_line_has_syllables_and_one_end() -> None:
    for song in lyric_corpus.bundled():
        for line in (one for one in song.lyrics.splitlines() if one and not one.startswith("[")):
            found = line_syllables(line, song.language)
            assert len(found) == count(line, song.language) and [s.ends_line for s in found].count(True) == 1
            assert found[-1].ends_word and found[-1].ends_line


def test_other_scripts_and_mixed_languages() -> None:
    assert syllables("音楽", "ja") == ("音", "楽")
    assert {s.stress for s in line_syllables("Der Lindenbaum am Tore", "de")} == {1}
    mixed = sung(["I was walking in the rain with you and me", "y el corazón de la noche no se va para mí"], "en")
    assert "".join(s.text for s in mixed if s.line == 1).startswith("yelcorazónde")
    assert [s.text for s in mixed if s.line == 1][2:5] == ["co", "ra", "zón"]


def test_language_is_guessed() -> None:
    songs = list(lyric_corpus.bundled())
    right = sum(guess_language(song.lyrics.splitlines()) == song.language for song in songs)
    assert right >= 0.95 * len(songs)


OTHER_LANGUAGES = {
    "de": "Am Brunnen vor dem Tore\nda steht ein Lindenbaum\nich träumt in seinem Schatten\nso manchen süßen Traum",
    "fr": "Au clair de la lune\nmon ami Pierrot\nprête-moi ta plume\npour écrire un mot",
    "it": "Sul mare luccica\nl'astro d'argento\nplacida è l'onda\nprospero è il vento",
    "ru": "Во поле берёза стояла\nво поле кудрявая стояла",
    "ja": "春が来た\nどこに来た",
    "zh": "床前明月光\n疑是地上霜",
    "ko": "나의 살던 고향은\n꽃피는 산골",
    "el": "Σε γνωρίζω από την κόψη\nτου σπαθιού την τρομερή",
    "ar": "طلع البدر علينا\nمن ثنيات الوداع",
}


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_other_languages_are_not_read_as_english(language: str) -> None:
    lyrics = parse(OTHER_LANGUAGES[language])
    assert lyrics.language == language and writers.unruled(language)
    found = sung(lyrics.lines, language)
    assert len(found) >= sum(len(line.split()) for line in lyrics.lines)
    assert "".join(s.text for s in found) == "".join("".join(line.split()) for line in lyrics.lines)
    if language == "ru":
        assert [s.text for s in found if s.line == 0] == ["Во", "по", "ле", "бе", "рё", "за", "сто", "я", "ла"]


def test_what_is_no_language_code_is_refused() -> None:
    assert language_code("PT") == "pt" and language_code("fil") == "fil" and not writers.unruled("es")
    for wrong in ("", "english", "e", "p7", "../x"):
        with pytest.raises(ValueError):
            language_code(wrong)


def test_scheme_and_density() -> None:
    lines = ["the light", "a stone", "the night", "alone"]
    assert rhyme.scheme(lines, "en") == "ABAB" and rhyme.density(lines, "en") == 1.0
    assert (
        rhyme.holds(lines, "ABAB", "en") and not rhyme.holds(lines, "AABB", "en") and rhyme.holds(lines, "XAXA", "en")
    )
    assert rhyme.density(["the light", "a river", "some water"], "en") == 0.0


def _places(parts: tuple[str, ...]) -> set[int]:
    return {sum(map(len, parts[:i])) for i in range(1, len(parts))}


def test_letters_that_are_one_sound_stay_together() -> None:
    wanted = "dampf-schiff ge-sell-schaft men-schen la-chen ba-cken stra-ße phi-lo-so-phie ma-the-ma-tik mensch-lich"
    for word in wanted.split():
        assert "-".join(syllables(word.replace("-", ""), "de")) == word
    assert syllables("bella", "it") == ("bel", "la") and syllables("achten", "nl") == ("ach", "ten")
