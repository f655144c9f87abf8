// The page of a story with its music: the line that belongs to the moment lights up, a cursor runs through the arcs.
import { engrave } from "./engrave.js";
import { makeDraggable } from "./drag.js";

const audio = document.getElementById("sound"), lines = [...document.querySelectorAll("#story .line")];
const cursors = [...document.querySelectorAll("svg.arc .cursor")];

function drawScore() {
  const sheet = document.querySelector("[data-abc]"), abc = document.getElementById("abc");
  if (sheet && abc && window.ABCJS) engrave(sheet, abc.textContent);
}

function follow() {
  const at = audio.currentTime, now = lines.findLast((line) => Number(line.dataset.start) <= at + 0.05);
  for (const line of lines) {
    line.classList.toggle("now", line === now);
    if (line === now) line.setAttribute("aria-current", "true"); else line.removeAttribute("aria-current");
  }
  for (const cursor of cursors) {
    const chart = cursor.ownerSVGElement, edge = Number(chart.dataset.edge), width = chart.viewBox.baseVal.width;
    const x = edge + (width - 2 * edge) * Math.min(1, at / (Number(chart.dataset.seconds) || audio.duration || 1));
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
  }
}

if (document.readyState === "complete") drawScore(); else window.addEventListener("load", drawScore);
if (audio) {
  for (const name of ["timeupdate", "seeked"]) audio.addEventListener(name, follow);
  for (const line of lines) line.addEventListener("click", () => { audio.currentTime = Number(line.dataset.start); audio.play(); });
}
makeDraggable();
