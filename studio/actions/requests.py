"""What can be asked for: one strict model a verb, with the bounds that everything else relies on.

Text is NFC-normalised; control characters are refused. A seed that is left out is drawn, and kept in take.json.
"""

import secrets
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

MAX_ABC = 65_536  # characters of a tune that is sent as JSON
MAX_WORDS = 20_000
MAX_SEED = 2**31 - 1
_PLAIN = r"^[^\x00-\x1f\x7f]*$"
_LINES = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
_BARS = r"^[0-9,. -]+$"
_METER, _PLAIN_METER = r"^[0-9C|/+a-z]*$", r"^[0-9]{1,2}/[0-9]{1,2}$"
_KEY, _MAJOR_KEY = r"^[A-Ga-zA-Z#b ]*$", r"^[A-G][#b]?$"
_MODEL = r"^[A-Za-z0-9][A-Za-z0-9._/-]*$"
_HOW = {  # what a text that does not fit is told
    _PLAIN: "control characters are not taken", _LINES: "control characters are not taken",
    _BARS: "write bars as 5, 5-8 or 5-8,12", _METER: "write a meter as 6/8 or C|", _PLAIN_METER: "write a meter as 6/8",
    _KEY: "write a key as D, Am or Dmix", _MAJOR_KEY: "write a major key as C, G or Bb",
    _MODEL: "name one of the models of GET /api/v1/models",
}  # fmt: skip


def _normalise(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def draw_seed() -> int:
    """A seed for a request that names none."""
    return secrets.randbelow(MAX_SEED + 1)


def fault_text(fault: Mapping[str, Any]) -> str:
    """What is wrong with a value, for people, from an entry of pydantic's errors(); never the value itself."""
    return _HOW.get(fault.get("ctx", {}).get("pattern", ""), "") or str(fault["msg"])


Short = Annotated[str, StringConstraints(max_length=200, pattern=_PLAIN), AfterValidator(_normalise)]
Line = Annotated[str, StringConstraints(max_length=400, pattern=_PLAIN), AfterValidator(_normalise)]
Words = Annotated[str, StringConstraints(max_length=MAX_WORDS, pattern=_LINES), AfterValidator(_normalise)]
Story = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_WORDS, pattern=_LINES), AfterValidator(_normalise)
]
Abc = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ABC, pattern=_LINES)]
Bars = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=_BARS)]
Meter = Annotated[str, StringConstraints(max_length=12, pattern=_METER)]
PlainMeter = Annotated[str, StringConstraints(max_length=5, pattern=_PLAIN_METER)]
KeyName = Annotated[str, StringConstraints(max_length=12, pattern=_KEY)]
MajorKey = Annotated[str, StringConstraints(pattern=_MAJOR_KEY)]
ModelName = Annotated[str, StringConstraints(max_length=100, pattern=_MODEL)]
Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


class StudioRequest(BaseModel):
    """A request; unknown names and values of another type are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)
    seed: Seed = Field(default_factory=draw_seed, description="the same seed gives the same result")

    def options(self) -> dict[str, Any]:
        """All values, as they are kept in take.json."""
        return self.model_dump(exclude={"parent"})


class SongRequest(StudioRequest):
    """A song: words, melody, score, sound, karaoke. Every field may be left out."""

    until: Literal["words", "score", "song"] = Field("song", description="how far to go")
    genre: Short = "pop"
    language: Literal["en", "pt", "es"] | None = None
    title: Short = ""
    artist: Short = ""
    first_line: Line = ""
    structure: Short | None = Field(None, description="as verse-chorus-verse-chorus")
    lines: Annotated[int, Field(ge=1, le=16)] | None = None
    syllables: Short | None = None
    rhyme: Short | None = None
    lyrics: Words | None = Field(None, description="words that are there already")
    tune: Abc | None = Field(None, description="a tune that is there already, as ABC")
    melody_model: ModelName | None = None
    metre: Meter | None = Field(None, description="the default is the genre's")
    key: KeyName | None = None
    chords: Line | None = Field(None, description='repeated to the end: "| Am | F | C | G |"')
    tempo: Annotated[float, Field(ge=20, le=300)] | None = None
    vocal: Literal["auto", "off"] = "auto"
    variations: Annotated[
        dict[Literal["words", "melody"], Annotated[int, Field(ge=0, le=9999)]],
        Field(max_length=2, description="how often a stage was done otherwise"),
    ] = {}


class RedoRequest(StudioRequest):
    """Another take of a song: `redo` is done otherwise, all that depends on it again. `lyrics` replaces the words."""

    redo: Literal["words", "melody", ""] = ""
    until: Literal["words", "score", "song"] = "song"
    lyrics: Words | None = None


class CheckRequest(BaseModel):
    """A tune to be read and no more."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)
    abc: Abc


class _Sampled(StudioRequest):
    model: ModelName | None = Field(None, description="one of GET /models; the default is the first that can do it")
    n: Annotated[int, Field(ge=1, le=16)] = 1
    temperature: Annotated[float, Field(ge=0, le=3)] = 1.0
    top_k: Annotated[int, Field(ge=0, le=1024)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    min_p: Annotated[float, Field(ge=0, lt=1)] = 0.05
    constrain: bool = Field(True, description="only what parses and fills its bars")


class TuneRequest(_Sampled):
    """New tunes."""

    metre: Meter | None = None
    key: KeyName | None = None
    first_bars: Line | None = None
    sections: Annotated[int, Field(ge=1, le=8)] | None = None
    bars: Annotated[list[Annotated[int, Field(ge=1, le=32)]], Field(max_length=8)] = []
    similarity: Annotated[list[Annotated[int, Field(ge=0, le=10)]], Field(max_length=28)] = []
    rhythm: Short | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1024)] = 1024
    transpose: Annotated[int, Field(ge=-24, le=24)] | None = None
    harmonise: Literal["bar", "beat"] | None = None


class _Edit(StudioRequest):
    abc: Abc
    parent: Id | None = Field(None, description="the take that it was made from")


class ImportRequest(_Edit):
    """A tune of one's own: checked, and written in every format."""


class FillRequest(_Sampled, _Edit):
    """Other bars in the place of some; all others stay byte for byte."""

    bars: Bars = Field(description="as 5, 5-8 or 5-8,12; a pick-up is bar 0")


class VaryRequest(_Sampled, _Edit):
    """Other bars in the place of some, or of a share of all that the seed chooses: 0.25."""

    bars: Bars = "0.25"


class ContinueRequest(_Sampled, _Edit):
    """The tune gone on with after its last bar, or after `keep_bars`."""

    keep_bars: Annotated[int, Field(ge=1, le=999)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1024)] = 1024


class HarmoniseRequest(_Edit):
    """Chord symbols, one a bar or one a beat."""

    every: Literal["bar", "beat"] = "bar"


class TransposeRequest(_Edit):
    """Higher or lower by semitones."""

    semitones: Annotated[int, Field(ge=-24, le=24)]


class RenderRequest(_Edit):
    """Sound: MP3 and WAV."""

    instrument: Short = "violin"
    tempo: Annotated[float, Field(ge=20, le=400)] | None = None


class ConditionRequest(_Edit):
    """MusicGen-melody on the tune, with a text; `model` is a checkpoint that GET /models names."""

    text: Line = "instrumental"
    model: ModelName | None = None
    seconds: Annotated[float, Field(ge=1, le=30)] = 10.0


class StoryRequest(_Edit):
    """A story for a tune: its mood follows the music."""

    title: Short = Field("", description="the default is the tune's")
    sections: Annotated[int, Field(ge=1, le=9, description="at most")] = 9


class SoundtrackRequest(StudioRequest):
    """Music for a story, played: each section of one mood has music of that mood."""

    story: Story = Field(description="an English text")
    title: Short = Field("", description="the default is the story's first words")
    metre: PlainMeter = "4/4"
    key: MajorKey = "D"
    bars: Annotated[int, Field(ge=2, le=32, description="of each section")] = 8
    n: Annotated[int, Field(ge=1, le=16, description="melodies to choose from")] = 8
    instrument: Short = Field("piano", description="of the melody")
    narrate: bool = Field(False, description="the story is spoken over the music (espeak-ng)")
    model: ModelName | None = None


_Tick = Annotated[int, Field(ge=0, le=10_000_000)]
_NoteLength = Annotated[str, StringConstraints(max_length=12, pattern=r"^[1-9][0-9]{0,3}/[1-9][0-9]{0,4}$")]
_MidiPitch = Annotated[int, Field(ge=12, le=126)]
GridNote = Annotated[tuple[_Tick, _NoteLength, _MidiPitch | None], Field(strict=False)]


class GridRequest(StudioRequest):
    """Notes as notation programs and DAWs have them: [tick, "1/8", MIDI pitch or null for a rest], ..."""

    division: Annotated[int, Field(ge=1, le=15360, description="ticks of a quarter note")] = 480
    metre: PlainMeter = "4/4"
    key: KeyName = "C"
    notes: Annotated[list[GridNote], Field(min_length=1, max_length=2000)]
    n_bars: Annotated[int, Field(ge=1, le=32, description="new bars of continue")] = 4
    start: Annotated[int, Field(ge=0, le=10_000_000, alias="from")] = 0
    to: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    model: ModelName | None = None


VERBS: dict[str, type[StudioRequest]] = {
    "song": SongRequest, "tune": TuneRequest, "import": ImportRequest, "fill": FillRequest, "vary": VaryRequest,
    "continue": ContinueRequest, "harmonise": HarmoniseRequest, "transpose": TransposeRequest,
    "render": RenderRequest, "condition": ConditionRequest, "story": StoryRequest, "soundtrack": SoundtrackRequest,
}  # fmt: skip
