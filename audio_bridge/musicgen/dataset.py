"""Make a folder of recordings into clips for `finetune`: checked, cut, labelled, split by recording.

    python -m audio_bridge dataset RECORDINGS -o data/concertina
    python -m audio_bridge dataset RECORDINGS -o data/concertina --labels labels.csv --text "concertina and accordion"

Every audio file below the folder (wav, flac, mp3, ogg, opus, aiff; m4a with PyAV or ffmpeg) is decoded in a guarded
process, mixed to mono at 32 kHz, and cut at silences or between notes. Files that are broken, silent, too short, of a
low sample rate, clipped or duplicates are left out, each with its reason; of duplicates the best is kept. Nothing else
is left out: every file has a row in the report, but for hidden ones and those in hidden folders (.NAME), which are
not read.

The folder: train/ and valid/ (and test/) with NAME-001.wav and NAME-001.txt, dataset.json (every file, segment and
reason), report.md, chroma.svg (what pitch classes the recordings have).
"""

import argparse
import csv
import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_bridge.sound.audio import MUSICGEN_RATE
from symbolic import files
from symbolic.errors import UsageError, UserError
from symbolic.progress import Console

SPLITS = ("train", "valid", "test")
LOSSLESS = (".wav", ".flac", ".aif", ".aiff")
FULL_RATE = 44_100  # hertz; a higher rate is no better
MIN_FOR_TWO = 4  # recordings, from which two are held out
MOST_SECONDS = 30.0  # what MusicGen hears at once
SAMPLE_RATE = MUSICGEN_RATE
SHORTER_SECONDS = 0.5  # than its header claims: more than an encoder's padding, and a file was cut off


@dataclass
class RecordingRow:
    """One file of the folder: what was decided and why; its segments as (name, seconds, what ended it)."""

    file: str
    status: str = "kept"
    reason: str = ""
    seconds: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    lufs: float | None = None
    text: str = ""
    split: str = ""
    remarks: list[str] = field(default_factory=list)
    segments: list[dict[str, Any]] = field(default_factory=list)
    pitch_classes: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class _Kept:
    """A recording that passed, in memory until it is written."""

    row: RecordingRow
    samples: NDArray[np.float32]
    bits: NDArray[np.int8]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="recordings, in subfolders too (hidden: not)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--shortest", type=float, default=10.0, metavar="S", help="seconds of a segment (default: 10)")
    parser.add_argument("--longest", type=float, default=MOST_SECONDS, metavar="S", help="default: 30")
    labels = "`names` (default): words of the file name; `tags`; or a CSV with the columns file,text"
    parser.add_argument("--labels", default="names", metavar="HOW", help=labels)
    parser.add_argument("--text", default="", help="words that every label begins with")
    parser.add_argument("--valid", type=float, default=0.1, metavar="P", help="share of recordings (default: 0.1)")
    parser.add_argument("--test", type=float, default=0.0, metavar="P", help="share of recordings (default: 0)")
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    parser.add_argument("--json", action="store_true", help="end with the counts as one line of JSON")


def run(args: argparse.Namespace) -> int:
    """Read, check, cut, split, write, report."""
    from audio_bridge.sound import recordings

    paths = _checked(args)
    texts = _labels(args.labels, args.folder)
    rows: list[RecordingRow] = []
    usable: list[_Kept] = []
    console = Console()
    for number, path in enumerate(paths, start=1):
        row = RecordingRow(str(path.relative_to(args.folder)))
        rows.append(row)
        try:
            recording = recordings.read(path)
        except UserError as error:
            row.status, row.reason = "left out", f"cannot be decoded: {str(error).removeprefix(f'decoding {path} ')}"
            continue
        one = _judged(row, recording, args)
        if one is not None:
            row.text = _text(row, recording.tags, texts, args)
            usable.append(one)
        console.working(f"reading {number} of {len(paths)}")
    console.close()
    if not usable:
        raise UserError(f"none of the {len(paths)} files can be used: {_reasons(rows)}.")
    kept = _without_twins(usable)
    _split(kept, args)
    with files.whole_folder(args.output) as folder:
        _write(kept, folder, args)
        _report(rows, folder, args)
    print(_summary(rows, args))
    if args.json:
        print(json.dumps(_counts(rows)))
    return 0


def _checked(args: argparse.Namespace) -> list[Path]:
    from audio_bridge.sound import recordings

    if not args.folder.is_dir():
        raise UserError(f"{args.folder} is no folder: name the folder that holds the recordings.")
    if args.output.exists() and (not args.output.is_dir() or any(args.output.iterdir())):
        raise UsageError(f"{args.output} exists: choose a new folder with -o.")
    files.check_writable(args.output)
    if not 1.0 <= args.shortest < args.longest <= MOST_SECONDS:
        raise UsageError(
            f"--shortest {args.shortest:g} --longest {args.longest:g}: give 1 <= shortest < longest <= 30."
        )
    if not (0 <= args.valid < 1 and 0 <= args.test < 1 and args.valid + args.test < 1):
        raise UsageError("--valid and --test are shares of the recordings, together below 1.")
    paths = recordings.find(args.folder)
    if not paths:
        raise UserError(f"{args.folder} has no audio files ({', '.join(recordings.SUFFIXES)}).")
    return paths


def _judged(row: RecordingRow, recording: Any, args: argparse.Namespace) -> _Kept | None:
    """Fill in what was measured; None where the recording is left out."""
    from audio_bridge.sound import analysis, fingerprints, loudness, recordings, segmentation

    audio = recording.audio
    row.seconds, row.sample_rate, row.channels = round(audio.seconds, 2), audio.sample_rate, audio.samples.shape[0]
    mono = recordings.mono(audio)
    samples = mono.samples[0]
    not_finite = int(np.sum(~np.isfinite(audio.samples)))
    clipped = max(segmentation.clipped_share(channel) for channel in audio.samples)
    row.reason = segmentation.fault(samples, audio.sample_rate, args.shortest, clipped)
    if row.reason:
        row.status = "left out"
        return None
    row.lufs = round(loudness.integrated_lufs(mono), 1)
    row.remarks = segmentation.remarks(clipped, row.lufs, not_finite)
    if recording.claimed_seconds - audio.seconds > SHORTER_SECONDS:
        row.remarks.append(f"cut off: holds {audio.seconds:.1f} s of the {recording.claimed_seconds:.1f} s it claims")
    weights = analysis.pitch_class_weights(samples)
    row.pitch_classes = [round(float(w), 4) for w in weights / weights.sum()]
    return _Kept(row, samples, fingerprints.fingerprint(samples))


def _without_twins(usable: list[_Kept]) -> list[_Kept]:
    """Of recordings that are the same the longest; of those that last alike (within a tenth) the better: the one with
    the fewest remarks, then the one at the higher rate, then the one that was stored without loss."""
    from audio_bridge.sound import fingerprints

    kept: list[_Kept] = []
    for one in sorted(usable, key=_goodness, reverse=True):
        middle = _middle(one.bits)
        twin = next((o for o in kept if fingerprints.agreement(middle, o.bits) >= fingerprints.SAME), None)
        if twin is None:
            kept.append(one)
        else:
            one.row.status, one.row.reason = "left out", f"duplicate of {twin.row.file}"
    return [one for one in usable if one.row.status == "kept"]


def _goodness(one: _Kept) -> tuple[int, int, int, bool, float]:
    row = one.row
    lasting = round(math.log(max(row.seconds, 0.1)) / math.log(1.1))
    lossless = Path(row.file).suffix.lower() in LOSSLESS
    return lasting, -len(row.remarks), min(row.sample_rate, FULL_RATE), lossless, row.seconds


def _middle(bits: NDArray[np.int8]) -> NDArray[np.int8]:
    """Ten seconds around the middle: enough to know a recording again."""
    half = 78
    centre = len(bits) // 2
    return bits[max(0, centre - half) : centre + half]


def _labels(how: str, folder: Path) -> dict[str, str] | None:
    """The texts of a CSV by file; None where labels come from names or tags."""
    if how in ("names", "tags"):
        return None
    try:
        with files.open_text(how) as file:
            header = file.readline()
            file.seek(0)
            rows = csv.DictReader(file, delimiter=files.delimiter(header))
            texts = dict(_label(row, f"{how}, line {rows.line_num}", folder) for row in rows)
    except (OSError, csv.Error) as error:
        raise UserError(f"cannot read the labels {how}: {error}. Give names, tags or a CSV file.") from error
    if not texts:
        raise UserError(f"{how} needs a first line `file,text` and a line for each recording.")
    return texts


def _label(row: dict[Any, Any], where: str, folder: Path) -> tuple[str, str]:
    """File and text of one line of the labels, the file as the report names it."""
    if not {"file", "text"} <= set(row):
        raise UserError(f"{where}: the first line must name the columns `file` and `text`.")
    if None in row or None in row.values():
        raise UserError(f"{where}: there are more or fewer columns than in the first line. Quote texts with commas.")
    name = Path(row["file"].strip())
    if name.is_absolute() or ".." in name.parts or not (folder / name).is_file():
        raise UserError(f"{where}: {row['file'].strip() or '(empty)'} is not in {folder}; give paths relative to it.")
    return str(name), row["text"].strip()


def _text(row: RecordingRow, tags: dict[str, str], texts: dict[str, str] | None, args: argparse.Namespace) -> str:
    if texts is not None:
        own = texts.get(row.file, "")
        if not own:
            row.remarks.append(f"no text in {args.labels}")
    elif args.labels == "tags":
        own = ", ".join(tags[name] for name in ("genre", "title", "artist") if name in tags)
        if not own:
            row.remarks.append("no tags")
    else:
        own = " ".join(re.sub(r"[\W_]+", " ", Path(row.file).stem).split())
    return ", ".join(part for part in (args.text, own) if part)


def _split(kept: list[_Kept], args: argparse.Namespace) -> None:
    """Whole recordings go to one split; where there are two or more, at least one is held out."""
    order = np.random.default_rng(args.seed).permutation(len(kept))
    least = 2 if len(kept) >= MIN_FOR_TWO else 1  # two, so that melodies can be exchanged between held-out clips
    n_valid = max(least, round(args.valid * len(kept))) if args.valid and len(kept) > 1 else 0
    n_test = round(args.test * len(kept))
    for place, index in enumerate(order):
        split = "valid" if place < n_valid else "test" if place < n_valid + n_test else "train"
        kept[index].row.split = split


def _write(kept: list[_Kept], folder: Path, args: argparse.Namespace) -> None:
    from audio_bridge.sound import segmentation
    from audio_bridge.sound.audio import Audio, write_audio

    names: Counter[str] = Counter()
    for one in kept:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(one.row.file).stem).strip("-.") or "recording"
        names[stem] += 1
        stem += f"-{names[stem]}" if names[stem] > 1 else ""
        for number, segment in enumerate(segmentation.segments(one.samples, args.shortest, args.longest), start=1):
            reason = segmentation.fault(one.samples[segment.start : segment.end], SAMPLE_RATE, args.shortest)
            name = f"{stem}-{number:03d}"
            entry = {"name": name, "start": round(segment.start / SAMPLE_RATE, 3), "seconds": round(segment.seconds, 3)}
            one.row.segments.append({**entry, "ended_by": segment.ended_by, "left_out": reason})
            if reason:
                continue
            part = Audio(one.samples[None, segment.start : segment.end], SAMPLE_RATE)
            write_audio(part, folder / one.row.split / f"{name}.wav")
            files.write_whole(folder / one.row.split / f"{name}.txt", one.row.text + "\n")


def _counts(rows: list[RecordingRow]) -> dict[str, Any]:
    used = [s for row in rows for s in row.segments if not s["left_out"]]
    return {
        "files": len(rows),
        "kept": sum(row.status == "kept" for row in rows),
        "left_out": sum(row.status != "kept" for row in rows),
        "segments": len(used),
        "segments_left_out": sum(bool(s["left_out"]) for row in rows for s in row.segments),
        "seconds": round(sum(s["seconds"] for s in used), 1),
        "splits": {name: sum(row.split == name for row in rows) for name in SPLITS},
    }


def _reasons(rows: list[RecordingRow]) -> str:
    found = Counter(row.reason.split(":")[0].split(" of ")[0] for row in rows if row.reason)
    return ", ".join(f"{count} {reason}" for reason, count in found.most_common())


def _summary(rows: list[RecordingRow], args: argparse.Namespace) -> str:
    counts = _counts(rows)
    lines = [
        f"{args.output}: {counts['segments']} segments, {counts['seconds'] / 60:.1f} min, from {counts['kept']} of "
        f"{counts['files']} files; recordings: " + ", ".join(f"{n} {name}" for name, n in counts["splits"].items() if n)
    ]
    lines += [f"  left out: {row.file}: {row.reason}" for row in rows if row.reason]
    lines += [
        f"  left out: {s['name']} (from {s['start']:.1f} s): {s['left_out']}"
        for row in rows
        for s in row.segments
        if s["left_out"]
    ]
    return "\n".join(lines)


def _report(rows: list[RecordingRow], folder: Path, args: argparse.Namespace) -> None:
    from dataclasses import asdict

    from symbolic.evaluate.report.tables import Table, markdown

    files.write_json(folder / "dataset.json", {"counts": _counts(rows), "files": [asdict(row) for row in rows]})
    columns = ("file", "status", "seconds", "rate", "channels", "LUFS", "segments", "split", "text", "remarks")
    body = [
        [row.file, row.status, row.seconds, row.sample_rate or None, row.channels or None, row.lufs,
         sum(not s["left_out"] for s in row.segments), row.split, row.text,
         "; ".join(filter(None, [row.reason, *row.remarks]))]
        for row in rows
    ]  # fmt: skip
    files.write_whole(folder / "report.md", markdown(Table(f"Recordings of {args.folder}", columns, body)))
    _plot([row for row in rows if row.status == "kept"], folder / "chroma.svg")


def _plot(rows: list[RecordingRow], path: Path) -> None:
    """Share of each pitch class in each recording."""
    import io
    import warnings

    import matplotlib
    from matplotlib.figure import Figure

    names = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
    shown = rows[:60]
    figure = Figure(figsize=(6.8, 1.2 + 0.22 * len(shown)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow([row.pitch_classes for row in shown], aspect="auto", cmap="cividis", vmin=0)
    axes.set_xticks(range(12), names)
    axes.set_yticks(range(len(shown)), [row.file[:40] for row in shown], fontsize=7)
    figure.colorbar(image, label="share of chroma energy")
    more = f" (the first {len(shown)} of {len(rows)})" if len(rows) > len(shown) else ""
    axes.set_title(f"Pitch classes of each recording{more}", fontsize=9)
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}), warnings.catch_warnings():
        # Names are written as text, for which the reader's fonts serve; only the room for them is a guess.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    files.write_whole(path, buffer.getvalue())
