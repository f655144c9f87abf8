"""A page, a sheet or a picture of any music file.

    python -m symbolic view tune.abc                       # tune.html: engraved, played, to be looped and transposed
    python -m symbolic view song.mid chorale.mxl -o both.html
    python -m symbolic view tune.abc -o tune.pdf           # .svg, .pdf, .png: needs the extra `engraving`

The page is complete in itself and asks nothing of the network: notes that follow the playback, tempo, a loop of bars,
transposition, voices on and off, downloads as ABC, MIDI, MusicXML, SVG and WAV, transposed as the page is (browsers
write no MP3: `audio_bridge render` does), a style for printing. Click a bar to loop it, click another with Shift to
loop up to it; the space bar starts and stops.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from symbolic import files
from symbolic.errors import UsageError, UserError
from symbolic.formats.convert import to_abc
from symbolic.formats.documents import kind_of, read_tunes, tell_losses
from symbolic.formats.page.score_page import ViewedTune, score_page

WRITTEN = (".html", ".svg", ".pdf", ".png")
MAX_TUNES = 200  # on one page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+", help="ABC, MIDI or MusicXML")
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, help=".html, .svg, .pdf or .png (default: FILE with .html)"
    )
    parser.add_argument("--tune", type=int, metavar="N", help="of each .abc file the tune X:N, else the N-th")
    parser.add_argument(
        "--quantize",
        choices=("auto", "on", "off"),
        default="auto",
        help="put the onsets of MIDI on a written grid: where it was played (auto, the default), always, or never",
    )


def run(args: argparse.Namespace) -> int:
    """Read, write the page or the sheets, say where they are."""
    target = args.output or args.files[0].with_suffix(".html")
    if target.suffix.lower() not in WRITTEN:
        raise UsageError(f"-o {target}: its name must end in one of {', '.join(WRITTEN)}.")
    for path in args.files:
        kind_of(path)
    tunes = [tune for path in args.files for tune in viewed_tunes(path, args.tune, args.quantize)]
    if not tunes:
        raise UserError(f"nothing of {', '.join(map(str, args.files))} can be shown.")
    if target.suffix.lower() == ".html":
        if len(tunes) > MAX_TUNES:
            print(f"note: the first {MAX_TUNES} of {len(tunes)} tunes are shown; --tune N shows one.", file=sys.stderr)
        title = args.files[0].stem if len(args.files) == 1 and len(tunes) > 1 else ""
        files.write_whole(target, score_page(tunes[:MAX_TUNES], title))
        written = [target]
    else:
        from symbolic.formats.page.engraved_files import write_sheets

        written = write_sheets([tune.score for tune in tunes], target)
    print(f"written to {', '.join(map(str, written))}")
    return 0


def viewed_tunes(path: Path, tune: int | None = None, quantize: str = "auto") -> Iterator[ViewedTune]:
    """The readable tunes of a file; what cannot be read or kept is told on stderr."""
    found = list(read_tunes(path, tune, quantize))
    tell_losses(path, found)
    for one in found:
        if one.score is None:
            continue
        name = f"{path.stem}-{one.number}" if len(found) > 1 else path.stem
        yield ViewedTune(one.score, to_abc(one.score, one.number), name, dict(one.losses))
