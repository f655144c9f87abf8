"""Corpora, forms that hold, models that write, measures: on the bundled verses and on what people paste."""

import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from audio_bridge.lyrics import inputs, lyric_measures, lyric_text
from audio_bridge.lyrics.prosody import rhyme
from audio_bridge.lyrics.prosody.stress import WEAK_WORDS, count
from audio_bridge.lyrics.training import lyric_corpus, prepare_lyrics
from audio_bridge.lyrics.writing import compose, neural, phrase_grammar, song_forms, writers
from audio_bridge.lyrics.writing.compose import Brief
from audio_bridge.song import song as song_verb
from symbolic.errors import UsageError, UserError
from symbolic.files import read_jsonl
from symbolic.notation.abc_parser import parse

MAJOR = (0, 2, 4, 5, 7, 9, 11)


@pytest.mark.parametrize("language", ["en", "pt", "es"])
@pytest.mark.parametrize(("syllables", "scheme"), [("8,6,8,6", "XAXA"), ("8", "AABB"), ("7", "ABAB"), ("10", "AABB")])
def test_form_holds(language: str, syllables: str, scheme: str) -> None:
    form = song_forms.make("folk", "verse-chorus-verse-chorus", syllables=syllables, rhyme=scheme)
    draft = compose.write(Brief(language, "folk", seed=5), form)
    assert draft.notes == []
    sections = draft.lyrics.sections
    assert [s.kind for s in sections] == ["verse", "chorus", "verse", "chorus"] and sections[1] == sections[3]
    for section in sections:
        stanza = form.stanzas[section.kind]
        assert tuple(count(line, language) for line in section.lines) == stanza.syllables
        assert rhyme.holds(section.lines, stanza.rhyme, language)
        for letter in set(stanza.rhyme) - {"X"}:
            words = [rhyme.last_word(x).lower() for x, one in zip(section.lines, stanza.rhyme) if one == letter]
            assert len(set(words)) == len(words), words
    lines = [line for s in sections[:3] for line in s.lines]
    assert len(set(lines)) == len(lines) and lyric_measures.loop(lines) < lyric_measures.LOOP


def test_title_and_first_line_are_sung() -> None:
    draft = compose.write(
        Brief("en", "pop", "Paper Boats", "", "I never saw the harbour lights", 2), song_forms.make("pop")
    )
    assert draft.lyrics.lines[0] == "I never saw the harbour lights"
    chorus = next(s for s in draft.lyrics.sections if s.kind == "chorus")
    assert "Paper Boats" in chorus.lines[0]


def test_no_rhyme_possible_is_said() -> None:
    form = song_forms.make("rap", "verse", syllables="9,9", rhyme="AA")
    draft = compose.write(Brief("en", first_line="They never found a rhyme for orange"), form)
    assert any("orange" in note for note in draft.notes) and len(draft.lyrics.lines) == 2


def test_forms_that_cannot_be_are_refused() -> None:
    for wrong in ({"structure": "verse-drums"}, {"syllables": "0"}, {"rhyme": "A1"}, {"lines": 0}, {"structure": ""}):
        with pytest.raises(UsageError):
            song_forms.make("pop", wrong.pop("structure", "verse"), **wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no offline writer for the language 'de'"):
        phrase_grammar.load("de")


def test_pasted_text_becomes_plain_lines() -> None:
    pasted = (
        "<p>Hello&nbsp;&amp; <b>goodbye</b> 🎵</p>\x00\x07‘Don’t’ — go\r\n\r\n"
        "[Chorus: Ana]\nla la\u202e la\n<script>x()</script>"
    )
    lyrics = lyric_text.parse(pasted)
    assert lyrics.lines == ("Hello & goodbye", "'Don't' - go", "la la la")
    assert all(c.isprintable() for line in lyrics.lines for c in line)
    assert [s.kind for s in lyrics.sections][-1] == "chorus"
    assert lyric_text.clean_line("\x1b[31mred\x1b[0m \x1b]0;title\x07rose") == "red rose"
    for empty in ("", "\n\n", "🎵🎵", "[Verse]\n\n[Chorus]", "123 456"):
        with pytest.raises(UserError, match="no words"):
            lyric_text.parse(empty)
    with pytest.raises(UserError, match="at most"):
        lyric_text.clean("a" * 400_001)


def test_sections_read_back_and_a_repeated_stanza_is_the_chorus() -> None:
    for song in lyric_corpus.bundled():
        sections = lyric_text.parse(song.lyrics, language=song.language).sections
        assert lyric_text.parse(lyric_text.write(sections)).sections == sections
    bare = lyric_text.parse("one day\nin may\n\nsing oh\nlet go\n\ntwo days\nof haze\n\nsing oh\nlet go")
    assert [s.kind for s in bare.sections] == ["verse", "chorus", "verse", "chorus"]
    assert lyric_text.parse("She said: come in\nI said: no").lines[0] == "She said: come in"


def test_every_layout_gives_the_same_songs(tmp_path: Path) -> None:
    import csv

    rows = [{"title": s.title, "tag": s.genre, "artist": s.artist, "year": 2026, "views": 7, "lyrics": s.lyrics,
             "language": s.language} for s in lyric_corpus.bundled()][:5]  # fmt: skip
    with open(tmp_path / "a.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "c.json").write_text(json.dumps(rows), encoding="utf-8")
    for name in ("a.csv", "b.jsonl", "c.json"):
        found = list(lyric_corpus.read(str(tmp_path / name)))
        assert [(s.title, s.genre, s.lyrics, s.language, s.views) for s in found] == [  # type: ignore[union-attr]
            (r["title"], r["tag"], r["lyrics"], r["language"], 7) for r in rows
        ]


def genius_rows() -> list[dict[str, object]]:
    """Rows in the layout of genius-song-lyrics, with what its rows are known to have: gaps, and other languages."""
    rows: list[dict[str, object]] = [
        {"title": s.title, "tag": s.genre, "artist": s.artist, "year": 2019, "views": 100 + i, "features": "{}",
         "lyrics": s.lyrics, "id": i, "language_cld3": s.language, "language_ft": s.language, "language": s.language}
        for i, s in enumerate(list(lyric_corpus.bundled())[:3])
    ]  # fmt: skip
    rows.append({**rows[0], "lyrics": None, "title": "no words"})
    rows.append({**rows[1], "language": None, "year": None, "views": None, "artist": None})
    return rows


def check_genius(found: list[lyric_corpus.Song | lyric_corpus.LyricRejection]) -> None:
    assert [type(one).__name__ for one in found] == ["Song", "Song", "Song", "LyricRejection", "Song"]
    first, gap = found[0], found[4]
    assert (
        isinstance(first, lyric_corpus.Song) and isinstance(gap, lyric_corpus.Song) and found[3].reason == "no_lyrics"
    )  # type: ignore[union-attr]
    assert (first.genre, first.language, first.year, first.views) == ("folk", "en", 2019, 100)
    assert (gap.language, gap.year, gap.views, gap.artist) == ("", None, None, "")  # guessed when it is cleaned


def test_parquet_in_the_layout_of_genius(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    path = tmp_path / "song_lyrics.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(genius_rows()), path, row_group_size=2)
    check_genius(list(lyric_corpus.read(str(path))))
    summary = prepare_lyrics.prepare(
        [str(path)], tmp_path / "out", prepare_lyrics.LyricOptions(languages=("en",), min_views=101)
    )
    assert summary["rejected"] == {"views": 1, "no_lyrics": 1, "duplicate": 1} and summary["kept"] == 2
    for name, data in (("cut", path.read_bytes()[:-200]), ("text", b"title,lyrics\n"), ("empty", b"")):
        (tmp_path / f"{name}.parquet").write_bytes(data)
        with pytest.raises(UserError, match=f"{name}.parquet is not a readable Parquet file"):
            list(lyric_corpus.read(str(tmp_path / f"{name}.parquet")))


def test_parquet_without_its_reader_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"needs pyarrow: pip install 'abc-symbolic\[hub\]'"):
        list(lyric_corpus.read(str(tmp_path / "a.parquet")))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"needs `datasets`: pip install 'abc-symbolic\[hub\]'"):
        list(lyric_corpus.read("hf:somebody/genius-song-lyrics"))


@pytest.mark.filterwarnings("ignore")
def test_hub_dataset_in_the_layout_of_genius(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets` looks for OWNER/NAME in the working directory before it asks the hub."""
    pytest.importorskip("datasets")
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    folder = tmp_path / "somebody" / "genius-song-lyrics" / "data"
    folder.mkdir(parents=True)
    parquet.write_table(pyarrow.Table.from_pylist(genius_rows()), folder / "train-00000-of-00001.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = list(lyric_corpus.read("hf:somebody/genius-song-lyrics"))
    check_genius(found)
    assert found[0].where == "train:1" and found[0].source == "hf:somebody/genius-song-lyrics"
    with pytest.raises(UserError, match="cannot read hf:nobody/nothing"):
        list(lyric_corpus.read("hf:nobody/nothing"))
    for wrong in ("hf:", "hf:a/b/c", "hf:../../etc"):
        with pytest.raises(UserError, match="is not the name of a hub dataset"):
            lyric_corpus.record(wrong)


def test_damaged_rows_are_returned_not_swallowed(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"lyrics": "la"}\n{broken\n{"title": "no words"}\n[1]\n', encoding="utf-8")
    found = list(lyric_corpus.read(str(tmp_path / "x.jsonl")))
    assert [getattr(one, "reason", "song") for one in found] == ["song", "bad_json", "no_lyrics", "no_row"]
    for ask in (lyric_corpus.record, lambda source: list(lyric_corpus.read(source))):
        with pytest.raises(UserError, match="no file or folder"):
            ask(str(tmp_path / "absent"))
    (tmp_path / "noise.csv").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="binary file"):
        list(lyric_corpus.read(str(tmp_path / "noise.csv")))
    assert "unreadable" in {
        getattr(one, "reason", "") for one in lyric_corpus.read(str(tmp_path))
    }  # the others are read
    with pytest.raises(UserError, match=r"\(1 no_lyrics\)\. The first: .*the columns are title"):
        (tmp_path / "y.csv").write_text("title,artist\na,b\n", encoding="utf-8")
        prepare_lyrics.prepare([str(tmp_path / "y.csv")], tmp_path / "out")


def test_near_duplicates_go_and_families_stay_together(tmp_path: Path) -> None:
    songs = list(lyric_corpus.bundled())
    again = songs[0].lyrics.replace("rain", "snow") + "\nOne more line for the radio"
    rows = [{"title": s.title, "artist": s.artist, "lyrics": s.lyrics, "views": 10} for s in songs]
    rows.append({"title": "The Ferryman's Light (Remastered)", "artist": "Somebody Else", "lyrics": again, "views": 1})
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    summary = prepare_lyrics.prepare([str(tmp_path / "s.jsonl")], tmp_path / "out")
    assert summary["rejected"] == {"duplicate": 1} and summary["kept"] == len(songs)
    reject = next(iter(read_jsonl(tmp_path / "out" / "rejects.jsonl")))
    assert "The Ferryman's Light" in reject["message"]
    family = {
        n: {r["family"] for r in read_jsonl(tmp_path / "out" / "tunes" / f"{n}.jsonl")} for n in prepare_lyrics.SPLITS
    }
    assert not (family["train"] & family["test"]) and not (family["train"] & family["valid"])


def test_filters_and_what_a_model_sees(tmp_path: Path) -> None:
    options = prepare_lyrics.LyricOptions(languages=("pt",), genres=("folk",), valid_fraction=0.2, test_fraction=0.2)
    summary = prepare_lyrics.prepare(["bundled"], tmp_path / "pt", options)
    assert summary["genres"] == {"folk": summary["kept"]} and summary["languages"] == {"pt": summary["kept"]}
    row = next(iter(read_jsonl(tmp_path / "pt" / "tunes" / "train.jsonl")))
    assert row["text"].startswith("Genre: folk\nLanguage: pt\nArtist: ") and "\n\n[Verse 1]\n" in row["text"]
    with pytest.raises(UserError, match="can be used"):
        prepare_lyrics.prepare(["bundled"], tmp_path / "none", prepare_lyrics.LyricOptions(genres=("polka",)))


def test_measures_on_known_songs() -> None:
    stuck = lyric_text.parse("I love you so\n" * 8, language="en")
    assert lyric_measures.of_song(stuck)["loop"] == 8 and lyric_measures.of_song(stuck)["repeated_lines"] == 7 / 8
    song = lyric_text.parse(
        "the water runs so clear and bright\nit never sleeps and never rests\nall through the night", language="en"
    )
    row = lyric_measures.of_song(song, {"it never sleeps and never rests": "Somebody's song"})
    assert row["copied"] == [{"line": "it never sleeps and never rests", "source": "Somebody's song"}]
    assert (
        row["copied_lines"] == 1 / 2 + 0
        if len(["all", "through", "the", "night"]) < 4
        else row["copied_lines"] == 1 / 3
    )


@pytest.mark.parametrize("scheme", ["YBYB", "ABAB", "XAXA", "ZYZY", "ABCDEFGH", "A"])
def test_a_scheme_that_is_repeated_never_uses_a_letter_again(scheme: str) -> None:
    n = song_forms.MOST_LINES
    made = song_forms.make("pop", "verse", syllables="8", rhyme=scheme, lines=n).stanzas["verse"].rhyme
    meant = [(i // len(scheme), scheme[i % len(scheme)]) for i in range(n)]
    assert made.startswith(scheme)
    assert all((made[i] == "X") == (meant[i][1] == "X") for i in range(n))
    rhymed = [(i, j) for i in range(n) for j in range(i) if made[i] == made[j] != "X"]
    assert rhymed == [(i, j) for i in range(n) for j in range(i) if meant[i] == meant[j] and meant[i][1] != "X"]


SONGS = [{"title": "Canção do Mar", "lyrics": "coração, maçã; não é\nvocê"}, {"title": "Ñandú", "lyrics": "el niño"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("layout", ["a.csv,", "a.csv;", "a.csv\t", "a.tsv\t", "a.jsonl", "a.json"])
def test_spreadsheets_and_windows_texts_are_read(encoding: str, layout: str, tmp_path: Path) -> None:
    import csv

    path = tmp_path / layout.rstrip(",;\t")
    with open(path, "w", encoding=encoding, newline="") as file:
        if path.suffix == ".json":
            json.dump(SONGS, file, ensure_ascii=False)
        elif path.suffix == ".jsonl":
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in SONGS)
        else:
            writer = csv.DictWriter(file, list(SONGS[0]), delimiter=layout[-1])
            writer.writeheader()
            writer.writerows(SONGS)
    assert [
        (song.title, song.lyrics) for song in lyric_corpus.read(str(path)) if isinstance(song, lyric_corpus.Song)
    ] == [(row["title"], row["lyrics"]) for row in SONGS]


def test_windows_texts_with_fields_at_their_head(tmp_path: Path) -> None:
    words = "Title: Canção\r\nLanguage: Português\r\nGenre:\r\n\r\n[Verse]\r\n“Não” – é só você…"
    (tmp_path / "a.txt").write_bytes(words.encode("cp1252"))
    (song,) = lyric_corpus.read(str(tmp_path / "a.txt"))
    assert isinstance(song, lyric_corpus.Song) and (song.title, song.language, song.genre) == ("Canção", "pt", "")
    assert song.lyrics.strip() == "[Verse]\n“Não” – é só você…"


def test_given_words_bring_their_own_title_and_a_tune_its() -> None:
    words = "Title: My Song\nArtist: Me\nLanguage: Spanish\n\nla la la luna\nla noche oscura"
    options = {**song_verb.DEFAULTS, "lyrics": words}
    made = writers.written(options, 0, None).lyrics
    assert (made.title, made.artist, made.language) == ("My Song", "Me", "es")
    assert made.lines == ("la la la luna", "la noche oscura")
    assert writers.written({**options, "title": "Other", "language": "en"}, 0, None).lyrics.title == "Other"
    tune = parse("X:1\nT:The Kesh\nM:4/4\nL:1/4\nK:C\nCCGG|AAG2|FFEE|DDC2|]\n")
    assert writers.written({**song_verb.DEFAULTS, "tune": "…"}, 0, tune).lyrics.title == "The Kesh"
    assert writers.written(options, 0, tune).lyrics.title == "My Song"


def test_a_genre_at_the_head_of_the_words_is_the_song_s(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("Genre: folk\n\nla la la\n", encoding="utf-8")
    given = {"lyrics": tmp_path / "words.txt"}
    assert song_verb._resolved(tmp_path / "song", None, given)[0]["genre"] == "folk"
    assert song_verb._resolved(tmp_path / "song", None, {**given, "genre": "rock"})[0]["genre"] == "rock"


def test_no_line_of_a_model_holds_headers_or_fields() -> None:
    class Babbler:
        """Writes as an untrained model does."""

        name = "babbler"

        def continued(self, prompt: str, n: int, rules: neural.Rules, seed: int) -> list[str]:
            return ["the [Verse 1] moon", "title: of moon", "Chorus:", "Genre : the moon", "a moon ] is here"]

        def bits(self, prompt: str, lines: Sequence[str]) -> list[float]:
            return [0.0] * len(lines)

    form = song_forms.make("folk", "verse", syllables="4", rhyme="XX", lines=2)
    draft = neural.write(Babbler(), Brief("en", "folk"), form)
    assert set(draft.sources.values()) == {"grammar"}


def test_a_tune_decides_the_form() -> None:
    tune = parse("X:1\nT:The Kesh\nM:4/4\nL:1/4\nK:C\nCCGG|AAG2|FFEE|DDC2|]\n")
    with pytest.raises(UsageError, match="--lines: with --tune"):
        writers.written({**song_verb.DEFAULTS, "tune": "…", "lines": 3}, 0, tune)


def test_what_of_a_tune_gets_no_words_is_said() -> None:
    one = "X:1\nM:4/4\nL:1/4\nK:C\nCCGG|AAG2|]\n"
    two = "X:1\nM:4/4\nL:1/4\nK:C\nV:1\nCCGG|AAG2|]\nV:2\nC4|F4|]\n"
    assert inputs.left_out(one, parse(one)) == []
    said = inputs.left_out(two + "\n" + one, parse(two))
    assert said == ["the words are set to the first of 2 tunes.", "the words are set to the first of 2 voices."]


@pytest.mark.parametrize("language", ["en", "pt", "es"])
def test_a_song_keeps_to_its_themes_and_sings_its_title(language: str) -> None:
    grammar = phrase_grammar.load(language)
    title = {"en": "River of Gold", "pt": "Barco de papel", "es": "Barco de papel"}[language]
    themes = phrase_grammar.themes_for(title, language, 0)
    assert themes[0] in grammar.themes_of(title)
    on, off, lines = 0, 0, 0
    for seed in range(3):
        draft = compose.write(Brief(language, "folk", title, seed=seed), song_forms.make("folk"))
        themes = phrase_grammar.themes_for(f"{title} ", language, seed)
        chorus = next(section for section in draft.lyrics.sections if section.kind == "chorus")
        assert title.lower() in chorus.lines[0].lower()
        for line in draft.lyrics.lines:
            own = grammar.themes_of(line)
            on, off, lines = on + bool(own & set(themes)), off + bool(own - set(themes)), lines + 1
    assert on > 2 * off and on / lines > 0.5, (on, off, lines)


def test_the_story_begins_before_it_ends() -> None:
    grammar = phrase_grammar.load("en")
    stages: dict[str, list[str]] = {"Verse 1": [], "Verse 3": []}
    for seed in range(4):
        form = song_forms.make("folk", "verse-verse-verse")
        for section in compose.write(Brief("en", "folk", "", seed=seed), form).lyrics.sections:
            stages.setdefault(section.label, []).extend(grammar.stage_of(line) for line in section.lines)
    assert stages["Verse 1"].count("first") > stages["Verse 3"].count("first")
    assert stages["Verse 3"].count("last") > stages["Verse 1"].count("last")


@pytest.mark.parametrize("language", ["en", "pt", "es"])
def test_no_line_names_a_thing_twice(language: str) -> None:
    lines = phrase_grammar.pool(language, "folk", seed=0)
    for line in lines:
        words = [set(phrase.lower().split()[1:]) - WEAK_WORDS[language] for phrase in line.phrases]
        assert not any(a & b for a, b in itertools.combinations(words, 2)), line.text
    assert len(lines) > 1000
