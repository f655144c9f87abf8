"""One self-contained HTML page: loss curves, tables, and tunes to read, hear and trace.

The page needs no network and asks for none: a Content-Security-Policy forbids it, and only the page's own two scripts
may run, by their SHA-256. It is readable without JavaScript (curves, tables, players, ABC text); with it, a tune is
engraved by abcjs when it comes near the screen, so that a thousand tunes open fast, and played by the player of
`symbolic view` from the notes that the page carries (`sounds`), without a sound file. Whatever comes from a tune or a
model is escaped text. Sound is embedded as the caller gives it: prefer MP3, since a page carries its bytes whole.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from symbolic import files
from symbolic.errors import UserError
from symbolic.evaluate.report.charts import Curve, charts, family_class
from symbolic.evaluate.report.palette import FAMILIES, Ink, ink
from symbolic.evaluate.report.tables import Table, cell_text, is_number
from symbolic.formats.page.score_page import asset, asset_records, head, module_text, script
from symbolic.notation.performance import Sound
from symbolic.notation.theory import TICKS_PER_QUARTER

__all__ = ["Badge", "Curve", "Table", "TuneCard", "write_report"]

MOST_SOUNDS = 3000  # of one tune
AUDIO_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "ogg": "audio/ogg", "flac": "audio/flac"}


@dataclass(frozen=True)
class Badge:
    """A short verdict on a tune; `good` is None where it is neither good nor bad."""

    text: str
    good: bool | None = None


@dataclass(frozen=True)
class TuneCard:
    """One tune of the page. `audio_type` is mp3, wav, ogg, flac or a MIME type of sound.

    `notes` maps a label to text or a number; a `Badge` among them is shown above the music. `nearest` is the title and
    the ABC of the training tune that it shares most with; `model` and `family` say who wrote it. `sounds` and
    `nearest_sounds` are what the two play (`sounds_text`), '' for nothing; a tune with `audio` plays that.
    """

    title: str
    abc: str
    audio: bytes | None = None
    audio_type: str = "mp3"
    notes: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    family: str = ""
    nearest: tuple[str, str] | None = None
    sounds: str = ""
    nearest_sounds: str = ""


def write_report(
    path: Path | str,
    *,
    title: str,
    intro: str,
    curves: Sequence[Curve] = (),
    tables: Sequence[Table] = (),
    tunes: Sequence[TuneCard] = (),
    provenance: Mapping[str, Any] | None = None,
    conditions: Sequence[Table] = (),
    n_abreast: int = 1,
) -> None:
    """Write the page whole.

    intro: plain text, paragraphs apart by an empty line. conditions: tables that stand before the curves. n_abreast:
    tunes side by side.
    """
    text = page(title, intro, curves, tables, tunes, provenance or {}, conditions, n_abreast)
    files.write_whole(path, text)


def page(
    title: str,
    intro: str,
    curves: Sequence[Curve],
    tables: Sequence[Table],
    tunes: Sequence[TuneCard],
    provenance: Mapping[str, Any],
    conditions: Sequence[Table] = (),
    n_abreast: int = 1,
) -> str:
    """Return the HTML of the report."""
    sections = [
        ("conditions", "Conditions", "".join(map(table_html, conditions))),
        ("curves", "Learning curves", "".join(charts(curves))),
        ("measures", "Measures", "".join(map(table_html, tables))),
        ("tunes", f"Tunes ({len(tunes):,})", _tunes(tunes, n_abreast)),
        ("provenance", "How this was made", _provenance(provenance)),
    ]
    shown = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{anchor}">{escape(name)}</a>' for anchor, name, _ in shown)
    body = "".join(_section(*section) for section in shown)
    paragraphs = "".join(f"<p>{escape(text.strip())}</p>" for text in intro.split("\n\n") if text.strip())
    return (
        '<!DOCTYPE html>\n<html lang="en">\n'
        f"<head>\n{_head(title, bool(tunes), _families(curves, tunes))}</head>\n<body>\n"
        f'<header><h1>{escape(title)}</h1>{paragraphs}<nav aria-label="Sections">{links}</nav></header>\n'
        f"<main>{body}</main>\n<footer>{_footer(bool(tunes))}</footer>\n{_scripts() if tunes else ''}</body>\n</html>\n"
    )


def sounds_text(sounds: Sequence[Sound], qpm: float) -> str:
    """Return sounds by onset as the page's player reads them: `wait,length,pitch` each, in milliseconds after the one
    before and MIDI numbers, parted by blanks; at most MOST_SOUNDS."""
    milliseconds = 60_000 / qpm / TICKS_PER_QUARTER
    parts, before = [], 0
    for sound in sounds[:MOST_SOUNDS]:
        onset = round(sound.onset_ticks * milliseconds)
        parts.append(f"{onset - before},{round(sound.ticks * milliseconds)},{sound.midi}")
        before = onset
    return " ".join(parts)


def table_html(table: Table) -> str:
    """Return a table with its caption and note; the first column heads its row."""
    heads = "".join(
        f'<th scope="col"{_flush(table.rows[0][i]) if table.rows else ""}>{escape(name)}</th>'
        for i, name in enumerate(table.columns)
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(cell_text(row[0]))}</th>'
        + "".join(f"<td{_flush(cell)}>{escape(cell_text(cell))}</td>" for cell in row[1:])
        + "</tr>\n"
        for row in table.rows
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{escape(table.title)}"><table>'
        f"<caption>{escape(table.title)}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{note}"
    )


def _flush(cell: Any) -> str:
    return ' class="number"' if is_number(cell) else ""


def _section(anchor: str, name: str, body: str) -> str:
    heading = f'<h2 id="{anchor}-name">{escape(name)}</h2>'
    return f'<section id="{anchor}" aria-labelledby="{anchor}-name">{heading}{body}</section>\n'


def _head(title: str, with_scripts: bool, families: Iterable[str]) -> str:
    style = f"<style>\n{asset('report.css')}{_palette_css(families)}</style>\n"
    return head(title, _script_texts() if with_scripts else ()) + style


def _families(curves: Iterable[Curve], tunes: Iterable[TuneCard]) -> list[str]:
    named = [curve.family for curve in curves] + [tune.family for tune in tunes if tune.family]
    return list(dict.fromkeys([*FAMILIES, *named]))


def _palette_css(families: Iterable[str]) -> str:
    inks: dict[str, Ink] = {family_class(family): ink(family) for family in families}
    light = "".join(f".{name} {{ --family: {colours.light}; }}\n" for name, colours in inks.items())
    dark = "".join(f".{name} {{ --family: {colours.dark}; }}\n" for name, colours in inks.items())
    return f"{light}@media screen and (prefers-color-scheme: dark) {{\n{dark}}}\n"


def _tunes(tunes: Sequence[TuneCard], n_abreast: int) -> str:
    cards = [_tune(number, tune) for number, tune in enumerate(tunes, start=1)]
    if n_abreast == 1:
        return "".join(cards)
    groups = (cards[i : i + n_abreast] for i in range(0, len(cards), n_abreast))
    return "".join(f'<div class="abreast">{"".join(group)}</div>\n' for group in groups)


def _tune(number: int, tune: TuneCard) -> str:
    title = escape(tune.title or f"Tune {number}")
    model = f'<span class="model {family_class(tune.family)}">{escape(tune.model)}</span>' if tune.model else ""
    return (
        f'<article class="tune" id="tune-{number}" aria-labelledby="tune-{number}-title">'
        f'<header><h3 id="tune-{number}-title">{title}</h3>{model}</header>'
        f"{_badges(tune.notes)}{_sheet(title)}{_audio(tune, title) or _player(tune.sounds, title)}{_notes(tune.notes)}"
        f'<details class="abc" open><summary>ABC</summary><pre>{escape(tune.abc)}</pre></details>'
        f"{_nearest(tune.nearest, tune.nearest_sounds)}</article>\n"
    )


def _sheet(escaped_title: str) -> str:
    return f'<div class="sheet" role="img" aria-label="Sheet music of {escaped_title}"></div>'


def _badges(notes: Mapping[str, Any]) -> str:
    items = ""
    for label, badge in notes.items():
        if isinstance(badge, Badge):
            verdict, sign = {True: ("good", "✓ "), False: ("bad", "✗ "), None: ("plain", "")}[badge.good]
            items += f'<li class="{verdict}" title="{escape(label)}">{sign}{escape(badge.text)}</li>'
    return f'<ul class="badges" aria-label="Checks">{items}</ul>' if items else ""


def _notes(notes: Mapping[str, Any]) -> str:
    plain = {label: value for label, value in notes.items() if not isinstance(value, Badge) and value not in ("", None)}
    return _definitions(plain)


def _audio(tune: TuneCard, escaped_title: str) -> str:
    if tune.audio is None:
        return ""
    kind = AUDIO_TYPES.get(tune.audio_type.lstrip(".").lower(), tune.audio_type)
    if kind not in AUDIO_TYPES.values():
        raise UserError(f"audio_type {tune.audio_type!r} is not one of {', '.join(AUDIO_TYPES)}.")
    data = base64.b64encode(tune.audio).decode("ascii")
    label = f"Recording of {escaped_title}"
    return f'<audio controls preload="none" aria-label="{label}" src="data:{kind};base64,{data}"></audio>'


def _player(sounds: str, escaped_title: str) -> str:
    """Return a button that the page's script shows: without scripts it could do nothing."""
    if not sounds:
        return ""
    label = f"Play {escaped_title}"
    return (
        f'<button type="button" class="play" aria-label="{label}" data-sounds="{escape(sounds)}" hidden>▶ Play</button>'
    )


def _nearest(nearest: tuple[str, str] | None, sounds: str) -> str:
    if nearest is None:
        return ""
    title, abc = nearest
    return (
        f'<details class="nearest"><summary>Nearest training tune: {escape(title)}</summary>'
        f"{_sheet(escape(title))}{_player(sounds, escape(title))}<pre>{escape(abc)}</pre></details>"
    )


def _provenance(provenance: Mapping[str, Any]) -> str:
    return _definitions(provenance)


def _definitions(values: Mapping[str, Any]) -> str:
    items = "".join(f"<dt>{escape(str(label))}</dt><dd>{escape(_value(value))}</dd>" for label, value in values.items())
    return f"<dl>{items}</dl>" if items else ""


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return cell_text(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _footer(with_tunes: bool) -> str:
    engraver = next(asset for asset in asset_records() if asset["name"] == "abcjs")
    text = f"Sheet music engraved by abcjs {engraver['version']}, {engraver['licence']} licence." if with_tunes else ""
    return f"<p>{text} This page is complete in itself and asks nothing of the network.</p>"


def _scripts() -> str:
    engraver, own = _script_texts()
    return script(engraver) + script(own, "module")


@cache
def _script_texts() -> tuple[str, str]:
    """Return abcjs, its licence before it, and the page's own scripts as one."""
    licence = asset("abcjs-basic-min.js.LICENSE")
    return licence + asset("abcjs-basic-min.js"), "\n".join(map(module_text, ("note_player.js", "report.js")))
