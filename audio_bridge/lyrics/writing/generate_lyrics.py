"""Write lyrics that keep a form.

    python -m audio_bridge lyrics generate --genre folk --title "River of Gold" --structure verse-chorus-verse
    python -m audio_bridge lyrics generate --model runs/lyrics-gpt2-small --syllables 8,6,8,6 --rhyme XAXA -n 4
    python -m audio_bridge lyrics generate --tune TUNE.abc --language pt

Without --model the lines are joined by a grammar from this project's own phrases. With it, a run of this project or any
causal checkpoint writes them. Sections, number of lines, syllables of each line and rhymes hold in both; what could not
hold is told. Of -n candidates the best is written first.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from audio_bridge.lyrics.lyric_text import language_code
from symbolic.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("--model", metavar="MODEL", help="a run, a folder or a hub name (default: the grammar)")
    parser.add_argument("--genre", default="pop", help="as of songs; with --model any name (default pop)")
    parser.add_argument("--language", default="en", type=language_code, metavar="CODE", help="en, pt or es")
    parser.add_argument("--title", default="", help="sung in the chorus where it fits")
    parser.add_argument("--artist", default="", help="a model is prompted with it; nobody is imitated by the grammar")
    parser.add_argument("--first-line", default="")
    form = parser.add_argument_group("form")
    form.add_argument("--structure", help="default verse-chorus-verse-chorus")
    form.add_argument("--lines", type=int, help="lines a section")
    form.add_argument("--syllables", help="a line: 8, or 8,6,8,6")
    form.add_argument("--rhyme", help="ABAB, AABB, XAXA; X is free")
    form.add_argument("--tune", type=Path, metavar="FILE", help="words for this ABC, MIDI, MusicXML: a line a phrase")
    form.add_argument(
        "--number", type=int, metavar="N", help="of its file the tune X:N, else the N-th (default: the first)"
    )
    drawing = parser.add_argument_group("how a model draws")
    drawing.add_argument("--temperature", type=float, default=1.0)
    drawing.add_argument("--top-k", type=int, default=50)
    drawing.add_argument("--top-p", type=float, default=0.95)
    parser.add_argument("-n", type=int, default=1, metavar="N", help="candidates (default 1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument("--json", action="store_true", help="end with the record as one line of JSON")


def run(args: argparse.Namespace) -> int:
    """Write, and tell what did not hold."""
    from audio_bridge.lyrics.genre_styles import find_style, nearest_style
    from audio_bridge.lyrics.inputs import text_of, tune_of, tune_text
    from audio_bridge.lyrics.writing import compose, neural, song_forms, writers
    from symbolic import files
    from symbolic.decode.engine.sampling import Sampling

    if not 1 <= args.n <= 64:
        raise UsageError(f"-n {args.n}: give 1 to 64 candidates.")
    Sampling(args.temperature, args.top_k, args.top_p)  # says what is out of range
    style = nearest_style(args.genre) if args.model else find_style(args.genre)
    options: dict[str, Any] = {"genre": style.name, "language": args.language, "rhyme": args.rhyme, "tempo": None}
    if args.tune is not None:
        tune = tune_of(tune_text(text_of(args.tune), args.number, args.tune), args.tune)
        asked = {name: getattr(args, name) for name in writers.FORM}
        form, fit = writers.tune_form(tune, options | asked)
    else:
        structure = args.structure or song_forms.DEFAULT_STRUCTURE
        form, fit = (
            song_forms.make(style, structure, lines=args.lines, syllables=args.syllables, rhyme=args.rhyme),
            None,
        )
    brief = compose.Brief(args.language, args.genre, args.title, args.artist, args.first_line, args.seed)
    if args.model:
        rules = neural.Rules(args.temperature, args.top_k, args.top_p)
        draft = neural.write(args.model, brief, form, fit=fit, rules=rules, candidates=args.n)
    else:
        draft = compose.write(brief, form, fit=fit, candidates=args.n)
    if args.output:
        files.write_whole(args.output, draft.lyrics.text)
    else:
        print(draft.lyrics.text, end="")
    for note in dict.fromkeys(draft.notes):
        print(f"note: {note}", file=sys.stderr)
    if args.json:
        record = {"writer": args.model or "grammar", "notes": draft.notes, "sources": draft.sources, "cost": draft.cost}
        print(json.dumps(record, ensure_ascii=False))
    return 0
