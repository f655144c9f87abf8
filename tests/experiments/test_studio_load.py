"""What the load script records: one row for each thing that users saw and for each count."""

import pytest

from benchmarks import result_file
from experiments import studio_load
from studio import load


def test_rows_of_a_load_and_of_songs() -> None:
    found = {
        **dict.fromkeys(studio_load.COUNTS, 0), "ended": {"done": 3}, "kills": {"web": 1}, "statuses": {"202": 3},
        "api_ms": {"p95": 12.5}, "web_mib": {"before": 50.0, "after": 51.0}, "start_seconds": {"answers": 1.5},
        "web_mib_series": [50.5, 51.0], "last_first_lyric_seconds": 2.5, "stop_seconds": 1.0, "web_cpu_seconds": 9.5,
    }  # fmt: skip
    recorder = result_file.Recorder("studio_load")
    studio_load.record_load(recorder, found)
    result = recorder.result()
    assert list(result_file.faults(result)) == []
    assert result_file.find(result, measure="API call", of="p95") == {
        "measure": "API call", "of": "p95", "unit": "ms", "repeats": [12.5],
    }  # fmt: skip
    twice = {**result, "rows": studio_load.joined(recorder.rows, recorder.rows)}  # the rows of two turns
    assert result_file.find(twice, measure="kills", of="web")["repeats"] == [1, 1]  # type: ignore[index]
    cpu = {"words_cpu": 0.4, "first_sound_cpu": 3.0, "song_cpu": 6.0}
    studio_load.record_songs(recorder, [{"words": 0.5, "first_sound": 4.0, "song": 8.0, "music": 84.0, **cpu}] * 2)
    for name, seconds in (("song", 8.0), ("song_cpu", 6.0)):
        row = result_file.find(recorder.result(), measure=name)
        assert row is not None and row["repeats"] == [seconds, seconds]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_song_is_timed() -> None:
    (song,) = load.measure_songs(1, 1, 1)
    assert 0 < song["words"] <= song["first_sound"] <= song["song"] and song["music"] > 20
    assert 0 < song["words_cpu"] < song["first_sound_cpu"] < song["song_cpu"]
