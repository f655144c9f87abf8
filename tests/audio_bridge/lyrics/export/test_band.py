"""The band: patterns become notes on their channels, chords are the symbols', every genre plays differently."""

import mido
import pytest

from audio_bridge.lyrics.export.accompaniment import with_chords
from audio_bridge.lyrics.export.band import arrangement, band_bars, voiced
from audio_bridge.lyrics.genre_styles import DRUMS, find_style, styles
from audio_bridge.lyrics.lyric_text import parse as parse_lyrics
from audio_bridge.lyrics.setting.word_setting import Setting, joined, set_words
from symbolic.formats.midi import to_bytes
from symbolic.notation.abc_parser import parse
from symbolic.notation.chord_symbols import parse_chord

WORDS = "[Verse 1]\nI walked along the shore\n[Chorus]\nOh the sea, oh the sea"
VERSE = 'M:4/4\nL:1/8\nK:C\nG2|"C"c2e2 "F"f2a2|"G7"g6|]'
CHORUS = 'M:4/4\nL:1/8\nK:C\nG2|"Am"c2e2 e2e2|"C"c6 z2|]'


@pytest.fixture
def song() -> Setting:
    lyrics = parse_lyrics(WORDS, language="en")
    from dataclasses import replace

    parts = [set_words(parse(text), replace(lyrics, sections=(section,)), passes=1)
             for text, section in zip((VERSE, CHORUS), lyrics.sections)]  # fmt: skip
    return joined(parts, lyrics)


def _notes(midi: mido.MidiFile, channel: int) -> list[tuple[int, int, int]]:
    found = []
    for track in midi.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity and message.channel == channel:
                found.append((tick, message.note, message.velocity))
    return found


def test_bars_know_their_chords_and_sections(song: Setting) -> None:
    bars = band_bars(song)
    quarter = song.score.meter.beat_ticks
    assert [bar.start // quarter for bar in bars] == [1, 5, 9, 13], "the pick-up is no bar"
    assert [[chord.text for _, chord in bar.chords] for bar in bars] == [["C", "F"], ["G7"], ["Am"], ["C"]]
    assert [bar.role for bar in bars] == ["verse", "verse", "chorus", "chorus"]


def test_pattern_chords_and_bass_are_those_of_the_symbols(song: Setting) -> None:
    midi = arrangement(song, 100, find_style("pop"))
    quarter = midi.ticks_per_beat
    bass = _notes(midi, 2)
    assert [(t // (quarter // 2) - 2, n % 12) for t, n, _ in bass if t < 5 * quarter] == [
        (0, 0), (1, 0), (2, 0), (3, 0), (4, 5), (5, 5), (6, 5), (7, 0),
    ]  # fmt: skip
    chords = _notes(midi, 1)
    assert {n % 12 for t, n, _ in chords if t == quarter} == {0, 4, 7}
    assert {n % 12 for t, n, _ in chords if t == 3 * quarter} == {5, 9, 0}, "struck again where the chord changes"
    last = max(t for t, _, _ in chords)
    assert last == 13 * quarter, "the last bar is held"


def test_drums_are_on_channel_ten_and_a_chorus_has_its_own(song: Setting) -> None:
    style = find_style("pop")
    drums = _notes(arrangement(song, 100, style), 9)
    quarter = song.score.meter.beat_ticks
    verse = {n for t, n, _ in drums if t < 9 * quarter}
    chorus = {n for t, n, _ in drums if t >= 9 * quarter}
    assert verse == {DRUMS[name] for name in style.drums["verse"]}
    assert DRUMS["tambourine"] in chorus - verse


def test_every_genre_plays_the_same_song_differently(song: Setting) -> None:
    whole = with_chords(song)
    made = {name: to_bytes(arrangement(whole, 100, style)) for name, style in styles().items()}
    assert len(set(made.values())) == len(styles())
    for name, style in styles().items():
        channels = {m.channel for track in arrangement(whole, 100, style).tracks for m in track if m.type == "note_on"}
        assert channels == {0, 1, 2, 9}, name


def test_without_melody_the_band_is_the_same(song: Setting) -> None:
    style = find_style("bossa")
    alone, whole = arrangement(song, 100, style, melody=False), arrangement(song, 100, style)
    assert not _notes(alone, 0) and _notes(whole, 0)
    assert all(_notes(alone, channel) == _notes(whole, channel) for channel in (1, 2, 9))


def test_voicings_are_close_and_near() -> None:
    before: tuple[int, ...] = ()
    for symbol in ("C", "F", "G7", "Am7", "Dm9", "Bbmaj7", "C"):
        chord = parse_chord(symbol)
        tones = voiced(chord, before)
        assert {t % 12 for t in tones} <= set(chord.classes) and max(tones) - min(tones) < 12
        assert not before or abs(sum(tones) / len(tones) - sum(before) / len(before)) < 5
        before = tones
