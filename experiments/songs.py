"""Songs by the numbers: harmony, melody, rhythm, words and genres of made songs, beside human songs and shuffled ones.

    python -m experiments.songs                   # 120 songs, 12 genres, three languages
    python -m experiments.songs --songs 24 --no-sound

Human melodies are every 20th song of 32 notes or more of the Essen collection (music21; the chooser's norms come from
others of it); human chords are those of 204 held-out tunes of the Nottingham database, as measured by
`experiments.harmonising`. Shuffled melodies have the same notes in random order, shuffled words the same lines in other
songs. The old chooser is that of version 0.1 (log-probability and a bonus for several pitches), on the same candidates.

Genres are told by linear discriminant analysis, trained on the songs of four of five folds and tried on the fifth:
from the sound (log spectrum and its change, chance is 1/12), and from the melody's rhythm and intervals alone.
"""

import argparse
import contextlib
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audio_bridge.lyrics.genre_styles import styles
from audio_bridge.lyrics.setting import melody_chooser, melody_for_words
from audio_bridge.lyrics.setting.melody_for_words import MelodyDraw
from audio_bridge.lyrics.setting.sung_melody import SungNote, sung_notes
from audio_bridge.lyrics.writing import phrase_grammar
from audio_bridge.song import song as songs
from benchmarks import result_file
from symbolic import command_line, files
from symbolic.errors import UserError
from symbolic.notation import abc_parser, harmony
from symbolic.notation.chord_symbols import parse_chord
from symbolic.notation.score import Score
from symbolic.notation.theory import TICKS_PER_WHOLE, UNIT_TICKS, Meter

if TYPE_CHECKING:
    import mido

TITLES = {
    "en": ("River of Gold", "Paper Boats", "The Last Train", "Harbour Light", "Snow in April"),
    "pt": ("Barco de papel", "Luz da manhã", "O último trem", "Flor do sertão", "Lua cheia"),
    "es": ("Barco de papel", "Luz de la noche", "El último tren", "Flor de jardín", "Luna llena"),
}
LANGUAGES = tuple(TITLES)
RHYTHM = ("different note lengths", "upbeat", "syncopated notes", "thirds of a beat")
N_FOLDS = 5
HUMAN_EVERY, HUMAN_OFFSET, MIN_NOTES = 20, 3, 32  # the norms are of songs 0, 4, 8, ...
CHOOSER_SONGS = 12  # each genre
SOUND_SECONDS = 24.0  # of a song's beginning, for telling genres
_HARMONY = {
    "changes a bar": "changes a bar",
    "chords a song": "chords a tune",
    "ends on the tonic": "ends on the tonic",
}


@dataclass
class MadeSong:
    """A song that was made: its options, folder, sections as (kind, score), and the notes of each."""

    genre: str
    language: str
    title: str
    folder: Path
    sections: list[tuple[str, Score]]
    notes: list[list[SungNote]]
    lines: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--songs", type=int, default=120, metavar="N", help="default 120")
    made.add_argument(
        "--folder", type=Path, metavar="FOLDER", help="keep the songs there, and take those that are there"
    )
    made.add_argument("--workers", type=int, default=2, metavar="N", help="processes (default 2)")
    made.add_argument("--no-sound", action="store_true", help="render none, so no genres told by sound")
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "songs.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Make the songs and measure them."""
    recorder = result_file.Recorder("songs", settings={"songs": args.songs, "form": "verse-chorus-verse-chorus"})
    with contextlib.ExitStack() as stack:
        folder = args.folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="songs-"))
        pool = stack.enter_context(ProcessPoolExecutor(args.workers, mp_context=get_context("fork")))
        made = list(pool.map(partial(make, parent=Path(folder)), range(args.songs)))
        sounds = [] if args.no_sound else [pool.submit(sound_vector, one) for one in made]
        choices = [pool.submit(chosen_by_rules, n, Path(folder)) for n in range(min(CHOOSER_SONGS, args.songs))]
        record_melodies(recorder, made)
        record_harmony(recorder, made)
        record_words(recorder, made)
        record_choosers(recorder, [choice.result() for choice in choices])
        labels = [one.genre for one in made]
        recorder.measured([told(np.stack([melody_vector(one) for one in made]), labels)], "share", of="genres told",
                          by="melody")  # fmt: skip
        recorder.measured([1 / len(set(labels))], "share", of="genres told", by="chance")
        if not args.no_sound:
            vectors = np.stack([sound.result() for sound in sounds])
            recorder.measured([told(vectors, labels)], "share", of="genres told", by="sound")
        recorder.measured([whole_song_cost(Path(folder))], "processor seconds", of="a whole song, warm")
    result = recorder.write(args.output)
    print(table(result), file=sys.stderr)
    return 0


def options_of(number: int) -> dict[str, Any]:
    """The options of the n-th song: genres in turn, a language after each round, a title after each three."""
    genres = list(styles())
    turn = number // len(genres)
    language = LANGUAGES[turn % len(LANGUAGES)]
    title = TITLES[language][(turn // len(LANGUAGES) + number) % len(TITLES[language])]
    return {"genre": genres[number % len(genres)], "language": language, "title": title, "seed": number}


def make(number: int, parent: Path) -> MadeSong:
    """Make a song up to its score."""
    chosen = options_of(number)
    folder = parent / str(number)
    before = files.read_json(folder / songs.RECORD)["stages"] if (folder / songs.RECORD).is_file() else None
    songs.make(folder, {**songs.DEFAULTS, **chosen}, before, until="score", say=lambda *_: None)
    kinds = files.read_json(folder / "melody.json")
    sections = [(kind, abc_parser.parse(text)) for kind, text in kinds.items()]
    words = files.read_json(folder / "words.json")
    lines = [line for section in words["sections"] for line in section["lines"]]
    notes = [sung_notes(score) for _, score in sections]
    return MadeSong(chosen["genre"], chosen["language"], chosen["title"], folder, sections, notes, lines)


# --- melody ----------------------------------------------------------------------------------------------------------


def record_melodies(recorder: result_file.Recorder, made: Sequence[MadeSong]) -> None:
    """Features of pitches and rhythm of made, human and shuffled melodies; endings and choruses of made ones."""
    ours = [notes for one in made for notes in one.notes]
    human = list(human_melodies())
    rng = random.Random(0)
    sets = {
        "songs": [_pitches(notes) for notes in ours],
        "people": [_pitches(notes) for notes, _, _ in human],
        "shuffled": [rng.sample(_pitches(notes), len(notes)) for notes in ours],
    }
    for whose, melodies in sets.items():
        rows = [melody_chooser.features(one[: melody_chooser.N_NOTES]) for one in melodies]
        for i, name in enumerate(melody_chooser.FEATURES):
            recorder.measured([round(float(row[i]), 4) for row in rows], "a section", of=name, whose=whose)
        costs = [melody_chooser.unlikeness(one[: melody_chooser.N_NOTES]) for one in melodies]
        recorder.measured([round(cost, 4) for cost in costs], "nats", of="unlikeness", whose=whose)
    tonics = [score.key.tonic_pitch_class for one in made for _, score in one.sections]
    meters = [score.meter for one in made for _, score in one.sections]
    mixed = [_reordered(notes, rng) for notes in ours]
    for whose, all_notes in (
        ("songs", list(zip(ours, tonics, meters))), ("people", human), ("shuffled", list(zip(mixed, tonics, meters))),
    ):  # fmt: skip
        phrased = [phrasing(notes, tonic, meter) for notes, tonic, meter in all_notes]
        for name in phrased[0]:
            recorder.measured([round(one[name], 4) for one in phrased], "a section", of=name, whose=whose)
    for genre in dict.fromkeys(one.genre for one in made):
        own = [(notes, score.meter) for one in made if one.genre == genre
               for notes, (_, score) in zip(one.notes, one.sections)]  # fmt: skip
        phrased = [phrasing(notes, 0, meter) for notes, meter in own]
        for name in RHYTHM:
            recorder.measured([round(one[name], 4) for one in phrased], "a section", of=name, genre=genre)
    recorder.measured([_rise(one) for one in made], "semitones", of="chorus above verse", whose="songs")
    same = [float(_pitches(one.notes[0])[:8] == _pitches(one.notes[1])[:8]) for one in made]
    recorder.measured(same, "share", of="chorus begins as the verse", whose="songs")


def phrasing(notes: Sequence[SungNote], tonic: int, meter: Meter) -> dict[str, float]:
    """Rhythm and phrase endings of a melody whose tonic is a pitch class. An upbeat begins before the first beat of a
    bar; a syncopation begins between beats and is held over the next one; a third of a beat is a note that lasts
    one or two of them, of triplets and in 12/8; phrase ends are those of `sung_melody`."""
    gaps = [b.onset_ticks - a.onset_ticks for a, b in pairwise(notes)]
    held = [a.strength == 0 and a.ticks > UNIT_TICKS and b.strength == 0 for a, b in pairwise(notes)]
    ends = [note for note in notes if note.boundary == 1.0]
    mean, beat = fmean(note.ticks for note in notes), meter.beat_ticks
    return {
        "different note lengths": float(len(set(gaps))),
        "upbeat": float(notes[0].strength < 3),
        "syncopated notes": sum(held) / len(held),
        "thirds of a beat": sum(3 * gap in (beat, 2 * beat) for gap in gaps) / len(gaps),
        "last note on the tonic": float(notes[-1].midi % 12 == tonic),
        "phrase ends on the tonic, third or fifth": fmean((n.midi - tonic) % 12 in (0, 3, 4, 7) for n in ends),
        "phrase ends longer than the mean note": fmean(note.ticks + note.rest_after > mean for note in ends),
        "phrase ends lower than the mean pitch": fmean(n.midi < fmean(_pitches(notes)) for n in ends),
    }


def _reordered(notes: Sequence[SungNote], rng: random.Random) -> list[SungNote]:
    """The rhythm of a melody with its pitches in random order."""
    return [replace(note, midi=midi) for note, midi in zip(notes, rng.sample(_pitches(notes), len(notes)))]


def human_melodies() -> Iterator[tuple[list[SungNote], int, Meter]]:
    """Songs of the Essen collection that are not among the norms, with the tonic's pitch class and the meter."""
    spec = find_spec("music21")
    if spec is None or spec.origin is None:
        raise UserError("human songs come with music21: pip install music21.")
    count = 0
    for path in sorted((Path(spec.origin).parent / "corpus" / "essenFolksong").glob("*.abc")):
        for raw in abc_parser.split_tunes(files.decode(path.read_bytes())):
            count += 1
            if count % HUMAN_EVERY != HUMAN_OFFSET:
                continue
            try:
                score = abc_parser.parse(raw.text)
                notes = sung_notes(score)
            except UserError:
                continue
            if len(notes) >= MIN_NOTES:
                yield notes, score.key.tonic_pitch_class, score.meter


def chosen_by_rules(number: int, parent: Path) -> dict[str, MelodyDraw]:
    """The tune that the old and the new rule take of the same eight candidates of a song."""
    options = {**songs.DEFAULTS, **options_of(number)}
    _, sections, key = songs.melody_sections(parent / str(number), options, options["seed"])
    mask, draws = melody_for_words.draw(sections, key=key.text, seed=options["seed"])
    roles = [section.role for section in sections]
    return {
        "new": max(draws, key=lambda one: melody_for_words.score(one, roles, mask.n_tokens)),
        "old": max(draws, key=lambda one: one.log_probability / mask.n_tokens + _old_bonus(one)),
    }


def record_choosers(recorder: result_file.Recorder, taken: Sequence[dict[str, MelodyDraw]]) -> None:
    """How the tunes that the two rules take are like human ones."""
    for rule in ("old", "new"):
        melodies = [section for one in taken for section in one[rule].sections]
        costs = [melody_chooser.unlikeness(melody) for melody in melodies]
        recorder.measured([round(cost, 4) for cost in costs], "nats", of="unlikeness", chooser=rule)
        rows = [melody_chooser.features(melody) for melody in melodies]
        for name in ("distinct pitches", "commonest pair", "to and fro"):
            place = melody_chooser.FEATURES.index(name)
            recorder.measured([round(float(row[place]), 4) for row in rows], "a section", of=name, chooser=rule)


def _old_bonus(one: MelodyDraw) -> float:
    """Version 0.1's: several pitches, few repeated notes."""
    pitches = [pitch for section in one.sections for pitch in section]
    repeated = sum(a == b for a, b in pairwise(pitches)) / max(1, len(pitches) - 1)
    return 0.05 * min(len(set(pitches)), 8) - 0.6 * max(0.0, repeated - 0.2)


def _pitches(notes: Sequence[SungNote]) -> list[int]:
    return [note.midi for note in notes]


def _rise(one: MadeSong) -> float:
    means = {kind: fmean(_pitches(notes)) for (kind, _), notes in zip(one.sections, one.notes)}
    return round(means["chorus"] - means["verse"], 3)


# --- harmony and words -----------------------------------------------------------------------------------------------


def record_harmony(recorder: result_file.Recorder, made: Sequence[MadeSong]) -> None:
    """Changes a bar, chords a song and the last chord, beside those of people and of shuffled symbols."""
    people = result_file.read(result_file.EXPERIMENTS / "harmonising.json")
    for name, theirs in _HARMONY.items():
        for whose in ("people", "shuffled"):
            row = result_file.find(people, method=whose, measure=theirs)
            if row is not None:
                recorder.measured(row["repeats"], "a tune", of=name, whose=whose)
    rows: dict[str, list[float]] = {name: [] for name in _HARMONY}
    for one in made:
        score = abc_parser.parse((one.folder / "song.abc").read_text(encoding="utf-8"))
        symbols = [symbol for symbol in harmony.symbols_of(score, "beat") if symbol]
        n_bars = len({(span.section, span.bar) for span in harmony.spans_of(score, "beat")})
        rows["changes a bar"].append(sum(a != b for a, b in pairwise(symbols)) / max(1, n_bars))
        rows["chords a song"].append(len(set(symbols)))
        last = parse_chord(symbols[-1])
        rows["ends on the tonic"].append(float(last is not None and last.root == score.key.tonic_pitch_class))
    for name, values in rows.items():
        recorder.measured([round(value, 4) for value in values], "a song", of=name, whose="songs")
    counts = {"songs": rows["chords a song"]}
    row = result_file.find(people, method="people", measure=_HARMONY["chords a song"])
    counts |= {} if row is None else {"people": row["repeats"]}
    for whose, values in counts.items():
        recorder.measured([float(value <= 2) for value in values], "share", of="two chords or one", whose=whose)
        recorder.measured([float(value <= 1) for value in values], "share", of="one chord", whose=whose)


def record_words(recorder: result_file.Recorder, made: Sequence[MadeSong]) -> None:
    """Different words, titles in choruses, and how often two lines of a song share a theme."""
    words = {word for one in made for line in one.lines for word in line.lower().split()}
    recorder.measured([len(words)], "words", of="different words in all songs")
    titles = [float(any(one.title.lower() in line.lower() for line in one.lines)) for one in made]
    recorder.measured(titles, "share", of="title sung", whose="songs")
    rng = random.Random(0)
    shuffled: dict[str, list[str]] = {}
    for language in LANGUAGES:
        lines = [line for one in made if one.language == language for line in dict.fromkeys(one.lines)]
        shuffled[language] = rng.sample(lines, len(lines))
    for whose in ("songs", "shuffled"):
        shares = []
        for one in made:
            n = len(dict.fromkeys(one.lines))
            own = (
                list(dict.fromkeys(one.lines)) if whose == "songs" else [shuffled[one.language].pop() for _ in range(n)]
            )
            shares.append(round(thread(own, one.language), 4))
        recorder.measured(shares, "share", of="pairs of lines that share a theme", whose=whose)


def thread(lines: Sequence[str], language: str) -> float:
    """The share of pairs of lines with a theme in common, among lines that have one."""
    grammar = phrase_grammar.load(language)
    themes = [own for own in map(grammar.themes_of, lines) if own]
    pairs = [bool(a & b) for i, a in enumerate(themes) for b in themes[i + 1 :]]
    return fmean(pairs) if pairs else 0.0


# --- genres told -----------------------------------------------------------------------------------------------------


def melody_vector(one: MadeSong) -> NDArray[np.float64]:
    """Rhythm and intervals of a song's melody: shares of note distances (sixteenths to wholes), of metrical strengths,
    of intervals up to a sixth; range and mean pitch of each section."""
    parts = []
    for notes in one.notes:
        gaps = Counter(
            min(16, round(16 * (b.onset_ticks - a.onset_ticks) / TICKS_PER_WHOLE)) for a, b in pairwise(notes)
        )
        leaps = Counter(max(-9, min(9, b.midi - a.midi)) for a, b in pairwise(notes))
        places = Counter(note.strength for note in notes)
        pitches = _pitches(notes)
        n = len(notes)
        shares = [gaps[g] / n for g in range(1, 17)] + [leaps[i] / n for i in range(-9, 10)]
        shares += [places[s] / n for s in range(4)]
        parts.append([*shares, (max(pitches) - min(pitches)) / 12, fmean(pitches) / 12])
    return np.concatenate([np.array(part) for part in parts])


def sound_vector(one: MadeSong) -> NDArray[np.float64]:
    """The sound of the beginning: mean and deviation of a log spectrum of 24 bands, and of its change."""
    from audio_bridge.render.render import render
    from audio_bridge.sound.recordings import mono
    from symbolic.formats.midi import read_midi

    sound = mono(render(beginning(read_midi(one.folder / "song.mid"), SOUND_SECONDS), sample_rate=32_000), 32_000)
    samples = sound.samples[0][: round(SOUND_SECONDS * 32_000)]
    size, hop = 2048, 1024
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop] * np.hanning(size)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    edges = np.unique(np.round(np.geomspace(3, size // 2, 25)).astype(int))
    bands = np.log10(np.add.reduceat(power, edges, axis=1)[:, :-1] + 1e-8)
    change = np.abs(np.diff(bands, axis=0))
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0), change.mean(axis=0)])


def beginning(midi: "mido.MidiFile", seconds: float) -> "mido.MidiFile":
    """The first seconds of a song whose tempo does not change, with every note that begins in them."""
    import mido

    tempo = next(message.tempo for track in midi.tracks for message in track if message.type == "set_tempo")
    limit = round(mido.second2tick(seconds, midi.ticks_per_beat, tempo))
    cut = mido.MidiFile(type=1, ticks_per_beat=midi.ticks_per_beat)
    for track in midi.tracks:
        tick, sounding, kept = 0, set[int](), mido.MidiTrack()
        for message in track:
            tick += message.time
            if tick >= limit:
                break
            if message.type in ("note_on", "note_off"):
                (sounding.add if message.type == "note_on" and message.velocity else sounding.discard)(message.note)
            kept.append(message)
        channel = next((m.channel for m in kept if m.type == "note_on"), 0)
        left = max(0, limit - sum(m.time for m in kept))
        for i, note in enumerate(sorted(sounding)):
            kept.append(mido.Message("note_off", channel=channel, note=note, time=0 if i else left))
        cut.tracks.append(kept)
    return cut


def whole_song_cost(parent: Path) -> float:
    """Processor seconds of a second whole song, of this process and its children: the first loads and compiles."""
    costs = []
    for number in (0, 1):
        began = os.times()
        given = {**options_of(number), "vocal": "off"}
        songs.make(parent / f"whole-{number}", {**songs.DEFAULTS, **given}, say=lambda *_: None)
        ended = os.times()
        costs.append(sum(ended[:4]) - sum(began[:4]))
    return round(costs[-1], 3)


def told(vectors: NDArray[np.float64], labels: Sequence[str]) -> float:
    """The share of songs whose genre is told by linear discriminant analysis (shrunk covariance), by folds: the n-th
    round of genres is in fold n modulo N_FOLDS."""
    names = sorted(set(labels))
    y = np.array([names.index(label) for label in labels])
    seen: Counter[str] = Counter()
    folds = []
    for label in labels:
        folds.append(seen[label] % N_FOLDS)
        seen[label] += 1
    fold = np.array(folds)
    right = 0
    for held in range(min(N_FOLDS, max(folds) + 1)):
        train, test = fold != held, fold == held
        mean, deviation = vectors[train].mean(axis=0), vectors[train].std(axis=0) + 1e-9
        a, b = (vectors[train] - mean) / deviation, (vectors[test] - mean) / deviation
        centres = np.stack([a[y[train] == k].mean(axis=0) for k in range(len(names))])
        within = a - centres[y[train]]
        covariance = within.T @ within / len(within) + 0.3 * np.eye(a.shape[1])
        weights = np.linalg.solve(covariance, centres.T)
        scores = b @ weights - 0.5 * np.sum(centres.T * weights, axis=0)
        right += int(np.sum(scores.argmax(axis=1) == y[test]))
    return right / len(labels)


def table(result: dict[str, Any]) -> str:
    """Means, and how many numbers each is of."""
    lines = []
    for row in result["rows"]:
        keys = ", ".join(str(value) for name, value in row.items() if name not in ("unit", "repeats"))
        lines.append(f"{keys:58} {fmean(row['repeats']):8.3f} {row['unit']} (n = {len(row['repeats'])})")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
