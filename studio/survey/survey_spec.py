"""What a survey is: its design, systems, questions and rules, as one YAML file or from the command line.

    name: models                      # names the folder
    title: Four kinds of tunes
    design: rating                    # DESIGNS
    systems: {gpt2-6m: "model:gpt2-6m", human: "data/folk:test", damaged: "damaged:data/folk:test"}
    human: [human]                    # systems that people made; needed for `origin`
    items: 8                          # clips a system; below 4 no interval of a system can be had

A source (survey_sources.py) is tunes, MIDI, recordings, songs, a ready-made model, or damaged tunes; for `similarity`
it is pairs of a text and music.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from symbolic import config
from symbolic.config import within
from symbolic.errors import UsageError

Design = Literal["rating", "origin", "preference", "similarity", "abx", "mushra"]
DESIGNS: dict[str, str] = {
    "rating": "one clip at a time on several criteria, 1 to 5 (ITU-T P.800), and human or AI where `human` is given",
    "origin": "human or AI, with confidence",
    "preference": "which of two clips is better (Bradley-Terry)",
    "similarity": "how well a text and music go together, 0 to 5, with shuffled and constant controls",
    "abx": "is X the same as A or as B",
    "mushra": "versions of one reference on a scale of 0 to 100, with hidden reference and anchors (ITU-R BS.1534-3)",
}
SEVEN_CRITERIA = ("audio", "creativity", "style", "harmony", "melody", "rhythm", "emotion")
SCALES = {
    "rating": (1, 5),
    "origin": (0, 1),
    "preference": (-1, 1),
    "similarity": (0, 5),
    "abx": (0, 1),
    "mushra": (0, 100),
}
REFERENCE = "reference"  # the system of MUSHRA that the others are versions of


@dataclass(frozen=True)
class ExclusionRules:
    """Fixed before data and written into survey.json: a rater is left out of the second table who breaks one of
    these."""

    failed_attention: bool = True  # answered the clip that says which answer to give otherwise
    max_retest_difference: float = within(0, 100, default=2.0)  # mean over criteria of |first - repeated| answer
    min_answered: float = within(0, 1, default=0.5)  # share of the trials
    max_same_answer: float = within(0, 1, default=0.95)  # share of answers that are one and the same value
    max_reference_misses: float = within(0, 1, default=0.15)  # MUSHRA: hidden reference below 90 in more of the items


@dataclass(frozen=True)
class SurveySpec:
    """One survey. `systems` maps a name to its source; names never reach a rater."""

    name: str
    systems: dict[str, str]
    title: str = ""  # the language's own word for a listening survey where none is given
    design: Design = "rating"
    criteria: tuple[str, ...] = ()
    human: tuple[str, ...] = ()
    items: int = within(1, 200, default=8)
    seconds: float = within(2, 600, default=20.0)
    loudness_lufs: float = within(-40, -10, default=-16.0)
    instrument: str = "violin"
    languages: tuple[str, ...] = ("en", "pt", "es", "pl", "zh")
    min_heard: float = within(0, 1, default=0.8)  # share of a clip that must be heard before it is rated
    repeats: int = within(0, 20, default=1)  # clips that are asked twice
    attention: int = within(0, 5, default=1)
    practice: int = within(0, 5, default=1)
    max_trials: int = within(2, 400, default=60)
    contact: str = ""
    retention_days: int = within(1, 3650, default=365)
    seed: int = within(0, 2**31 - 1, default=0)
    exclusions: ExclusionRules = field(default_factory=ExclusionRules)

    @property
    def asked(self) -> tuple[str, ...]:
        """The criteria of a trial, the design's own where none are given."""
        if self.criteria:
            return self.criteria
        own = {"rating": SEVEN_CRITERIA, "origin": ("origin", "confidence"), "preference": ("preference",)}
        criteria = own.get(self.design, (self.design,))
        return (*criteria, "origin") if self.design == "rating" and self.human else criteria


def load_spec(path: Path | str) -> SurveySpec:
    """Read and check a survey's YAML file. UsageError names line and mend."""
    spec = config.load_as(SurveySpec, path)
    check_spec(spec)
    return spec


def check_spec(spec: SurveySpec) -> None:
    """UsageError for what cannot be asked."""
    if not spec.systems:
        raise UsageError("the survey has no systems: give at least one source with --from, or `systems` in the YAML.")
    if spec.design in ("preference", "abx") and len(spec.systems) < 2:
        raise UsageError(f"a survey of the design {spec.design} compares systems: give at least two sources.")
    if spec.design == "mushra" and REFERENCE not in spec.systems:
        raise UsageError(f"MUSHRA needs a system named {REFERENCE!r}, of which the others are versions.")
    unknown = [name for name in spec.human if name not in spec.systems]
    if unknown:
        raise UsageError(f"`human` names {unknown[0]!r}, which is no system: choose of {', '.join(spec.systems)}.")
    if spec.design == "origin" and (not spec.human or set(spec.human) == set(spec.systems)):
        raise UsageError("human or AI needs both: name some, not all, of the systems under `human` (--human NAME).")


def scale_of(design: str, criterion: str) -> tuple[int, int]:
    """Lowest and highest answer of a criterion."""
    if criterion == "origin":
        return (0, 1)  # 0 human, 1 AI
    if criterion == "confidence":
        return (1, 5)
    return SCALES[design]
