"""Corpora, forms that hold, models that write, measures: on the bundled verses and on what people paste."""

import itertools
import json
from pathlib import Path

import pytest

from audio_bridge.lyrics import compose, corpus, forms, grammar, measures, neural, prepare, rhyme, text, training, tune
from audio_bridge.lyrics.compose import Brief
from audio_bridge.lyrics.stress import count
from symbolic.data.music import Meter
from symbolic.data.notation import bars, melody, parse
from symbolic.errors import UsageError, UserError
from symbolic.files import read_json, read_jsonl

MAJOR = (0, 2, 4, 5, 7, 9, 11)


@pytest.mark.parametrize("language", ["en", "pt", "es"])
@pytest.mark.parametrize(("syllables", "scheme"), [("8,6,8,6", "XAXA"), ("8", "AABB"), ("7", "ABAB"), ("10", "AABB")])
def test_form_holds(language: str, syllables: str, scheme: str) -> None:
    form = forms.make("folk", "verse-chorus-verse-chorus", syllables=syllables, rhyme=scheme)
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
    assert len(set(lines)) == len(lines) and measures.loop(lines) < measures.LOOP


def test_title_and_first_line_are_sung() -> None:
    draft = compose.write(Brief("en", "pop", "Paper Boats", "", "I never saw the harbour lights", 2), forms.make("pop"))
    assert draft.lyrics.lines[0] == "I never saw the harbour lights"
    chorus = next(s for s in draft.lyrics.sections if s.kind == "chorus")
    assert "Paper Boats" in chorus.lines[0]


def test_no_rhyme_possible_is_said() -> None:
    form = forms.make("rap", "verse", syllables="9,9", rhyme="AA")
    draft = compose.write(Brief("en", first_line="They never found a rhyme for orange"), form)
    assert any("orange" in note for note in draft.notes) and len(draft.lyrics.lines) == 2


def test_forms_that_cannot_be_are_refused() -> None:
    for wrong in ({"structure": "verse-drums"}, {"syllables": "0"}, {"rhyme": "A1"}, {"lines": 0}, {"structure": ""}):
        with pytest.raises(UsageError):
            forms.make("pop", wrong.pop("structure", "verse"), **wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no offline writer for the language 'de'"):
        grammar.load("de")


def test_pasted_text_becomes_plain_lines() -> None:
    pasted = (
        "<p>Hello&nbsp;&amp; <b>goodbye</b> 🎵</p>\x00\x07‘Don’t’ — go\r\n\r\n"
        "[Chorus: Ana]\nla la\u202e la\n<script>x()</script>"
    )
    lyrics = text.parse(pasted)
    assert lyrics.lines == ("Hello & goodbye", "'Don't' - go", "la la la")
    assert all(c.isprintable() for line in lyrics.lines for c in line)
    assert [s.kind for s in lyrics.sections][-1] == "chorus"
    for empty in ("", "\n\n", "🎵🎵", "[Verse]\n\n[Chorus]", "123 456"):
        with pytest.raises(UserError, match="no words"):
            text.parse(empty)
    with pytest.raises(UserError, match="at most"):
        text.clean("a" * 400_001)


def test_sections_read_back_and_a_repeated_stanza_is_the_chorus() -> None:
    for song in corpus.bundled():
        sections = text.parse(song.lyrics, language=song.language).sections
        assert text.parse(text.write(sections)).sections == sections
    bare = text.parse("one day\nin may\n\nsing oh\nlet go\n\ntwo days\nof haze\n\nsing oh\nlet go")
    assert [s.kind for s in bare.sections] == ["verse", "chorus", "verse", "chorus"]
    assert text.parse("She said: come in\nI said: no").lines[0] == "She said: come in"


def test_every_layout_gives_the_same_songs(tmp_path: Path) -> None:
    import csv

    rows = [{"title": s.title, "tag": s.genre, "artist": s.artist, "year": 2026, "views": 7, "lyrics": s.lyrics,
             "language": s.language} for s in corpus.bundled()][:5]  # fmt: skip
    with open(tmp_path / "a.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "c.json").write_text(json.dumps(rows), encoding="utf-8")
    for name in ("a.csv", "b.jsonl", "c.json"):
        found = list(corpus.read(str(tmp_path / name)))
        assert [(s.title, s.genre, s.lyrics, s.language, s.views) for s in found] == [  # type: ignore[union-attr]
            (r["title"], r["tag"], r["lyrics"], r["language"], 7) for r in rows
        ]


def test_damaged_rows_are_returned_not_swallowed(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"lyrics": "la"}\n{broken\n{"title": "no words"}\n[1]\n', encoding="utf-8")
    found = list(corpus.read(str(tmp_path / "x.jsonl")))
    assert [getattr(one, "reason", "song") for one in found] == ["song", "bad_json", "no_lyrics", "no_row"]
    with pytest.raises(UserError, match="no file or folder"):
        corpus.record(str(tmp_path / "absent"))


def test_near_duplicates_go_and_families_stay_together(tmp_path: Path) -> None:
    songs = list(corpus.bundled())
    again = songs[0].lyrics.replace("rain", "snow") + "\nOne more line for the radio"
    rows = [{"title": s.title, "artist": s.artist, "lyrics": s.lyrics, "views": 10} for s in songs]
    rows.append({"title": "The Ferryman's Light (Remastered)", "artist": "Somebody Else", "lyrics": again, "views": 1})
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    summary = prepare.prepare([str(tmp_path / "s.jsonl")], tmp_path / "out")
    assert summary["rejected"] == {"duplicate": 1} and summary["kept"] == len(songs)
    reject = next(iter(read_jsonl(tmp_path / "out" / "rejects.jsonl")))
    assert "The Ferryman's Light" in reject["message"]
    family = {n: {r["family"] for r in read_jsonl(tmp_path / "out" / "tunes" / f"{n}.jsonl")} for n in prepare.SPLITS}
    assert not (family["train"] & family["test"]) and not (family["train"] & family["valid"])


def test_filters_and_what_a_model_sees(tmp_path: Path) -> None:
    options = prepare.Options(languages=("pt",), genres=("folk",), valid_fraction=0.2, test_fraction=0.2)
    summary = prepare.prepare(["bundled"], tmp_path / "pt", options)
    assert summary["genres"] == {"folk": summary["kept"]} and summary["languages"] == {"pt": summary["kept"]}
    row = next(iter(read_jsonl(tmp_path / "pt" / "tunes" / "train.jsonl")))
    assert row["text"].startswith("Genre: folk\nLanguage: pt\nArtist: ") and "\n\n[Verse 1]\n" in row["text"]
    with pytest.raises(UserError, match="can be used"):
        prepare.prepare(["bundled"], tmp_path / "none", prepare.Options(genres=("polka",)))


def test_measures_on_known_songs() -> None:
    stuck = text.parse("I love you so\n" * 8, language="en")
    assert measures.of_song(stuck)["loop"] == 8 and measures.of_song(stuck)["repeated_lines"] == 7 / 8
    song = text.parse("the water runs so clear and bright\nit never sleeps and never rests\nall through the night",
                      language="en")  # fmt: skip
    row = measures.of_song(song, {"it never sleeps and never rests": "Somebody's song"})
    assert row["copied"] == [{"line": "it never sleeps and never rests", "source": "Somebody's song"}]
    assert (
        row["copied_lines"] == 1 / 2 + 0
        if len(["all", "through", "the", "night"]) < 4
        else row["copied_lines"] == 1 / 3
    )


@pytest.mark.slow
def test_rhythm_plan_and_drawn_melody_hold() -> None:
    """Every bar is full, one note a syllable, notes of the key in the singer's range, the end on the tonic."""
    verse = ["The ferry leaves at half past five", "The rope is wet with rain",
             "And every lamp along the quay", "Is burning down again"]  # fmt: skip
    for metre in ("4/4", "6/8", "3/4"):
        plans = tune.plan([[verse]], "en", metre)
        (made,) = tune.compose(plans, key="D", seed=3, candidates=2)
        score = parse(made)
        notes = melody(score)
        assert len(notes) == sum(count(line, "en") for line in verse)
        assert all(bar.is_full for bar in bars(score.voices[0], score.meter)[1 if plans[0].pickup else 0 : -1])
        assert all(
            tune.LOWEST <= midi <= tune.HIGHEST and (midi - 2) % 12 in (0, 2, 4, 5, 7, 9, 11) for midi, _ in notes
        )
        assert notes[-1][0] % 12 == 2
        sizes = [count(line, "en") for line in verse]
        lines = [notes[sum(sizes[:i]) : sum(sizes[: i + 1])] for i in range(4)]
        assert all(abs(a[0] - b[0]) <= tune.MOST_LEAP for line in lines for a, b in itertools.pairwise(line))
    with pytest.raises(UsageError):
        tune.plan([[verse]], "en", "7/8")
    assert Meter(4, 4).text in tune.BARS


@pytest.mark.slow
def test_trained_model_writes_lines_that_hold(tmp_path: Path) -> None:
    """A tiny GPT-2 of our own, trained a few steps: its lines or the grammar's, and the record says which."""
    import argparse

    data, folder = tmp_path / "data", tmp_path / "run"
    prepare.prepare(["bundled"], data)
    changes = ["model.n_layer=1", "model.n_embd=32", "model.n_head=2", "train.steps=3", "train.warmup_steps=1",
               "train.batch_size=2", "data.context=64", f"data.folder={data}", "train.evaluate_every=3",
               "train.checkpoint_every=3", "dtype=float32"]  # fmt: skip
    args = argparse.Namespace(config=Path("configs/lyrics/gpt2-small.yaml"), set=changes, folder=folder, resume=False,
                              json=False)  # fmt: skip
    assert training.run(args) == 0
    form = forms.make("folk", "verse", syllables="4", rhyme="AABB")
    draft = neural.write(str(folder), Brief("en", "folk", "Tiny", seed=1), form)
    assert [count(line, "en") for line in draft.lyrics.lines] == [4, 4, 4, 4]
    assert rhyme.holds(draft.lyrics.lines, "AABB", "en")
    assert set(draft.sources) == set(draft.lyrics.lines) and set(draft.sources.values()) <= {str(folder), "grammar"}
    with pytest.raises(UserError, match="a model of tunes"):
        neural.load("gpt2-6m")


@pytest.mark.slow
def test_finetuning_any_causal_checkpoint(tmp_path: Path) -> None:
    """A random GPT-2 of transformers: whole and LoRA lower the validation loss, the result loads plainly."""
    import transformers

    from audio_bridge.lyrics import finetune
    from symbolic.tokens import characters

    base, data = tmp_path / "base", tmp_path / "data"
    characters.build().save(base)
    shape = transformers.GPT2Config(vocab_size=768, n_positions=64, n_embd=32, n_layer=1, n_head=2, bos_token_id=1,
                                    eos_token_id=2)  # fmt: skip
    transformers.GPT2LMHeadModel(shape).save_pretrained(base)
    prepare.prepare(["bundled"], data, prepare.Options(languages=("en",)))
    for rank in (0, 4):
        config = finetune.FineTune(name="t", base=str(base), data=str(data), epochs=1, batch_size=4, accumulation=1,
                                   learning_rate=2e-2, context=64, evaluate_every=100, lora_rank=rank)  # fmt: skip
        summary = finetune.finetune(config, tmp_path / f"out{rank}")
        assert summary["best_bits_per_byte"] < summary["bits_per_byte_before"] - 0.1
        weights = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / f"out{rank}" / "best").state_dict()
        assert not any("parametrizations" in name for name in weights)
        assert read_json(tmp_path / f"out{rank}" / "run.json")["terms"][0]["licence"] == "CC0 1.0"
