"""The words of ABC as tokens: a note is an optional accidental, a pitch and an optional length, each one id.

The vocabulary is written down from the ABC standard, never learnt, in the order of `pieces()`; it reads canonical text
(lengths in eighths, whole field lines) in one id per word. Whatever it does not know, words outside the vocabulary and
free text alike, is spelled in bytes, so every string survives.

    M:6/8\\n  K:Em\\n  |:  ^  c'  3/2  (3  A  B  c  :|2

`PATTERN` cuts text into words, for Oniguruma (where ^ matches at every line start) as for Python's `re.MULTILINE`.
No word but "<" itself contains "<", so no text can ever be read as a special token.

The ABC music standard 2.1, abcnotation.com/wiki/abc:standard:v2.1 (fields §3, tune body §4).
Sturm et al., Music transcription modelling and composition using deep learning, 2016 (folk-rnn's word tokens).
"""

from collections.abc import Iterable

from tokenizers import models

from symbolic.notation.canonical import DECORATIONS
from symbolic.notation.theory import ACCIDENTAL_VALUE, FIFTHS, MODES, Key
from symbolic.tokens.tokenizer import VOCAB_SIZE, Tokenizer, assemble, byte_vocabulary, spell

KIND = "grammar"

FIELD = r"^[A-Za-z]:(?![|:])[^\n<]*\n?"  # a music line may begin with "A:|", as in symbolic.notation.abc_parser
INLINE = r"\[[A-Za-z]:[^\]\n<]*\]"
BAR = r"(?:\[\|\]?:*|:*\|+[\]:]*|::+)"
ENDING = rf"(?:{BAR}|\[)\d+(?:[,\-]\d+)*"
QUOTED = r'"[^"\n<]*"'
DECORATION = r"![^!|\s<]+!"
TUPLET = r"\(\d|:\d+"  # "(3:2:4" is three words, so any tuplet is in the vocabulary
ACCIDENTAL = r"\^{1,2}|_{1,2}|="
PITCH = r"[A-Ga-g][,']*"
LENGTH = r"\d+(?:/\d*)?|/+\d*"
GRACE = r"\{/?|\}"
SYMBOL = r"[H-Zh-z<>\[\]().~&\- \n]"
PATTERN = "|".join(
    [FIELD, INLINE, QUOTED, DECORATION, ENDING, BAR, TUPLET, ACCIDENTAL, PITCH, LENGTH, GRACE, SYMBOL],
)

MAX_SHARPS = 7  # or flats, in a key signature
# fmt: off
_METRES = [
    "4/4", "2/2", "2/4", "3/4", "6/8", "9/8", "12/8", "3/8", "3/2", "6/4", "5/4", "7/4", "9/4", "4/2", "6/2",
    "2/1", "3/1", "4/1", "2/8", "4/8", "5/8", "7/8", "8/8", "10/8", "11/8", "13/8", "15/8",
    "3/16", "6/16", "9/16", "none",
]
_ROOTS = ["C", "C#", "Db", "D", "D#", "Eb", "E", "F", "F#", "Gb", "G", "G#", "Ab", "A", "A#", "Bb", "B"]
_DECORATIONS = [
    "turn", "invertedturn", "arpeggio", "tenuto", "slide", "breath", "wedge",
    "pp", "p", "mp", "mf", "f", "ff", "sf", "sfz", "dacapo", "dacoda", "fine",
]
# fmt: on
_VOICES = range(1, 9)
_CLEFS = ("treble", "bass")
_CHORD_QUALITIES = ("", "m", "7", "m7")


def build(vocab_size: int = VOCAB_SIZE, lines: Iterable[str] = ()) -> Tokenizer:
    """Return the grammar vocabulary and after it further field lines, such as control codes; padded to `vocab_size`."""
    vocabulary = byte_vocabulary()
    for words in [*pieces().values(), list(lines)]:
        for word in words:
            vocabulary.setdefault(spell(word), len(vocabulary))  # a word of one byte keeps the byte's id
    # ignore_merges: a word found in the vocabulary is one id, any other falls back to its bytes
    model = models.BPE(vocab=vocabulary, merges=[], ignore_merges=True)
    return Tokenizer(assemble(model, PATTERN), KIND, vocab_size)


def pieces() -> dict[str, list[str]]:
    """Return every word of the vocabulary by kind, in the order of their ids."""
    return {
        "metre": [f"M:{metre}\n" for metre in _METRES],
        "unit": ["L:1/8\n"],
        "key": [f"K:{key}\n" for key in key_names()],
        "voice": [f"V:{n}\n" for n in _VOICES] + [f"V:{n} clef={clef}\n" for clef in _CLEFS for n in _VOICES[:4]],
        "inline": [f"[K:{key}]" for key in key_names()] + [f"[M:{metre}]" for metre in _METRES],
        "bar": ["|", "||", "|]", "|:", ":|", "::"],
        "ending": [f"{bar}{n}" for n in range(1, 5) for bar in ("|", ":|", "||", "[")],
        "accidental": list(ACCIDENTAL_VALUE),
        "pitch": _pitches(),
        "rest": ["z"],
        "length": _lengths(),
        "tuplet": [f"({p}" for p in range(2, 10)] + [f":{n}" for n in range(1, 10)],
        "grouping": ["(", ")", "-", "[", "]", "{", "}", "\n"],
        "decoration": [*DECORATIONS, *(f"!{name}!" for name in _DECORATIONS)],
        "chord symbol": [f'"{root}{quality}"' for quality in _CHORD_QUALITIES for root in _ROOTS],
    }


def key_names() -> list[str]:
    """Return the 105 keys whose signature has at most seven sharps or flats, mode by mode, from flats to sharps."""
    tonics = [letter + accidental for accidental in ("b", "", "#") for letter in FIFTHS]
    return [
        key.text for mode in MODES for key in (Key(tonic, mode) for tonic in tonics) if abs(key.sharps) <= MAX_SHARPS
    ]


def _pitches() -> list[str]:
    upper = [letter + marks for marks in ("", ",", ",,", ",,,") for letter in "CDEFGAB"]
    lower = [letter + marks for marks in ("", "'", "''", "'''") for letter in "cdefgab"]
    return upper + lower


def _lengths() -> list[str]:
    """Return the lengths in eighths: whole numbers, then halves, quarters, eighths (up to double dotted) and thirds of
    one."""
    whole = [str(n) for n in [*range(2, 17), 18, 20, 24, 28, 32]]
    halves = ["/2"] + [f"{n}/2" for n in range(3, 16, 2)]
    quarters = ["/4"] + [f"{n}/4" for n in range(3, 16, 2)]
    eighths = ["/8"] + [f"{n}/8" for n in range(3, 8, 2)]
    thirds = ["/3", "2/3", "4/3", "8/3"]
    return whole + halves + quarters + eighths + thirds
