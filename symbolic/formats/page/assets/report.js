// Engraves each tune when it comes near the screen, and plays it when asked. The ABC is read from the page's own text, so that there is one copy
// of it and a page without scripts still shows it.
import { NotePlayer } from "./note_player.js";

(() => {
  const LONGEST = 20000; // characters: beyond that it is no tune
  const MOST_IN_PRINT = 200;
  const NARROW = 600; // pixels

  function options(width) {
    const narrow = width < NARROW;
    const scale = narrow ? 0.8 : 1;
    return {
      add_classes: true, responsive: "resize", scale, staffwidth: Math.max(240, width / scale - 12),
      paddingtop: 4, paddingbottom: 4, paddingleft: 2, paddingright: 2,
    };
  }

  // The card has its own heading, and a tune's words are not engraved.
  function music(text) {
    return text.split("\n").filter((line) => !/^(%|[A-JN-UWXYZa-z]:)/.test(line) || /^[QX]:/.test(line)).join("\n");
  }

  // Two bars a line: a line ends after a plain bar line, never before an ending or inside a repeat sign.
  function relined(text) {
    let bars = 0;
    return text.replace(/(?<![|:[])(\|\|?|:\||::)[ \n]+/g, (match, bar) => {
      bars += 1;
      return bar + (bars % 2 ? " " : "\n");
    });
  }

  function engrave(sheet) {
    if (sheet.childElementCount || sheet.dataset.done) return;
    sheet.dataset.done = "1";
    const details = sheet.parentElement.querySelector(":scope > details.abc");
    const source = (details || sheet.parentElement).querySelector("pre");
    const text = source.textContent;
    if (text.length > LONGEST) return;
    try {
      const width = sheet.parentElement.clientWidth - 40;
      window.ABCJS.renderAbc(sheet, width < NARROW ? relined(music(text)) : music(text), options(width));
      const drawn = sheet.querySelector("svg .abcjs-note, svg .abcjs-rest");
      if (!drawn) sheet.replaceChildren();
      if (drawn && details) details.open = false;
    } catch (error) {
      sheet.replaceChildren();
    }
    if (!sheet.childElementCount) sheet.removeAttribute("style");
    sheet.querySelector("svg")?.setAttribute("aria-hidden", "true"); // the sheet itself has the label
  }

  const sheets = [...document.querySelectorAll(".tune > .sheet")];
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      observer.unobserve(entry.target);
      const sheet = entry.target.querySelector(":scope > .sheet");
      if (sheet) engrave(sheet);
    }
  }, { rootMargin: "600px 0px" });
  for (const sheet of sheets) observer.observe(sheet.parentElement);

  for (const details of document.querySelectorAll("details.nearest")) {
    details.addEventListener("toggle", () => {
      const sheet = details.querySelector(".sheet");
      if (details.open && sheet) engrave(sheet);
    });
  }
  // The player of the score page (note_player.js), one tune at a time: from milliseconds to its quarters at 120 a minute.
  const QUARTER = 500;
  let current = null;

  function notesOf(text) {
    let at = 0;
    return text.split(" ").map((note) => {
      const [wait, length, pitch] = note.split(",").map((value) => Number(value));
      at += wait;
      return { at: at / QUARTER, length: length / QUARTER, pitch, voice: 0 };
    });
  }

  function playerOf(button) {
    const player = new NotePlayer(undefined, (playing) => {
      button.setAttribute("aria-pressed", String(playing));
      button.textContent = playing ? "■ Stop" : "▶ Play";
    });
    player.setNotes(notesOf(button.dataset.sounds), []);
    return player;
  }

  for (const button of document.querySelectorAll("button.play")) {
    let player = null;
    button.hidden = false;
    button.addEventListener("click", () => {
      player ??= playerOf(button);
      const wasPlaying = player.playing;
      current?.stop();
      current = wasPlaying ? null : player;
      current?.play();
    });
  }
  window.addEventListener("beforeprint", () => sheets.slice(0, MOST_IN_PRINT).forEach(engrave));
})();
