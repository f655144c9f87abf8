"""The writer of stories that needs no model: sentences joined from phrases of this project's own (phrases.txt).

A story keeps to one tale. Its frames stand by part of the plot and by mood, and each mood is one situation of the tale,
which the turns lead into, so that sections may follow each other in any order of moods. The tale, two persons (she and
he, so that pronouns are clear), place and a thing are drawn once and kept. It is a grammar with one level and no
language model: its sentences are correct and plain, and what it writes is recorded as `grammar`.
"""

import random
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

PHRASES = Path(__file__).parent / "phrases.txt"
PARTS = ("opening", "turn", "middle", "ending")
RELATED = {  # moods whose sentences may stand among those of a mood
    "Q0": ("Q0",), "Q1": ("Q1", "Q4"), "Q2": ("Q2",), "Q3": ("Q3", "Q0"), "Q4": ("Q4",),
}  # fmt: skip
SITUATIONS = {"Q1": "T", "Q2": "D", "Q3": "G", "Q4": "T"}  # the friend is there, in danger, gone; Q0 leaves it open
_SLOT = re.compile(r"\{(\w+)\}")
_PRONOUNS = {"she": ("she", "her", "her"), "he": ("he", "his", "him")}


@dataclass(frozen=True)
class Cast:
    """What a story keeps: its tale, names, the hero's pronoun (the friend has the other one), place and thing."""

    tale: str
    hero: str
    pronoun: str
    friend: str
    place: str
    thing: str

    def words(self) -> dict[str, str]:
        """What stands for the slots of the cast."""
        subject, possessive, object_ = _PRONOUNS[self.pronoun]
        other, others, to_other = _PRONOUNS["he" if self.pronoun == "she" else "she"]
        small = {
            "hero": self.hero, "friend": self.friend, "place": self.place, "thing": self.thing, "she": subject,
            "her": possessive, "him": object_, "friend_he": other, "friend_his": others, "friend_him": to_other,
        }  # fmt: skip
        return small | {name.capitalize(): word.capitalize() for name, word in small.items() if name != "place"}


class StoryFrame(NamedTuple):
    """A sentence with slots, its mood, and the situations that it may follow."""

    mood: str
    after: str
    text: str


@dataclass(frozen=True)
class StoryPhrases:
    """Of each tale the frames by part of the plot, and its places; the lists that fill slots."""

    tales: dict[str, dict[str, tuple[StoryFrame, ...]]]
    places: dict[str, tuple[str, ...]]
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
    tales: dict[str, dict[str, tuple[StoryFrame, ...]]] = {}
    places, lists = dict[str, tuple[str, ...]](), dict[str, tuple[str, ...]]()
    for key, lines in blocks.items():
        tale, _, part = key.rpartition(" ")
        if part in PARTS:
            tales.setdefault(tale, {})[part] = tuple(map(_frame, lines))
        elif tale:
            places[tale] = tuple(lines)
        else:
            lists[part] = tuple(lines)
    for part, frames in tales.pop("every").items():
        for own in tales.values():
            own[part] += frames
    return StoryPhrases(tales, places, lists)


def _frame(line: str) -> StoryFrame:
    moods, _, text = line.partition("|")
    mood, _, after = moods.partition(" ")
    return StoryFrame(mood, after or "".join(sorted(set(SITUATIONS.values()))), text)


def cast_of(seed: int) -> Cast:
    """Tale, persons, place and thing for a seed."""
    draw, known = random.Random(seed), phrases()
    tale = draw.choice(list(known.tales))
    people = [person.split("|") for person in known.lists["people"]]
    hero, pronoun = draw.choice(people)
    friend = draw.choice([name for name, other in people if other != pronoun])
    return Cast(tale, hero, pronoun, friend, draw.choice(known.places[tale]), draw.choice(known.lists["things"]))


def candidates(part: str, mood: str, cast: Cast, n: int, draw: random.Random, after: str = "T") -> list[Candidate]:
    """n different sentences at most for a part of the plot that follows a situation. An opening or a turn is of the
    mood that is asked, since it makes the situation; of other parts a third are of moods whose sentences go with it."""
    frames = [frame for frame in phrases().tales[cast.tale][part] if after in frame.after]
    own = [frame.text for frame in frames if frame.mood == mood]
    related = (mood,) if part in ("opening", "turn") else RELATED[mood]
    every = [frame.text for frame in frames if frame.mood in related]
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
