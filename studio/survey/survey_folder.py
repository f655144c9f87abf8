"""A survey on disk, made once and then only read.

survey.json     the spec, the rules, the loudness, the SHA-256 of every clip: what may be published before data
key.json        which clip is of which system, and the secret of raters' clip names; never served
clips/ID.mp3    the clips (survey_clips.py)
answers.sqlite  raters and answers (answer_store.py)
"""

import datetime
import secrets
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.survey.survey_sources import SurveyPiece, read_source
from studio.survey.survey_spec import REFERENCE, SurveySpec, check_spec, load_spec
from studio.survey.trial_plan import PRACTICE, Stimulus
from symbolic import config, files
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    from audio_bridge.sound.audio import Audio

FORMAT = 1
ANCHORS = {"anchor-3500": 3500.0, "anchor-7000": 7000.0}  # Hz, of MUSHRA


@dataclass(frozen=True)
class Survey:
    """A survey that was made: `stimuli` with their key, and the secret of the raters' clip names."""

    folder: Path
    spec: SurveySpec
    stimuli: tuple[Stimulus, ...]
    secret: str

    def stimulus(self, id: str) -> Stimulus:
        """One stimulus by its id; KeyError for none."""
        return {stimulus.id: stimulus for stimulus in self.stimuli}[id]


def make_survey(spec: SurveySpec, folder: Path) -> Survey:
    """Render the clips and write the folder, whole or not at all. Raises UsageError where there is one already."""
    check_spec(spec)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists: a survey is made once. Choose another folder with -o.")
    from studio.survey import survey_clips

    chosen = list(_choose(spec))
    cut = [survey_clips.of_length(one.sound, spec.seconds) for one in chosen]
    levelled, lufs = survey_clips.level_together(cut, spec.loudness_lufs)
    with files.whole_folder(folder) as temporary:
        (temporary / "clips").mkdir()
        stimuli = [_write_clip(temporary, one, sound) for one, sound in zip(chosen, levelled, strict=True)]
        _write_records(temporary, spec, [*stimuli, *control_texts(spec, stimuli)], lufs)
    return read_survey(folder)


def read_survey(folder: Path) -> Survey:
    """Read a survey back and check its clips' names; UserError where files are missing or not a survey's."""
    record, key = (files.read_json(folder / name) for name in ("survey.json", "key.json"))
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise UserError(f"{folder / 'survey.json'} is not a survey of format {FORMAT}.")
    spec = load_spec(folder / "survey.yaml")
    stimuli = tuple(Stimulus(**one) for one in key["stimuli"])
    lost = next((s.file for s in stimuli if not (folder / "clips" / s.file).is_file()), None)
    if lost:
        raise UserError(f"{folder / 'clips' / lost} is missing: make the survey again.")
    return Survey(folder, spec, stimuli, key["secret"])


@dataclass(frozen=True)
class _Chosen:
    """A piece with its sound, before it has a name."""

    system: str
    item: int
    piece: SurveyPiece
    sound: "Audio"
    is_human: bool
    control: str = ""
    source: str = ""


def _choose(spec: SurveySpec) -> Iterator[_Chosen]:
    """`items` pieces of each system that last long enough (shorter ones are played again), and one for practice."""
    if spec.design == "mushra":
        yield from _choose_versions(spec)
        return
    for number, (system, source) in enumerate(spec.systems.items()):
        practice = min(spec.practice, 1) if number == 0 else 0
        human = system in spec.human
        for item, (piece, sound) in enumerate(_long_enough(spec, source, spec.items + practice, number)):
            control = PRACTICE if item >= spec.items else ""
            yield _Chosen(system, item, piece, sound, human, control, source)


def _long_enough(spec: SurveySpec, source: str, n: int, number: int) -> list[tuple[SurveyPiece, "Audio"]]:
    from studio.survey import survey_clips

    long: list[tuple[SurveyPiece, Audio]] = []
    short: list[tuple[SurveyPiece, Audio]] = []
    for piece in read_source(source, n, spec.seed + number, spec.seconds):
        try:
            sound = survey_clips.sound_of(piece, spec.instrument)
        except UserError as error:
            print(f"note: {source}: {error}", file=sys.stderr)
            continue
        (long if sound.seconds >= spec.seconds else short).append((piece, sound))
        if len(long) == n:
            break
    if len(long) + len(short) < min(n, spec.items):
        raise UserError(
            f"{source} has {len(long) + len(short)} pieces that can be heard; {spec.items} are asked for (--items)."
        )
    if len(long) < n and short:
        again = min(n - len(long), len(short))
        print(
            f"note: {again} pieces of {source} are shorter than {spec.seconds:g} s and are played again.",
            file=sys.stderr,
        )
    return (long + short)[:n]


def _choose_versions(spec: SurveySpec) -> Iterator[_Chosen]:
    """MUSHRA: the same items in every system, matched by name, and low-passed anchors of the reference."""
    from studio.survey import survey_clips

    by_system = {
        system: {piece.label: piece for piece in read_source(source, spec.items, spec.seed, spec.seconds)}
        for system, source in spec.systems.items()
    }
    shared = sorted(set.intersection(*(set(pieces) for pieces in by_system.values())))[: spec.items]
    if not shared:
        raise UserError("MUSHRA: the systems have no item of one name; their folders hold files of the same names.")
    for item, label in enumerate(shared):
        for system, pieces in by_system.items():
            sound = survey_clips.sound_of(pieces[label], spec.instrument)
            yield _Chosen(system, item, pieces[label], sound, system in spec.human, "", spec.systems[system])
            if system == REFERENCE:
                for name, hertz in ANCHORS.items():
                    yield _Chosen(
                        name, item, pieces[label], survey_clips.low_passed(sound, hertz), False, "anchor", name
                    )


def _write_clip(folder: Path, one: _Chosen, sound: "Audio") -> Stimulus:
    from studio.survey import survey_clips

    id = secrets.token_hex(8)
    data = survey_clips.mp3_bytes(sound)
    files.write_whole(folder / "clips" / f"{id}.mp3", data)
    piece = one.piece
    return Stimulus(
        id, one.system, one.item, f"{id}.mp3", files.digest(data), one.is_human, piece.text, one.control,
        f"{one.source}: {piece.label}",
    )  # fmt: skip


def control_texts(spec: SurveySpec, stimuli: Sequence[Stimulus]) -> list[Stimulus]:
    """`similarity`: each clip once more with the text of the next item, and one with the first item's text throughout.

    What a shuffled pair scores is the floor: a system whose own pairs score no higher has made no match.
    """
    if spec.design != "similarity":
        return []
    controls = []
    for system in spec.systems:
        own = [s for s in stimuli if s.system == system and not s.control]
        if len(own) < 2:
            continue
        for i, stimulus in enumerate(own):
            shuffled, constant = own[(i + 1) % len(own)].text, own[0].text
            controls.append(replace(stimulus, id=secrets.token_hex(8), text=shuffled, control="shuffled"))
            if i:
                controls.append(replace(stimulus, id=secrets.token_hex(8), text=constant, control="constant"))
    return controls


def _write_records(folder: Path, spec: SurveySpec, stimuli: Sequence[Stimulus], lufs: float) -> None:
    from symbolic import machine

    text = config.dump(spec)
    files.write_whole(folder / "survey.yaml", text)
    record: dict[str, Any] = {
        "format": FORMAT,
        "spec_sha256": files.digest(text),
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": machine.commit(),
        "loudness_lufs": round(lufs, 2),
        "clips": {stimulus.file: stimulus.sha256 for stimulus in stimuli},
    }
    files.write_json(folder / "survey.json", record)
    files.write_json(folder / "key.json", {"secret": secrets.token_hex(32), "stimuli": [asdict(s) for s in stimuli]})
