"""Language models that write a story's next sentence."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from symbolic.__main__ import VERBS
from symbolic.affect.story import story_choice, story_grammar, story_plan, story_writers
from symbolic.affect.story.story_writers import ChatWriter, usable
from symbolic.command_line import main
from symbolic.errors import UserError
from symbolic.judge import chat
from symbolic.judge.chat import ChatError, Endpoint, Messages, Reply
from tests.symbolic.affect.affect_files import HAPPY
from tests.symbolic.affect.story.test_story_plan import GLAD_SAD_GLAD
from tests.symbolic.judge.conftest import Server, answer, said


class Scripted:
    """Answers from a list, in turn."""

    def __init__(self, answers: Sequence[str]) -> None:
        self.answers, self.asked = list(answers), list[Messages]()

    def reply(self, messages: Messages, seed: int) -> Reply:
        """The next answer."""
        self.asked.append(messages)
        return Reply(self.answers[len(self.asked) % len(self.answers)])


class Busy:
    """An address that answers 429 for ever."""

    def reply(self, messages: Messages, seed: int) -> Reply:
        """No answer."""
        raise ChatError("no answer from http://localhost:1 after 4 tries: 429 Too Many Requests")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("  She went home. And then more.", "She went home."),
        ("", None),
        ("She walked and walked and walked and", None),
        ("Anna opened the door.", None),
        ("Write the next sentence of the story.", None),
        ("x" * 400 + ".", None),
        ("...", None),
    ],
)
def test_what_is_no_sentence_is_left_out(answer: str, sentence: str | None) -> None:
    assert (
        usable(answer, ["Anna opened the door."], "Write the next sentence of the story. It is about Anna.") == sentence
    )


def test_a_model_that_gives_nothing_leaves_the_story_to_the_grammar() -> None:
    writer = ChatWriter(Scripted(["", "no end", ""]), "silent", 2)
    story = story_choice.write_story(story_plan.plan_of(GLAD_SAD_GLAD), writer=writer)
    assert set(story.writers) == {"grammar"} and story.refused == 2 * len(story.sentences)


def test_a_model_s_sentences_are_chosen_and_named() -> None:
    texts = ["They laughed with joy under the sun.", "She wept alone, for all was lost.", "They were happy to be home."]
    model = Scripted(texts)
    story = story_choice.write_story(story_plan.plan_of(GLAD_SAD_GLAD), writer=ChatWriter(model, "small", 3))
    assert story.sentences[0] in texts and story.writers[0] == "small"
    first = str(model.asked[0][-1]["content"])
    assert story.cast.hero in first and story.plan.sections[0].word in first
    assert story.sentences[0] in str(model.asked[-1][-1]["content"])


def test_an_address_that_is_busy_is_a_message() -> None:
    with pytest.raises(UserError, match="429"):
        story_choice.write_story(story_plan.plan_of(GLAD_SAD_GLAD), writer=ChatWriter(Busy(), "busy"))


def test_the_request_asks_for_an_end_at_the_end() -> None:
    section, cast = story_plan.plan_of(GLAD_SAD_GLAD).sections[2], story_grammar.cast_of(0)
    assert "last sentence" in story_writers.request(["One."], section, "ending", cast)[0]["content"]


@pytest.fixture
def address() -> Iterator[Server]:
    """A server that misbehaves as a test says."""
    server = Server()
    yield server
    server.close()


def test_a_busy_address_is_waited_for(address: Server) -> None:
    waits: list[float] = []
    busy = answer(b"slow down", 429, Retry_After="7")
    address.behave = [busy, busy, answer(said("They laughed with joy under the sun."))]
    writer = ChatWriter(Endpoint(address.address, "m", max_tokens=60, wait=waits.append), "m", 1)
    story = story_choice.write_story(story_plan.plan_of(GLAD_SAD_GLAD), writer=writer)
    assert waits == [7, 7] and story.sentences[0] == "They laughed with joy under the sun."
    assert story.writers[0] == "m" and address.requests[0][1]["max_tokens"] == 60


def test_an_address_that_answers_nothing_echoes_or_never_ends_leaves_the_story_to_the_grammar(address: Server) -> None:
    section, cast = story_plan.plan_of(GLAD_SAD_GLAD).sections[0], story_grammar.cast_of(0)
    echo = story_writers.request([], section, "opening", cast)[0]["content"]
    address.behave = [answer(said("")), answer(said(echo)), answer(said("and then and then " * 2000)), answer(said(""))]
    writer = ChatWriter(Endpoint(address.address, "m"), "m", 4)
    found = writer.candidates([], section, "opening", cast, 0)
    assert found == [] and writer.refused == 4


def test_an_address_that_stays_busy_is_a_message_and_nothing_is_written(
    address: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chat, "FIRST_WAIT", 0.0)
    address.behave = [answer(b"slow down", 429)]
    (tmp_path / "a.abc").write_text(HAPPY)
    words = ["story", str(tmp_path / "a.abc"), "-o", str(tmp_path / "s.txt"), "--endpoint", address.address]
    assert main("symbolic", VERBS, [*words, "--model", "m"]) == 1
    assert "429" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.abc"]
