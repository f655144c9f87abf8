"""Where a survey's clips come from: one name of a source to pieces that can be made to sound.

runs/a/tunes.abc, data/folk:test, aird     tunes: what `evaluate` reads; PATH:SPLIT is a split of a prepared folder
PIECE.mid, FOLDER                          MIDI files, recordings (wav, mp3, flac ...), or songs made by `song`
model:gpt2-6m                              tunes that a ready-made model or a run writes now
damaged:SOURCE                             a source's tunes with every pitch drawn at random: a control that must lose
pairs:FOLDER                               NAME.txt with NAME.wav, .mp3, .mid or .abc: a text and its music (similarity)
story:SOURCE                               a source's tunes, each with the story that `story` writes for it (similarity)
song:GENRE                                 songs that `song` makes now, with their words (similarity)

A story and the words of a song are shown as far as the clip goes.
"""

import random
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from symbolic.errors import UsageError, UserError

SONG_AUDIO = ("song.mp3", "backing.wav")  # what a song folder is heard by, best first
MIDI_SUFFIXES = (".mid", ".midi", ".kar")
CLIP_SECONDS = 20.0
_TEXT_CHARACTERS = 4000
_LRC_LINE = re.compile(r"^\[(\d+):(\d+(?:\.\d+)?)\](.*)$", re.MULTILINE)


@dataclass(frozen=True)
class SurveyPiece:
    """Something to be heard: ABC text, or a MIDI file or recording at `path`; `text` is the words of a pair."""

    label: str
    abc: str = ""
    path: Path | None = None
    text: str = ""


def read_source(source: str, n: int, seed: int, seconds: float = CLIP_SECONDS) -> Iterable[SurveyPiece]:
    """At least one, at most about 4 n pieces of a source in random order (pairs and MUSHRA items by name).

    Stories and songs are made as they are asked for, and their files are there until the next is; `seconds` is the
    length of a clip. Raises UsageError for a source that does not exist and UserError for one that holds nothing to
    hear.
    """
    kind, _, rest = source.partition(":")
    if kind == "model" and rest:
        return _model_tunes(rest, n, seed)
    if kind == "damaged" and rest:
        return _damaged(rest, n, seed)
    if kind == "pairs" and rest:
        return _pairs(Path(rest))
    if kind == "story" and rest:
        return _stories(rest, n, seed, seconds)
    if kind == "song" and rest:
        return _songs(rest, n, seed, seconds)
    path = Path(source)
    pieces = (
        list(_files(path)) if path.is_dir() or path.suffix.lower() in (*MIDI_SUFFIXES, *_recording_suffixes()) else []
    )
    if not pieces:
        pieces = _tunes(source)
        random.Random(seed).shuffle(pieces)
    return pieces[: 4 * n]


def _recording_suffixes() -> tuple[str, ...]:
    from audio_bridge.sound.recordings import SUFFIXES

    return tuple(SUFFIXES)


def _files(path: Path) -> Iterator[SurveyPiece]:
    """MIDI files, recordings and song folders of a folder, or the one file, by name."""
    wanted = (*MIDI_SUFFIXES, *_recording_suffixes())
    if path.is_file():
        yield SurveyPiece(path.stem, path=path)
        return
    for inner in sorted(path.iterdir()):
        if inner.is_dir():
            song = next((inner / name for name in SONG_AUDIO if (inner / name).is_file()), None)
            if song is not None:
                yield SurveyPiece(inner.name, path=song)
        elif inner.suffix.lower() in wanted:
            yield SurveyPiece(inner.stem, path=inner)


def _tunes(source: str) -> list[SurveyPiece]:
    """The tunes of a set that can be read; `PATH:SPLIT` is one split of a prepared folder."""
    from symbolic.evaluate import sets

    folder, _, split = source.rpartition(":")
    if split in ("train", "valid", "test") and Path(folder).is_dir():
        source = str(Path(folder) / "tunes" / f"{split}.jsonl")
        if not Path(source).is_file():
            raise UsageError(f"{folder} has no split {split!r}: give a folder that `python -m symbolic prepare` wrote.")
    elif not Path(source).exists() and any(mark in source for mark in "/\\."):
        raise UsageError(f"there is no {source}: give a file or folder, model:NAME, damaged:SOURCE or pairs:FOLDER.")
    readable = [tune for tune in sets.read_tunes(source) if tune.text and _parses(tune.text)]
    if not readable:
        raise UserError(f"{source} holds no tune that can be played.")
    return [SurveyPiece(tune.title or tune.id, abc=tune.text) for tune in readable]


def _parses(text: str) -> bool:
    from symbolic.notation.abc_parser import NotationError, parse, performance

    try:
        return bool(performance(parse(text)))
    except NotationError:
        return False


def _model_tunes(name: str, n: int, seed: int) -> list[SurveyPiece]:
    """Tunes that a model writes at the default sampling; those that cannot be played are left out, as is said."""
    import sys

    from symbolic.decode.tune_writer import generate

    tunes = [tune.text for tune in generate(name, n=2 * n, seed=seed).tunes]
    readable = [tune for tune in tunes if _parses(tune)]
    if len(readable) < len(tunes):
        print(f"note: {len(tunes) - len(readable)} of {len(tunes)} tunes of {name} cannot be played.", file=sys.stderr)
    if not readable:
        raise UserError(f"{name} wrote no tune that can be played in {len(tunes)}: give tunes that you chose.")
    return [SurveyPiece(f"{name} {i}", abc=text) for i, text in enumerate(readable, start=1)]


def _damaged(source: str, n: int, seed: int) -> list[SurveyPiece]:
    from symbolic.evaluate import baselines

    rng = random.Random(seed)
    pieces = [piece for piece in read_source(source, n, seed + 1) if piece.abc]
    if not pieces:
        raise UsageError(f"damaged:{source}: only tunes can be damaged, and {source} holds none.")
    return [SurveyPiece(piece.label, abc=baselines.random_pitches(_canonical(piece.abc), rng)) for piece in pieces]


def _canonical(text: str) -> str:
    from symbolic.notation.abc_parser import canonical, parse

    return canonical(parse(text))


def _pairs(folder: Path) -> list[SurveyPiece]:
    """Texts with their music, by name."""
    from symbolic.files import decode

    if not folder.is_dir():
        raise UsageError(f"pairs:{folder}: no such folder. It holds NAME.txt beside NAME.wav, .mp3, .mid or .abc.")
    pieces = []
    for text_file in sorted(folder.glob("*.txt")):
        music = next((text_file.with_suffix(s) for s in _music_suffixes() if text_file.with_suffix(s).is_file()), None)
        if music is None:
            raise UserError(f"{text_file} has no music beside it: add {text_file.stem}.wav, .mp3, .mid or .abc.")
        words = decode(text_file.read_bytes()[: 4 * _TEXT_CHARACTERS])[:_TEXT_CHARACTERS].strip()
        if music.suffix == ".abc":
            pieces.append(SurveyPiece(text_file.stem, abc=_tunes(str(music))[0].abc, text=words))
        else:
            pieces.append(SurveyPiece(text_file.stem, path=music, text=words))
    if not pieces:
        raise UserError(f"pairs:{folder}: no .txt files.")
    return pieces


def _stories(source: str, n: int, seed: int, seconds: float) -> Iterator[SurveyPiece]:
    """Tunes with stories; a tune that is too short for one is left out."""
    from symbolic.affect.hearing import note_table, score_affect
    from symbolic.affect.story import story_choice, story_plan

    tunes = [piece for piece in read_source(source, n, seed) if piece.abc]
    if not tunes:
        raise UsageError(f"story:{source}: stories are written for tunes, and {source} holds none.")
    for number, piece in enumerate(tunes):
        try:
            plan = story_plan.plan_of(score_affect.score_arc(note_table.of_abc(piece.abc)))
        except UserError:
            continue
        story = story_choice.write_story(plan, seed + number)
        heard = [text for text, start in zip(story.sentences, story.starts()) if start < seconds]
        yield SurveyPiece(piece.label, abc=piece.abc, text=" ".join(heard)[:_TEXT_CHARACTERS])


def _songs(genre: str, n: int, seed: int, seconds: float) -> Iterator[SurveyPiece]:
    """Songs of a genre, without a voice, with the words that belong to the clip."""
    from audio_bridge.song import song

    with tempfile.TemporaryDirectory() as folder:
        for number in range(4 * n):
            made = Path(folder, str(number))
            song.song(made, genre=genre, seed=seed + number, vocal="off")
            words = _words_until((made / "song.lrc").read_text(encoding="utf-8"), seconds)
            audio = next(made / name for name in SONG_AUDIO if (made / name).is_file())
            yield SurveyPiece(f"{genre} {number + 1}", path=audio, text=words[:_TEXT_CHARACTERS])


def _words_until(lrc: str, seconds: float) -> str:
    """The lines of an LRC file that begin before so many seconds."""
    lines = ((float(m[1]) * 60 + float(m[2]), m[3].strip()) for m in _LRC_LINE.finditer(lrc))
    return "\n".join(text for start, text in lines if text and start < seconds)


def _music_suffixes() -> Sequence[str]:
    return (*_recording_suffixes(), *MIDI_SUFFIXES, ".abc")
