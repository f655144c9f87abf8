"""Words on notes: hand-worked placements, laws of the aligner, and every format read by a second reader."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import mido
import pytest

from audio_bridge.__main__ import VERBS
from audio_bridge.lyrics.export import karaoke, sheet, timing, yue2
from audio_bridge.lyrics.export.accompaniment import chord_spans, with_chords
from audio_bridge.lyrics.lyric_text import parse as parse_lyrics
from audio_bridge.lyrics.prosody.stress import Syllable
from audio_bridge.lyrics.setting import setting_metrics, syllable_alignment
from audio_bridge.lyrics.setting.sung_melody import phrase_ends, strength, sung_notes, written_out
from audio_bridge.lyrics.setting.syllable_alignment import Placement
from audio_bridge.lyrics.setting.word_setting import Setting, joined, placements_of, set_lines, set_words, timed
from symbolic.command_line import main
from symbolic.errors import UserError
from symbolic.notation.abc_parser import bars, canonical, parse, performance
from symbolic.notation.score import ChordSymbol, Note, Rest
from symbolic.notation.theory import UNIT_TICKS, Meter

TWINKLE = "X:1\nM:4/4\nL:1/4\nK:C\nCCGG|AAG2|FFEE|DDC2|GGFF|EED2|GGFF|EED2|CCGG|AAG2|FFEE|DDC2|]\n"
WORDS = """Silver moon above the hill
All the fields are sleeping still
By the water, by the stone
No one walks the night alone
Silver moon above the hill
All the world is sleeping still"""
JIG = "X:1\nM:6/8\nL:1/8\nK:G\nd|:GBd gfe|dBG A2d|GBd gfe|dBA G2d:|\n|:gfg efg|dBd gdB|cde dBG|AGA G2d:|\n"


@pytest.fixture(scope="module")
def strophe() -> Setting:
    return set_words(parse(TWINKLE), parse_lyrics(WORDS, language="en", title="Moon <&> Hill", artist="Nobody"))


@pytest.fixture(scope="module")
def melisma() -> Setting:
    return set_words(parse(JIG), parse_lyrics(WORDS, language="en", title="Jig"))


def test_one_syllable_a_note_where_words_and_tune_agree(strophe: Setting) -> None:
    assert [len(own) for own in placements_of(strophe)] == [1] * 42
    assert sheet.plain_words(strophe) == WORDS
    assert (
        setting_metrics.measures(strophe)["placed"] == 1.0
        and setting_metrics.measures(strophe)["stressed_on_strong_beats"] > 0.9
    )


def test_phrases_of_twinkle_are_its_lines() -> None:
    notes = sung_notes(parse(TWINKLE))
    assert phrase_ends(notes, Meter(4, 4)) == [6, 13, 20, 27, 34, 41]
    assert phrase_ends(notes, Meter(4, 4), n_phrases=3) == [13, 27, 41]


def test_strengths() -> None:
    eighth = 5040
    assert [strength(i * eighth, Meter(4, 4)) for i in range(8)] == [3, 0, 1, 0, 2, 0, 1, 0]
    assert [strength(i * eighth, Meter(6, 8)) for i in range(6)] == [3, 0, 0, 2, 0, 0]
    assert [strength(i * eighth, Meter(3, 4)) for i in range(6)] == [3, 0, 1, 0, 1, 0]


def test_written_out_tune_sounds_like_the_repeated_one(real_tunes: list[str]) -> None:
    for text in real_tunes[::211]:
        score = parse(text)
        if len(score.voices) > 1:
            continue
        plain = written_out(score)
        assert performance(plain) == performance(score), text
        assert performance(parse(canonical(plain))) == performance(score), text
        assert {b.kind for b in plain.voices[0].events if hasattr(b, "kind")} <= {"|", "||", "|]"}


def test_repeats_join_their_pick_up_into_full_bars() -> None:
    full = [bar.is_full for bar in bars(written_out(parse(JIG)).voices[0], Meter(6, 8))]
    assert full[1:] == [True] * len(full[1:])


def test_every_syllable_is_placed_in_order_on_its_own_notes(melisma: Setting) -> None:
    own = placements_of(melisma)
    flat = [i for notes in own for i in notes]
    assert all(own) and flat == sorted(flat) and len(flat) == len(set(flat))
    assert sum(len(notes) > 1 for notes in own) >= 2
    for notes in own:
        assert notes == list(range(notes[0], notes[-1] + 1))


def test_a_line_is_sung_to_a_pass_where_slurs_would_be_parted() -> None:
    tune = parse("M:4/4\nL:1/8\nK:C\n(CD) (EF) G4|(ABcB) A2 G2|(FE)(DE) F2 E2|D4 C4|]\n")
    words = "The tide is high and turning\nThe boats are on the sand\nA lamp is slowly burning\nTo lead us back to land"
    whole = set_words(tune, parse_lyrics(words, language="en"))
    score = written_out(tune)
    assert len(whole.labels) == 4 * len(sung_notes(score))
    for note, label, before in zip(sung_notes(whole.score)[1:], whole.labels[1:], whole.labels):
        assert not note.slurred or label is None or label.number == before.number, "no slur is parted"
    firsts = [next(s.number for s in whole.labels[i * 20 :] if s) for i in range(4)]
    assert [whole.syllables[i].line for i in firsts] == [0, 1, 2, 3]
    one_line = set_words(tune, parse_lyrics("Sing a song and sing another one for me and everybody", language="en"))
    assert len(one_line.labels) == len(sung_notes(score)), "one line is sung once"


def test_stress_decides_where_a_melisma_goes() -> None:
    """Three syllables on four notes: the stress takes the strong beat, so the first syllable is held or the last."""
    notes = sung_notes(parse("M:4/4\nL:1/8\nK:C\nz6AB|c4d4|]\n"))
    syllables = [Syllable("a", 0, False, False), Syllable("way", 2, True, False), Syllable("now", 1, True, True)]
    assert syllable_alignment.align(syllables, notes)[1].first == 2


def test_fewer_notes_than_syllables_divides_long_notes() -> None:
    lyrics = parse_lyrics("Everybody wanders over yonder in the morning", language="en")
    setting = set_words(parse("M:4/4\nL:1/4\nK:C\nC2G2|A2G2|F2E2|C4|]\n"), lyrics, passes=1)
    assert len(setting.labels) >= len(setting.syllables) > 7
    assert all(bar.is_full for bar in bars(setting.score.voices[0], Meter(4, 4)))
    assert len([e for e in parse(setting.text).voices[0].events if isinstance(e, Note)]) == len(setting.labels)


def test_too_many_syllables_is_said_with_the_mend() -> None:
    lyrics = parse_lyrics("word " * 400, language="en")
    with pytest.raises(UserError, match=r"4 notes can carry 16 .*--passes"):
        set_words(parse(TWINKLE[: TWINKLE.index("|AAG2")] + "|]"), lyrics, passes=1)


def test_the_optimum_is_no_dearer_than_any_simple_placement() -> None:
    """On small cases the table finds what trying every placement finds."""
    import itertools

    notes = sung_notes(parse("M:4/4\nL:1/8\nK:G\nG2AB c2d2|e2dc B4|]\n"))
    syllables = [Syllable("x", stress, True, i == 4) for i, stress in enumerate((2, 0, 2, 0, 2))]
    best = syllable_alignment.cost(syllables, notes) * 5
    table = syllable_alignment._Table(syllables, notes, syllable_alignment.DEFAULT)
    costs = []
    for cuts in itertools.combinations(range(1, len(notes)), 4):
        edges = [0, *cuts, len(notes)]
        total = 0.0
        for i, (a, b) in enumerate(itertools.pairwise(edges)):
            total += table._fit(i, a) + sum(table._held(i, k) for k in range(a + 1, b)) + table._ending(i, b - 1)
        costs.append(total)
    assert best <= min(costs) + 1e-9


def test_agreement_and_distances(strophe: Setting, melisma: Setting) -> None:
    notes = sung_notes(strophe.score)
    human = [Placement(i, i) for i in range(42)]
    assert setting_metrics.agreement(syllable_alignment.align(strophe.syllables, notes), human) == (1.0, 1.0)
    assert setting_metrics.distances(human, human, notes) == (1.0, 1.0, 0.0)
    moved = [Placement(max(0, i - 1), i) for i in range(42)]
    assert (
        setting_metrics.agreement(moved, human) == (1 / 42, 1 / 42)
        and setting_metrics.distances(moved, human, notes)[1] < 1.0
    )


def test_linear_spread_puts_fewer_stresses_on_beats(melisma: Setting) -> None:
    notes = sung_notes(written_out(parse(JIG), repeats=False))
    shares = [
        setting_metrics.shares_on_beats(melisma.syllables, [notes[p.first].strength for p in placed])[0]
        for placed in (
            syllable_alignment.align(melisma.syllables, notes),
            syllable_alignment.spread(melisma.syllables, notes),
        )
    ]
    assert shares[0] > shares[1] + 0.2


def test_sections_join_into_one_song(strophe: Setting, melisma: Setting) -> None:
    whole = joined([strophe, melisma], parse_lyrics(WORDS + "\n\n" + WORDS, language="en"))
    assert len(whole.labels) == len(strophe.labels) + len(melisma.labels)
    assert [s.line for s in whole.syllables][-1] == 11
    first = [s.text for s in timed(strophe, 100)]
    assert [s.text for s in timed(whole, 100)][: len(first)] == first


def test_abc_words_are_read_alike_by_abc2midi(melisma: Setting, tmp_path: Path) -> None:
    """abc2midi comes with symusic; it writes one text event a syllable, at its tick."""
    symusic = pytest.importorskip("symusic")
    program = Path(symusic.__file__).parent / "bin" / "abc2midi"
    source = tmp_path / "a.abc"
    source.write_text(sheet.abc(melisma), encoding="utf-8")
    subprocess.run([program, source, "-o", tmp_path / "a.mid"], check=True, capture_output=True)
    read = mido.MidiFile(tmp_path / "a.mid", charset="utf8")
    track = next(t for t in read.tracks if any(m.type == "text" and "lyric" in m.text for m in t))
    found, tick = [], 0
    for message in track:
        tick += message.time
        if message.type == "text" and (text := re.sub(r"^[/\\]", "", message.text).strip()) and "lyric" not in text:
            found.append((text, tick * 4 / read.ticks_per_beat / 4))
    ours = [(s.text, s.start) for s in timed(melisma, 60)]
    assert [text for text, _ in found] == [text for text, _ in ours]
    assert [q for _, q in found] == pytest.approx([start for _, start in ours], abs=0.01)


def test_abc_words_are_read_alike_by_abcjs(melisma: Setting, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not here")
    from symbolic.formats.page.score_page import ASSETS

    code = (
        "const A=require(process.argv[1]);const t=A.parseOnly(require('fs').readFileSync(process.argv[2],'utf8'))[0];"
        "const o=[];for(const l of t.lines)for(const s of l.staff||[])for(const v of s.voices)for(const e of v)"
        "if(e.el_type==='note'&&!e.rest)o.push(e.lyric?e.lyric[0].syllable.trim():'');console.log(JSON.stringify(o))"
    )
    source = tmp_path / "a.abc"
    source.write_text(sheet.abc(melisma), encoding="utf-8")
    command = [node, "-e", code, str(ASSETS / "abcjs-basic-min.js"), str(source)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert found == ["" if one is None or one.holds else one.syllable.text for one in melisma.labels]


def test_abc_with_words_is_still_the_tune(melisma: Setting) -> None:
    assert canonical(parse(sheet.abc(melisma))) == melisma.text
    assert canonical(parse(sheet.abc(with_chords(melisma)))) != melisma.text


def test_musicxml_lyrics_are_read_alike_by_music21(strophe: Setting, melisma: Setting) -> None:
    import music21

    for setting in (strophe, melisma):
        score = music21.converter.parse(sheet.musicxml(setting), format="musicxml")
        read = [
            (lyric.text, lyric.syllabic, round(float(note.getOffsetInHierarchy(score)), 4))
            for note in score.parts[0].flatten().notes
            for lyric in note.lyrics
        ]
        ours = timed(setting, 60)
        assert [text for text, _, _ in read] == [s.text for s in ours]
        assert [at for _, _, at in read] == [round(s.start, 4) for s in ours]
        assert [kind in ("single", "end") for _, kind, _ in read] == [s.ends_word for s in ours]


def test_midi_lyrics_stand_at_their_notes(melisma: Setting) -> None:
    built = timing.midi_with_lyrics(melisma, 90)
    tick, lyrics, onsets = 0, [], set()
    for message in built.tracks[1]:
        tick += message.time
        if message.type == "lyrics":
            lyrics.append((message.text, tick))
        elif message.type == "note_on" and message.velocity:
            onsets.add(tick)
    assert "".join(text for text, _ in lyrics).replace("\r", "\n").strip() == WORDS
    assert {at for _, at in lyrics} <= onsets
    seconds = [at / built.ticks_per_beat * 60 / 90 for _, at in lyrics]
    assert seconds == pytest.approx([s.start for s in timed(melisma, 90)])


def test_lrc_and_enhanced_lrc(strophe: Setting) -> None:
    ours = timed(strophe, 120)
    lines = [
        m for m in map(re.compile(r"\[(\d+):(\d+\.\d\d)\](.*)").fullmatch, timing.lrc(strophe, 120).splitlines()) if m
    ]
    assert "\n".join(m[3] for m in lines) == WORDS
    assert float(lines[2][2]) == 8.0
    stamps = re.findall(r"<(\d+):(\d+\.\d\d)>([^<\n]+)", timing.enhanced_lrc(strophe, 120))
    assert [text.strip() for _, _, text in stamps] == [s.text for s in ours]
    assert [60 * int(m) + float(s) for m, s, _ in stamps] == pytest.approx([s.start for s in ours], abs=0.006)


def test_ultrastar_beats_give_the_times_back(melisma: Setting) -> None:
    text = timing.ultrastar(melisma, 100)
    tags = dict(re.findall(r"^#(\w+):(.*)$", text, re.MULTILINE))
    beat = 60 / float(tags["BPM"]) / 4
    notes = re.findall(r"^: (\d+) (\d+) (-?\d+) (.+)$", text, re.MULTILINE)
    starts = [int(start) * beat for start, _, _, name in notes if name != "~"]
    assert starts == pytest.approx([s.start for s in timed(melisma, 100)])
    assert [int(pitch) + 60 for _, _, pitch, _ in notes] == [m for s in timed(melisma, 100) for m, _, _ in s.notes]
    assert text.count("\n- ") == len(WORDS.splitlines()) - 1 and text.endswith("E\n")


def test_karaoke_page_is_whole_escaped_and_in_time(strophe: Setting) -> None:
    page = karaoke.page(strophe, 120, b"ID3sound", "mp3")
    assert "<h1>Moon &amp; Hill</h1>" in page
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", page.split("<script>")[0])
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])  # type: ignore[index]
    assert data["starts"] == pytest.approx([s.start for s in timed(strophe, 120)], abs=1e-4)
    assert page.count('<button type="button" data-n=') == 42 and page.count('<p class="line">') == 6


def test_karaoke_script_finds_the_syllable_of_any_time(strophe: Setting, tmp_path: Path) -> None:
    """The page's own code, run by node with a stand-in for the document, at every syllable's middle and in silence."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not here")
    stand_in = (
        "const d=JSON.parse(process.argv[1]);const el={textContent:process.argv[1],addEventListener(){},paused:true,"
        "currentTime:0};global.window={requestAnimationFrame(){}};global.document={getElementById:()=>el,"
        "querySelector:()=>el,querySelectorAll:()=>[]};eval(process.argv[2]);"
        "console.log(JSON.stringify([...d.starts.map((s,i)=>window.karaoke.at((s+d.ends[i])/2)),window.karaoke.at(1e6)]))"
    )
    page = karaoke.page(strophe, 96, b"", "mp3")
    data = re.search(r'id="data">(.*?)</script>', page)[1]  # type: ignore[index]
    done = subprocess.run([node, "-e", stand_in, data, karaoke._SCRIPT], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [*range(42), -1]


def test_request_has_both_voices_in_step(melisma: Setting) -> None:
    made = yue2.build(with_chords(melisma), 100)
    score = parse(made["score"])
    assert [voice.name for voice in score.voices] == ["Vocal", "Ins"]
    assert len({sum(e.ticks for e in v.events if hasattr(e, "ticks")) for v in score.voices}) == 1
    assert made["lyrics"].startswith("[verse]\nSilver moon") and "w: * Sil-" in made["score"]


def test_chords_cover_the_song_and_end_at_home(strophe: Setting) -> None:
    spans = chord_spans(with_chords(strophe).score)
    assert [onset for onset, _, _ in spans] == list(range(0, 12 * 40320, 40320))
    symbols = [event.text for event in with_chords(strophe).score.voices[0].events if isinstance(event, ChordSymbol)]
    assert symbols[-1] == "C" and len(set(symbols)) > 1
    own = with_chords(strophe, [["Am"], ["F", "G"]])
    assert [event.text for event in own.score.voices[0].events if isinstance(event, ChordSymbol)][:4] == [
        "Am", "F", "G", "Am",
    ]  # fmt: skip


def test_where_stress_is_not_known_no_share_of_it_is_given() -> None:
    words = parse_lyrics("Der Mond ist aufgegangen\ndie goldnen Sternlein prangen", language="de")
    found = setting_metrics.measures(set_words(parse(TWINKLE), words))
    assert found["stressed_on_strong_beats"] is None and found["unstressed_on_strong_beats"] is None


def test_align_takes_what_stands_at_the_head_of_the_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words.txt").write_text("Title: Mondlied\nLanguage: de\n\nDer Mond ist auf\nund du bist da\n")
    (tmp_path / "tune.abc").write_text(TWINKLE.replace("M:", "T:Twinkle\nM:", 1))
    call = ["lyrics", "align", str(tmp_path / "words.txt"), str(tmp_path / "tune.abc"), "-o", str(tmp_path / "out")]
    assert main("audio_bridge", VERBS, [*call, "--no-audio"]) == 0
    assert "– of the stresses on strong beats" in capsys.readouterr().out
    written = (tmp_path / "out" / "setting.abc").read_text(encoding="utf-8")
    assert "T:Mondlied\n" in written and "Title" not in written and "Der Mond ist auf *" in written
    for passes in ("0", "-3", "65"):
        assert main("audio_bridge", VERBS, [*call, "--no-audio", "--passes", passes]) == 2
        assert f"--passes {passes}: a tune is sung 1 to 64 times" in capsys.readouterr().err


def test_brackets_in_words_are_the_same_in_every_format(tmp_path: Path) -> None:
    whole = set_words(parse(TWINKLE), parse_lyrics("la [x] la [la\nat 1:02 [1:02] la", language="en", title="A [b]"))
    lines = [line.partition("]")[2] for line in timing.lrc(whole, 100).splitlines() if line.startswith("[0")]
    assert lines == ["la [x] la [la", "at 1:02 la"], "a time in brackets is of another file"
    enhanced = [line for line in timing.enhanced_lrc(whole, 100).splitlines() if line.startswith("[0")]
    assert [re.sub(r"<[^>]*>", "", line.partition("]")[2]) for line in enhanced] == lines
    assert "[x]" in timing.ultrastar(whole, 100) and "[x]" in sheet.abc(whole) and "[x]" in sheet.plain_words(whole)
    assert timing.lrc(whole, 100).startswith("[ti:A b]\n"), "a tag ends with its bracket"


def test_lines_of_music_end_with_lines_of_words_and_sections_are_named(strophe: Setting) -> None:
    text = sheet.abc(strophe, bars=1, parts=True)
    sung_lines = [line[3:] for line in text.splitlines() if line.startswith("w: ")]
    assert [line.replace("-", "").split()[0] for line in sung_lines] == [
        line.split()[0] for line in sheet.plain_words(strophe).splitlines()
    ]
    assert text.count("\nP:") == len(strophe.lyrics.sections)
    assert canonical(parse(text)) == canonical(parse(sheet.abc(strophe)))


def test_musicxml_has_tempo_part_name_and_instrument(strophe: Setting) -> None:
    music21 = pytest.importorskip("music21")
    score = music21.converter.parse(sheet.musicxml(strophe, 92, "flute", "Ana"), format="musicxml")
    marks = list(score.recurse().getElementsByClass(music21.tempo.MetronomeMark))
    assert [mark.number for mark in marks] == [92] and score.metadata.composer == "Ana"
    part = score.parts[0]
    assert part.partName == "Voice" and part.getInstrument().midiProgram == 73


def test_ultrastar_breaks_stand_between_the_notes(strophe: Setting) -> None:
    last_end, pending = 0, None
    for row in timing.ultrastar(strophe, 100).splitlines():
        if row.startswith("- "):
            pending = int(row[2:])
            assert pending >= last_end
        elif row.startswith(":"):
            start, length = map(int, row.split()[1:3])
            assert start >= last_end and (pending is None or pending < start), row
            last_end, pending = start + length, None


PLANNED = "X:1\nM:4/4\nL:1/8\nK:C\nzA2A2B cA-|AB3 G4|cc Bc2c2G|E6 z2|]\n"  # two lines of seven notes, one tied


def test_each_line_is_sung_on_the_notes_that_were_written_for_it() -> None:
    even = parse_lyrics("En el mar, en el suelo\nYo voy en el coraz\u00f3n", language="es")
    assert placements_of(set_lines(parse(PLANNED), even, [7, 7])) == [
        [0],
        [1],
        [2],
        [3],
        [4, 5],
        *([i] for i in range(6, 15)),
    ]
    shorter = set_lines(
        parse(PLANNED), parse_lyrics("En el mar, el suelo\nYo voy en el coraz\u00f3n", language="es"), [7, 7]
    )
    assert placements_of(shorter)[6:] == [[i] for i in range(8, 15)] and max(map(max, placements_of(shorter)[:6])) == 7
    other = set_lines(parse(PLANNED), even, [9, 9])  # not this tune's notes
    assert len(placements_of(other)) == 14


def test_sections_join_without_rests_in_pieces() -> None:
    """A pick-up that nobody sings: its rest ends the bar before it, at the song's beginning the last one."""
    words = parse_lyrics("[Verse]\nsail home now\n\n[Chorus]\nlight of mine\n", language="en")
    tune = parse("X:1\nM:4/4\nL:1/8\nK:C\nz|C2E2G2z|]")
    parts = [set_words(tune, replace(words, sections=(one,)), passes=1) for one in words.sections]
    whole = joined(parts, words)
    rests = [event.ticks for event in whole.score.voices[0].events if isinstance(event, Rest)]
    assert rests == [2 * UNIT_TICKS] * 2 and re.sub(r"\W", "", whole.text.splitlines()[-1]) == "C2E2G2z2" * 2
