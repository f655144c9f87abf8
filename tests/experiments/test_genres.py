"""The genre study, very small: splits that leak nothing, rows for every condition, measures that noise fails."""

from pathlib import Path

import pytest

from audio_bridge.lyrics import lyric_measures
from audio_bridge.lyrics.lyric_text import parse
from benchmarks import result_file
from experiments import genres
from symbolic import files

SEEDS = (0, 1, 2)


def test_every_genre_is_split_and_no_line_of_a_held_out_song_is_trained_on(tmp_path: Path) -> None:
    for seed in SEEDS:
        split = genres.divided(tmp_path / str(seed), ("folk", "rap"), seed)
        for genre in split.genres:
            rows = {part: split.rows(genre, part) for part in ("train", "valid", "test")}
            assert all(rows.values()) and {row["genre"] for part in rows.values() for row in part} == {genre}
        trained = lyric_measures.line_index((one, lyrics) for one, lyrics in genres._songs(split.rows("", "train")))
        for _, lyrics in genres._songs(split.rows("", "test")):
            assert lyric_measures.copied_lines(lyrics.lines, trained) == []
        whole, blind = (list(files.read_jsonl(split.folder / one / "tunes/test.jsonl")) for one in ("control", "blind"))
        assert [row["id"] for row in whole] == [row["id"] for row in blind]
        assert all(row["text"].startswith("Genre: ") for row in whole)
        assert not any("Genre: " in row["text"] for row in blind)


def test_shuffled_words_keep_words_and_lose_rhyme() -> None:
    song = parse("the bell is old\nthe wind is cold\nthe day is long\nI sing my song", language="en", title="t")
    noise = genres.shuffled(song, 0)
    words = [sorted(lyric_measures.plain_words(one.lines)) for one in (song, noise)]
    assert words[0] == words[1] and noise.lines != song.lines
    assert [len(line.split()) for line in noise.lines] == [len(line.split()) for line in song.lines]


@pytest.mark.slow
def test_the_study_runs_and_its_file_has_every_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--families", "gpt2", "--seeds", "0", "1", "--genres", "folk", "rap", "--songs", "2", "--steps", "6"]
    assert genres.main([*arguments, "--folder", str(tmp_path / "runs"), "-o", str(tmp_path / "g.json")]) == 0
    result = result_file.read(tmp_path / "g.json")
    for genre in ("folk", "rap"):
        for condition in (*genres.CONDITIONS, "other genre"):
            row = result_file.find(result, family="gpt2", condition=condition, genre=genre, measure="bits_per_byte")
            assert row is not None and len(row["repeats"]) == 2 and all(4 < value < 9 for value in row["repeats"])
        rhymes = [
            result_file.find(result, family="human", condition=one, genre=genre, measure="rhyme_density")
            for one in ("held out", "shuffled")
        ]
        assert rhymes[0] is not None and rhymes[1] is not None
        assert min(rhymes[0]["repeats"]) > max(rhymes[1]["repeats"]) + 0.2
    shown = capsys.readouterr().err
    assert "gpt2, control" in shown and "human, held out" in shown
    assert genres.main(["--songs", "0"]) == 2
