"""Draw the picture of README.md: a tune by a ready-made model as sheet music, and its sound.

    python -m experiments.tune_picture            # -> docs/pictures/tune.{abc,svg,mp3}; needs Chromium to engrave

The tune is the first of its seed. abcjs engraves it in a headless browser, whose name --browser takes.
"""

import argparse
import html
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import result_file
from symbolic import command_line, files
from symbolic.errors import UserError
from symbolic.formats.page.score_page import ASSETS
from symbolic.notation import control_codes

FOLDER = result_file.ROOT / "docs" / "pictures"
ENGRAVER = ASSETS / "abcjs-basic-min.js"
WIDTH = 740  # CSS pixels
SECONDS = 60


def main() -> int:
    """Run as the command line says."""
    return command_line.guarded(lambda: run(parser().parse_args()))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--model", default="gpt2-6m")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--style", default="jig")
    made.add_argument("--prompt", default="K:D")
    made.add_argument("--instrument", default="violin")
    made.add_argument("--browser", default="chromium")
    made.add_argument("-o", "--output", type=Path, default=FOLDER)
    return made


def run(args: argparse.Namespace) -> int:
    """Write the tune, engrave it, play it."""
    import audio_bridge
    import symbolic

    asked = control_codes.ask(rhythm=args.style)
    drawn = symbolic.generate(args.model, 1, seed=args.seed, prompt=args.prompt, asked=asked, constrain=True).tunes[0]
    if drawn.score is None:
        raise UserError(f"the tune of seed {args.seed} does not parse: {drawn.fault}.")
    text = re.sub(r"(?m)^T:.*$", f"T:{drawn.title} ({args.model}, seed {args.seed})", symbolic.to_abc(drawn.score))
    files.write_whole(args.output / "tune.abc", text)
    files.write_whole(args.output / "tune.svg", engraved(text, args.browser))
    audio_bridge.render_file(args.output / "tune.abc", args.output / "tune.mp3", recipe=_recipe(args.instrument))
    print(f"wrote {args.output}/tune.abc, tune.svg, tune.mp3", file=sys.stderr)
    return 0


def _recipe(instrument: str):  # type: ignore[no-untyped-def]
    from audio_bridge.render.render import Recipe

    return Recipe(sample_rate=24_000, instrument=instrument, repeats=False)


def engraved(text: str, browser: str) -> str:
    """Sheet music of an ABC tune as a whole SVG file."""
    script = ENGRAVER.read_text(encoding="utf-8")
    page = f"""<!doctype html><meta charset="utf-8"><div id="sheet" style="width:{WIDTH}px"></div>
<pre id="abc" hidden>{html.escape(text)}</pre><script>{script}</script>
<script>ABCJS.renderAbc("sheet", document.getElementById("abc").textContent, {{staffwidth: {WIDTH - 40}, wrap: {{
minSpacing: 1.6, maxSpacing: 2.8, preferredMeasuresPerLine: 4}}}});</script>"""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sheet.html"
        path.write_text(page, encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile", "--dump-dom"]
        try:
            done = subprocess.run(
                [browser, *options, path.as_uri()], capture_output=True, text=True, timeout=SECONDS, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise UserError(f"{browser} cannot engrave: {error}. Name a Chromium with --browser.") from error
    found = re.search(r"<svg.*?</svg>", done.stdout, re.DOTALL)
    if not found:
        raise UserError(f"{browser} drew nothing.")
    return standalone(found[0])


def standalone(svg: str) -> str:
    """An SVG element of a page as a file: with its name space, on white, black where the page would inherit."""
    svg = svg.replace("currentColor", "#111").replace("&nbsp;", "&#160;")
    if "xmlns=" not in svg[:400]:
        svg = svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    svg = re.sub(r' xmlns:xlink="[^"]*"', "", svg)
    head, bracket, rest = svg.partition(">")
    return f'{head}{bracket}<rect width="100%" height="100%" fill="#fff"/>{rest}\n'


if __name__ == "__main__":
    sys.exit(main())
