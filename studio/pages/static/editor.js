// The tune editor: the score follows the text, bars are chosen by click or key, other ways are heard in the tune.
import { engrave, elementsOfBar, placeAt } from "./engrave.js";
import { Player } from "./player.js";
import { makeDraggable } from "./drag.js";

const $ = (id) => document.getElementById(id);
const text = $("abc"), sheet = $("sheet"), chosen = new Set();
let first = 1, nBars = 0, visual = null, heard = 0, last = null;

const player = new Player((place) => {
  for (const node of sheet.querySelectorAll(".now")) node.classList.remove("now");
  if (place !== null) for (const node of elementsOfBar(sheet, place)) node.classList.add("now");
}, (playing) => {
  $("play").setAttribute("aria-pressed", String(playing));
  $("play").textContent = playing ? "■ Stop" : "▶ Play";
});

function draw() {
  visual = engrave(sheet, text.value);
  try { player.setTune(visual); } catch { /* nothing to play yet */ }
  mark();
}

// The server's reader says what is wrong and where; its count of bars decides what can be chosen.
async function check() {
  const answer = await fetch("/api/v1/score/check", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ abc: text.value }),
  });
  if (!answer.ok) return;
  const found = await answer.json();
  $("fault").textContent = found.ok ? "" : found.message;
  if (!found.ok) { selectLine(found.line); return; }
  first = found.pickup ? 0 : 1;
  if (found.bars !== nBars) { nBars = found.bars; listBars(); }
  mark();
}

function selectLine(line) {
  if (!line || document.activeElement !== text) return;
  text.setAttribute("aria-invalid", "true");
}

function listBars() {
  $("bars").replaceChildren(...Array.from({ length: nBars }, (_, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = String(place + first);
    button.setAttribute("aria-label", `Bar ${place + first}`);
    button.addEventListener("click", (event) => toggle(place, event.shiftKey));
    return button;
  }));
  $("bars").hidden = false;
}

function toggle(place, extend) {
  if (extend && last !== null) for (let i = Math.min(last, place); i <= Math.max(last, place); i++) chosen.add(i);
  else if (chosen.has(place)) chosen.delete(place); else chosen.add(place);
  last = place;
  $("chosen").value = ranges();
  mark();
}

function ranges() {
  const places = [...chosen].sort((a, b) => a - b), parts = [];
  for (let i = 0; i < places.length; i++) {
    const start = places[i];
    while (places[i + 1] === places[i] + 1) i++;
    parts.push(start === places[i] ? `${start + first}` : `${start + first}-${places[i] + first}`);
  }
  return parts.join(",");
}

function readRanges() {
  chosen.clear();
  for (const part of $("chosen").value.split(",")) {
    const match = part.trim().match(/^(\d+)(?:-(\d+))?$/);
    if (match) for (let bar = Number(match[1]); bar <= Number(match[2] || match[1]) && bar - first < nBars; bar++) if (bar >= first) chosen.add(bar - first);
  }
  mark();
}

function mark() {
  [...$("bars").children].forEach((button, place) => button.setAttribute("aria-pressed", String(chosen.has(place))));
  for (const node of sheet.querySelectorAll(".chosen")) node.classList.remove("chosen");
  for (const place of chosen) for (const node of elementsOfBar(sheet, place)) node.classList.add("chosen");
  const places = [...chosen];
  player.range = $("loop").checked && places.length ? [Math.min(...places), Math.max(...places)] : null;
}

// --- other ways ---
const ways = [...document.querySelectorAll(".ways > li")];

function drawWays() {
  for (const way of ways) {
    const small = way.querySelector(".sheet");
    way.visual = engrave(small, way.querySelector("pre").textContent, { scale: 0.7 });
    const bars = [...way.querySelectorAll(".bar")].map((bar) => Number(bar.textContent.split(":")[0]) - first);
    for (const place of bars) for (const node of elementsOfBar(small, place)) node.classList.add("fresh");
    const button = way.querySelector(".hear");
    button.hidden = false;
    button.addEventListener("click", () => hear(Number(way.dataset.number)));
  }
}

async function hear(number) {
  const way = ways[number - 1];
  if (!way || !way.visual) return;
  heard = number;
  for (const one of ways) one.querySelector(".hear").setAttribute("aria-pressed", String(one === way));
  const fresh = way.querySelector(".bar"), wasPlaying = player.playing;
  player.setTune(way.visual);
  await player.load();
  if (!wasPlaying) player.play(player.startOf(fresh ? Math.max(0, Number(fresh.textContent.split(":")[0]) - first - 1) : 0));
}

function keys(event) {
  if (/INPUT|TEXTAREA|SELECT/.test(event.target.tagName)) return;
  if (/^[1-9]$/.test(event.key) && ways.length) hear(Number(event.key));
  else if (event.key === "k" && heard) ways[heard - 1].querySelector("a.button")?.click();
  else if (event.key === "p") togglePlay();
  else if (event.key === "f") document.querySelector("button[value=fill]").click();
  else return;
  event.preventDefault();
}

function togglePlay() {
  if (player.playing) { player.stop(); return; }
  player.setTune(visual);
  player.play(player.range ? player.startOf(player.range[0]) : 0);
}

function begin() {
  $("player").hidden = false;
  draw();
  check().then(drawWays);
  let timer;
  sheet.addEventListener("click", (event) => {
    const place = placeAt(sheet, event.clientX, event.clientY);
    if (place !== null) toggle(place, event.shiftKey);
  });
  text.addEventListener("input", () => { draw(); clearTimeout(timer); timer = setTimeout(check, 150); });
  $("chosen").addEventListener("input", readRanges);
  $("play").addEventListener("click", togglePlay);
  $("loop").addEventListener("change", mark);
  $("program").addEventListener("change", async (event) => { player.program = Number(event.target.value); if (player.playing) { const at = player.position(); player.stop(); player.play(at); } });
  const stated = text.value.match(/^Q:\s*(?:1\/4=)?(\d+)/m);
  if (stated) $("tempo").value = stated[1];
  player.setTempo(Number($("tempo").value));
  $("tempo-value").textContent = $("tempo").value;
  $("tempo").addEventListener("input", (event) => { player.setTempo(Number(event.target.value)); $("tempo-value").textContent = event.target.value; });
  document.addEventListener("keydown", keys);
  makeDraggable();
}

if (document.readyState === "complete") begin(); else window.addEventListener("load", begin);
