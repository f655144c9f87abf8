"""Set words to a tune and write every format.

    python -m audio_bridge lyrics align WORDS.txt TUNE.abc -o out
    python -m audio_bridge lyrics align WORDS.txt TUNE.abc --passes 2 --tempo 96 --language pt -o out

OUT gets setting.abc (with `w:` lines), .musicxml, .mid, .lrc, .enhanced.lrc, .ultrastar.txt, karaoke.html (the tune
rendered with a SoundFont), yue2.json and setting.json with the measures. The tune is sung as often as the words need.
"""

import argparse
import json
from pathlib import Path

from audio_bridge.lyrics.lyric_text import language_code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("words", type=Path, metavar="WORDS.txt")
    parser.add_argument("tune", type=Path, metavar="TUNE.abc", help="ABC, MIDI or MusicXML")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--title", default="")
    parser.add_argument("--artist", default="")
    parser.add_argument(
        "--language", type=language_code, metavar="CODE", help="en, pt, es or another (default: guessed)"
    )
    parser.add_argument(
        "--number", type=int, metavar="N", help="of the tune's file the tune X:N, else the N-th (default: the first)"
    )
    parser.add_argument("--passes", type=int, help="how often the tune is sung (default: as the words need)")
    parser.add_argument("--tempo", type=float, help="quarter notes a minute (default: the tune's)")
    parser.add_argument("--instrument", default="flute", help="of the rendered melody")
    parser.add_argument("--no-audio", action="store_true", help="no sound and no karaoke page")
    parser.add_argument("--json", action="store_true", help="end with the measures as one line of JSON")


def run(args: argparse.Namespace) -> int:
    """Align and write."""
    from audio_bridge.lyrics import lyric_text, scraper_residue
    from audio_bridge.lyrics.export import karaoke, sheet, timing, yue2
    from audio_bridge.lyrics.export.accompaniment import with_chords
    from audio_bridge.lyrics.inputs import left_out, singable, text_of, tune_of, tune_text
    from audio_bridge.lyrics.setting import setting_metrics
    from audio_bridge.lyrics.setting import word_setting as settings
    from audio_bridge.lyrics.writing import writers
    from symbolic import files
    from symbolic.formats import midi

    abc = tune_text(text_of(args.tune), args.number, args.tune)
    score = tune_of(abc, args.tune)
    fields, words = lyric_text.headed(text_of(args.words))
    lyrics = lyric_text.parse(
        words,
        language=args.language or fields["language"],
        title=args.title or fields["title"] or score.title,
        artist=args.artist or fields["artist"],
        genre=fields["genre"],
    )
    lyrics, notes = singable(lyrics)
    notes += scraper_residue.told(lyric_text.residue(words)) + writers.unruled(lyrics.language) + left_out(abc, score)
    whole = settings.set_words(score, lyrics, passes=args.passes)
    qpm = midi.score_qpm(score) if args.tempo is None else args.tempo
    midi.microseconds(qpm)
    folder: Path = args.output
    files.write_whole(folder / "setting.abc", sheet.abc(whole, fields={"Q": sheet.tempo_field(qpm, score.meter)}))
    files.write_whole(folder / "setting.musicxml", sheet.musicxml(whole, qpm))
    files.write_whole(folder / "setting.mid", midi.to_bytes(timing.midi_with_lyrics(whole, qpm)))
    files.write_whole(folder / "setting.lrc", timing.lrc(whole, qpm))
    files.write_whole(folder / "setting.enhanced.lrc", timing.enhanced_lrc(whole, qpm))
    files.write_whole(folder / "setting.ultrastar.txt", timing.ultrastar(whole, qpm, "setting.mp3"))
    files.write_json(folder / "yue2.json", yue2.build(with_chords(whole), qpm))
    if not args.no_audio:
        from audio_bridge.render.render import render
        from audio_bridge.sound.audio import encoded

        sound = encoded(render(whole.score, instrument=args.instrument, tempo_qpm=qpm), Path("setting.mp3"))
        files.write_whole(folder / "setting.mp3", sound)
        files.write_whole(folder / "karaoke.html", karaoke.page(whole, qpm, sound, "mp3", "instrumental"))
    measures = setting_metrics.measures(whole)
    files.write_json(
        folder / "setting.json", {"measures": measures, "qpm": qpm, "language": lyrics.language, "notes": notes}
    )
    share = measures["stressed_on_strong_beats"]
    print(f"{folder}: {measures['syllables']} syllables on {len(whole.labels)} notes, "
          f"{'–' if share is None else f'{share:.0%}'} of the stresses on strong beats")  # fmt: skip
    for note in notes:
        print(f"note: {note}")
    if args.json:
        print(json.dumps(measures))
    return 0
