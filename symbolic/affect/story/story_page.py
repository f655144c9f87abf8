"""A page on which music plays and the sentence of the story that belongs to it lights up; both arcs are drawn.

One HTML file that asks nothing of the network: a recording that is given is inside it, else the page plays the notes
itself with Web Audio. Its script is allowed by its SHA-256; every text is escaped; without JavaScript the story and
the arcs remain. `window.story.at(seconds)` gives the number of the sentence at a time, or -1.
"""

# ruff: noqa: E501  (the style sheet and the script keep their own lines)

import base64
import json
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from symbolic.affect.hearing.note_table import NoteTable
from symbolic.affect.story.story_choice import Story
from symbolic.evaluate.report.page import AUDIO_TYPES
from symbolic.formats.page.score_page import script_digest

WIDTH, HEIGHT, EDGE, LABEL = 720.0, 200.0, 6.0, 34.0  # of a chart, in SVG units; LABEL is kept free above and below
MOST_NOTES = 20_000
_STYLE = """
:root{color-scheme:light dark;--ink:#1d1d1f;--paper:#fbfaf7;--quiet:#5f5f66;--mark:#b3470a;--other:#14618f;--line:#e0dacd;--lit:#ffe9d6}
@media (prefers-color-scheme:dark){:root{--ink:#ececec;--paper:#17171a;--quiet:#a3a3aa;--mark:#ffb27a;--other:#7cc4f0;--line:#3a3a41;--lit:#4a2c14}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:46rem;padding:1rem;background:var(--paper);color:var(--ink);font:1.15rem/1.65 Georgia,serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .25rem}p.note{color:var(--quiet);font-size:.9rem;margin:.2rem 0}
.player{position:sticky;top:0;z-index:2;background:var(--paper);padding:.5rem 0;border-bottom:1px solid var(--line);display:flex;gap:.75rem;align-items:center}
.player audio{width:100%}.player button{font:600 1rem system-ui,sans-serif;padding:.45rem 1.1rem;border:1px solid var(--mark);border-radius:6px;background:none;color:var(--mark);cursor:pointer}
.player output{font:.95rem ui-monospace,monospace;color:var(--quiet)}
figure{margin:1rem 0}figcaption{font-size:.85rem;color:var(--quiet)}svg{width:100%;height:auto;display:block;border:1px solid var(--line);border-radius:6px}
svg .axis{stroke:var(--line)}svg .edge{stroke:var(--line);stroke-dasharray:3 4}svg .music{fill:none;stroke:var(--other);stroke-width:2}
svg .story{fill:none;stroke:var(--mark);stroke-width:3}svg .now{stroke:var(--ink);stroke-width:1.5}svg text{fill:var(--quiet);font:20px system-ui,sans-serif}
.key i{display:inline-block;width:1.4rem;height:.25rem;vertical-align:middle;margin:0 .35rem 0 .8rem}.key i:first-child{margin-left:0}
h2{font:600 .85rem/1 system-ui,sans-serif;letter-spacing:.06em;color:var(--quiet);margin:1.5rem 0 .35rem}
.sentence{font:inherit;text-align:left;border:0;background:none;color:inherit;padding:.05rem .15rem;margin:0;cursor:pointer;border-radius:4px;display:inline}
.sentence.now{background:var(--lit);box-shadow:0 2px 0 var(--mark)}.sentence.past{color:var(--quiet)}
.sentence:focus-visible,.player button:focus-visible{outline:2px solid var(--mark);outline-offset:2px}
footer{margin-top:2rem;border-top:1px solid var(--line);color:var(--quiet);font-size:.85rem}
"""
_SCRIPT = """
(function () {
  var data = JSON.parse(document.getElementById('data').textContent), shown = -2;
  var audio = document.querySelector('audio'), button = document.querySelector('.player button');
  var sentences = document.querySelectorAll('.sentence'), cursors = document.querySelectorAll('svg .now');
  var clock = document.querySelector('output'), context = null, begun = 0, offset = 0, next = 0, timer = 0;
  function seconds() {
    if (audio) { return audio.currentTime; }
    return context && timer ? Math.min(data.end, offset + context.currentTime - begun) : offset;
  }
  function at(time) {
    for (var i = data.starts.length - 2; i >= 0; i -= 1) {
      if (time >= data.starts[i] - 1e-6) { return time < data.starts[data.starts.length - 1] ? i : -1; }
    }
    return -1;
  }
  function show() {
    var time = seconds(), n = at(time), x = data.edge + (data.width - 2 * data.edge) * Math.min(1, time / data.end);
    cursors.forEach(function (line) { line.setAttribute('x1', x); line.setAttribute('x2', x); });
    if (clock) { clock.textContent = Math.floor(time / 60) + ':' + ('0' + Math.floor(time % 60)).slice(-2); }
    if (n === shown) { return; }
    shown = n;
    sentences.forEach(function (one, i) {
      one.classList.toggle('now', i === n);
      one.classList.toggle('past', n >= 0 && i < n);
      if (i === n) { one.setAttribute('aria-current', 'true'); } else { one.removeAttribute('aria-current'); }
    });
    if (n >= 0 && (timer || (audio && !audio.paused))) { sentences[n].scrollIntoView({ block: 'center', behavior: 'smooth' }); }
  }
  function follow() { show(); if (timer || (audio && !audio.paused)) { window.requestAnimationFrame(follow); } }
  function sound(note, when) {
    var tone = context.createOscillator(), gain = context.createGain(), length = Math.max(0.08, note[1]);
    tone.type = 'triangle';
    tone.frequency.value = 440 * Math.pow(2, (note[2] - 69) / 12);
    gain.gain.setValueAtTime(0.0001, when);
    gain.gain.exponentialRampToValueAtTime(0.09 * note[3] / 127 + 0.0002, when + 0.015);
    gain.gain.exponentialRampToValueAtTime(0.0001, when + length + 0.1);
    tone.connect(gain); gain.connect(context.destination);
    tone.start(when); tone.stop(when + length + 0.12);
  }
  function feed() {
    var now = seconds();
    while (next < data.notes.length && data.notes[next][0] < now + 0.6) {
      sound(data.notes[next], begun + data.notes[next][0] - offset); next += 1;
    }
    if (now >= data.end) { stop(); offset = 0; show(); }
  }
  function stop() {
    offset = seconds();
    window.clearInterval(timer); timer = 0;
    if (context) { context.close(); context = null; }
    button.textContent = 'Play';
  }
  function play(from) {
    if (timer) { stop(); }
    context = new (window.AudioContext || window.webkitAudioContext)();
    offset = from; begun = context.currentTime + 0.05;
    next = data.notes.findIndex(function (note) { return note[0] >= from - 0.01; });
    if (next < 0) { next = data.notes.length; }
    timer = window.setInterval(feed, 120); button.textContent = 'Pause';
    follow();
  }
  if (button) { button.addEventListener('click', function () { if (timer) { stop(); } else { play(offset); } }); }
  if (audio) { ['play', 'seeked', 'timeupdate', 'pause'].forEach(function (name) { audio.addEventListener(name, follow); }); }
  sentences.forEach(function (one, i) {
    one.addEventListener('click', function () {
      if (audio) { audio.currentTime = data.starts[i]; audio.play(); } else { play(data.starts[i]); }
    });
  });
  show();
  window.story = { at: at, starts: data.starts, seek: function (time) { if (audio) { audio.currentTime = time; } else { offset = time; } show(); } };
}());
"""


def page(story: Story, title: str, table: NoteTable | None = None, audio: bytes = b"", audio_type: str = "mp3") -> str:
    """The HTML of a story; `table` has the notes to play, `audio` a recording instead."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; script-src "
    policy += f"'sha256-{script_digest(_SCRIPT)}'; base-uri 'none'; form-action 'none'"
    notes = [] if audio or table is None else _notes(table)
    player = '<button type="button">Play</button><output>0:00</output>' if notes else ""
    if audio:
        sound = base64.b64encode(audio).decode("ascii")
        player = f'<audio controls preload="auto" src="data:{AUDIO_TYPES[audio_type]};base64,{sound}"></audio>'
    starts = story.starts()
    data = {"starts": starts, "end": starts[-1], "width": WIDTH, "edge": EDGE, "notes": notes}
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{escape(title)}</h1>\n"
        f'<p class="note">{escape(_note(story))}</p>\n'
        + (f'<div class="player">{player}</div>\n' if player else "")
        + _charts(story)
        + f"{_sections(story)}</main>\n<footer><p>{escape(_footer())}</p></footer>\n"
        f'<script type="application/json" id="data">{_json(data)}</script>\n<script>{_SCRIPT}</script>\n</body>\n</html>\n'
    )


def _notes(table: NoteTable) -> list[list[float]]:
    rows = zip(table.onset[:MOST_NOTES], table.duration, table.pitch, table.velocity)
    return [[round(float(o), 3), round(float(d), 3), int(p), int(v)] for o, d, p, v in rows]


def _note(story: Story) -> str:
    writers = sorted(set(story.writers))
    by = "joined by a grammar from this project's own phrases" if writers == ["grammar"] else f"by {', '.join(writers)}"
    return f"{len(story.sentences)} sentences, {by}; the music's shape: {story.plan.shape}."


def _footer() -> str:
    return (
        "Both lines are in the story's own spread: the music's is what was asked of the text, the story's what a reader "
        "measured that had no part in choosing the sentences. Values are predictions of models, not what anyone felt."
    )


def _charts(story: Story) -> str:
    arcs = story.section_arcs()
    end = story.starts()[-1]
    edges = [section.start for section in story.plan.sections] + [end]
    charts = [
        _chart(name, arcs["target"][:, column], arcs["measured"][:, column], edges)
        for column, name in enumerate(("Valence", "Arousal"))
    ]
    key = (
        '<p class="note key"><i style="background:var(--other)"></i>asked by the music'
        '<i style="background:var(--mark)"></i>measured in the story</p>'
    )
    return key + "".join(charts)


def _chart(name: str, asked: Any, measured: Any, edges: Sequence[float]) -> str:
    highest = max(0.05, float(np.abs(np.concatenate([asked, measured])).max())) * 1.15
    across = WIDTH - 2 * EDGE

    def steps(values: Any) -> str:
        points = []
        for value, start, end in zip(values, edges, edges[1:]):
            y = HEIGHT / 2 - value / highest * (HEIGHT / 2 - LABEL)
            points += [f"{EDGE + across * t / edges[-1]:.1f},{y:.1f}" for t in (start, end)]
        return " ".join(points)

    marks = "".join(
        f'<line class="edge" x1="{EDGE + across * t / edges[-1]:.1f}" x2="{EDGE + across * t / edges[-1]:.1f}" y1="0" y2="{HEIGHT:g}"/>'
        for t in edges[1:-1]
    )
    low = ("pleasant", "unpleasant") if name == "Valence" else ("excited", "calm")
    return (
        f'<figure><svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{name} of music and story over time">'
        f'<line class="axis" x1="0" x2="{WIDTH:g}" y1="{HEIGHT / 2:g}" y2="{HEIGHT / 2:g}"/>{marks}'
        f'<text x="{EDGE + 4:g}" y="24">{low[0]}</text><text x="{EDGE + 4:g}" y="{HEIGHT - 10:g}">{low[1]}</text>'
        f'<polyline class="music" points="{steps(asked)}"/><polyline class="story" points="{steps(measured)}"/>'
        f'<line class="now" x1="{EDGE:g}" x2="{EDGE:g}" y1="0" y2="{HEIGHT:g}"/></svg><figcaption>{name}</figcaption></figure>\n'
    )


def _sections(story: Story) -> str:
    out, number = "", 0
    for i, section in enumerate(story.plan.sections):
        out += f"<section><h2>{_clock(section.start)} {escape(section.word)}</h2><p>"
        for text in story.of_section(i):
            out += f'<button type="button" class="sentence" data-n="{number}">{escape(text)}</button> '
            number += 1
        out += "</p></section>\n"
    return out


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
