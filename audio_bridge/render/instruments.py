"""The 128 instruments of General MIDI level 1 by name; programs are counted from 0."""

import difflib

from symbolic.errors import UsageError

PROGRAMS = (
    "acoustic grand piano", "bright acoustic piano", "electric grand piano", "honky-tonk piano", "electric piano 1",
    "electric piano 2", "harpsichord", "clavinet", "celesta", "glockenspiel", "music box", "vibraphone", "marimba",
    "xylophone", "tubular bells", "dulcimer", "drawbar organ", "percussive organ", "rock organ", "church organ",
    "reed organ", "accordion", "harmonica", "tango accordion", "acoustic guitar (nylon)", "acoustic guitar (steel)",
    "electric guitar (jazz)", "electric guitar (clean)", "electric guitar (muted)", "overdriven guitar",
    "distortion guitar", "guitar harmonics", "acoustic bass", "electric bass (finger)", "electric bass (pick)",
    "fretless bass", "slap bass 1", "slap bass 2", "synth bass 1", "synth bass 2", "violin", "viola", "cello",
    "contrabass", "tremolo strings", "pizzicato strings", "orchestral harp", "timpani", "string ensemble 1",
    "string ensemble 2", "synth strings 1", "synth strings 2", "choir aahs", "voice oohs", "synth voice",
    "orchestra hit", "trumpet", "trombone", "tuba", "muted trumpet", "french horn", "brass section", "synth brass 1",
    "synth brass 2", "soprano sax", "alto sax", "tenor sax", "baritone sax", "oboe", "english horn", "bassoon",
    "clarinet", "piccolo", "flute", "recorder", "pan flute", "blown bottle", "shakuhachi", "whistle", "ocarina",
    "lead 1 (square)", "lead 2 (sawtooth)", "lead 3 (calliope)", "lead 4 (chiff)", "lead 5 (charang)",
    "lead 6 (voice)", "lead 7 (fifths)", "lead 8 (bass + lead)", "pad 1 (new age)", "pad 2 (warm)",
    "pad 3 (polysynth)", "pad 4 (choir)", "pad 5 (bowed)", "pad 6 (metallic)", "pad 7 (halo)", "pad 8 (sweep)",
    "fx 1 (rain)", "fx 2 (soundtrack)", "fx 3 (crystal)", "fx 4 (atmosphere)", "fx 5 (brightness)", "fx 6 (goblins)",
    "fx 7 (echoes)", "fx 8 (sci-fi)", "sitar", "banjo", "shamisen", "koto", "kalimba", "bagpipe", "fiddle", "shanai",
    "tinkle bell", "agogo", "steel drums", "woodblock", "taiko drum", "melodic tom", "synth drum", "reverse cymbal",
    "guitar fret noise", "breath noise", "seashore", "bird tweet", "telephone ring", "helicopter", "applause",
    "gunshot",
)  # fmt: skip
ALIASES = {
    "piano": 0,
    "organ": 19,
    "guitar": 24,
    "steel guitar": 25,
    "bass": 32,
    "harp": 46,
    "strings": 48,
    "choir": 52,
    "horn": 60,
    "saxophone": 65,
    "tin whistle": 78,
    "bagpipes": 109,
    "uilleann pipes": 109,
}


def program(instrument: str | int) -> int:
    """The program of a name or of a number 0 to 127. UsageError suggests the nearest names."""
    text = str(instrument).strip().lower().replace("_", " ")
    if text.lstrip("-").isdigit():
        if not 0 <= int(text) <= 127:
            raise UsageError(f"instrument {text} does not exist: General MIDI programs run from 0 to 127.")
        return int(text)
    if text in ALIASES:
        return ALIASES[text]
    if text in PROGRAMS:
        return PROGRAMS.index(text)
    raise UsageError(f"there is no instrument '{instrument}'.{_suggestion(text)} Numbers from 0 to 127 work too.")


def programs(instruments: str | int) -> tuple[int, ...]:
    """The programs of one name or number, or of several parted by commas: `violin,piano`. UsageError as `program`."""
    if isinstance(instruments, int):
        return (program(instruments),)
    return tuple(program(name) for name in instruments.split(","))


def listing() -> str:
    """Every program's number and name, and the other names that are understood."""
    rows = [f"{number:3}  {name}" for number, name in enumerate(PROGRAMS)]
    return "\n".join([*rows, "", *(f"{name} = {PROGRAMS[number]}" for name, number in ALIASES.items())])


def _suggestion(text: str) -> str:
    names = [*ALIASES, *PROGRAMS]
    near = difflib.get_close_matches(text, names, n=3, cutoff=0.6) if text else []
    near = (
        near or [name for name in names if text and text in name][:3] or difflib.get_close_matches(text, names, 3, 0.3)
    )
    return f" Did you mean {', '.join(near)}?" if near else ""
