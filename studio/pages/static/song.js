// The page of a song: its score, the karaoke line that is sung now, A/B of two takes, MIDI dragged into a DAW.
import { engrave } from "./engrave.js";
import { makeDraggable } from "./drag.js";

const audio = document.getElementById("sound");

function spaced(abc) { // abcjs keeps no space between words
  return abc.replace(/^w:.*$/gm, (line) => "w:" + line.slice(2).replace(/([^\s_*-])(?=\s|$)/g, "$1\u00a0~"));
}

function drawScore() {
  const sheet = document.querySelector("[data-abc]"), abc = document.getElementById("abc");
  if (sheet && abc && window.ABCJS) engrave(sheet, spaced(abc.textContent));
}

async function karaoke() {
  const box = document.getElementById("karaoke");
  const answer = await fetch(audio.dataset.lrc);
  if (!answer.ok) return;
  const lines = [...(await answer.text()).matchAll(/^\[(\d+):(\d+(?:\.\d+)?)\](.*)$/gm)]
    .map((match) => ({ at: Number(match[1]) * 60 + Number(match[2]), text: match[3].trim() })).filter((line) => line.text);
  const shown = lines.map((line) => {
    const item = document.createElement("p");
    item.textContent = line.text;
    box.append(item);
    return item;
  });
  box.hidden = shown.length === 0;
  let last = -1;
  audio.addEventListener("timeupdate", () => {
    const now = lines.findLastIndex((line) => line.at <= audio.currentTime + 0.05);
    if (now === last) return;
    shown[last]?.classList.remove("now");
    shown[now]?.classList.add("now");
    if (shown[now]) box.scrollTop = shown[now].offsetTop - box.offsetTop - box.clientHeight / 2;
    last = now;
  });
}

function compare() {
  const other = document.getElementById("other"), button = document.getElementById("switch");
  if (!other) return;
  document.querySelector(".compare").hidden = false;
  const own = audio.src;
  function swap() {
    const isOther = button.getAttribute("aria-pressed") !== "true";
    const at = audio.currentTime, playing = !audio.paused;
    button.setAttribute("aria-pressed", String(isOther));
    audio.src = isOther ? other.value : own;
    audio.addEventListener("loadedmetadata", () => { audio.currentTime = at; if (playing) audio.play(); }, { once: true });
    audio.load();
  }
  button.addEventListener("click", swap);
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "b" && !/INPUT|TEXTAREA|SELECT/.test(event.target.tagName)) swap();
  });
}

if (document.readyState === "complete") drawScore(); else window.addEventListener("load", drawScore);
if (audio) { karaoke(); compare(); }
makeDraggable();
