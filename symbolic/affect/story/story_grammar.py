"""The writer of stories that needs no model: sentences joined from phrases of this project's own (phrases.txt).

Frames stand by part of the plot and by mood; persons, place and a thing are drawn once and kept. It is a grammar with
one level and no language model: its sentences are correct and plain, and what it writes is recorded as `grammar`.
"""

import random
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PHRASES = Path(__file__).parent / "phrases.txt"
RELATED = {
    "Q0": ("Q0", "Q1", "Q2", "Q3", "Q4"), "Q1": ("Q1", "Q4", "Q0"), "Q2": ("Q2", "Q3", "Q0"), "Q3": ("Q3", "Q2", "Q0"),
    "Q4": ("Q4", "Q1", "Q0"),
}  # fmt: skip
_SLOT = re.compile(r"\{(\w+)\}")
_PRONOUNS = {"she": ("she", "her", "her"), "he": ("he", "his", "him")}


@dataclass(frozen=True)
class Cast:
    """Who and what a story keeps: names, the hero's pronouns, place and thing."""

    hero: str
    pronoun: str
    friend: str
    place: str
    thing: str

    def words(self) -> dict[str, str]:
        """What stands for the slots of the cast."""
        subject, possessive, object_ = _PRONOUNS[self.pronoun]
        return {
            "hero": self.hero, "Hero": self.hero, "friend": self.friend, "Friend": self.friend, "place": self.place,
            "thing": self.thing, "she": subject, "She": subject.capitalize(), "her": possessive,
            "him": object_,
            "Her": possessive.capitalize(),
        }  # fmt: skip


@dataclass(frozen=True)
class StoryPhrases:
    """Frames by part of the plot, as (mood, frame), and the lists that fill their slots."""

    frames: dict[str, tuple[tuple[str, str], ...]]
    lists: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Candidate:
    """A sentence that may be chosen, the frame it came from, and who wrote it."""

    text: str
    frame: str
    writer: str = "grammar"


@cache
def phrases() -> StoryPhrases:
    """The bundled phrases."""
    blocks: dict[str, list[str]] = {}
    name = ""
    for line in PHRASES.read_text(encoding="utf-8").splitlines():
        if line.startswith("@"):
            name = line[1:]
            blocks[name] = []
        elif line and not line.startswith("#"):
            blocks[name].append(line)
    parts = ("opening", "turn", "middle", "ending")
    frames = {part: tuple((line[:2], line[3:]) for line in blocks[part]) for part in parts}
    return StoryPhrases(frames, {key: tuple(lines) for key, lines in blocks.items() if key not in parts})


def cast_of(seed: int) -> Cast:
    """Persons, place and thing for a seed."""
    draw, lists = random.Random(seed), phrases().lists
    hero, friend = draw.sample(lists["people"], 2)
    name, pronoun = hero.split("|")
    return Cast(name, pronoun, friend.split("|")[0], draw.choice(lists["places"]), draw.choice(lists["things"]))


def candidates(part: str, mood: str, cast: Cast, n: int, draw: random.Random) -> list[Candidate]:
    """n different sentences at most for a part of the plot; two thirds of the mood that is asked, the rest of moods as
    pleasant or unpleasant as that one."""
    frames = phrases().frames[part]
    own = [frame for name, frame in frames if name == mood]
    every = [frame for name, frame in frames if name in RELATED[mood]]
    found: dict[str, Candidate] = {}
    for number in range(4 * n):
        frame = draw.choice(own if number % 3 else every)
        text = filled(frame, cast, draw)
        found.setdefault(text, Candidate(text, frame))
        if len(found) >= n:
            break
    return list(found.values())


def filled(frame: str, cast: Cast, draw: random.Random) -> str:
    """A frame with its slots filled."""
    words, lists = cast.words(), phrases().lists
    text = _SLOT.sub(lambda match: words.get(match[1]) or draw.choice(lists[match[1]]), frame)
    text = re.sub(r"\ba (?=[aeio])", "an ", text)
    return text[0].upper() + text[1:]
