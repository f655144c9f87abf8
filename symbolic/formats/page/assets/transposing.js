// Downloads of a page that is transposed: ABC, MusicXML and MIDI as this project writes them, moved by semitones.
// A note keeps its place in the scale: letters move on the line of fifths by as much as the key does.
const LETTERS = "CDEFGAB", FIFTHS = "FCGDAEB", SEMITONES = [0, 2, 4, 5, 7, 9, 11];
const MODES = { "": 0, m: -3, dor: -2, phr: -4, lyd: 1, mix: -1, loc: -5 };
const MARKS = { "__": -2, _: -1, "=": 0, "^": 1, "^^": 2 };
const ACCIDENTALS = { "-2": "flat-flat", "-1": "flat", 0: "natural", 1: "sharp", 2: "double-sharp" };
const CHORD = /^[A-G][#b]?(?:maj|min|m|M|dim|aug|sus|add|\+|-|\d|\(|\)|#|b)*(?:\/[A-G][#b]?)?$/;
const MUSIC = /!.*?!|\[(?!K:)[A-Za-z]:[^\]]*\]|\[K:([^\]]*)\]|"([^"]*)"|([\^_=]{0,2})([A-Ga-g])([,']*)/g;

const modulo = (number, divisor) => ((number % divisor) + divisor) % divisor;
const keyAlter = (sharps, letter) => Math.floor((sharps - 1 - FIFTHS.indexOf(letter)) / 7) + 1;
const onFifths = (letter, alter) => FIFTHS.indexOf(letter) + 7 * alter;
const named = (place) => [FIFTHS[modulo(place, 7)], Math.floor(place / 7)];

// How far a signature moves on the line of fifths: to the fewest accidentals; at six sharps or flats as before.
function shiftOf(sharps, semitones) {
  const least = modulo(7 * semitones, 12), shifts = [-24, -12, 0, 12].map((twelve) => least + twelve);
  const cost = (shift) => Math.abs(sharps + shift) + (sharps + shift < 0 !== sharps < 0 ? 0.5 : 0);
  return shifts.reduce((best, shift) => (cost(shift) < cost(best) ? shift : best));
}

// --- ABC

class MovedKey {
  constructor(text, semitones) {
    const found = /^\s*([A-G])([#b]?)(m|dor|phr|lyd|mix|loc|)(?![A-Za-z#])/.exec(text);
    if (!found) throw new Error(`the key ${text} cannot be moved`);
    const place = onFifths(found[1], { "#": 1, b: -1, "": 0 }[found[2]]);
    this.sharps = place - 1 + MODES[found[3]];
    this.shift = shiftOf(this.sharps, semitones);
    this.steps = 4 * this.shift + 7 * (semitones - 7 * this.shift) / 12; // letters
    const [tonic, alter] = named(place + this.shift);
    this.text = tonic + ["b", "", "#"][alter + 1] + found[3] + text.slice(found[0].length);
  }

  note(mark, letter, octaves) {
    const upper = letter.toUpperCase(), rises = octaves.split("'").length - octaves.split(",").length;
    const index = 7 * ((letter === upper ? 4 : 5) + rises) + LETTERS.indexOf(upper) + this.steps;
    const name = LETTERS[modulo(index, 7)], octave = Math.floor(index / 7);
    const value = keyAlter(this.sharps + this.shift, name) + (MARKS[mark] ?? 0) - keyAlter(this.sharps, upper);
    const sign = mark && Object.keys(MARKS).find((one) => MARKS[one] === value);
    if (sign === undefined) throw new Error("a note would need three accidentals");
    return sign + (octave > 4 ? name.toLowerCase() + "'".repeat(octave - 5) : name + ",".repeat(4 - octave));
  }

  chord(text) {
    return text.replace(/(?<![A-Za-z])([A-G])([#b]?)/g, (all, letter, sign) => this.root(letter, { "#": 1, b: -1, "": 0 }[sign]));
  }

  root(letter, alter) {
    let place = onFifths(letter, alter) + this.shift;
    while (Math.abs(named(place)[1]) > 1) place -= 12 * Math.sign(place);
    return named(place)[0] + ["b", "", "#"][named(place)[1] + 1];
  }
}

export function movedAbc(text, semitones) {
  let key = null, voice = "", inBody = false, written = "";
  const keys = {}, drums = new Set();
  const lines = text.split("\n").map((line) => {
    if (/^V:/.test(line)) voice = /^V:\s*(\S+)/.exec(line)[1];
    if (/^%%MIDI channel 10\b/.test(line)) drums.add(voice);
    if (/^K:/.test(line) && !inBody) {
      written = line.slice(2);
      key = new MovedKey(written, semitones);
      inBody = true;
      return `K:${key.text}`;
    }
    if (!inBody || /^([A-Za-z]:|%|$)/.test(line)) return line;
    if (drums.has(voice)) { // stays where it is, in the key that it was written in
      const begins = keys[voice] === undefined;
      keys[voice] = key;
      return begins ? `[K:${written}]${line}` : line;
    }
    return line.replace(MUSIC, (all, change, quoted, mark, letter, octaves) => {
      if (change !== undefined) keys[voice] = new MovedKey(change, semitones);
      if (change !== undefined) return `[K:${keys[voice].text}]`;
      if (quoted !== undefined) return CHORD.test(quoted) ? `"${(keys[voice] || key).chord(quoted)}"` : all;
      return letter === undefined ? all : (keys[voice] || key).note(mark, letter, octaves);
    });
  });
  return lines.join("\n");
}

// --- MusicXML

const XML = new RegExp(
  "<part |<fifths>(-?\\d+)</fifths>" +
  "|<step>([A-G])</step>(\\s*)(?:<alter>(-?\\d+)</alter>\\s*)?<octave>(-?\\d+)</octave>" +
  "|<(root|bass)-step>([A-G])</\\6-step>(?:\\s*<\\6-alter>(-?\\d+)</\\6-alter>)?" +
  "|(<accidental[^>]*>)[a-z-]+</accidental>", "g");

export function movedMusicXml(text, semitones) {
  let shift = shiftOf(0, semitones), last = 0;
  return text.replace(XML, (all, fifths, step, gap, alter, octave, part, root, rootAlter, shown) => {
    if (all === "<part ") { shift = shiftOf(0, semitones); return all; }
    if (fifths !== undefined) { shift = shiftOf(Number(fifths), semitones); return `<fifths>${Number(fifths) + shift}</fifths>`; }
    if (shown !== undefined) return `${shown}${ACCIDENTALS[last]}</accidental>`;
    let place = onFifths(step ?? root, Number(alter ?? rootAlter ?? 0)) + shift;
    const most = step === undefined ? 1 : 2;
    while (Math.abs(named(place)[1]) > most) place -= 12 * Math.sign(place);
    const [name, value] = named(place);
    if (step === undefined) return `<${part}-step>${name}</${part}-step>` + (value ? `<${part}-alter>${value}</${part}-alter>` : "");
    const midi = 12 * Number(octave) + SEMITONES[LETTERS.indexOf(step)] + Number(alter ?? 0) + semitones;
    last = value;
    const height = (midi - value - SEMITONES[LETTERS.indexOf(name)]) / 12;
    return `<step>${name}</step>${gap}` + (value ? `<alter>${value}</alter>${gap}` : "") + `<octave>${height}</octave>`;
  });
}

// --- MIDI

const DRUMS = 9, DATA_BYTES = { 8: 2, 9: 2, 10: 2, 11: 2, 12: 1, 13: 1, 14: 2 };

export function movedMidi(data, semitones) {
  const bytes = Uint8Array.from(data), view = new DataView(bytes.buffer);
  for (let chunk = 8 + view.getUint32(4); chunk < bytes.length; chunk += 8 + view.getUint32(chunk + 4)) {
    const end = chunk + 8 + view.getUint32(chunk + 4);
    let place = chunk + 8, status = 0;
    const number = () => { let value = 0, byte; do { byte = bytes[place++]; value = value << 7 | byte & 127; } while (byte > 127); return value; };
    while (place < end) {
      number();
      if (bytes[place] > 127) status = bytes[place++];
      if (status >= 0xF0) {
        const kind = status === 0xFF ? bytes[place++] : 0, size = number();
        if (kind === 0x59) view.setInt8(place, view.getInt8(place) + shiftOf(view.getInt8(place), semitones));
        place += size;
        continue;
      }
      if (status >> 4 < 11 && (status & 15) !== DRUMS) {
        bytes[place] += semitones;
        if (bytes[place] > 127) throw new Error("a note would leave the range of MIDI");
      }
      place += DATA_BYTES[status >> 4];
    }
  }
  return bytes;
}
