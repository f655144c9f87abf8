"""Valence and arousal of a score or a text, from -1 to 1, over its bars or sentences.

    python -m symbolic affect tune.abc
    python -m symbolic affect story.txt --json
    python -m symbolic affect evaluate --data vgmidi:FOLDER emobank:FOLDER
    python -m symbolic affect train --data vgmidi:FOLDER -o my-weights

A score is ABC, MIDI or MusicXML; a text is English, plain or HTML (`-` reads standard input). Valence says how
pleasant, arousal how excited; intervals hold nine times in ten for music and texts like those that were rated, and the
output says when the input is unlike them. --json ends with one line of JSON: unit, at, valence, arousal, low, high,
domain.

`evaluate` measures the models on rated sets, `train` makes new ones; sets are NAME:FOLDER or NAME:SCALE:FOLDER with
emobank, sentences (a CSV of one's own), vgmidi, emopia, and for recordings `python -m audio_bridge affect`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    from symbolic.affect.plane import Arc

TEXT_SUFFIXES = (".txt", ".md", ".html", ".htm", ".text", "")
SOUND_SUFFIXES = (".wav", ".mp3", ".flac", ".ogg", ".m4a", ".aac", ".aif", ".aiff")
MOST_ROWS = 40  # of an arc that is printed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("source", metavar="FILE|train|evaluate", help="a score, a text, - or one of the words")
    parser.add_argument("--tune", type=int, metavar="N", help="the tune X:N of an .abc file, else the N-th")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    text = parser.add_argument_group("texts")
    text.add_argument("--reader", choices=("ngrams", "norms", "encoder"), default="ngrams", help="default: %(default)s")
    text.add_argument("--norms", type=Path, metavar="FILE", help="word norms (default: those of an installed package)")
    text.add_argument("--encoder", metavar="NAME", help="a sentence encoder for --reader encoder (default: MiniLM)")
    learning = parser.add_argument_group("train and evaluate")
    learning.add_argument("--data", nargs="+", default=[], metavar="NAME:PATH", help="rated sets")
    learning.add_argument("--model", type=Path, metavar="FOLDER", help="weights made by `train` (default: bundled)")
    learning.add_argument("-o", "--output", type=Path, metavar="OUT", help="folder of the weights")
    learning.add_argument("--with-norms", action="store_true", help="also train the reader that uses word norms")
    learning.add_argument("--with-encoder", action="store_true", help="also train on the sentence encoder")


def run(args: argparse.Namespace) -> int:
    """Judge a file, train, or evaluate."""
    if args.source == "train":
        return _train(args)
    if args.source == "evaluate":
        return _evaluate(args)
    if args.data:
        raise UsageError("--data belongs to `affect train` and `affect evaluate`.")
    found = arc_of(args)
    print("\n".join(_table(found)), file=sys.stderr if args.json else sys.stdout)
    if args.json:
        print(json.dumps(found.as_json(), ensure_ascii=False))
    return 0


def arc_of(args: argparse.Namespace) -> "Arc":
    """The arc of the file that the options name."""
    from symbolic.formats import documents

    path, suffix = Path(args.source), Path(args.source).suffix.lower()
    if suffix in SOUND_SUFFIXES:
        raise UsageError(f"{path} is a recording: use `python -m audio_bridge affect {path}`.")
    if suffix in documents.KINDS:
        from symbolic.affect.hearing import note_table, score_affect

        model = score_affect.load(args.model / "score-va.safetensors") if args.model else None
        return score_affect.score_arc(note_table.read(path, args.tune), model)
    if suffix not in TEXT_SUFFIXES:
        raise UsageError(
            f"{path}: name a score ({', '.join(documents.KINDS)}) or a text ({', '.join(TEXT_SUFFIXES[:4])})."
        )
    return _text_arc(args)


def read_text(source: str) -> str:
    """A text file, or standard input for `-`. UserError where it cannot be read or is empty, UsageError for music."""
    from symbolic import files
    from symbolic.affect.reading.sentences import MAX_BYTES
    from symbolic.formats import documents

    if Path(source).suffix.lower() in (*documents.KINDS, *SOUND_SUFFIXES):
        raise UsageError(f"{source} is music: name a text, or use `story` to write a story for a score.")
    try:
        if source == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(source, "rb") as file:
                data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read {source}: {error.strerror or error}.") from error
    if b"\0" in data[:4096] and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{source} is no text file: it holds zero bytes.")
    text = data.decode("utf-16", "replace") if data[:2] in (b"\xff\xfe", b"\xfe\xff") else files.decode(data)
    if not text.strip():
        raise UserError(f"{source} is empty.")
    return text


def _text_arc(args: argparse.Namespace) -> "Arc":
    from symbolic.affect.labels import word_ratings
    from symbolic.affect.reading import text_affect
    from symbolic.affect.reading.encoder import SentenceEncoder

    text = read_text(args.source)
    model = text_affect.load(args.model / "text-va.safetensors") if args.model else text_affect.bundled()
    norms, encoder = None, None
    if args.reader != "ngrams":
        text_affect.readable(text, model)  # what cannot be read is refused before an encoder is loaded
    if args.reader == "norms" or args.norms or (args.reader == "encoder" and word_ratings.installed()):
        norms = word_ratings.norms(args.norms)
    if args.reader == "encoder":
        encoder = SentenceEncoder(args.encoder)
    return text_affect.text_arc(text, model, args.reader, norms, encoder)


def _train(args: argparse.Namespace) -> int:
    from symbolic.affect.learning import affect_training

    if not args.data or args.output is None:
        raise UsageError("affect train takes --data NAME:PATH ... and -o FOLDER.")
    for path in affect_training.train(args.data, args.output, args.norms, args.with_encoder, args.with_norms):
        print(f"{path}  {path.stat().st_size:,} bytes")
        print(
            path.with_suffix(".md").read_text(encoding="utf-8").partition("## Measured")[2].partition("##")[0].strip()
        )
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    from symbolic.affect.learning import affect_cards, affect_training

    if not args.data:
        raise UsageError("affect evaluate takes --data NAME:PATH ...")
    rows = affect_training.evaluate(args.data, args.model)
    for index, row in enumerate(rows):
        table = affect_cards.markdown_table([row]).splitlines()
        is_new = index == 0 or list(row) != list(rows[index - 1])
        print("\n".join(table if is_new else table[2:]), file=sys.stderr if args.json else sys.stdout)
    if args.json:
        print(json.dumps({"rows": rows}))
    return 0


def _table(found: "Arc") -> list[str]:
    """The arc for people: level, remarks, at most MOST_ROWS points."""
    record: dict[str, Any] = found.record
    valence, arousal = found.mean
    lines = [
        f"valence {valence:+.2f}  arousal {arousal:+.2f}  (-1 to 1; {record['model']}, {len(found.at)} {found.unit})"
    ]
    lines += [f"  note: {remark}" for remark in record.get("remarks", [])]
    step = -(-len(found.at) // MOST_ROWS)
    texts = record.get("sentences") or [""] * len(found.at)
    for i in range(0, len(found.at), step):
        text = texts[i] if len(texts[i]) < 60 else texts[i][:57] + "..."
        lines.append(f"{found.at[i]:6g}  V {found.valence[i]:+.2f}  A {found.arousal[i]:+.2f}  {text}".rstrip())
    return lines
