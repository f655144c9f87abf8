"""Music for a story: its mood sentence by sentence, section by section, in ABC with tempo, key and dynamics.

    python -m symbolic compose story.txt -o music.abc --midi
    python -m symbolic compose story.txt --tunes mine.abc -o music.abc

The story is read (`affect`), cut into sections of one mood, and each section's mood becomes a target. For each the best
of n melodies of a model is dressed to come nearest the target: parallel mode, tempo, octave, dynamics, articulation,
density, accompaniment. OUT.plan.json says what was asked, chosen, predicted, and measured by a second scorer that
had no part in the choice; a target out of reach is said.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from symbolic.errors import UsageError

if TYPE_CHECKING:
    from symbolic.affect.composing.composer import Composition


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("story", metavar="STORY.txt", help="an English text, or - for standard input")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.abc", help="where to write")
    parser.add_argument("--midi", action="store_true", help="also OUT.mid, with dynamics")
    parser.add_argument("--json", action="store_true", help="end with the plan in one line of JSON")
    add_music_arguments(parser)


def add_music_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the music itself."""
    parser.add_argument("--model", default="mamba2-6m", help="that writes the melodies (default: %(default)s)")
    parser.add_argument("--tunes", type=Path, metavar="FILE.abc", help="take the melodies from these tunes instead")
    parser.add_argument("--bars", type=int, default=8, metavar="N", help="of each section, 2 to 32 (default 8)")
    parser.add_argument("--metre", default="4/4", metavar="M", help="default: %(default)s")
    parser.add_argument("--key", default="D", metavar="K", help="tonic of the major key (default: %(default)s)")
    parser.add_argument("-n", type=int, default=8, metavar="N", help="melodies to choose from (default 8)")
    parser.add_argument("--title", default="", help="default: the story's first words")
    parser.add_argument("--seed", type=int, default=0, help="0 or more (default 0)")


def run(args: argparse.Namespace) -> int:
    """Read, plan, write."""
    from symbolic import files
    from symbolic.affect.affect_verb import read_text

    if args.output.suffix.lower() != ".abc":
        raise UsageError(f"-o {args.output}: the music is written as ABC, name a .abc file; --midi adds OUT.mid.")
    check_music(args)
    files.check_writable(args.output)
    made = composition(read_text(args.story), args)
    files.write_whole(args.output, made.text)
    files.write_json(args.output.with_suffix(".plan.json"), made.record())
    if args.midi:
        files.write_whole(args.output.with_suffix(".mid"), made.midi)
    print("\n".join(told(made, args.output)), file=sys.stderr if args.json else sys.stdout)
    if args.json:
        print(json.dumps(made.record(), ensure_ascii=False))
    return 0


def check_music(args: argparse.Namespace) -> None:
    """UsageError for options of the music that make no sense."""
    from symbolic.errors import UserError
    from symbolic.notation.theory import parse_key, parse_meter

    if not 2 <= args.bars <= 32:
        raise UsageError(f"--bars {args.bars}: a section has 2 to 32 bars.")
    if not 1 <= args.n <= 64:
        raise UsageError(f"-n {args.n}: choose from 1 to 64 melodies.")
    if args.seed < 0:
        raise UsageError(f"--seed {args.seed}: it must be 0 or more.")
    try:
        key, meter = parse_key(args.key), parse_meter(args.metre)
    except UserError as error:
        raise UsageError(str(error)) from error
    if key.mode or meter.is_free:
        raise UsageError("--key takes a major key such as D, and --metre a metre with bars: the mood sets the mode.")


def composition(story: str, args: argparse.Namespace) -> "Composition":
    """The music that the options ask for."""
    from symbolic.affect.composing import composer, melody_pool

    tunes = melody_pool.read_texts(args.tunes) if args.tunes else []
    settings = {
        "bars": args.bars,
        "meter": args.metre,
        "key": args.key,
        "title": args.title,
        "n": args.n,
        "seed": args.seed,
    }
    return composer.compose(story, args.model, tunes=tunes, **settings)


def told(made: "Composition", output: Path) -> list[str]:
    """The plan for people."""
    from symbolic.affect.composing.composer import NEAR, distance

    lines = [f"{output}  {made.starts[-1]:.1f} s, {len(made.plans)} sections: asked, predicted, by the second scorer"]
    for section, plan, point in zip(made.sections, made.plans, made.measured):
        points = "  ".join(f"V {v:+.2f} A {a:+.2f}" for v, a in (plan.target, plan.predicted, point))
        chosen = plan.controls
        text = section.text if len(section.text) < 48 else section.text[:45] + "..."
        reach = "" if plan.record()["reached"] else "  out of reach"
        reach = reach or ("" if distance(point, plan.target) <= NEAR else "  not heard so by the second scorer")
        how = f"{chosen.mode}, {chosen.qpm} bpm, {chosen.dynamics}, {chosen.density}, {chosen.pattern}"
        lines.append(f"  {points}  {how}{reach}  {text}")
    return lines
