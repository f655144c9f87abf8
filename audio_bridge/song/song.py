"""A song from a title: words, melody, alignment, chords, backing, guide vocal, mix, score, karaoke.

    python -m audio_bridge song --genre folk --title "River of Gold" -o songs/river
    python -m audio_bridge song -o songs/river --redo melody            # another melody, same words
    python -m audio_bridge song --tune TUNE.abc --first-line "…" -o songs/air
    python -m audio_bridge song --lyrics WORDS.txt --lyric-model gpt2-medium -o songs/mine
    python -m audio_bridge song --from songs/river/song.json -o songs/again

Everything lies in the folder: words.json, lyrics.txt, melody.json, setting.json, song.abc, .musicxml, .mid, .lrc,
.enhanced.lrc, .ultrastar.txt, yue2.json, backing.wav, conditioned.wav, guide.wav, song.wav, song.mp3, karaoke.html;
and song.json, which has the options, what each stage was made from, and what was left out and why. Called again for the
same folder, a stage is done only if what it depends on changed; options not given are those of song.json.

Without --lyric-model the words are joined by a grammar from this project's own phrases (offline, labelled so). Without
--tune the melody is drawn by an ABC model under the words' rhythm. The guide vocal needs espeak-ng, the conditioned
audio a MusicGen-melody checkpoint (--checkpoint); without them those stages are left out.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_bridge.lyrics.inputs import left_out, singable, text_of, tune_of, tune_text
from audio_bridge.lyrics.lyric_text import headed, language_code
from audio_bridge.song import pipeline
from audio_bridge.song.pipeline import Skipped, Stage
from symbolic import files
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    from audio_bridge.lyrics.genre_styles import GenreStyle
    from audio_bridge.lyrics.lyric_text import Lyrics
    from audio_bridge.lyrics.setting.melody_for_words import MelodySection
    from audio_bridge.lyrics.setting.rhythm_plan import SectionPlan
    from audio_bridge.lyrics.setting.word_setting import Setting
    from audio_bridge.sound.audio import Audio
    from symbolic.notation.score import Score
    from symbolic.notation.theory import Key

FORMAT = 1
RECORD = "song.json"
DEFAULTS: dict[str, Any] = {
    "genre": "pop", "language": None, "title": "", "artist": "", "first_line": "", "structure": None, "lines": None,
    "syllables": None, "rhyme": None, "lyrics": None, "tune": None, "lyric_model": None, "melody_model": "gpt2-6m",
    "metre": None, "key": None, "tempo": None, "chords": None, "genres": None, "checkpoint": None,
    "prompt": None, "vocal": "auto", "seed": 0,
}  # fmt: skip
_KINDS: dict[str, type | tuple[type, ...]] = {"lines": int, "seed": int, "tempo": (int, float)}  # others are text
_MELODY = ("tune", "melody_model", "metre", "key", "chords", "genre", "genres", "title", "seed")
_SCORE = ("tempo", "genre", "genres", "title", "artist", "melody_model", "chords", "seed", "tune")
_WRITING = ("genre", "language", "title", "artist", "first_line", "structure", "lines", "syllables", "rhyme", "lyrics",
            "lyric_model", "genres", "seed")  # fmt: skip
_SOUND_RATE = 48_000  # the synthesiser's own
_BACKING_LUFS, _MIX_LUFS = -20.0, -16.0
_VOICE_ABOVE_LU = 3.0  # the guide vocal over the backing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options; all but -o are kept in song.json."""
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where the song is kept")
    parser.add_argument("--from", dest="source", type=Path, metavar="song.json", help="make that song again")
    parser.add_argument("--redo", action="append", default=[], metavar="STAGE", help="another: words, melody, ...")
    words = parser.add_argument_group("words")
    words.add_argument(
        "--genre", help="pop (default), folk, rock, rap, country, r&b, ballad, waltz, bossa, blues, reggae, disco"
    )
    words.add_argument(
        "--genres", type=Path, metavar="FILE.toml", help="genres of your own, as data/genres.toml has them"
    )
    words.add_argument("--language", type=language_code, metavar="CODE",
                       help="en, pt or es; another code for --lyrics (default: en, or that of --lyrics)")  # fmt: skip
    words.add_argument("--title", help="sung in the chorus where it fits (default: that of --lyrics or --tune)")
    words.add_argument("--artist", help="written on the score; a lyric model is prompted with it")
    words.add_argument("--first-line", help="sung as it is")
    words.add_argument("--structure", help="for example verse-chorus-verse-chorus")
    words.add_argument("--lines", type=int, help="lines a section")
    words.add_argument("--syllables", help="a line: 8, or 8,6,8,6")
    words.add_argument("--rhyme", help="ABAB, AABB, XAXA")
    words.add_argument("--lyrics", type=Path, metavar="FILE", help="words that are there already")
    words.add_argument("--lyric-model", metavar="MODEL", help="a run, a folder or a hub name of a causal model")
    tune = parser.add_argument_group("tune")
    tune.add_argument("--tune", type=Path, metavar="FILE", help="a tune that is there: ABC, MIDI, MusicXML")
    tune.add_argument("--number", type=int, metavar="N",
                      help="of its file the tune X:N, else the N-th (default: the first)")  # fmt: skip
    tune.add_argument("--melody-model", metavar="MODEL", help="ABC model that draws the melody (default gpt2-6m)")
    tune.add_argument("--metre", help="2/4, 3/4, 4/4, 6/8, ... (default: the genre's)")
    tune.add_argument("--key", help="as D, Am, Dmix")
    tune.add_argument("--tempo", type=float, help="quarter notes a minute (default: within the genre's)")
    tune.add_argument("--chords", metavar="BARS", help='a progression, as "| Am | F | C G | %% |"')
    sound = parser.add_argument_group("sound")
    sound.add_argument("--checkpoint", metavar="FOLDER", help="MusicGen-melody, for conditioned audio")
    sound.add_argument("--prompt", help="what the conditioned audio should sound like")
    sound.add_argument("--vocal", choices=("auto", "off"), help="guide vocal where espeak-ng is (default auto)")
    parser.add_argument("--seed", type=int, help="default 0")
    parser.add_argument("--json", action="store_true", help="end with the record as one line of JSON")


def run(args: argparse.Namespace) -> int:
    """Make or bring up to date a song."""
    started = time.monotonic()
    given = {name: getattr(args, name) for name in DEFAULTS}
    if args.number is not None and args.tune is None:
        raise UsageError("--number works on a tune that you bring: name it with --tune.")
    record = song(args.output, source=args.source, redo=args.redo, number=args.number, **given)
    seconds = record["seconds_of_music"]
    print(f"{args.output}: {seconds:.0f} s of music in {time.monotonic() - started:.0f} s; {args.output}/karaoke.html")
    for note in notes_of(record):
        print(f"note: {note}")
    if args.json:
        print(json.dumps(record, ensure_ascii=False))
    return 0


def song(
    folder: Path, *, source: Path | None = None, redo: Sequence[str] = (), number: int | None = None, **given: Any
) -> dict[str, Any]:
    """Make a song in a folder, or bring the one that is there up to date; return its record (song.json).

    `given` are options of DEFAULTS (`lyrics` and `tune` are paths of files); those left out or None are the song's own,
    or the defaults. `number` chooses a tune of the file `tune`, as `--number` does. `source` is the song.json of
    another song to make again; `redo` names stages to vary. Raises UsageError and UserError for what cannot be made.
    """
    unknown = sorted(set(given) - set(DEFAULTS))
    if unknown:
        raise UsageError(f"a song has no option {unknown[0]!r}; it has {', '.join(DEFAULTS)}.")
    options, before, variations = _resolved(folder, source, given, number)
    return make(folder, options, before, variations, list(redo))


def notes_of(record: Mapping[str, Any]) -> list[str]:
    """Everything a person should know of how a song was made: the stages' notes, and why stages were left out."""
    notes: list[str] = []
    for stage in record["stages"].values():
        notes += [*stage.get("facts", {}).get("notes", []), *([stage["skipped"]] if "skipped" in stage else [])]
    return notes


def make(
    folder: Path,
    options: Mapping[str, Any],
    before: Mapping[str, Any] | None = None,
    variations: Mapping[str, int] | None = None,
    redo: list[str] | None = None,
    *,
    until: str | None = None,
    say: Callable[[str, str], None] | None = None,
) -> dict[str, Any]:
    """Bring the song in `folder` up to date and return its record (song.json).

    `until` names the last stage that is made (default: all of them). `say(stage, state)` is called when a stage begins
    ("...") and ends; an exception that it raises stops the song, which goes on from there when it is made again.
    """
    _check(options)
    names = [stage.name for stage in STAGES]
    turned = pipeline.raised(variations or {}, redo or [], names)
    wanted = STAGES if until is None else STAGES[: names.index(until) + 1]
    record: dict[str, Any] = {"format": FORMAT, "options": dict(options), "variations": turned, "stages": {}}

    def save(done: dict[str, Any]) -> None:
        files.write_json(folder / RECORD, {**record, "stages": done})

    outcome = pipeline.run(wanted, folder, options, before or {}, turned, say or _say, save)
    record["stages"] = outcome.record
    record["states"] = outcome.states
    record["seconds_of_music"] = outcome.record.get("backing", {}).get("facts", {}).get("seconds", 0.0)
    files.write_json(folder / RECORD, {name: value for name, value in record.items() if name != "states"})
    return record


# --- what is asked ---------------------------------------------------------------------------------------------------


def _resolved(
    folder: Path, source: Path | None, given: Mapping[str, Any], number: int | None = None
) -> tuple[dict[str, Any], dict[str, Any], dict[str, int]]:
    """Options (given, else of song.json, else the defaults), and the record and variations of the last time."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o {folder} is a file; name a folder.")
    there = folder / RECORD
    if folder.is_dir() and any(folder.iterdir()) and not there.is_file():
        raise UsageError(f"-o {folder} is not empty and holds no song: choose another folder, or empty it.")
    known = _record(there) if there.is_file() else {}
    template = _record(source) if source else known
    options = {**DEFAULTS, **{k: v for k, v in template.get("options", {}).items() if k in DEFAULTS}}
    asked = {name: value for name, value in given.items() if value is not None}
    options |= {name: text_of(Path(v)) if name in ("lyrics", "tune", "genres") else v for name, v in asked.items()}
    if "lyrics" in asked and "genre" not in asked:
        named = headed(options["lyrics"])[0]["genre"]
        options["genre"] = named if named and _is_genre(named, options) else options["genre"]
    if "tune" in asked:
        options["tune"] = tune_text(options["tune"], number, asked["tune"])
        tune_of(options["tune"], asked["tune"])
    return options, known.get("stages", {}), dict(template.get("variations", {}))


def _record(path: Path) -> dict[str, Any]:
    record = files.read_json(path)
    if not isinstance(record, dict) or record.get("format") != FORMAT or not isinstance(record.get("options"), dict):
        raise UserError(f"{path} is not a song's record of format {FORMAT}. Name another, or another folder with -o.")
    fault = next(_faults(record), None)
    if fault is not None:
        raise UserError(f"{path}: {fault}. Fix it, or delete the file and name an empty folder with -o.")
    return record


def _faults(record: Mapping[str, Any]) -> Iterator[str]:
    """What the program would not have written: records are edited by hand and come from other people."""
    for name, default in DEFAULTS.items():
        value = record["options"].get(name, default)
        kind = _KINDS.get(name, str)
        if isinstance(value, bool) or not (isinstance(value, kind) or (value is None and default is None)):
            yield f"options.{name} is {value!r}"
    variations = record.get("variations", {})
    if not isinstance(variations, dict) or not all(type(value) is int for value in variations.values()):
        yield f"variations is {variations!r}, not a number for each stage"
    stages_ = record.get("stages", {})
    if not isinstance(stages_, dict):
        yield "stages is not a mapping"
        return
    for name, entry in stages_.items():
        parts = [entry.get(part, {}) for part in ("files", "facts")] if isinstance(entry, dict) else [None]
        if not all(isinstance(part, dict) for part in parts):
            yield f"stages.{name} is not what a stage writes"


def _check(options: Mapping[str, Any]) -> None:
    from audio_bridge.lyrics.setting import rhythm_plan
    from audio_bridge.lyrics.writing import song_forms
    from symbolic.formats.midi import microseconds
    from symbolic.notation.theory import parse_key, parse_meter

    style = _style(options)
    song_forms.make(style, options["structure"] or song_forms.DEFAULT_STRUCTURE, lines=options["lines"],
               syllables=options["syllables"], rhyme=options["rhyme"])  # fmt: skip
    if options["metre"] is not None and parse_meter(options["metre"]).text not in rhythm_plan.BARS:
        raise UsageError(f"--metre {options['metre']}: songs are written in {', '.join(rhythm_plan.BARS)}.")
    _progression(options)
    if options["key"] is not None:
        parse_key(options["key"])
    if options["tempo"] is not None:
        microseconds(options["tempo"])
    if not 0 <= options["seed"] < 2**31:
        raise UsageError(f"--seed {options['seed']}: give a whole number from 0 to 2147483647.")


def _say(stage: str, state: str) -> None:
    if state != "..." or sys.stderr.isatty():
        end = "\r" if state == "..." else "\n"
        print(
            f"{stage:12} {state:60}".rstrip() if end == "\n" else f"{stage:12} ...",
            end=end,
            file=sys.stderr,
            flush=True,
        )


# --- the stages ------------------------------------------------------------------------------------------------------


def words(folder: Path, options: Mapping[str, Any], variation: int) -> dict[str, Any]:
    """Lyrics: given, by a model, or by the grammar; for a given tune, in its phrases."""
    from audio_bridge.lyrics.writing import writers

    seed = options["seed"] + 1000 * variation
    draft = writers.written(options, seed, _tune(options))
    lyrics, parted = singable(draft.lyrics)
    notes = list(dict.fromkeys(draft.notes + parted))
    named = headed(options["lyrics"] or "")[0]["genre"]
    if named and not _is_genre(named, options):
        notes.append(f"the words name the genre {named}, which is not known: the song is played as {options['genre']}.")
    value = {**asdict(lyrics), "sources": draft.sources}
    files.write_json(folder / "words.json", value)
    files.write_whole(folder / "lyrics.txt", lyrics.text)
    return {"writer": draft.writer, "lines": len(lyrics.lines), "notes": notes}


def melody(folder: Path, options: Mapping[str, Any], variation: int) -> dict[str, Any]:
    """One tune for each kind of section, or the given tune for all."""
    from audio_bridge.lyrics.setting import melody_for_words as tunes
    from symbolic.notation.harmony import with_progression

    given = _tune(options)
    if given is not None:
        from symbolic.notation.abc_parser import canonical

        files.write_json(folder / "melody.json", {"tune": canonical(given), "title": given.title})
        return {"by": "given tune", "notes": left_out(options["tune"], given)}
    seed = options["seed"] + 1000 * variation
    kinds, sections, key = melody_sections(folder, options, seed)
    made = tunes.compose(sections, key=key.text, model=options["melody_model"], seed=seed)
    with_chords = [with_progression(text, section.chords) for text, section in zip(made, sections)]
    files.write_json(folder / "melody.json", dict(zip(kinds, with_chords)))
    how = "pitches drawn under the words' rhythm plan and the genre's chords"
    return {"by": options["melody_model"], "how": how, "key": key.text}


def melody_sections(
    folder: Path, options: Mapping[str, Any], seed: int
) -> tuple[list[str], list["MelodySection"], "Key"]:
    """What the words in a song's folder ask of its melody: kinds of sections, their rhythm, chords, range; the key."""
    from audio_bridge.lyrics.setting.rhythm_plan import plan
    from symbolic.notation.theory import parse_key

    lyrics, style = _lyrics(folder), _style(options)
    kinds = list(dict.fromkeys(section.kind for section in lyrics.sections if section.lines))
    texts = [[s.lines for s in lyrics.sections if s.kind == kind and s.lines] for kind in kinds]
    plans = plan(texts, lyrics.language, options["metre"] or style.meter, style.rhythm)
    key = parse_key(options["key"] or _key_for(options, seed))
    return kinds, [_melody_section(options, kind, one, key, seed) for kind, one in zip(kinds, plans)], key


def setting(folder: Path, options: Mapping[str, Any], variation: int) -> dict[str, Any]:
    """Words on notes."""
    from audio_bridge.lyrics.setting import setting_metrics
    from audio_bridge.lyrics.setting import word_setting as settings
    from symbolic.notation.abc_parser import parse

    lyrics, made = _lyrics(folder), files.read_json(folder / "melody.json")
    if "tune" in made:
        whole = settings.set_words(parse(made["tune"]), lyrics)
    else:
        notes = {kind: _notes_a_line(lyrics, kind) for kind in made}
        parts = [settings.set_lines(parse(made[s.kind]), _only(lyrics, i), notes[s.kind])
                 for i, s in enumerate(lyrics.sections) if s.lines]  # fmt: skip
        whole = settings.joined(parts, lyrics)
    _write_setting(folder, whole)
    return {"measures": setting_metrics.measures(whole)}


def score(folder: Path, options: Mapping[str, Any], variation: int) -> dict[str, Any]:
    """Chords, and every notation and timing format."""
    from audio_bridge.lyrics.export import accompaniment, band, sheet, timing, yue2
    from symbolic.formats import midi

    plain, qpm, style = _setting(folder), _qpm(folder, options), _style(options)
    composer = _composer(options)
    whole = accompaniment.with_chords(plain, _progression(options) if options["tune"] else None)
    fields = {"Q": sheet.tempo_field(qpm, whole.score.meter), "C": composer}
    files.write_whole(folder / "song.abc", sheet.abc(whole, fields=fields, parts=True))
    files.write_whole(folder / "song.musicxml", sheet.musicxml(whole, qpm, style.melody.instrument, composer))
    files.write_whole(
        folder / "song.mid", midi.to_bytes(timing.midi_with_lyrics(whole, qpm, band.arrangement(whole, qpm, style)))
    )
    files.write_whole(folder / "song.lrc", timing.lrc(plain, qpm))
    files.write_whole(folder / "song.enhanced.lrc", timing.enhanced_lrc(plain, qpm))
    files.write_whole(folder / "song.ultrastar.txt", timing.ultrastar(plain, qpm))
    files.write_json(folder / "yue2.json", yue2.build(whole, qpm))
    files.write_json(folder / "chords.json", {"text": whole.text, "qpm": qpm})
    return {"qpm": qpm, "key": plain.score.key.text, "metre": plain.score.meter.text}


def backing(folder: Path, options: Mapping[str, Any], variation: int) -> dict[str, Any]:
    """Melody, chords, bass and drums with a SoundFont."""
    from audio_bridge.render.render import render
    from audio_bridge.sound.audio import write_audio
    from symbolic.formats.midi import read_midi

    sound = render(read_midi(folder / "song.mid"), sample_rate=_SOUND_RATE, loudness_lufs=_BACKING_LUFS)
    write_audio(sound, folder / "backing.wav")
    return {"seconds": round(sound.seconds, 3)}


def conditioned(folder: Path, options: Mapping[str, Any], variation: int) -> dict[str, Any]:
    """MusicGen-melody on the song's melody, where a checkpoint is given."""
    if not options["checkpoint"]:
        raise Skipped("no conditioned audio: give a MusicGen-melody checkpoint with --checkpoint.")
    from audio_bridge.musicgen import condition

    text = options["prompt"] or f"{options['genre']} song, instrumental"
    chosen = condition.ConditionOptions(
        texts=(text,), model=options["checkpoint"], seed=options["seed"] + 1000 * variation
    )
    condition.condition([folder / "song.abc"], folder / "conditioned.wav", chosen)
    return {"checkpoint": options["checkpoint"], "prompt": text}


def vocal(folder: Path, options: Mapping[str, Any], variation: int) -> dict[str, Any]:
    """The guide vocal."""
    from audio_bridge.lyrics.export import guide_vocal as singer
    from audio_bridge.lyrics.setting.word_setting import timed
    from audio_bridge.sound.audio import write_audio

    engine = singer.engine() if options["vocal"] == "auto" else None
    if engine is None:
        why = "it is turned off (--vocal off)." if options["vocal"] == "off" else "espeak-ng is not installed."
        raise Skipped(f"no guide vocal: {why}")
    whole = _setting(folder)
    sound = singer.sing(timed(whole, _qpm(folder, options)), whole.lyrics.language, use=engine)
    write_audio(sound, folder / "guide.wav")
    return {"engine": engine.name, "label": "guide vocal, synthesised speech moved onto the melody"}


def mix(folder: Path, options: Mapping[str, Any], variation: int) -> dict[str, Any]:
    """Backing (or conditioned audio) and guide vocal, as WAV and MP3."""
    from audio_bridge.sound.audio import read_wav, resampled, write_audio
    from audio_bridge.sound.loudness import normalised

    base = "conditioned.wav" if (folder / "conditioned.wav").is_file() else "backing.wav"
    sound = resampled(read_wav(folder / base), _SOUND_RATE)
    if (folder / "guide.wav").is_file():
        sound = _with_voice(sound, resampled(read_wav(folder / "guide.wav"), _SOUND_RATE))
    whole, levels = normalised(sound, _MIX_LUFS)
    for name in ("song.wav", "song.mp3"):
        write_audio(whole, folder / name)
    return {"seconds": round(whole.seconds, 3), "loudness_lufs": round(levels.loudness_lufs, 2)}


def karaoke(folder: Path, options: Mapping[str, Any], variation: int) -> dict[str, Any]:
    """The page."""
    from audio_bridge.lyrics.export import accompaniment
    from audio_bridge.lyrics.export import karaoke as pages

    note = "with a synthetic guide vocal" if (folder / "guide.wav").is_file() else "instrumental"
    audio = (folder / "song.mp3").read_bytes()
    whole = accompaniment.with_chords(_setting(folder), _progression(options) if options["tune"] else None)
    page = pages.page(whole, _qpm(folder, options), audio, "mp3", note, _composer(options))
    files.write_whole(folder / "karaoke.html", page)
    return {}


STAGES = (
    Stage("words", words, (), (*_WRITING, "tune", "tempo"), ("words.json", "lyrics.txt"), version=3),
    Stage("melody", melody, ("words",), _MELODY, ("melody.json",), version=4),
    Stage("setting", setting, ("words", "melody"), (), ("setting.json",), version=3),
    Stage("score", score, ("setting",), _SCORE, (
        "song.abc", "song.musicxml", "song.mid", "song.lrc", "song.enhanced.lrc", "song.ultrastar.txt", "yue2.json",
        "chords.json"), version=5),
    Stage("backing", backing, ("score",), (), ("backing.wav",), version=3),
    Stage("conditioned", conditioned, ("score",), ("checkpoint", "prompt", "genre", "seed"), ("conditioned.wav",)),
    Stage("vocal", vocal, ("setting", "score"), ("vocal",), ("guide.wav",)),
    Stage("mix", mix, ("backing", "conditioned", "vocal"), (), ("song.wav", "song.mp3"), version=3),
    Stage("karaoke", karaoke, ("setting", "score", "vocal", "mix"), _SCORE, ("karaoke.html",), version=6),
)  # fmt: skip


# --- what stages share -----------------------------------------------------------------------------------------------


def _tune(options: Mapping[str, Any]) -> "Score | None":
    return None if options["tune"] is None else tune_of(options["tune"])


def _composer(options: Mapping[str, Any]) -> str:
    """Whose melody it is: the artist's, the tune's composer's, or the model's that drew it."""
    given = _tune(options)
    if given is not None:
        return ", ".join(given.fields.get("C", [])) or options["artist"]
    return options["artist"] or f"melody drawn by {Path(options['melody_model']).name}"


def _qpm(folder: Path, options: Mapping[str, Any]) -> float:
    """The tempo asked for, that of the tune's Q: field, or the genre's in whole beats a minute."""
    from symbolic.formats.midi import score_qpm
    from symbolic.notation.theory import TICKS_PER_QUARTER, parse_meter

    if options["tempo"] is not None:
        return float(options["tempo"])
    given = _tune(options)
    if given is not None and given.fields.get("Q"):
        return score_qpm(given)
    style = _style(options)
    low, high = style.tempo
    meter = parse_meter(options["metre"] or style.meter)
    beat = meter.beat_ticks / TICKS_PER_QUARTER if meter.is_compound else 1.0  # quarters
    return beat * round((low + (high - low) * _share(options, options["seed"], "tempo")) / beat)


def _style(options: Mapping[str, Any]) -> "GenreStyle":
    from audio_bridge.lyrics.genre_styles import find_style

    return find_style(options["genre"], options["genres"])


def _is_genre(name: str, options: Mapping[str, Any]) -> bool:
    try:
        return bool(_style({**options, "genre": name}))
    except UsageError:
        return False


def _progression(options: Mapping[str, Any]) -> list[list[str]] | None:
    """The chords asked for; UsageError for what is none."""
    from symbolic.notation.chord_symbols import parse_progression

    return None if options["chords"] is None else parse_progression(options["chords"])


def _share(options: Mapping[str, Any], seed: int, what: str) -> float:
    """A number from 0 to 1 that title, seed and purpose decide."""
    return int(files.digest(f"{what}:{options['title']}:{seed}")[:8], 16) / 0xFFFFFFFF


def _key_for(options: Mapping[str, Any], seed: int) -> str:
    """The key of the chords asked for, or one of the genre's."""
    from symbolic.notation.chord_symbols import key_of_chords

    bars = _progression(options)
    if bars is not None:
        return key_of_chords([symbol for bar in bars for symbol in bar]).text
    keys = _style(options).keys
    return keys[min(len(keys) - 1, int(len(keys) * _share(options, seed, "key")))]


def _melody_section(
    options: Mapping[str, Any], kind: str, one: "SectionPlan", key: "Key", seed: int
) -> "MelodySection":
    """What a kind of section asks of its melody: chords of the genre (or given ones) and its range."""
    from audio_bridge.lyrics.setting.melody_for_words import MelodySection
    from audio_bridge.lyrics.setting.section_harmony import own_chords, section_chords

    style, bars = _style(options), _progression(options)
    role = "chorus" if kind == "chorus" else "verse"
    draw = int(1000 * _share(options, seed, "chords")) + (kind not in ("verse", "chorus"))
    chords = section_chords(one, style, role, key, draw) if bars is None else own_chords(one, bars)
    return MelodySection(one, chords, *style.ranges[role], role=role)


def _with_voice(sound: "Audio", voice: "Audio") -> "Audio":
    """The sum of a backing and a mono voice that is louder by _VOICE_ABOVE_LU; as long as the longer one."""
    import numpy as np

    from audio_bridge.sound.audio import Audio
    from audio_bridge.sound.loudness import integrated_lufs

    gain = 10 ** ((integrated_lufs(sound) + _VOICE_ABOVE_LU - integrated_lufs(voice)) / 20)
    n = max(sound.samples.shape[1], voice.samples.shape[1])
    samples = np.pad(sound.samples, ((0, 0), (0, n - sound.samples.shape[1])))
    if np.isfinite(gain):  # a silent voice has none
        samples[:, : voice.samples.shape[1]] += voice.samples * np.float32(gain)
    return Audio(samples, sound.sample_rate)


def _lyrics(folder: Path) -> "Lyrics":
    from audio_bridge.lyrics.lyric_text import Lyrics, Section

    value = files.read_json(folder / "words.json")
    sections = tuple(Section(s["kind"], s["label"], tuple(s["lines"])) for s in value["sections"])
    return Lyrics(sections, value["language"], value["title"], value["artist"], value["genre"])


def _notes_a_line(lyrics: "Lyrics", kind: str) -> list[int]:
    """Count the notes of each line of a melody written for sections of a kind: the most syllables of any of them."""
    from audio_bridge.lyrics.prosody.stress import sung

    texts = [section.lines for section in lyrics.sections if section.kind == kind and section.lines]
    counts = [Counter(syllable.line for syllable in sung(lines, lyrics.language)) for lines in texts]
    return [max(count[line] for count in counts) for line in range(max(map(len, texts)))]


def _only(lyrics: "Lyrics", index: int) -> "Lyrics":
    from dataclasses import replace

    return replace(lyrics, sections=(lyrics.sections[index],))


def _write_setting(folder: Path, whole: "Setting") -> None:
    labels = [None if label is None else [label.number, label.holds] for label in whole.labels]
    value = {"text": whole.text, "labels": labels, "syllables": [asdict(s) for s in whole.syllables]}
    files.write_json(folder / "setting.json", value)


def _setting(folder: Path) -> "Setting":
    from audio_bridge.lyrics.prosody.stress import Syllable
    from audio_bridge.lyrics.setting.word_setting import Label, Setting
    from symbolic.notation.abc_parser import parse

    value = files.read_json(folder / "setting.json")
    syllables = tuple(Syllable(**one) for one in value["syllables"])
    labels = tuple(None if one is None else Label(syllables[one[0]], one[0], one[1]) for one in value["labels"])
    return Setting(parse(value["text"]), labels, _lyrics(folder), syllables)
