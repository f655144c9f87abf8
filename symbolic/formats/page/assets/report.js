// Engraves each tune when it comes near the screen, and plays it when asked. The ABC is read from the page's own text, so that there is one copy
// of it and a page without scripts still shows it.
"use strict";
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
  // The player: one tune at a time, its notes handed to the oscillators a little before they sound.
  const AHEAD = 0.6, EVERY = 200, LEVEL = 0.2; // seconds, milliseconds, gain
  let audio = null, stop = () => {};

  function sound(at, seconds, pitch) {
    const oscillator = audio.createOscillator(), gain = audio.createGain();
    oscillator.type = "triangle";
    oscillator.frequency.value = 440 * 2 ** ((pitch - 69) / 12);
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(LEVEL, at + 0.012);
    gain.gain.setValueAtTime(LEVEL, Math.max(at + 0.012, at + seconds - 0.04));
    gain.gain.linearRampToValueAtTime(0, at + seconds);
    oscillator.connect(gain).connect(audio.destination);
    oscillator.start(at);
    oscillator.stop(at + seconds + 0.01);
    return oscillator;
  }

  function play(button) {
    const notes = button.dataset.sounds.split(" ").map((note) => note.split(",").map(Number));
    audio = audio || new (window.AudioContext || window.webkitAudioContext)();
    audio.resume();
    const sounding = new Set();
    let next = 0, at = audio.currentTime + 0.1, end = at;
    const timer = window.setInterval(hand, EVERY);
    stop = () => {
      window.clearInterval(timer);
      for (const oscillator of sounding) oscillator.stop();
      button.setAttribute("aria-pressed", "false");
      button.textContent = "▶ Play";
      stop = () => {};
    };
    button.setAttribute("aria-pressed", "true");
    button.textContent = "■ Stop";
    function hand() {
      while (next < notes.length && at + notes[next][0] / 1000 < audio.currentTime + AHEAD) {
        const [wait, length, pitch] = notes[next++];
        at += wait / 1000;
        end = Math.max(end, at + length / 1000);
        const oscillator = sound(at, Math.max(0.06, length / 1000), pitch);
        sounding.add(oscillator);
        oscillator.onended = () => sounding.delete(oscillator);
      }
      if (next === notes.length && audio.currentTime > end) stop();
    }
    hand();
  }

  for (const button of document.querySelectorAll("button.play")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const wasPlaying = button.getAttribute("aria-pressed") === "true";
      stop();
      if (!wasPlaying) play(button);
    });
  }
  window.addEventListener("beforeprint", () => sheets.slice(0, MOST_IN_PRINT).forEach(engrave));
})();
