// Plays lists of notes: one audio context, notes handed to it a little before they sound. Other notes can be put in while
// it plays, and go on at the same place of the same bar. The sound is an oscillator's; studio/pages/static/player.js
// plays recorded notes.
const AHEAD = 0.4, EVERY = 60, LEVEL = 0.2; // seconds, milliseconds, gain

export class NotePlayer {
  constructor(onPlace = () => {}, onState = () => {}) {
    this.onPlace = onPlace; // (bar place, from the first) when a bar begins to sound, null at the end
    this.onState = onState; // (is playing)
    this.qpm = 120;
    this.range = null; // [first, last] bars to loop
    this.muted = new Set(); // voices
    this.transposition = 0; // semitones
    this.sounding = new Set();
    this.notes = [];
    this.bars = [];
    this.end = 0;
  }

  // Notes {at, length, pitch, volume, voice, drum} and bars {at, place}, in quarters from the beginning, repeats played.
  setNotes(notes, bars) {
    this.notes = [...notes].sort((a, b) => a.at - b.at);
    this.bars = bars;
    this.end = this.notes.reduce((end, note) => Math.max(end, note.at + note.length), 0);
    if (this.playing) this.jump(this.position());
  }

  // In quarters; what is a little ahead has not begun.
  position() { return this.playing ? Math.max(this.from, (this.context.currentTime - this.origin) * this.qpm / 60) : 0; }

  startOf(place) { return this.bars.find((bar) => bar.place === place)?.at ?? 0; }

  async load() {}

  async play(from = 0) {
    this.context ||= new (window.AudioContext || window.webkitAudioContext)();
    await this.load();
    await this.context.resume();
    this.playing = true;
    this.jump(from);
    this.timer = setInterval(() => this.tick(), EVERY);
    this.tick();
    this.onState(true);
  }

  stop() {
    if (!this.playing) return;
    clearInterval(this.timer);
    this.silence();
    this.playing = false;
    this.onPlace(null);
    this.onState(false);
  }

  jump(quarters) {
    this.silence();
    this.from = quarters;
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
    while (this.next < this.notes.length && this.notes[this.next].at < Math.min(now + ahead, loopEnd - 1e-6)) this.hand(this.notes[this.next++]);
    const bar = this.bars.findLast((one) => one.at <= now + 0.01);
    if (bar && bar !== this.shown) { this.shown = bar; this.onPlace(bar.place); }
    if (now >= loopEnd) { if (this.range) this.jump(this.startOf(this.range[0])); else this.stop(); }
  }

  endOf(place) {
    const index = this.bars.findIndex((bar) => bar.place === place);
    return this.bars[index + 1]?.at ?? this.end;
  }

  hand(note) {
    if (this.muted.has(note.voice)) return;
    const at = this.origin + note.at * 60 / this.qpm;
    this.sound(note, at, at + note.length * 60 / this.qpm);
  }

  // One note as an oscillator, or a burst of noise for percussion, from `at` to `end` of the context's seconds.
  sound(note, at, end) {
    const gain = this.context.createGain(), level = LEVEL * (note.volume ?? 0.7);
    const source = note.drum ? this.noise(note) : this.tone(note), stop = note.drum ? at + 0.12 : Math.max(at + 0.06, end);
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(level, at + 0.012);
    gain.gain.setValueAtTime(level, Math.max(at + 0.012, stop - 0.04));
    gain.gain.linearRampToValueAtTime(0, stop);
    source.connect(gain).connect(this.context.destination);
    source.start(at);
    source.stop(stop + 0.01);
    this.sounding.add(source);
    source.onended = () => this.sounding.delete(source);
  }

  tone(note) {
    const oscillator = this.context.createOscillator();
    oscillator.type = "triangle";
    oscillator.frequency.value = 440 * 2 ** ((note.pitch + this.transposition - 69) / 12);
    return oscillator;
  }

  noise(note) {
    const source = this.context.createBufferSource();
    if (this.hiss?.sampleRate !== this.context.sampleRate) {
      this.hiss = this.context.createBuffer(1, this.context.sampleRate / 4, this.context.sampleRate);
      const data = this.hiss.getChannelData(0);
      for (let i = 0; i < data.length; i++) data[i] = Math.random() * 2 - 1;
    }
    source.buffer = this.hiss;
    source.playbackRate.value = 2 ** ((note.pitch - 54) / 12);
    return source;
  }

  silence() {
    for (const source of this.sounding) source.stop();
    this.sounding.clear();
  }

  // All notes as they would be heard now, as the bytes of a WAV file of one channel and 16 bits.
  async wav(rate = 22050) {
    const seconds = this.end * 60 / this.qpm + 0.3;
    const own = [this.context, this.origin, this.sounding];
    this.context = new OfflineAudioContext(1, Math.ceil(seconds * rate), rate);
    this.origin = 0.05;
    this.sounding = new Set();
    for (const note of this.notes) this.hand(note);
    const offline = this.context;
    [this.context, this.origin, this.sounding] = own;
    return wavBytes((await offline.startRendering()).getChannelData(0), rate);
  }
}

function wavBytes(samples, rate) {
  const bytes = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  [..."RIFF"].forEach((sign, i) => bytes.setUint8(i, sign.charCodeAt(0)));
  bytes.setUint32(4, 36 + 2 * samples.length, true);
  [..."WAVEfmt "].forEach((sign, i) => bytes.setUint8(8 + i, sign.charCodeAt(0)));
  bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true);
  bytes.setUint16(22, 1, true);
  bytes.setUint32(24, rate, true);
  bytes.setUint32(28, 2 * rate, true);
  bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true);
  [..."data"].forEach((sign, i) => bytes.setUint8(36 + i, sign.charCodeAt(0)));
  bytes.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, i) => bytes.setInt16(44 + 2 * i, 32767 * value / peak, true));
  return bytes.buffer;
}
