// Plays engraved tunes from note samples of this server.
import { NotePlayer } from "./note_player.js";

const LOWEST = 36, HIGHEST = 96, STEP = 3; // MIDI pitches
const nearest = (pitch) => Math.min(HIGHEST, Math.max(LOWEST, LOWEST + STEP * Math.round((pitch - LOWEST) / STEP)));

export class Player extends NotePlayer {
  constructor(onPlace, onState) {
    super(onPlace, onState);
    this.buffers = new Map();
    this.program = 40;
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
    this.setNotes(notes, bars);
  }

  sound(note, at, end) {
    const source = this.context.createBufferSource(), gain = this.context.createGain(), pitch = nearest(note.pitch);
    const buffer = this.buffers.get(`${this.program}/${pitch}`);
    if (!buffer) return; // on its way, after a change of tune or instrument
    source.buffer = buffer;
    source.playbackRate.value = 2 ** ((note.pitch - pitch) / 12);
    gain.gain.setValueAtTime(note.volume, at);
    gain.gain.setValueAtTime(note.volume, Math.max(at, end - 0.03));
    gain.gain.linearRampToValueAtTime(0, end + 0.06);
    source.connect(gain).connect(this.context.destination);
    source.start(Math.max(at, this.context.currentTime));
    source.stop(end + 0.08);
    this.sounding.add(source);
    source.onended = () => this.sounding.delete(source);
  }

  async load() {
    this.context ||= new AudioContext();
    await Promise.all([...new Set(this.notes.map((note) => nearest(note.pitch)))].map(async (pitch) => {
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
