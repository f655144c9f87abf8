"""A karaoke page: one HTML file with score, words and sound, the syllable being sung highlighted.

The page asks nothing of the network (its Content-Security-Policy forbids it) and runs three scripts by their SHA-256:
abcjs, its data and its own code. Without JavaScript the words and the player remain. Every text is escaped. For tests
and for other programs `window.karaoke.at(seconds)` gives the number of the syllable at a time, or -1.
"""

# ruff: noqa: E501  (the style sheet and the script keep their own lines)

import base64
import json
from html import escape

from audio_bridge.lyrics.export import sheet
from audio_bridge.lyrics.setting.word_setting import Setting, Timed, timed
from symbolic.evaluate.report.page import AUDIO_TYPES
from symbolic.formats.page.score_page import ASSETS, script_digest

_STYLE = """
:root{color-scheme:light dark;--ink:#1d1d1f;--paper:#fbfaf7;--quiet:#6b6b70;--mark:#b3470a;--line:#e5e0d6}
@media (prefers-color-scheme:dark){:root{--ink:#ececec;--paper:#17171a;--quiet:#9a9aa0;--mark:#ffb27a;--line:#33333a}}
body{margin:0 auto;max-width:56rem;padding:1.5rem;background:var(--paper);color:var(--ink);font:1.15rem/1.6 Georgia,serif}
h1{font-size:1.8rem;margin:0}p.by{margin:0 0 1rem;color:var(--quiet)}audio{width:100%;position:sticky;top:.5rem;z-index:2}
h2{font:600 .85rem/1 system-ui,sans-serif;letter-spacing:.08em;text-transform:uppercase;color:var(--quiet);margin:1.6rem 0 .4rem}
p.line{margin:0;font-size:1.5rem}p.line.now{border-left:4px solid var(--mark);padding-left:.6rem;margin-left:-.85rem}
button{font:inherit;border:0;background:none;color:inherit;padding:0;cursor:pointer}button.sung{color:var(--quiet)}
button.now{color:var(--mark);text-decoration:underline;text-decoration-thickness:3px;text-underline-offset:4px}
#sheet{background:#fff;color:#1d1d1f;border:1px solid var(--line);border-radius:6px;margin:1.5rem 0;overflow:hidden}
#sheet .now{fill:#b3470a}pre{white-space:pre-wrap;font-size:.85rem;border-top:1px solid var(--line);padding-top:1rem}
footer{color:var(--quiet);font-size:.85rem}
"""
_SCRIPT = """
(function () {
  var data = JSON.parse(document.getElementById('data').textContent);
  var audio = document.querySelector('audio'), shown = '';
  var buttons = document.querySelectorAll('button[data-n]'), notes = [];
  function begun(seconds) {
    var low = 0, high = data.starts.length - 1, found = -1;
    while (low <= high) {
      var middle = (low + high) >> 1;
      if (data.starts[middle] <= seconds + 1e-6) { found = middle; low = middle + 1; } else { high = middle - 1; }
    }
    return found;
  }
  function spaced(abc) {  // abcjs keeps no space between words: each gets one of its own, which abcjs takes for a letter
    return abc.replace(/^w:.*$/gm, function (line) {
      return 'w:' + line.slice(2).replace(/([^\\s_*-])(?=\\s|$)/g, '$1\\u00a0~');
    });
  }
  function at(seconds) {
    var last = begun(seconds);
    return last >= 0 && seconds < data.ends[last] ? last : -1;
  }
  function mark(n, last) {
    if (n + '/' + last === shown) { return; }
    shown = n + '/' + last;
    buttons.forEach(function (button, i) {
      button.classList.toggle('now', i === n);
      button.classList.toggle('sung', i <= last && i !== n);
    });
    document.querySelectorAll('p.line').forEach(function (line) {
      line.classList.toggle('now', !!line.querySelector('button.now'));
    });
    document.querySelectorAll('#sheet .now').forEach(function (e) { e.classList.remove('now'); });
    (n >= 0 ? data.notes[n] : []).forEach(function (i) { if (notes[i]) { notes[i].classList.add('now'); } });
    var button = buttons[n];
    if (button && !audio.paused) { button.scrollIntoView({ block: 'center', behavior: 'smooth' }); }
  }
  function follow() {
    mark(at(audio.currentTime), begun(audio.currentTime));
    if (!audio.paused) { window.requestAnimationFrame(follow); }
  }
  ['play', 'seeked', 'timeupdate', 'pause'].forEach(function (name) { audio.addEventListener(name, follow); });
  buttons.forEach(function (button, i) {
    button.addEventListener('click', function () { audio.currentTime = data.starts[i]; audio.play(); });
    button.addEventListener('focus', function () {  // one tab stop: arrows go from syllable to syllable
      buttons.forEach(function (other) { other.tabIndex = other === button ? 0 : -1; });
    });
    button.addEventListener('keydown', function (event) {
      var step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step && buttons[i + step]) { event.preventDefault(); buttons[i + step].focus(); }
    });
  });
  var engraved = '';
  function engrave() {  // a line of words a system where the page is narrow
    var narrow = window.innerWidth < 640;
    if (engraved === String(narrow)) { return; }
    engraved = String(narrow);
    var text = narrow ? data.narrow : document.getElementById('abc').textContent;
    var options = { responsive: 'resize', add_classes: true, staffwidth: narrow ? 420 : 860 };
    window.ABCJS.renderAbc('sheet', spaced(text), options);
    notes = Array.prototype.slice.call(document.querySelectorAll('#sheet .abcjs-note'));
    shown = '';
    follow();
  }
  if (window.ABCJS) {
    engrave();
    window.addEventListener('resize', engrave);
  }
  window.karaoke = { at: at, starts: data.starts, ends: data.ends, texts: data.texts };
}());
"""


def page(
    setting: Setting, qpm: float, audio: bytes, audio_type: str = "mp3", note: str = "", composer: str = ""
) -> str:
    """Return the HTML; `audio` begins with the score. `note` is a line below the title, such as what was sung by whom;
    `composer` stands on the score and below the title."""
    syllables = timed(setting, qpm)
    lyrics = setting.lyrics
    title = lyrics.title or "untitled"
    scripts = [_abcjs(), _SCRIPT]
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; script-src "
    policy += " ".join(f"'sha256-{script_digest(text)}'" for text in scripts) + "; base-uri 'none'; form-action 'none'"
    sound = base64.b64encode(audio).decode("ascii")
    credits = " · ".join(dict.fromkeys(filter(None, [lyrics.artist, composer, note])))
    fields = {"Q": sheet.tempo_field(qpm, setting.score.meter), **({"C": composer} if composer else {})}
    data = {**_data(setting, syllables), "narrow": sheet.abc(setting, fields=fields, bars=1, parts=True)}
    return (
        f'<!DOCTYPE html>\n<html lang="{escape(lyrics.language)}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<header><h1>{escape(title)}</h1>\n<p class="by">{escape(credits)}</p></header>\n<main>\n'
        f'<audio controls preload="auto" aria-label="{escape(title)}" '
        f'src="data:{AUDIO_TYPES[audio_type]};base64,{sound}"></audio>\n'
        f"{_words(setting, syllables)}"
        '<div id="sheet" role="img" aria-label="Score with words"></div>\n'
        f'<details><summary>ABC</summary><pre id="abc">{escape(sheet.abc(setting, fields=fields, parts=True))}</pre>'
        "</details>\n</main>\n"
        "<footer><p>Sheet music engraved by abcjs (MIT licence). This page is complete in itself.</p></footer>\n"
        f'<script type="application/json" id="data">{_json(data)}</script>\n'
        + "".join(f"<script>{text}</script>\n" for text in scripts)
        + "</body>\n</html>\n"
    )


def _words(setting: Setting, syllables: list[Timed]) -> str:
    """Return sections and lines of buttons, one a syllable."""
    by_line: dict[int, str] = {}
    for n, s in enumerate(syllables):
        by_line[s.line] = by_line.get(s.line, "") + _button(n, s.text)
        by_line[s.line] += " " if s.ends_word else ""
    out, line = "", 0
    for section in setting.lyrics.sections:
        out += f"<section><h2>{escape(section.label)}</h2>"
        for _ in section.lines:
            out += f'<p class="line">{by_line.get(line, "")}</p>'
            line += 1
        out += "</section>\n"
    return out


def _button(n: int, text: str) -> str:
    return f'<button type="button" data-n="{n}" tabindex="{-1 if n else 0}">{escape(text)}</button>'


def _data(setting: Setting, syllables: list[Timed]) -> dict[str, list[object]]:
    from audio_bridge.lyrics.setting.word_setting import placements_of

    return {
        "starts": [round(s.start, 4) for s in syllables],
        "ends": [round(s.end, 4) for s in syllables],
        "texts": [s.text for s in syllables],
        "notes": list(placements_of(setting)),
    }


def _json(value: object) -> str:
    """Return JSON that cannot end its script element."""
    return json.dumps(value, ensure_ascii=True).replace("<", "\\u003c")


def _abcjs() -> str:
    return "".join(
        (ASSETS / name).read_text(encoding="utf-8") for name in ("abcjs-basic-min.js.LICENSE", "abcjs-basic-min.js")
    )
