"""Damaged MIDI files do no harm; the whole run is `python -m experiments.hostile -n 5000`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments import hostile
from symbolic.files import write_jsonl
from symbolic.formats.sandbox import Guard
from symbolic.notation.theory import NotationError


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory, real_tunes: list[str]) -> list[bytes]:
    folder = tmp_path_factory.mktemp("hostile")
    write_jsonl(folder / "tunes" / "train.jsonl", [{"text": text} for text in real_tunes[::40]])
    return hostile.real_files(folder)


@pytest.fixture(scope="module")
def child() -> Iterator[Guard]:
    with Guard() as guard:
        yield guard


def test_damage_is_repeatable_and_varied(bases: list[bytes]) -> None:
    made = [hostile.damaged(bases, 0, number) for number in range(40)]
    assert made[7] == hostile.damaged(bases, 0, 7)
    assert len(set(made)) == 40


def test_whole_files_are_read(bases: list[bytes], child: Guard, tmp_path: Path) -> None:
    preparing = hostile.Preparing(child)
    for data in bases[:3] + bases[-3:]:
        assert hostile.outcome(preparing.read, data)[1] == "read"
        assert hostile.rendered(data, tmp_path / "a.mid") == "read"


def test_no_damage_does_harm(bases: list[bytes], child: Guard, tmp_path: Path) -> None:
    preparing = hostile.Preparing(child)
    small = [data for number in range(60) if len(data := hostile.damaged(bases, 1, number)) < 50_000]
    found = [hostile.outcome(preparing.read, data)[1] for data in small]
    found += [hostile.outcome(lambda data: hostile.rendered(data, tmp_path / "a.mid"), data)[1] for data in small]
    assert [one for one in found if "FAULT" in one] == []
    assert {"read", "refused, bad_midi"} <= set(found)


@pytest.mark.parametrize(
    ("error", "said"),
    [(NotationError("fault", "died"), "FAULT: fault: died"), (NotationError("cut", "short"), "refused, cut"),
     (KeyError("x"), "FAULT: KeyError: 'x'")],
)  # fmt: skip
def test_what_counts_as_a_fault(error: Exception, said: str) -> None:
    def read(data: bytes) -> str:
        raise error

    assert hostile.outcome(read, b"")[1] == said
