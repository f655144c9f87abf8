"""The karaoke page of a real song in a real headless Chromium: what is lit at a time is what is sung at that time."""

import itertools
import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
# Seeks, waits until the frame after it is drawn, and tells what the page shows.
SEEK = """
const [seconds, done] = arguments, audio = document.querySelector('audio');
function shown() {
  const lit = [...document.querySelectorAll('button.now')], lines = [...document.querySelectorAll('p.line.now')];
  done({time: audio.currentTime, texts: lit.map(b => b.textContent), numbers: lit.map(b => +b.dataset.n),
        lines: lines.map(p => p.textContent.trim()), notes: document.querySelectorAll('#sheet .now').length,
        sung: document.querySelectorAll('button.sung').length, duration: audio.duration,
        overflow: document.documentElement.scrollWidth - innerWidth});
}
audio.addEventListener('seeked', () => requestAnimationFrame(() => requestAnimationFrame(shown)), {once: true});
audio.currentTime = seconds;
"""
# Plays from a time for some seconds and collects, frame by frame, the time and the number that is lit.
PLAY = """
const [from, seconds, done] = arguments, audio = document.querySelector('audio'), seen = [];
audio.muted = true; audio.currentTime = from;
function look() {
  const lit = document.querySelector('button.now');
  seen.push([audio.currentTime, lit ? +lit.dataset.n : -1]);
  if (audio.currentTime < from + seconds) { requestAnimationFrame(look); } else { audio.pause(); done(seen); }
}
audio.play().then(look, error => done(String(error)));
"""


class Browser:
    """As much of the W3C WebDriver protocol as these tests need."""

    def __init__(self, address: str) -> None:
        self.address = address
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1000,900",
                     "--autoplay-policy=no-user-gesture-required"]  # fmt: skip
        options = {"args": arguments, "binary": CHROMIUM}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        self.ask("POST", "timeouts", {"script": 60_000, "pageLoad": 60_000})

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._call(method, f"/session/{self.session}/{path}".rstrip("/"), body)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value that the script hands to its last argument."""
        return self.ask("POST", "execute/async", {"script": script, "args": list(arguments)})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short song by the verb, from words to the page."""
    folder = tmp_path_factory.mktemp("songs") / "boats & <moons>"
    command = [sys.executable, "-m", "audio_bridge", "song", "--genre", "folk", "--title", "Boats & <b>Moons</b>"]
    command += ["--structure", "verse-chorus", "--vocal", "off", "--seed", "3", "-o", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def browser(song: Path) -> Iterator[Browser]:
    """The page, open."""
    driver = shutil.which("chromedriver")
    if CHROMIUM is None or driver is None:
        pytest.skip("chromium and chromedriver are not here")
    process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        port = next(m[1] for m in map(re.compile(r"on port (\d+)\.").search, process.stdout) if m)
        opened = Browser(f"http://127.0.0.1:{port}")
        opened.ask("POST", "url", {"url": (song / "karaoke.html").as_uri()})
        ready = "return document.querySelector('audio').readyState >= 3"
        while not opened.ask("POST", "execute/sync", {"script": ready, "args": []}):
            time.sleep(0.05)
        yield opened
        opened.ask("DELETE", "")
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


def sung(folder: Path) -> list[tuple[str, float, float]]:
    """(text, start, end) of each syllable by the enhanced LRC: the next stamp ends it."""
    found = []
    for line in (folder / "song.enhanced.lrc").read_text(encoding="utf-8").splitlines():
        stamps = [(60 * int(m) + float(s), text.strip()) for m, s, text in re.findall(r"<(\d+):([\d.]+)>([^<]*)", line)]
        found += [(text, start, end) for (start, text), (end, _) in itertools.pairwise(stamps) if text]
    return found


def test_the_lit_syllable_is_the_one_of_the_time(song: Path, browser: Browser) -> None:
    syllables = sung(song)
    lines = re.findall(r"^\[\d+:[\d.]+\](.+)$", (song / "song.lrc").read_text(encoding="utf-8"), re.MULTILINE)
    picked = [round(i * (len(syllables) - 1) / 9) for i in range(10)]
    for n in picked:
        text, start, end = syllables[n]
        seen = browser.run(SEEK, (start + end) / 2)
        assert seen["texts"] == [text] and seen["numbers"] == [n], (n, seen)
        assert start <= seen["time"] <= end and seen["notes"] >= 1
        assert len(seen["lines"]) == 1 and seen["lines"][0] in lines
    gap = next(n for n in range(20, len(syllables) - 1) if syllables[n + 1][1] - syllables[n][2] > 0.2)
    seen = browser.run(SEEK, syllables[gap][2] + 0.1)  # a rest: nothing is lit, what was sung stays so
    assert seen["texts"] == [] and seen["sung"] == gap + 1
    last = syllables[-1][2]
    assert last - 0.1 < seen["duration"] and seen["overflow"] <= 0
    if seen["duration"] > last + 0.2:  # behind the last syllable nothing is lit
        assert browser.run(SEEK, last + 0.1)["texts"] == []


def test_it_follows_the_sound_while_it_plays(song: Path, browser: Browser) -> None:
    """Frames of two seconds: each syllable begins within three frames' time of its start, and none is left out."""
    syllables = sung(song)
    first = syllables[4][1]
    seen = browser.run(PLAY, first - 0.05, 2.0)
    assert isinstance(seen, list), seen
    numbers = [n for _, n in seen if n >= 0]
    assert numbers == sorted(numbers) and len(set(numbers)) > 2
    late = [(t, n) for t, n in seen if n >= 0 and not syllables[n][1] - 0.02 <= t <= syllables[n][2] + 0.1]
    assert late == []


def test_nothing_is_asked_of_the_network_and_no_script_fails(browser: Browser) -> None:
    entries = "return performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('data:'))"
    assert browser.ask("POST", "execute/sync", {"script": entries, "args": []}) == []
    heading = "return [document.querySelector('h1').textContent, document.querySelectorAll('h1 b').length]"
    title, bold = browser.ask("POST", "execute/sync", {"script": heading, "args": []})
    assert "Boats" in title and bold == 0
    assert [e for e in browser.ask("POST", "se/log", {"type": "browser"}) if e["level"] == "SEVERE"] == []


REEL = "X:1\nM:4/4\nL:1/16\nK:G\nGABc d2d2 efge d4|gfed cBAG A2B2 A4|GABc d2d2 efge d4|gfed cBAG F2A2 G4|]\n"
WORDS = """There is singing from afar
There is ringing from the star
Nights of winter through the storm
Keep the people dry and warm"""
# The space behind each word of the score, in the units of the drawing; what follows in the same row ends it.
GAPS = """
const texts = [...document.querySelectorAll('#sheet text.abcjs-lyric')].filter(t => t.textContent.trim());
return texts.slice(0, -1).map((text, i) => {
  const word = text.textContent.trimEnd(), next = texts[i + 1];
  const start = next.getStartPositionOfChar(0), end = text.getEndPositionOfChar(word.length - 1);
  return [word, start.y === end.y ? start.x - end.x : null];
});
"""


def test_words_of_short_notes_stand_apart(browser: Browser, tmp_path: Path) -> None:
    from audio_bridge.lyrics import lyric_text
    from audio_bridge.lyrics.export import karaoke
    from audio_bridge.lyrics.setting.word_setting import set_words
    from symbolic.notation.abc_parser import parse

    whole = set_words(parse(REEL), lyric_text.parse(WORDS, language="en"))
    (tmp_path / "reel.html").write_text(karaoke.page(whole, 100, b"ID3"), encoding="utf-8")
    browser.ask("POST", "url", {"url": (tmp_path / "reel.html").as_uri()})
    found = browser.ask("POST", "execute/sync", {"script": GAPS, "args": []})
    words = [(word, gap) for word, gap in found if gap is not None and not word.endswith(("-", "_"))]
    assert len(words) >= 16 and [one for one in words if one[1] < 2] == []
