// Plays engraved tunes from note samples of this server: one audio context, scheduled a little ahead. Another tune can be
// put in while it plays, and goes on at the same place of the same bar.
const LOWEST = 36, HIGHEST = 96, STEP = 3, AHEAD = 0.4, EVERY = 60; // MIDI pitches; seconds, milliseconds

export class Player {
  constructor(onPlace, onState) {
    this.onPlace = onPlace; // (bar place, from the first) when a bar begins to sound, null at the end
    this.onState = onState; // (is playing)
    this.buffers = new Map();
    this.program = 40;
    this.qpm = 120;
    this.range = null; // [first, last] bars to loop
    this.sounding = new Set();
  }

  // What abcjs reads from the music: notes in whole notes from the beginning, repeats played out, and where bars begin.
  setTune(visual) {
    const audio = visual.setUpAudio({ qpm: 120 });
    const notes = audio.tracks.flat().filter((event) => event.cmd === "note")
      .map((event) => ({ at: event.start * 4, length: event.duration * 4, pitch: event.pitch, volume: (event.volume ?? 90) / 127 }));
    const timing = new window.ABCJS.TimingCallbacks(visual, { qpm: 120 });
    const bars = [];
    for (const event of timing.noteTimings) {
      if (event.type !== "event" || event.measureNumber === undefined) continue;
      const at = event.milliseconds / 500;
      if (event.measureStart || !bars.length) bars.push({ at, place: barOf(event) });
    }
    this.notes = notes.sort((a, b) => a.at - b.at);
    this.bars = bars;
    this.end = Math.max(0, ...notes.map((note) => note.at + note.length));
    if (this.playing) this.jump(this.position());
  }

  position() { return this.playing ? Math.max(0, (this.context.currentTime - this.origin) * this.qpm / 60) : this.stoppedAt || 0; }

  startOf(place) { return this.bars.find((bar) => bar.place === place)?.at ?? 0; }

  async play(from = 0) {
    await this.load();
    await this.context.resume();
    this.playing = true;
    this.jump(from);
    this.timer = setInterval(() => this.tick(), EVERY);
    this.onState(true);
  }

  stop() {
    if (!this.playing) return;
    this.stoppedAt = 0;
    clearInterval(this.timer);
    this.silence();
    this.playing = false;
    this.onPlace(null);
    this.onState(false);
  }

  jump(quarters) {
    this.silence();
    this.origin = this.context.currentTime + 0.05 - quarters * 60 / this.qpm;
    this.next = this.notes.findIndex((note) => note.at >= quarters - 1e-6);
    if (this.next < 0) this.next = this.notes.length;
    this.shown = null;
  }

  setTempo(qpm) {
    const at = this.position();
    this.qpm = qpm;
    if (this.playing) this.jump(at);
  }

  tick() {
    const now = this.position(), ahead = AHEAD * this.qpm / 60;
    const loopEnd = this.range ? this.endOf(this.range[1]) : this.end;
    while (this.next < this.notes.length && this.notes[this.next].at < Math.min(now + ahead, loopEnd - 1e-6)) this.sound(this.notes[this.next++]);
    const bar = this.bars.findLast((one) => one.at <= now + 0.01);
    if (bar && bar !== this.shown) { this.shown = bar; this.onPlace(bar.place); }
    if (now >= loopEnd) { if (this.range) this.jump(this.startOf(this.range[0])); else this.stop(); }
  }

  endOf(place) {
    const index = this.bars.findIndex((bar) => bar.place === place);
    return this.bars[index + 1]?.at ?? this.end;
  }

  sound(note) {
    const nearest = Math.min(HIGHEST, Math.max(LOWEST, LOWEST + STEP * Math.round((note.pitch - LOWEST) / STEP)));
    const source = this.context.createBufferSource(), gain = this.context.createGain();
    const buffer = this.buffers.get(`${this.program}/${nearest}`);
    if (!buffer) return; // on its way, after a change of tune or instrument
    source.buffer = buffer;
    source.playbackRate.value = 2 ** ((note.pitch - nearest) / 12);
    const at = this.origin + note.at * 60 / this.qpm, end = at + note.length * 60 / this.qpm;
    gain.gain.setValueAtTime(note.volume, at);
    gain.gain.setValueAtTime(note.volume, Math.max(at, end - 0.03));
    gain.gain.linearRampToValueAtTime(0, end + 0.06);
    source.connect(gain).connect(this.context.destination);
    source.start(Math.max(at, this.context.currentTime));
    source.stop(end + 0.08);
    this.sounding.add(source);
    source.onended = () => this.sounding.delete(source);
  }

  silence() {
    for (const source of this.sounding) source.stop();
    this.sounding.clear();
  }

  async load() {
    this.context ||= new AudioContext();
    const wanted = new Set(this.notes.map((note) => Math.min(HIGHEST, Math.max(LOWEST, LOWEST + STEP * Math.round((note.pitch - LOWEST) / STEP)))));
    await Promise.all([...wanted].map(async (pitch) => {
      const key = `${this.program}/${pitch}`;
      if (this.buffers.has(key)) return;
      const answer = await fetch(`/samples/${this.program}-mp3/${pitch}.mp3`);
      this.buffers.set(key, await this.context.decodeAudioData(await answer.arrayBuffer()));
    }));
  }
}

function barOf(event) {
  for (const element of (event.elements || []).flat()) {
    const name = [...(element.classList || [])].find((one) => /^abcjs-mm\d+$/.test(one));
    if (name) return Number(name.slice(8));
  }
  return event.measureNumber;
}
