"""Symbolic-music language models: notation, tokens, models, training, decoding, evaluation; nothing of audio.

The names below do what the verbs do. Each is imported when it is first used; errors are exceptions
(`symbolic.errors.UserError`).

    >>> import symbolic
    >>> score = symbolic.parse("X:1\\nT:A scale\\nM:4/4\\nL:1/8\\nK:D\\nDEFG ABcd | dcBA GFED | D8 |]")
    >>> score.title, len(score.voices)
    ('A scale', 1)
    >>> symbolic.check(symbolic.to_abc(score)).is_right
    True
    >>> symbolic.to_midi(score)[:4]
    b'MThd'

    written = symbolic.generate("gpt2-6m", n=2, seed=17, prompt="M:6/8 K:Dmix")
    scores = symbolic.evaluate([tune.text for tune in written.tunes], "data/folk")

    parse          a tune in ABC -> Score                  read         a file of ABC, MIDI or MusicXML -> Scores
    to_abc         Score -> ABC for people                 canonical    Score -> the text that models see
    to_midi        Score -> bytes                          to_musicxml  Score -> text
    convert        a file into another format              check        are its bars right?
    load_model     a model by name, run or folder          generate     tunes from a model, or a tune edited
    prepare        tunes -> a folder to train on           train        a configuration -> a run directory
    evaluate       tunes beside human ones and baselines   Score        a tune as events
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from symbolic.corpus.prepare import prepare as prepare
    from symbolic.decode.loaded_model import load_source as load_model  # noqa: F401
    from symbolic.decode.tune_writer import generate as generate
    from symbolic.evaluate.evaluation import evaluate as evaluate
    from symbolic.formats.convert import convert as convert
    from symbolic.formats.convert import to_abc as to_abc
    from symbolic.formats.documents import read_scores as read  # noqa: F401
    from symbolic.formats.midi import to_midi as to_midi
    from symbolic.formats.musicxml.musicxml_writing import to_musicxml as to_musicxml
    from symbolic.notation.abc_parser import parse as parse
    from symbolic.notation.canonical import canonical as canonical
    from symbolic.notation.score import Score as Score
    from symbolic.notation.validity import check as check
    from symbolic.training.train import train as train

PUBLIC = {
    "Score": "symbolic.notation.score:Score",
    "canonical": "symbolic.notation.canonical:canonical",
    "check": "symbolic.notation.validity:check",
    "convert": "symbolic.formats.convert:convert",
    "generate": "symbolic.decode.tune_writer:generate",
    "load_model": "symbolic.decode.loaded_model:load_source",
    "parse": "symbolic.notation.abc_parser:parse",
    "prepare": "symbolic.corpus.prepare:prepare",
    "read": "symbolic.formats.documents:read_scores",
    "to_abc": "symbolic.formats.convert:to_abc",
    "to_midi": "symbolic.formats.midi:to_midi",
    "to_musicxml": "symbolic.formats.musicxml.musicxml_writing:to_musicxml",
    "train": "symbolic.training.train:train",
}
CALLABLE_PACKAGES = ("evaluate",)  # rooms whose name is also a verb's: they can be called


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    from importlib import import_module

    if name in CALLABLE_PACKAGES:
        return import_module(f"{__name__}.{name}")
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = PUBLIC[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *PUBLIC, *CALLABLE_PACKAGES])
