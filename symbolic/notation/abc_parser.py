"""ABC notation: the one parser, and the one canonical spelling.

Reads ABC 2.1 as people write it (abcnotation.com/wiki/abc:standard:v2.1) and spells every tune one way, so that equal
music is equal text. The canonical text of a tune with one voice is three header lines and one line of music:

    M:6/8
    L:1/8
    K:Em
    B|E3/2G/2E GEG|...        (without the space: the canonical music line has none)

- the unit length is always L:1/8; lengths are `2`, `3/2`, `/2`, `3/4`; broken rhythm is written out;
- no spaces, line ends or line continuations inside a voice; beams are put back by `pretty`;
- changes inside the tune are [K:D] and [M:9/8]; a change of unit length is folded away;
- bar lines are | || |] |: :| :: with endings |1 :|2; a bar line that ends a line and one that begins the next are one;
- tuplets are (3 where the standard's defaults hold, else (p:q:r; graces {ab}; ties -; slurs ( and );
- decorations . ~ H L M O P S T u v and !name!; chord symbols "Am"; a tie of one note of a chord is [c-e];
- pitches are sounding pitches; accidentals of a key and overlays (&) are written out, as notes and as voices;
- annotations, lyrics, tempo changes, parts and page layout are in the score and left out of the text;
- several voices: lines `V:1 clef=bass` after K:, then for each voice a line `V:1` and its line of music.

`canonical(parse(canonical(parse(x)))) == canonical(parse(x))`, and `canonical(parse(pretty(c))) == c` for canonical c.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from symbolic.notation.canonical import canonical
from symbolic.notation.layout import laid_out
from symbolic.notation.performance import Sound, performance
from symbolic.notation.reading.finishing import name_voices, part_order, share_marks, tidy
from symbolic.notation.reading.lexer import CHORD_SYMBOL, Token, lex, matches, prepared
from symbolic.notation.reading.lyric_lines import set_lyrics
from symbolic.notation.reading.macros import Macros
from symbolic.notation.reading.overlays import overlay_voices
from symbolic.notation.reading.respelling import StaffMove, respell, transpose_events
from symbolic.notation.reading.staff_fields import KeyField, StaffProperties, read_key_field, read_voice_field
from symbolic.notation.reading.text_strings import decode
from symbolic.notation.reading.tunebook import AFTER_TUNE, INSIDE_TUNE, RawTune, split_tunes, tune_lines
from symbolic.notation.reading.voice_reader import ReadingRules, VoiceReader
from symbolic.notation.score import (
    Bar,
    KeyChange,
    Note,
    PartMark,
    Rest,
    Score,
    TempoChange,
    Voice,
    WrittenBar,
    WrittenOnly,
    bars,
    melody,
)
from symbolic.notation.theory import TICKS_PER_WHOLE, Key, Meter, NotationError, Pitch, parse_meter
from symbolic.notation.transposition import transpose, transposed_key

__all__ = [
    "CHORD_SYMBOL",
    "TICKS_PER_WHOLE",
    "Bar",
    "Key",
    "Meter",
    "NotationError",
    "Note",
    "Pitch",
    "RawTune",
    "Rest",
    "Score",
    "Sound",
    "Token",
    "Voice",
    "WrittenBar",
    "bars",
    "canonical",
    "lex",
    "melody",
    "parse",
    "performance",
    "pretty",
    "split_tunes",
    "transpose",
]

MAX_TUNE_BYTES = 2_000_000  # as long as the longest MIDI file that is read becomes
LYRICS, WORDS = "w", "W"
_TEXT_FIELDS = frozenset("TCOABDGHNRSZW")  # text for people, whose mnemonics are decoded
_FIELD_LINE = re.compile(r"[ \t]*([A-Zmrsw]|\+|d(?=:[^A-Ga-gz]*$)):(?![|:])(.*)", re.DOTALL)  # d: is an older s:
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,16}")
_TONIC = re.compile(r"\s*[A-G][#b♯♭]?(?![#b♯♭])")
_DIRECTIVE = re.compile(r"\s*([A-Za-z][\w-]*)\s*(.*)")
_OLD_TEMPO = re.compile(r'("[^"]*"|)\s*(?:C(\d{0,3})(?:/(\d{1,3}))?\s*=)?\s*(\d{1,12}(?:\.\d{1,6})?)\s*("[^"]*"|)')
_NOT_LOST = ("abc", "encoding", "abc-charset", "abc-version", "abc-creator", "linebreak", "decoration")


def parse(text: str, line: int = 1, *, strict: bool = False) -> Score:
    """Read one tune, canonical or as people write it. `line` is the number of its first line, for messages.

    What is read and cannot be kept is counted in the score's `losses`. `strict` is for text that is to be ABC and
    nothing else, such as a model's: what a reader of other people's tunes has to pass over (words between the notes,
    reserved signs, a missing M:) is an error. Raises NotationError with a reason slug: no_key, bad_key, bad_metre,
    no_notes, unknown_symbol, microtone, bad_length, bad_pitch, bad_octave, bad_tuplet, unbalanced_chord,
    unbalanced_grace, transposition, too_long; no_metre where strict.
    """
    if len(text) > MAX_TUNE_BYTES:
        raise NotationError(
            "too_long", f"the tune has {len(text):,} characters; the limit is {MAX_TUNE_BYTES:,}.", line
        )
    reader = _TuneReader(strict)
    for number, own in tune_lines(text, line, reader.losses):
        reader.read_line(own, number)
    return reader.finish(line)


def pretty(
    text: str, *, number: int = 1, title: str = "", fields: Mapping[str, str | Sequence[str]] | None = None
) -> str:
    """ABC for people from canonical text: X: and T:, beams by the meter, four bars a line.

    `fields` are further header fields by letter (R, C, Q, Z, ...), of one line or several, and `%` for comments.
    Reading the result back gives the same canonical text.
    """
    return laid_out(parse(text), number=number, title=title, fields=fields or {})


@dataclass
class _Lyrics:
    """A w: field and the place of the music that it stands under."""

    reader: VoiceReader
    start: int
    end: int
    verse: int
    text: str


class _TuneReader:
    """Reads a tune line by line into a Score."""

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict
        self.fields: dict[str, list[str]] = {}
        self.losses: Counter[str] = Counter()
        self.meter = Meter(0, 1)
        self.has_meter = False
        self.key: Key | None = None
        self.key_accidentals: dict[str, int] = {}
        self.unit: int | None = None
        self.staff = StaffProperties()  # of the K: field, for all voices
        self.staves: dict[str, StaffProperties] = {}
        self.first_words: dict[str, str] = {}  # identifier of a voice -> the words of its V: field
        self.programs: dict[str, int] = {}
        self.drums: set[str] = set()
        self.rules = ReadingRules(strict=strict, losses=self.losses)
        self.macros = Macros()
        self.voices: dict[str, VoiceReader] = {}
        self.current: VoiceReader | None = None
        self.names_voices = False  # a V: field stood in the body
        self.lyrics: list[_Lyrics] = []
        self.line_starts: dict[int, int] = {}  # id of a voice's reader -> its number of events when the line began
        self.last_field = ""

    # --- lines -------------------------------------------------------------------------------------------------------

    def read_line(self, line: str, number: int) -> None:
        """Read a field, a directive or a line of music."""
        if line.startswith("%%"):
            self.read_directive(line[2:], number)
        elif match := _FIELD_LINE.match(line):
            self.read_field(match[1], match[2].strip(), number)
        elif self.key is not None:
            line = prepared(line, number)
            self.read_music(self.macros.applied(line) if self.macros.rules else line, number)

    def read_music(self, line: str, number: int) -> None:
        if not (self.lyrics and self.last_field == "\\"):
            self.line_starts = {}
        self.last_field = "\\" if line.rstrip().endswith("\\") else ""
        if self.last_field != "\\" or id(self.voice()) not in self.line_starts:
            self.line_starts.setdefault(id(self.voice()), len(self.voice().voice.events))
        reader = self.voice()
        for kind, match in matches(line, number):
            if kind != "field":
                reader.read_symbol(kind, match, number)
                continue
            self.read_inline(match[0], number)
            reader = self.voice()
            self.line_starts.setdefault(id(reader), len(reader.voice.events))
        self.voice().end_line(number)

    def read_inline(self, text: str, number: int) -> None:
        """[K:G] and its like inside a line."""
        letter, value = text[1], text[3:-1].strip()
        if letter in "KMLVQPIU":
            self.read_field(letter, value, number)

    def read_field(self, letter: str, value: str, number: int) -> None:
        if letter == "+":
            self.continue_field(value)
            return
        self.last_field = letter
        reader = {"K": self.set_key, "M": self.set_meter, "L": self.set_unit, "V": self.read_voice,
                  "I": self.read_directive, "U": self.set_symbol, LYRICS: self.add_lyrics}.get(letter)  # fmt: skip
        if reader is not None:
            reader(value, number)
        elif letter == "Q" and self.key is not None:
            self.set_tempo(value)
            self.last_field = ""
        elif letter == "P" and self.key is not None:
            self.voice().voice.events.append(PartMark(value))
            self.last_field = ""
        elif letter in "ds" or (letter == "m" and not self.macros.add(value)):
            self.losses["line of symbols (s:)" if letter in "ds" else "macro that is none (m:)"] += 1
        elif letter == "m":
            pass  # its music is written out
        else:
            self.fields.setdefault(letter, []).append(decode(value) if letter in _TEXT_FIELDS else value)

    def set_tempo(self, value: str) -> None:
        """Q: in the body. At the first note a number takes the place of the header's; words alone stand beside it."""
        if self.has_music or (self.fields.get("Q") and not re.search(r"\d", re.sub(r'"[^"]*"', "", value))):
            self.voice().voice.events.append(TempoChange(_tempo_in_note_values(value, self.voice().unit)))
        else:
            self.fields["Q"] = [value]

    def continue_field(self, value: str) -> None:
        """+: goes on with the field before it."""
        if self.last_field == LYRICS and self.lyrics:
            self.lyrics[-1].text += " " + value
        elif self.fields.get(self.last_field):
            self.fields[self.last_field][-1] += " " + (decode(value) if self.last_field in _TEXT_FIELDS else value)

    def read_directive(self, text: str, number: int) -> None:
        """%%propagate-accidentals, %%MIDI program, channel and transpose; others are page layout."""
        match = _DIRECTIVE.match(text)
        if match is None or match[1] in _NOT_LOST or match[1].startswith("abc-"):
            return
        name, words = match[1], match[2].split()
        if name == "propagate-accidentals" and words and words[0] in ("not", "octave", "pitch"):
            self.rules.propagation = words[0]
        elif name == "MIDI" and not self.set_midi(words):
            self.losses["line of accompaniment or MIDI settings (%%MIDI)"] += 1
        elif name != "MIDI":
            self.losses["line of page layout (%%)"] += 1

    def set_midi(self, words: list[str]) -> bool:
        """Programs, channel 10 and transposition of the current voice. False for what is not kept."""
        if len(words) < 2 or not all(re.fullmatch(r"-?\d{1,3}", word) for word in words[1:]):
            return False
        name, value = words[0], int(words[-1])
        voice = self.current.voice.name if self.current else next(reversed(self.staves), "")
        if name == "program" and 0 <= value <= 127:
            self.programs[voice] = value
        elif name == "channel":
            self.drums |= {voice} if value == 10 else set()
        elif name == "transpose" and abs(value) <= 48:
            staff = StaffProperties(semitones=value)
            self.change_staff(self.current, staff) if self.current else self.merge_staff(voice, staff)
        else:
            return False
        return True

    # --- fields ------------------------------------------------------------------------------------------------------

    @property
    def has_music(self) -> bool:
        """True after the first event of any voice; words and the names of parts are none."""
        return any(not isinstance(event, WrittenOnly) for own in self.voices.values() for event in own.voice.events)

    @property
    def holds_for_all(self) -> bool:
        """True before the music and the first V: of the body: a field there is the whole tune's."""
        return not self.has_music and not self.names_voices

    def set_key(self, value: str, number: int) -> None:
        found = self.read_key(value, number)
        if self.key is None or self.holds_for_all:
            self.key = found.key or self.key or Key("C")
            self.key_accidentals = found.accidentals if found.key else self.key_accidentals
            self.staff = _merged(self.staff, found.staff)
            for reader in self.voices.values():
                reader.key, reader.key_accidentals = self.key, self.key_accidentals
                self.place_on_staff(reader)
            return
        reader = self.voice()
        self.change_staff(reader, found.staff)
        if found.key is not None:
            reader.set_key(found.key, found.accidentals)

    def read_key(self, value: str, number: int) -> KeyField:
        """The K: field; of one whose words are not known, its tonic."""
        try:
            return read_key_field(value, number)
        except NotationError as error:
            tonic = _TONIC.match(value)
            if self.strict or error.reason != "bad_key" or tonic is None:
                raise
            self.losses["key whose mode is not known, read as major (K:)"] += 1
            return read_key_field(tonic[0], number)

    def set_meter(self, value: str, number: int) -> None:
        self.has_meter = True
        try:
            meter = parse_meter(value, number) if value else Meter(0, 1)
        except NotationError:
            if self.strict:
                raise
            meter = Meter(0, 1)
            self.losses["meter that is not known, read as free (M:)"] += 1
        if self.key is None or self.holds_for_all:
            self.meter = meter
            for reader in self.voices.values():
                reader.meter = meter
        else:
            self.voice().set_meter(meter)

    def set_unit(self, value: str, number: int) -> None:
        match = re.fullmatch(r"\s*1\s*/\s*(1|2|4|8|16|32|64|128)\s*|\s*1\s*", value)
        if match is None:
            raise NotationError("bad_length", f"L:{value} is not a unit note length; write for example L:1/8.", number)
        unit = TICKS_PER_WHOLE // int(match[1] or 1)
        if self.key is None or self.holds_for_all:
            self.unit = unit
            for reader in self.voices.values():
                reader.unit = unit
        else:
            self.voice().unit = unit

    def set_symbol(self, value: str, number: int) -> None:
        """U:T=!trill! gives a letter another meaning; `U:T=+trill+` and `U:T +trill+` are older."""
        match = re.fullmatch(r"\s*([H-Yh-w~])\s*(?:=\s*)?(![^!]+!|\+[^+]+\+|\"[^\"]+\")\s*", value)
        if match:
            self.rules.symbols[match[1]] = match[2]

    def read_voice(self, value: str, number: int) -> None:
        name, words, staff = read_voice_field(value, number)
        if not name or name == "*":
            return
        name = self.voice_name(name, words)
        is_new = name not in self.staves
        if self.key is not None:
            self.adopt_first_music(name)
            self.names_voices = True
            reader = self.voices.get(name)
            if reader is not None and reader.has_notes:
                self.change_staff(reader, staff)
                self.current = reader
                return
        self.merge_staff(name, staff)
        if self.key is not None:
            self.current = self.voice(name)
            self.place_on_staff(self.current)
        elif is_new:
            self.staves.setdefault(name, staff)

    def voice_name(self, name: str, words: str) -> str:
        """The identifier of a voice: the first word, or all of them where two voices begin with the same (Violin 1,
        Violin 2)."""
        whole = f"{name} {words}"
        if not words or name.isdigit():
            return name
        if whole in self.staves or self.first_words.setdefault(name, whole) != whole:
            return whole
        return name

    def adopt_first_music(self, name: str) -> None:
        """Music before the first V: is the first named voice's."""
        if "" in self.voices and name not in self.voices and len(self.voices) == 1:
            reader = self.voices.pop("")
            reader.voice.name = name
            self.voices[name] = reader
            self.staves.setdefault(name, self.staves.pop("", StaffProperties()))

    def merge_staff(self, name: str, staff: StaffProperties) -> None:
        self.staves[name] = _merged(self.staves.get(name, StaffProperties()), staff)

    def place_on_staff(self, reader: VoiceReader) -> None:
        """Octaves of the clef and of octave=, and transpose=, as they are before the first note."""
        staff = _merged(self.staff, self.staves.get(reader.voice.name, StaffProperties()))
        reader.octaves, reader.semitones = staff.octaves or 0, staff.semitones or 0

    def change_staff(self, reader: VoiceReader, staff: StaffProperties) -> None:
        """A change inside the music: octave and transposition hold from here, the clef is that of the beginning."""
        if not reader.has_notes:
            self.merge_staff(reader.voice.name, staff)
            self.place_on_staff(reader)
            return
        if staff.octaves is not None:
            reader.octaves = staff.octaves
        if staff.semitones is not None and staff.semitones != reader.semitones:
            reader.semitones = staff.semitones
            reader.voice.events.append(StaffMove("", staff.semitones))
        if staff.clef is not None:
            self.losses["change of clef"] += 1
        else:
            self.merge_staff(reader.voice.name, replace(staff, octaves=None, semitones=None))

    def first_unit(self) -> int:
        """The length of a letter without a number, in ticks: of L:, or by the meter."""
        return self.unit or _default_unit(self.meter)

    def voice(self, name: str | None = None) -> VoiceReader:
        """The reader of the named voice, or of the one that is being read; made when first asked for."""
        if name is None and self.current is not None:
            return self.current
        if name is None:
            name = next(iter(self.staves), "")
        if name not in self.voices:
            assert self.key is not None
            reader = VoiceReader(Voice(name), self.key, self.meter, self.first_unit(), self.rules, self.key_accidentals)
            self.voices[name] = reader
            self.place_on_staff(reader)
        self.current = self.voices[name]
        return self.current

    def add_lyrics(self, value: str, number: int) -> None:
        """w: under the last line of music of the current voice."""
        if self.key is None or self.current is None:
            self.losses["line of lyrics without music (w:)"] += 1
            return
        reader = self.voice()
        start, end = self.line_starts.get(id(reader), 0), len(reader.voice.events)
        last = self.lyrics[-1] if self.lyrics else None
        verse = last.verse + 1 if last and (last.reader is reader and last.start == start) else 0
        self.lyrics.append(_Lyrics(reader, start, end, verse, value))

    # --- the whole ---------------------------------------------------------------------------------------------------

    def finish(self, line: int) -> Score:
        """The score of all that was read."""
        if self.key is None:
            raise NotationError("no_key", "the tune has no K: field, which ends the header; add for example K:G.", line)
        if self.strict:
            self.check_strictly(line)
        for lyrics in self.lyrics:
            own = lyrics.reader.voice.events[lyrics.start : lyrics.end]
            self.losses["syllable without a note (w:)"] += set_lyrics(own, decode(lyrics.text), lyrics.verse)
        readers = [reader for reader in self.voices.values() if reader.has_notes or reader.overlays]
        key = self.moved_key(readers)
        voices = [voice for reader in readers for voice in self.finished(reader, key)]
        if not voices:
            raise NotationError("no_notes", "the tune has no notes.", line)
        name_voices(voices)
        share_marks(voices)
        if "Q" in self.fields:
            self.fields["Q"] = [_tempo_in_note_values(value, self.first_unit()) for value in self.fields["Q"]]
        order = part_order(self.fields.get("P", [""])[0], voices)
        for voice in voices:
            voice.part_order = order
        return Score(self.fields, self.meter, key, voices, +self.losses)

    def check_strictly(self, line: int) -> None:
        """Refuse what was passed over."""
        if not self.has_meter:
            raise NotationError("no_metre", "the tune has no M: field; add for example M:6/8, or M:none.", line)
        if self.losses[AFTER_TUNE] or self.losses[INSIDE_TUNE]:
            raise NotationError("unknown_symbol", "the tune has lines of text that are not ABC music.", line)

    def moved_key(self, readers: list[VoiceReader]) -> Key:
        """The key as it sounds, where all voices are moved by the same interval."""
        assert self.key is not None
        moves = {self.semitones(reader) for reader in readers}
        semitones = moves.pop() if len(moves) == 1 else 0
        return transposed_key(self.key, semitones) if semitones else self.key

    def semitones(self, reader: VoiceReader) -> int:
        """By how much a transposing instrument sounds higher than written."""
        return _merged(self.staff, self.staves.get(reader.voice.name, StaffProperties())).semitones or 0

    def finished(self, reader: VoiceReader, key: Key) -> list[Voice]:
        """The voice and its overlays, tidied, in sounding pitch, with the accidentals that canonical text needs."""
        assert self.key is not None
        self.describe(reader)
        voices = [reader.voice, *overlay_voices(reader)]
        semitones = self.semitones(reader)
        has_own_rules = reader.needs_respelling or self.key_accidentals or self.rules.propagation != "pitch"
        for voice in voices:
            voice.events = tidy(voice.events)
            is_moved = semitones != 0 or any(isinstance(event, StaffMove) for event in voice.events)
            if is_moved:
                moved = transpose_events(voice.events, self.key, semitones)
                voice.events[:0] = [KeyChange(moved)] if moved != key else []
            if is_moved or has_own_rules or len(voices) > 1:
                respell(voice.events, key)
        return [voice for voice in voices if any(isinstance(event, Note) for event in voice.events)]

    def describe(self, reader: VoiceReader) -> None:
        """Set the clef, names and sound of a voice."""
        voice, name = reader.voice, reader.voice.name
        staff = _merged(self.staff, self.staves.get(name, StaffProperties()))
        voice.clef = staff.clef or ""
        voice.title = decode(staff.title or ("" if _SAFE_NAME.fullmatch(name) else name))
        voice.short_title = decode(staff.short_title or "")
        voice.transposition = (staff.semitones or 0) + 12 * (staff.octaves or 0)
        voice.program = self.programs.get(name, self.programs.get(""))
        voice.drums = name in self.drums


def _merged(first: StaffProperties, second: StaffProperties) -> StaffProperties:
    """The properties of two fields; those of the second win."""
    return replace(first, **{name: value for name, value in vars(second).items() if value is not None})


def _tempo_in_note_values(value: str, unit: int) -> str:
    """A Q: field with a note value in place of the outdated forms 240, C=240 and C3=80, which count unit notes (ABC
    2.1, section 10.1); `unit` in ticks. Any other as it is."""
    match = _OLD_TEMPO.fullmatch(value.strip())
    if match is None:
        return value
    before, times, parts, number, after = match.groups()
    if parts and not int(parts):
        return value
    length = Fraction(unit, TICKS_PER_WHOLE) * Fraction(int(times or 1), int(parts or 1))
    return f"{before} {length.numerator}/{length.denominator}={number} {after}".strip()


def _default_unit(meter: Meter) -> int:
    """ABC 2.1, section 3.1.7: 1/16 when the meter is below 3/4, else 1/8."""
    small = not meter.is_free and 4 * meter.numerator < 3 * meter.denominator
    return TICKS_PER_WHOLE // (16 if small else 8)
