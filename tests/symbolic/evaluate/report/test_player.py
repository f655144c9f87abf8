"""The page's player, run by Node on a stand-in for the browser: every note, at its pitch and time."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from symbolic.evaluate.report.page import MOST_SOUNDS, TuneCard, page, sounds_text
from symbolic.formats.midi import score_qpm
from symbolic.formats.page.score_page import module_text
from symbolic.notation.abc_parser import parse, performance

TUNE = "X:1\nM:4/4\nL:1/4\nQ:1/4=120\nK:G\n|:G[Bd] (3cBA:|z2g2|\n"
BROWSER = """
const made = [], timers = [];
let now = 5;
class AudioContext {
  get currentTime() { return now; }
  get destination() { return "out"; }
  resume() {}
  createGain() {
    return { gain: { setValueAtTime() {}, linearRampToValueAtTime() {} }, connect: (to) => to };
  }
  createOscillator() {
    const one = { frequency: {}, connect: (to) => to };
    one.start = (at) => { one.at = at; };
    one.stop = (at = now) => { one.end ??= at; };
    made.push(one);
    return one;
  }
}
function button(sounds) {
  const attributes = {};
  return {
    dataset: { sounds }, hidden: true, textContent: "", listeners: [],
    setAttribute(name, value) { attributes[name] = value; }, getAttribute: (name) => attributes[name],
    addEventListener(kind, act) { this.listeners.push(act); }, click() { this.listeners.forEach((act) => act()); },
  };
}
const buttons = SOUNDS.map(button);
globalThis.IntersectionObserver = class { observe() {} };
globalThis.document = { querySelectorAll: (what) => (what === "button.play" ? buttons : []) };
globalThis.window = { AudioContext, addEventListener() {} };
globalThis.setInterval = (act) => timers.push(act) - 1;
globalThis.clearInterval = (n) => { timers[n] = null; };
const click = async (number) => { buttons[number].click(); for (let i = 0; i < 9; i++) await null; };
const tick = (seconds) => {
  for (let i = 0; i < seconds / 0.2; i++) { now += 0.2; timers.forEach((act) => act && act()); }
};
"""


def node(sounds: list[str], steps: str) -> dict[str, list[float]]:
    if shutil.which("node") is None:
        pytest.skip("Node is not installed")
    script = "\n".join(map(module_text, ("note_player.js", "report.js")))
    program = BROWSER.replace("SOUNDS", json.dumps(sounds)) + script + f"(async () => {{{steps}}})();"
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def sounds_of(text: str) -> str:
    score = parse(text)
    return sounds_text(performance(score), score_qpm(score))


def test_sounds_as_text() -> None:
    """Half a second a quarter; the repeat is played, the chord sounds together, the rest waits."""
    waits, lengths, pitches = zip(*(map(int, note.split(",")) for note in sounds_of(TUNE).split()))
    assert pitches == (67, 71, 74, 72, 71, 69, 67, 71, 74, 72, 71, 69, 79)
    assert waits == (0, 500, 0, 500, 333, 334, 333, 500, 0, 500, 333, 334, 1333)
    assert lengths == (500, 500, 500, 333, 333, 333, 500, 500, 500, 333, 333, 333, 1000)
    long = parse("X:1\nM:4/4\nL:1/16\nK:C\n" + "C" * 20 * MOST_SOUNDS)
    assert len(sounds_text(performance(long), 120).split()) == MOST_SOUNDS


def test_every_note_sounds_at_its_pitch_and_time() -> None:
    steps = """
    await click(0);
    const label = buttons[0].textContent;
    tick(12);
    console.log(JSON.stringify({
      hz: made.map((one) => one.frequency.value),
      at: made.map((one) => one.at - 5.05), ends: made.map((one) => one.end - 5.05),
      state: [label, buttons[0].textContent, buttons[0].hidden, timers.filter(Boolean).length],
    }));"""
    found = node([sounds_of(TUNE)], steps)
    score = parse(TUNE)
    sounds = performance(score)
    assert found["hz"] == pytest.approx([440 * 2 ** ((sound.midi - 69) / 12) for sound in sounds])
    seconds = 60 / score_qpm(score) / 10_080
    assert found["at"] == pytest.approx([sound.onset_ticks * seconds for sound in sounds], abs=0.003)
    assert found["ends"] == pytest.approx([(s.onset_ticks + s.ticks) * seconds for s in sounds], abs=0.02)
    assert found["state"] == ["■ Stop", "▶ Play", False, 0]  # it ends by itself


def test_one_tune_at_a_time_and_a_second_click_stops() -> None:
    steps = """
    await click(0); tick(1);
    await click(1); tick(0.4);
    const pressed = buttons.map((one) => one.getAttribute("aria-pressed"));
    await click(1);
    const count = made.length; tick(5);
    console.log(JSON.stringify({ pressed, after: [count, made.length], timers: [timers.filter(Boolean).length] }));"""
    found = node([sounds_of(TUNE)] * 2, steps)
    assert found["pressed"] == ["false", "true"] and found["after"][0] == found["after"][1] and found["timers"] == [0]


def test_a_card_carries_its_notes_or_its_recording(tmp_path: Path) -> None:
    cards = [TuneCard('"<b>', TUNE, sounds="0,500,67"), TuneCard("b", TUNE, b"RIFF", "wav", sounds="0,500,67")]
    cards.append(TuneCard("c", TUNE, nearest=("near", TUNE), nearest_sounds="0,9,60"))
    html = page("t", "", [], [], cards, {})
    assert html.count('<button type="button" class="play"') == 2 and html.count("<audio") == 1
    assert 'aria-label="Play &quot;&lt;b&gt;" data-sounds="0,500,67" hidden' in html and "0,9,60" in html
