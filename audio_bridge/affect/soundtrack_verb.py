"""Music with sound for a story: what `python -m symbolic compose` writes, played.

    python -m audio_bridge soundtrack story.txt -o out.wav
    python -m audio_bridge soundtrack story.txt -o out.mp3 --stems --narrate
    python -m audio_bridge soundtrack story.txt -o out.wav --musicgen ocarina

By default the synthesiser plays; with --musicgen each section's exact melody and a description of it go to MusicGen.
OUT.json is the record with plan and descriptions, OUT.abc the score.
"""

import argparse
import json
import sys
from pathlib import Path

from symbolic.affect.compose_verb import add_music_arguments, check_music, composition, told
from symbolic.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("story", metavar="STORY.txt", help="an English text, or - for standard input")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.wav", help=".wav, .flac or .mp3")
    parser.add_argument("--musicgen", metavar="NAME", help="a MusicGen model (default: the synthesiser plays)")
    parser.add_argument("--instruments", default="piano,piano", metavar="A,B", help="of melody and accompaniment")
    parser.add_argument("--stems", action="store_true", help="also OUT-NAME for each stem")
    parser.add_argument("--narrate", action="store_true", help="the story is spoken over the music (espeak-ng)")
    parser.add_argument("--json", action="store_true", help="end with the record in one line of JSON")
    add_music_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Compose, play, write."""
    from audio_bridge.affect import soundtrack
    from audio_bridge.render.instruments import program
    from audio_bridge.sound import audio
    from symbolic import files
    from symbolic.affect.affect_verb import read_text

    check_music(args)
    audio.check_format(args.output, soundtrack.RATE)
    names = [name.strip() for name in args.instruments.split(",")]
    if len(names) != 2:
        raise UsageError(f"--instruments {args.instruments}: name two, of melody and accompaniment.")
    for name in names:
        program(name)
    files.check_writable(args.output)
    made = composition(read_text(args.story), args)
    found = soundtrack.soundtrack(made, args.musicgen, names, args.narrate, args.seed)
    audio.write_audio(found.mix, args.output)
    if args.stems:
        for name, stem in found.stems.items():
            audio.write_audio(stem, args.output.with_stem(f"{args.output.stem}-{name}"))
    files.write_whole(args.output.with_suffix(".abc"), made.text)
    files.write_json(args.output.with_suffix(".json"), found.record)
    lines = told(made, args.output) + [
        f"  {found.mix.seconds:.1f} s, {found.record['loudness_lufs']} LUFS, peak {found.record['peak_dbtp']} dBTP"
    ]
    print("\n".join(lines), file=sys.stderr if args.json else sys.stdout)
    if args.json:
        print(json.dumps(found.record, ensure_ascii=False))
    return 0
