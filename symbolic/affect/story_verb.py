"""A story for music, whose mood follows the music's arc, and a page on which its sentences light up as it plays.

    python -m symbolic story tune.abc -o story.txt
    python -m symbolic story music.mid -o story.txt --audio music.mp3
    python -m symbolic story arc.json -o story.txt --audio song.mp3     # of `audio_bridge affect song.mp3 --json`
    python -m symbolic story tune.abc -o story.txt --model FOLDER      # a causal language model
    python -m symbolic story tune.abc -o story.txt --endpoint http://localhost:8000/v1 --model NAME

The music is cut into sections of one mood, each becomes a part of the plot, and of several candidates for each
sentence the one is taken whose mood is nearest. Another reader, which had no part in the choice, measures the result.
OUT.txt is the story, OUT.json the plan and the measures, OUT.html the page.
"""

import argparse
import json
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    from symbolic.affect.hearing.note_table import NoteTable
    from symbolic.affect.plane import Arc
    from symbolic.affect.story.story_choice import Story
    from symbolic.affect.story.story_writers import ChatWriter

MAX_AUDIO_BYTES = 64 * 2**20
MAX_ARC_BYTES = 16 * 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("music", type=Path, metavar="FILE", help="a score, or the JSON line of `affect --json`")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.txt", help="where to write")
    parser.add_argument("--tune", type=int, metavar="N", help="the tune X:N of an .abc file, else the N-th")
    parser.add_argument("--sections", type=int, default=9, metavar="N", help="at most, 1 to 9 (default 9)")
    parser.add_argument(
        "--audio", type=Path, metavar="FILE", help="a recording for the page (default: it plays the notes)"
    )
    parser.add_argument("--title", default="", help="default: that of the music")
    parser.add_argument("--seed", type=int, default=0, help="0 or more (default 0)")
    parser.add_argument("--json", action="store_true", help="end with the record in one line of JSON")
    writing = parser.add_argument_group("language models (default: a grammar of this project's own phrases)")
    writing.add_argument("--endpoint", metavar="URL", help="an OpenAI-compatible address; its key is in OPENAI_API_KEY")
    writing.add_argument(
        "--model",
        default="",
        metavar="NAME|FOLDER",
        help="a causal model; with --endpoint its name there",
    )
    writing.add_argument("-n", type=int, default=4, metavar="N", help="candidates for each sentence (default 4)")


def run(args: argparse.Namespace) -> int:
    """Hear, plan, write."""
    from symbolic import files
    from symbolic.affect.story import story_page

    _check(args)
    files.check_writable(args.output)
    sound, kind = _audio(args.audio)
    music, table = music_of(args.music, args.tune)
    story = written(music, args)
    title = args.title or (table.title if table is not None else "") or args.music.stem
    files.write_whole(args.output, story.text)
    files.write_json(args.output.with_suffix(".json"), record := {"title": title} | story.record())
    html = story_page.page(story, title, table, sound, kind)
    files.write_whole(args.output.with_suffix(".html"), html)
    print("\n".join(told(story, args.output)), file=sys.stderr if args.json else sys.stdout)
    if args.json:
        print(json.dumps(record, ensure_ascii=False))
    return 0


def music_of(path: Path, tune: int | None = None) -> tuple["Arc", "NoteTable | None"]:
    """The arc of a score or of a file with the JSON of an arc, and the notes of a score."""
    from symbolic.affect.hearing import note_table, score_affect

    if path.suffix.lower() == ".json":
        return arc_of_json(path), None
    table = note_table.read(path, tune)
    arc = score_affect.score_arc(table)
    return arc, table


def arc_of_json(path: Path) -> "Arc":
    """The arc that `affect --json` printed, from its file. UserError where it is none."""
    from symbolic.affect.plane import Arc

    try:
        data = path.read_bytes()[: MAX_ARC_BYTES + 1]
        lines = data.decode("utf-8").strip().splitlines() if len(data) <= MAX_ARC_BYTES else []
        value: Any = json.loads(lines[-1])
        at, valence, arousal = ([float(x) for x in value[name]] for name in ("at", "valence", "arousal"))
        seconds = [float(x) for x in value.get("seconds", at)]
        is_right = len(at) == len(valence) == len(arousal) == len(seconds) > 0 and seconds == sorted(seconds)
        is_right = is_right and all(-1 <= x <= 1 for x in [*valence, *arousal]) and all(map(math.isfinite, seconds))
        is_right = is_right and value["unit"] in ("seconds", "bars")
        if not is_right or (value["unit"] == "bars" and "seconds" not in value):
            raise ValueError
        domain = "score" if value["unit"] == "bars" else "sound"
        end = float(value["end"])
        record = {"seconds": seconds, "end_seconds": float(value.get("end_seconds", end))}
        return Arc(value["unit"], tuple(at), tuple(valence), tuple(arousal), end, domain=domain, record=record)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise UserError(
            f"{path} holds no arc of music; write it with `affect FILE --json > {path.name}` (a score or a recording)."
        ) from error


def written(music: "Arc", args: argparse.Namespace) -> "Story":
    """The story that the options ask for."""
    from symbolic.affect.story import story_choice, story_plan

    return story_choice.write_story(story_plan.plan_of(music, args.sections), args.seed, _writer(args))


def told(story: "Story", output: Path) -> list[str]:
    """The plan for people."""
    from symbolic.affect.arc_measures import arc_agreement

    arcs = story.section_arcs()
    lines = [f"{output}  {story.starts()[-1]:.1f} s, {len(story.sentences)} sentences, shape: {story.plan.shape}"]
    lines += [f"  note: {remark}" for remark in story.plan.remarks]
    if story.refused:
        lines.append(f"  note: {story.refused} answers of the language model were no sentence and were left out")
    for i, section in enumerate(story.plan.sections):
        points = "  ".join(
            f"V {arcs[name][i, 0]:+.2f} A {arcs[name][i, 1]:+.2f}" for name in ("target", "planned", "measured")
        )
        lines.append(f"  {section.start:6.1f} s  {points}  {section.part}, {section.word}")
    if len(story.plan.sections) > 2:
        r = arc_agreement(arcs["target"], arcs["measured"])["r"]
        lines.append(f"  r of the arcs asked and measured: {r:+.2f} over {len(story.plan.sections)} sections")
    return lines


def _writer(args: argparse.Namespace) -> "ChatWriter | None":
    from symbolic.affect.story.story_writers import MOST_TOKENS, ChatWriter

    if args.endpoint:
        from symbolic.judge.chat import Endpoint

        key = os.environ.get("OPENAI_API_KEY", "")
        model: Any = Endpoint(args.endpoint, args.model, key, max_tokens=MOST_TOKENS)
        return ChatWriter(model, args.model, args.n)
    if args.model:
        from symbolic.judge.chat import Local

        return ChatWriter(Local(args.model, max_tokens=MOST_TOKENS), Path(args.model).name, args.n)
    return None


def _audio(path: Path | None) -> tuple[bytes, str]:
    from symbolic.evaluate.report.page import AUDIO_TYPES

    if path is None:
        return b"", ""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in AUDIO_TYPES:
        raise UsageError(f"--audio {path}: a page plays {', '.join(AUDIO_TYPES)}.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}.") from error
    if len(data) > MAX_AUDIO_BYTES:
        raise UserError(f"{path} is larger than {MAX_AUDIO_BYTES // 2**20} MiB: convert it to mp3 for the page.")
    return data, kind


def _check(args: argparse.Namespace) -> None:
    if args.output.suffix.lower() != ".txt":
        raise UsageError(f"-o {args.output}: name a .txt file; the page and the record lie beside it.")
    if not 1 <= args.sections <= 9:
        raise UsageError(f"--sections {args.sections}: 1 to 9.")
    if args.seed < 0:
        raise UsageError(f"--seed {args.seed}: it must be 0 or more.")
    if not 1 <= args.n <= 32:
        raise UsageError(f"-n {args.n}: 1 to 32 candidates.")
    if args.endpoint and not args.model:
        raise UsageError("--endpoint needs --model NAME, the model's name there.")
