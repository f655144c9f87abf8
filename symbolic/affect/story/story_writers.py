"""Language models that write a story's next sentence: a folder or name that `transformers` loads, or an address.

Every answer is cut to its first sentence and checked: what is empty, repeats the story or the instruction, or has no
end is no candidate. A writer that gives none for a sentence leaves it to the grammar, and the record says so.
"""

from collections.abc import Sequence
from typing import Protocol

from symbolic.affect.reading.sentences import sentences
from symbolic.affect.story.story_grammar import Candidate, Cast
from symbolic.affect.story.story_plan import PlotSection
from symbolic.errors import UserError
from symbolic.judge.chat import ChatError, Messages, Reply

MOST_TOKENS = 60
MOST_CONTEXT = 1200  # characters of the story so far
LONGEST, SHORTEST = 240, 12  # characters of a sentence
_TASK = {
    "opening": "Write the first sentence of a story.",
    "middle": "Write the next sentence of the story.",
    "turn": "Write the next sentence of the story, in which everything changes.",
    "ending": "Write the last sentence of the story.",
}


class ChatModel(Protocol):
    """`Local` or `Endpoint` of `symbolic.judge.chat`."""

    def reply(self, messages: Messages, seed: int) -> Reply:
        """An answer. Raises ChatError where there is none this time."""


class ChatWriter:
    """Candidates from a chat model; counts the answers that were none."""

    def __init__(self, model: ChatModel, name: str, n: int = 4) -> None:
        self.model, self.name, self.n = model, name, n
        self.refused = 0

    def candidates(
        self, story: Sequence[str], section: PlotSection, part: str, cast: Cast, seed: int
    ) -> list[Candidate]:
        """Sentences that may come next. UserError where the model does not answer at all."""
        found: dict[str, Candidate] = {}
        messages = request(story, section, part, cast)
        for number in range(self.n):
            try:
                reply = self.model.reply(messages, seed + number)
            except ChatError as error:
                raise UserError(f"the writer {self.name} gave no answer: {error}") from error
            text = usable(reply.text, story, messages[-1]["content"])
            if text is None:
                self.refused += 1
            else:
                found.setdefault(text, Candidate(text, text, self.name))
        return list(found.values())


def request(story: Sequence[str], section: PlotSection, part: str, cast: Cast) -> list[dict[str, str]]:
    """What is asked of the model."""
    so_far = " ".join(story)[-MOST_CONTEXT:]
    about = f"It is about {cast.hero} and {cast.friend} in {cast.place}, and about a {cast.thing}. "
    mood = f"The sentence is {section.word} in mood. Answer with one English sentence of at most 20 words."
    content = f"{_TASK[part]} {about}{mood}" + (f"\n\nThe story so far: {so_far}" if so_far else "")
    return [{"role": "user", "content": content}]


def usable(answer: str, story: Sequence[str], asked: str) -> str | None:
    """The first whole sentence of an answer; None where it is empty, an echo, or has no end."""
    found = sentences(answer.strip().strip('"').strip())
    if not found:
        return None
    text = found[0].strip()
    is_whole = text[-1:] in ".!?…\"'”’"
    if not is_whole or not SHORTEST <= len(text) <= LONGEST or (not text[0].isalnum() and text[0] not in "\"“'‘"):
        return None
    bare = text.rstrip(".!?").lower()
    if bare in asked.lower() or any(bare == one.rstrip(".!?").lower() for one in story):
        return None
    return text
