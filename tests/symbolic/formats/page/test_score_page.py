"""The page of `view`: whole in itself, runs its own scripts only, and whatever a file holds stays text."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from symbolic.files import sha256
from symbolic.formats.convert import to_abc
from symbolic.formats.page.score_page import (
    ASSETS,
    ViewedTune,
    asset_records,
    json_text,
    module_text,
    score_page,
    script_digest,
)
from symbolic.formats.smf import read_song
from symbolic.notation import abc_parser

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
TUNE = "X:1\nT:{title}\nC:{title}\nM:4/4\nL:1/8\nK:G\nV:1\nGABc dedB|]\nV:2\nG,8|]\n"


def tune(title: str = "A tune") -> ViewedTune:
    score = abc_parser.parse(TUNE.format(title=title))
    return ViewedTune(score, to_abc(score), title, {"chord symbols " + title: 2})


def test_a_hostile_title_stays_text() -> None:
    page = score_page([tune(HOSTILE), tune()], HOSTILE)
    assert "alert(1)</script>" not in page and "<img src=x" not in page
    assert page.count("<script") == page.count("</script>") == 4  # the data of two tunes, abcjs, our own


def test_only_its_own_scripts_run_and_nothing_is_fetched() -> None:
    page = score_page([tune()])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None and "default-src 'none'" in policy[1] and "connect" not in policy[1]
    scripts = re.findall(r"<script(?: type=\"module\")?>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 2
    assert re.search(r"script-src ([^;]*)", policy[1])[1].split() == [f"'sha256-{script_digest(s)}'" for s in scripts]  # type: ignore[index]
    outside = page.replace("".join(scripts), "")
    assert not re.search(r"<(?:link|img|iframe|audio)[^>]+https?:", outside)
    assert page.count("\nimport ") == 0 and page.count("\nexport ") == 0


def test_the_data_holds_playback_and_the_downloads() -> None:
    page = score_page([tune()])
    data = json.loads(re.search(r'class="data">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    assert data["name"] == "A-tune" and "GA" in data["files"]["abc"] and "<score-partwise" in data["files"]["musicxml"]
    assert read_song(base64.b64decode(data["files"]["mid"])).n_notes == 9
    assert len(data["notes"]) == 9 and len(data["voices"]) == 2
    assert "2 chord symbols A tune" in page and page.count('<input type="checkbox" value=') == 2


def test_text_in_json_ends_no_script() -> None:
    assert json.loads(json_text({"a": HOSTILE})) == {"a": HOSTILE} and "<" not in json_text({"a": HOSTILE})


def test_assets_are_what_their_record_says() -> None:
    for record in asset_records():
        assert record["licence"] and record["source"] and record["version"]
        for name, digest in record["files"].items():
            assert sha256(ASSETS / name) == digest, name


PLAYER = """
const timers = [], made = [];
let now = 10;
globalThis.window = { AudioContext: class {
  get currentTime() { return now; }
  async resume() {}
  createGain() { return { gain: { setValueAtTime() {}, linearRampToValueAtTime() {} }, connect: (to) => to }; }
  createOscillator() {
    const one = { frequency: {}, connect: (to) => to, start(at) { one.at = at; }, stop(at) { one.end ??= at; } };
    made.push(one);
    return one;
  }
} };
globalThis.setInterval = (act) => timers.push(act) - 1;
globalThis.clearInterval = (n) => { timers[n] = null; };
const places = [], player = new NotePlayer((place) => places.push(place));
player.setNotes([0, 1, 2, 3].map((at) => ({ at, length: 1, pitch: 69 + at, voice: at % 2 })),
  [{ at: 0, place: 0 }, { at: 2, place: 1 }]);
const run = (seconds) => {
  for (let i = 0; i < seconds / 0.05; i++) { now += 0.05; timers.forEach((act) => act && act()); }
};
"""


def node(steps: str, tmp_path: Path) -> dict[str, list[float]]:
    """What the player did, run by Node on a stand-in for the browser."""
    if shutil.which("node") is None:
        pytest.skip("Node is not installed")
    path = tmp_path / "player.mjs"
    path.write_text(module_text("note_player.js") + PLAYER + steps, encoding="utf-8")
    done = subprocess.run(["node", str(path)], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


SHOW = """console.log(JSON.stringify({ hz: made.map((one) => Math.round(one.frequency.value)),
  at: made.map((one) => Math.round(100 * (one.at - 10)) / 100), places, playing: [player.playing] }));"""


def test_the_player_plays_marks_bars_and_stops(tmp_path: Path) -> None:
    """Quarters at 120 a minute, half a second apart."""
    found = node("await player.play(); run(3);" + SHOW, tmp_path)
    assert found["hz"] == [440, 466, 494, 523] and found["at"] == [0.05, 0.55, 1.05, 1.55]
    assert found["places"] == [0, 1, None] and found["playing"] == [False]


def test_the_player_loops_mutes_transposes_and_keeps_its_place_at_another_tempo(tmp_path: Path) -> None:
    looped = node("player.range = [1, 1]; await player.play(player.startOf(1)); run(2.4);" + SHOW, tmp_path)
    assert looped["hz"][:6] == [494, 523, 494, 523, 494, 523] and set(looped["places"]) == {1}
    muted = node("player.muted.add(1); player.transposition = 12; await player.play(); run(3);" + SHOW, tmp_path)
    assert muted["hz"] == [880, 988]
    slow = node("await player.play(); run(1); player.setTempo(60); run(3);" + SHOW, tmp_path)
    assert slow["at"][-1] - slow["at"][-2] == pytest.approx(1.0, abs=0.02)
