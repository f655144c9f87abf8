// The page of `symbolic view`: each tune is engraved when it comes near the screen, and played note by note as it is
// marked; tempo, a loop of bars, transposition, voices on and off, downloads.
import { engrave, elementsOfBar, placeAt } from "./engrave.js";
import { NotePlayer } from "./note_player.js";
import { movedAbc, movedMidi, movedMusicXml } from "./transposing.js";

const PER_SECOND = 2; // the page's notes are in seconds; the player's quarters are two of them at 120 a minute
let current = null; // the tune that plays

class TunePage {
  constructor(article) {
    this.article = article;
    this.data = JSON.parse(article.querySelector("script.data").textContent);
    this.sheet = article.querySelector(".sheet");
    this.play = article.querySelector(".play");
    this.player = new NotePlayer((place) => this.follow(place), (playing) => this.state(playing));
    const notes = this.data.notes.map(([at, length, pitch, velocity, voice]) => ({
      at: at * PER_SECOND, length: length * PER_SECOND, pitch, volume: velocity / 127, voice, drum: this.data.voices[voice].drums,
    }));
    this.player.setNotes(notes, this.data.bars.map(([at, place]) => ({ at: at * PER_SECOND, place })));
    this.heads = this.data.heads.map(([at, length, voice, number]) => ({ at: at * PER_SECOND, end: (at + length) * PER_SECOND, voice, number }));
    this.marked = new Map();
    this.controls();
  }

  $(name) { return this.article.querySelector(name); }

  // Draw the music; every head of a voice is found again by its number in the text.
  draw() {
    if (!window.ABCJS) return;
    try {
      this.visual = engrave(this.sheet, withoutHead(this.data.abc), { visualTranspose: this.player.transposition });
    } catch { this.sheet.replaceChildren(); }
    this.found = this.data.voices.map((voice, number) => [...this.sheet.querySelectorAll(`.abcjs-note.abcjs-v${number}`)]);
    this.dim();
    this.loop();
    if (this.sheet.querySelector("svg")) this.$("details.abc").open = false;
  }

  controls() {
    for (const hidden of this.article.querySelectorAll("[hidden].with-script")) hidden.hidden = false;
    this.play.addEventListener("click", () => this.toggle());
    this.sheet.addEventListener("click", (event) => {
      const place = placeAt(this.sheet, event.clientX, event.clientY);
      if (place !== null) this.choose(place, event.shiftKey);
    });
    this.$(".tempo").addEventListener("input", (event) => {
      this.player.setTempo(1.2 * Number(event.target.value));
      this.$(".tempo-value").textContent = this.tempoText(Number(event.target.value));
    });
    this.$(".tempo-value").textContent = this.tempoText(100);
    this.$(".transpose").addEventListener("change", (event) => {
      const semitones = Math.max(-24, Math.min(24, Math.round(Number(event.target.value)) || 0));
      event.target.value = semitones;
      this.player.transposition = semitones;
      if (this.player.playing) this.player.jump(this.player.position());
      this.move();
      this.draw();
    });
    for (const box of this.article.querySelectorAll(".voices input")) {
      box.addEventListener("change", () => {
        const voice = Number(box.value);
        if (box.checked) this.player.muted.delete(voice); else this.player.muted.add(voice);
        if (this.player.playing) this.player.jump(this.player.position());
        this.dim();
      });
    }
    for (const name of [".from", ".to", ".loop"]) this.$(name).addEventListener("change", () => this.loop());
    for (const button of this.article.querySelectorAll("button[data-file]")) button.addEventListener("click", () => this.download(button));
  }

  // The files of the page as they sound: what cannot be moved so far is not offered.
  move() {
    const semitones = this.player.transposition, moved = { ...this.data.files };
    moved.mid = Uint8Array.from(atob(moved.mid), (sign) => sign.charCodeAt(0));
    const movers = { abc: movedAbc, mid: movedMidi, musicxml: movedMusicXml };
    for (const [kind, mover] of Object.entries(semitones ? movers : {})) {
      try { moved[kind] = mover(moved[kind], semitones); } catch { moved[kind] = null; }
    }
    this.files = moved;
    for (const button of this.article.querySelectorAll("button[data-file]")) button.disabled = moved[button.dataset.file] === null;
    this.$("details.abc pre").textContent = moved.abc ?? this.data.abc;
    this.$(".moved").textContent = semitones ? `all moved ${semitones > 0 ? "up" : "down"} by ${Math.abs(semitones)} semitones` : "";
  }

  tempoText(percent) { return `${Math.round(this.data.qpm * percent / 100)} (${percent} %)`; }

  toggle() {
    if (this.player.playing) { this.player.stop(); return; }
    if (current && current !== this) current.player.stop();
    current = this;
    this.player.play(this.player.range ? this.player.startOf(this.player.range[0]) : 0);
  }

  // A bar that was clicked begins the loop, or ends it with the shift key.
  choose(place, extend) {
    const bar = place + this.data.first;
    if (extend) this.$(".to").value = bar;
    else { this.$(".from").value = bar; if (Number(this.$(".to").value) < bar || !this.$(".loop").checked) this.$(".to").value = bar; }
    this.$(".loop").checked = true;
    this.loop();
  }

  loop() {
    const [from, to] = [".from", ".to"].map((name) => Number(this.$(name).value) - this.data.first);
    for (const node of this.sheet.querySelectorAll(".chosen")) node.classList.remove("chosen");
    const wanted = this.$(".loop").checked && to >= from;
    this.player.range = wanted ? [from, to] : null;
    if (!wanted) return;
    for (let place = from; place <= to; place++) for (const node of elementsOfBar(this.sheet, place)) node.classList.add("chosen");
    const now = this.player.position();
    if (this.player.playing && (now < this.player.startOf(from) || now >= this.player.endOf(to))) this.player.jump(this.player.startOf(from));
  }

  dim() {
    (this.found || []).forEach((nodes, voice) => nodes.forEach((node) => node.classList.toggle("muted", this.player.muted.has(voice))));
  }

  state(playing) {
    this.play.setAttribute("aria-pressed", String(playing));
    this.play.textContent = playing ? "■ Stop" : "▶ Play";
    if (playing) requestAnimationFrame(() => this.mark()); else this.unmark();
  }

  // The line of the bar that sounds is scrolled into sight.
  follow(place) {
    const node = place === null ? null : elementsOfBar(this.sheet, place)[0];
    if (!node) return;
    const box = node.getBoundingClientRect(), bottom = window.innerHeight - this.$(".bar").offsetHeight - 20;
    if (box.top < 60 || box.bottom > bottom) window.scrollBy({ top: box.top - window.innerHeight / 3, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }

  // Mark what sounds now, once a frame.
  mark() {
    if (!this.player.playing) return;
    const now = this.player.position();
    const sounding = new Set();
    for (const head of this.heads) {
      if (head.at > now) break;
      if (head.end > now && !this.player.muted.has(head.voice)) {
        const node = this.found?.[head.voice]?.[head.number];
        if (node) sounding.add(node);
      }
    }
    for (const node of this.marked.keys()) if (!sounding.has(node)) { node.classList.remove("now"); this.marked.delete(node); }
    for (const node of sounding) if (!this.marked.has(node)) { node.classList.add("now"); this.marked.set(node, true); }
    requestAnimationFrame(() => this.mark());
  }

  unmark() {
    for (const node of this.marked.keys()) node.classList.remove("now");
    this.marked.clear();
  }

  async download(button) {
    const kind = button.dataset.file, semitones = this.player.transposition;
    const moved = semitones ? `-${semitones > 0 ? "up" : "down"}-${Math.abs(semitones)}` : "";
    if (!this.files) this.move();
    let content = this.files[kind];
    if (kind === "svg") content = this.drawing();
    if (kind === "wav") {
      button.disabled = true;
      content = await this.player.wav();
      button.disabled = false;
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content]));
    link.download = `${this.data.name}${moved}.${kind}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // The sheet with its title, as a file of its own.
  drawing() {
    const place = document.createElement("div");
    this.article.append(place);
    engrave(place, this.data.abc, { visualTranspose: this.player.transposition });
    const svg = place.querySelector("svg");
    place.remove();
    svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    svg.setAttribute("color", "#000");
    return new XMLSerializer().serializeToString(svg);
  }
}

// The page has its own heading: title, composer and the like are not engraved again.
function withoutHead(abc) { return abc.replace(/^[ABCDFGHNORSTZ]:.*\n/gm, ""); }

const pages = new Map([...document.querySelectorAll("article.tune")].map((article) => [article, new TunePage(article)]));
const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    observer.unobserve(entry.target);
    pages.get(entry.target).draw();
  }
}, { rootMargin: "600px 0px" });
for (const article of pages.keys()) observer.observe(article);
document.addEventListener("keydown", (event) => {
  if (event.key !== " " || /INPUT|BUTTON|SUMMARY/.test(event.target.tagName)) return;
  event.preventDefault();
  (current || pages.values().next().value)?.toggle();
});
let width = window.innerWidth, timer;
window.addEventListener("resize", () => {
  if (window.innerWidth === width) return;
  width = window.innerWidth;
  clearTimeout(timer);
  timer = setTimeout(() => { for (const page of pages.values()) if (page.visual) page.draw(); }, 200);
});
window.addEventListener("beforeprint", () => { for (const page of pages.values()) if (!page.visual) page.draw(); });
