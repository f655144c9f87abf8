"""One self-contained HTML page of scores: engraved notes that follow the playback, no network, no corpus.

abcjs engraves in the browser; the notes are played by the browser's own oscillators from the times that `playback`
gives. A Content-Security-Policy lets only the page's own scripts run, by their SHA-256, and nothing be fetched. Without
scripts the page shows each tune as ABC. Whatever comes from a file is escaped text.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from symbolic.errors import UserError
from symbolic.formats.documents import told
from symbolic.formats.midi import to_midi
from symbolic.formats.musicxml.musicxml_writing import to_musicxml
from symbolic.formats.page.playback import playback, voice_name
from symbolic.notation.score import Score
from symbolic.notation.theory import NotationError

ASSETS = Path(__file__).parent / "assets"
MODULES = ("engrave.js", "note_player.js", "transposing.js", "score_page.js")  # each uses those before it


@dataclass(frozen=True)
class ViewedTune:
    """A score with its ABC for people, the name that its downloads get, and what was lost in reading it."""

    score: Score
    abc: str
    name: str
    losses: dict[str, int] = field(default_factory=dict)


def score_page(tunes: Sequence[ViewedTune], title: str = "") -> str:
    """The HTML page of the tunes."""
    title = title or tunes[0].score.title or tunes[0].name
    level = "h2" if len(tunes) > 1 else "h1"
    articles = "".join(_article(number, tune, level) for number, tune in enumerate(tunes, start=1))
    heading = f"<header><h1>{escape(title)}</h1></header>\n" if len(tunes) > 1 else ""
    scripts = (abcjs(), script("\n".join(map(module_text, MODULES)), "module"))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head(title, (script_text(s) for s in scripts))}'
        f"<style>\n{asset('report.css')}{asset('score_page.css')}</style>\n</head>\n<body>\n"
        f"{heading}<main>{articles}</main>\n<footer><p>Engraved by abcjs {_abcjs_record()['version']}, "
        f"{_abcjs_record()['licence']} licence. This page is complete in itself and asks nothing of the network.</p>"
        f"</footer>\n{''.join(scripts)}</body>\n</html>\n"
    )


def _article(number: int, tune: ViewedTune, level: str) -> str:
    """One tune: heading, sheet, player, downloads, what was lost, its ABC, its data."""
    score = tune.score
    title = escape(score.title or tune.name)
    composer = escape(", ".join(score.fields.get("C", [])))
    data = page_data(tune)
    losses = "".join(f"<li>{escape(told(count, what))}</li>" for what, count in tune.losses.items())
    return (
        f'<article class="tune" id="tune-{number}" aria-labelledby="tune-{number}-title">\n'
        f'<header><{level} id="tune-{number}-title">{title}</{level}></header>'
        + (f'<p class="composer">{composer}</p>' if composer else "")
        + f'<div class="sheet" role="img" aria-label="Sheet music of {title}"></div>\n'
        + _controls(score, data)
        + _downloads()
        + (f'<ul class="told" aria-label="What the file lost">{losses}</ul>' if losses else "")
        + f'<details class="abc" open><summary>ABC</summary><pre>{escape(tune.abc)}</pre></details>\n'
        + f'<script type="application/json" class="data">{json_text(data)}</script></article>\n'
    )


def page_data(tune: ViewedTune) -> dict[str, Any]:
    """What the page's script is given of a tune: playback, ABC, files to download."""
    try:
        midi = to_midi(tune.score)
        played = playback(tune.score)
    except (NotationError, UserError) as error:
        raise UserError(f"{tune.name}: {error}") from error
    return played | {
        "abc": tune.abc,
        "name": re.sub(r"[^\w.-]+", "-", tune.name).strip("-") or "tune",
        "files": {
            "abc": tune.abc,
            "mid": base64.b64encode(midi).decode("ascii"),
            "musicxml": to_musicxml(tune.score),
        },
    }


def _controls(score: Score, data: dict[str, Any]) -> str:
    """The player's bar, which the script shows: without scripts it could do nothing."""
    first, last = data["first"], data["first"] + max((place for _, place in data["bars"]), default=0)
    number = f'type="number" min="{first}" max="{last}"'
    voices = ""
    if len(score.voices) > 1:
        boxes = "".join(
            f'<label><input type="checkbox" value="{voice}" checked> {escape(voice_name(score, voice))}</label>'
            for voice in range(len(score.voices))
        )
        voices = f'<fieldset class="voices"><legend>Voices</legend>{boxes}</fieldset>'
    return (
        '<div class="bar with-script" hidden role="group" aria-label="Player">'
        '<button type="button" class="play" aria-pressed="false">▶ Play</button>'
        '<label>Tempo <input type="range" class="tempo" min="25" max="200" value="100" step="5"></label>'
        '<output class="tempo-value"></output>'
        '<label><input type="checkbox" class="loop"> Loop bars</label>'
        f'<label>from <input {number} class="from" value="{first}"></label>'
        f'<label>to <input {number} class="to" value="{last}"></label>'
        '<label>Transpose <input type="number" class="transpose" min="-24" max="24" value="0"> semitones</label>'
        f"{voices}</div>\n"
    )


def _downloads() -> str:
    kinds = {"abc": "ABC", "mid": "MIDI", "musicxml": "MusicXML", "svg": "SVG", "wav": "WAV"}
    buttons = "".join(f'<button type="button" data-file="{kind}">{name}</button>' for kind, name in kinds.items())
    return (
        '<div class="downloads with-script" hidden role="group" aria-label="Downloads">'
        f'Download {buttons}<output class="moved"></output></div>\n'
    )


# --- what every page is made of --------------------------------------------------------------------------------------


def head(title: str, scripts: Any) -> str:
    """The head up to the style: encoding, policy of the scripts' texts, title."""
    digests = " ".join(f"'sha256-{script_digest(text)}'" for text in scripts) or "'none'"
    policy = (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; img-src data:; media-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n"
    )


def script(text: str, kind: str = "") -> str:
    """A script element. The text must not end it."""
    assert not any(sign in text.lower() for sign in ("</script", "<!--"))
    return f"<script{f' type={chr(34)}{kind}{chr(34)}' if kind else ''}>{text}</script>\n"


def script_text(element: str) -> str:
    """What stands in a script element."""
    return element[element.index(">") + 1 : element.rindex("</script>")]


def script_digest(text: str) -> str:
    """SHA-256 in base64, as a Content-Security-Policy names a script."""
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def json_text(data: Any) -> str:
    """JSON that stands in a script element: no sign of it can end the element."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def abcjs() -> str:
    """The engraver with its licence before it, as a script element."""
    return script(asset("abcjs-basic-min.js.LICENSE") + asset("abcjs-basic-min.js"))


@cache
def module_text(name: str) -> str:
    """A script of ours to be put behind those that it imports: without its imports and exports."""
    return re.sub(r"^export (?=class|function|const)|^import .*\n", "", asset(name), flags=re.MULTILINE)


@cache
def asset(name: str) -> str:
    """The text of a file in `assets`."""
    return (ASSETS / name).read_text(encoding="utf-8")


def asset_records() -> list[dict[str, Any]]:
    """What the pages carry that others wrote: name, version, licence, source, SHA-256 of each file."""
    records: list[dict[str, Any]] = json.loads(asset("assets.json"))
    return records


def _abcjs_record() -> dict[str, Any]:
    return next(record for record in asset_records() if record["name"] == "abcjs")
