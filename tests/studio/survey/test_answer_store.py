"""Answers: saved as they are given, once each, by several processes, and gone after withdrawal."""

import multiprocessing
from pathlib import Path

from studio.survey.answer_store import Answer, AnswerStore


def test_an_answer_counts_once_and_a_change_is_counted(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path / "answers.sqlite")
    rater = store.enroll("en")
    for value in (4.0, 4.0, 2.0):
        store.save(Answer(rater.id, 1, 0, "audio", value, 0.9))
    assert [(a.value, a.heard) for a in store.answers()] == [(2.0, 0.9)]
    assert AnswerStore(store.path).answers() == store.answers()


def test_withdrawal_deletes_and_keeps_the_number(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path / "answers.sqlite")
    one, other = store.enroll("pl", {"headphones": True}), store.enroll("en")
    store.note_environment(one.id, {"screen": "small"})
    store.save(Answer(one.id, 0, 0, "audio", 3.0, 1.0))
    store.save(Answer(other.id, 0, 0, "audio", 5.0, 1.0))
    assert store.rater(one.id).environment == {"headphones": True, "screen": "small"}  # type: ignore[union-attr]
    assert store.withdraw(one.id) == 1 and [a.rater for a in store.answers()] == [other.id]
    gone = store.rater(one.id)
    assert gone is not None and gone.withdrawn and (gone.language, gone.environment) == ("", {})
    assert store.enroll("en").number == 2 and store.rater("nobody") is None


def answer_all(path: str, n: int) -> None:
    store = AnswerStore(Path(path))
    rater = store.enroll("en")
    for trial in range(n):
        for _ in range(2):  # a double click
            store.save(Answer(rater.id, trial, 0, "audio", float(trial % 5), 1.0))
    store.finish(rater.id)


def test_thirty_raters_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    AnswerStore(path)
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        pool.starmap(answer_all, [(str(path), 12)] * 30)
    store = AnswerStore(path)
    assert len(store.answers()) == 30 * 12 and sorted(r.number for r in store.raters()) == list(range(30))
    assert all(rater.finished for rater in store.raters())
