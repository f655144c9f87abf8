"""The projection is a straight line through the two largest sizes, and says so of preparing alone."""

from benchmarks import result_file
from experiments import streaming


def result(*rows: tuple[int, float]) -> result_file.Recorder:
    made = result_file.Recorder("streaming")
    for tunes, value in rows:
        for quantity, unit in (("processor seconds", "s"), ("memory", "MiB")):
            made.measured([value], unit, quantity=quantity, stage="prepare", tunes=tunes)
            made.measured([1e9], unit, quantity=quantity, stage="open", tunes=tunes)
    return made


def test_two_million_tunes_by_the_last_two_sizes() -> None:
    lines = list(streaming.projection(result((10_000, 500.0), (40_000, 60.0), (140_000, 160.0)).result()))
    assert [line.split(" take ")[1] for line in lines] == ["2,020 s (processor seconds)", "2,020 MiB (memory)"]


def test_one_size_projects_nothing() -> None:
    assert list(streaming.projection(result((10_000, 500.0)).result())) == []
