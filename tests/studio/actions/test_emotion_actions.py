"""Stories for music and music for stories, from request to page."""

from typing import Any

import pytest

TUNE = "X:1\nT:t\nM:6/8\nL:1/8\nK:D\n|:A|d2f e2d|cBA B2c|d2f e2d|c2A A2:|\n|:d|f2a g2f|e2d c2B|ABc d2e|f2d d2:|\n"
STORY = (
    "The morning was quiet and the sea lay still. We walked along the shore and laughed. Then a storm came over the "
    "hills, and the boats were torn from the harbour. Everybody ran and shouted in fear. In the evening the wind was "
    "gone. They sat by the fire, tired and safe, and sang."
)


def test_a_story_follows_a_tune(bench: Any) -> None:
    job = bench.make("/stories", {"abc": TUNE, "seed": 4})
    assert job["state"] == "done", job["error"]
    result = job["result"]
    assert result["title"] == "t" and len(result["sentences"]) >= 3
    assert [line["start"] for line in result["sentences"]] == sorted(line["start"] for line in result["sentences"])
    assert all(-1 <= value <= 1 for one in result["sections"] for name in ("asked", "measured") for value in one[name])
    text = bench.file(job["take"], "story.txt").decode()
    assert all(line["text"] in text for line in result["sentences"])
    assert b"<audio" in bench.file(job["take"], "story.html") and len(bench.file(job["take"], "tune.mp3")) > 10_000
    page = bench.client.get(f"/takes/{job['take']}").text
    assert page.count("<polyline") == 4 and page.count('class="line"') == len(result["sentences"])
    assert "python -m symbolic story given.abc" in page
    assert bench.make("/stories", {"abc": TUNE, "seed": 4})["result"]["sentences"] == result["sentences"]


def test_the_loudness_of_midi_counts(bench: Any) -> None:
    made = bench.make("/tunes/import", {"abc": TUNE})
    data = bench.file(made["take"], "tune.mid")
    answer = bench.client.put("/api/v1/stories", content=data, headers={"Content-Type": "audio/midi"})
    bench.work()
    job = bench.client.get(answer.headers["location"]).json()
    assert job["state"] == "done", job["error"]
    record = bench.client.get(f"/api/v1/takes/{job['take']}").json()["record"]
    assert "given.mid" in record["files"] and "story given.mid" in record["command"]
    again = bench.client.post("/api/v1/takes/again", json=record)
    assert again.status_code == 422 and "bring the file again" in again.json()["detail"]


@pytest.mark.slow
def test_music_follows_a_story(bench: Any) -> None:
    job = bench.make("/soundtracks", {"story": STORY, "seed": 2, "n": 2, "bars": 4})
    assert job["state"] == "done", job["error"]
    take = bench.client.get(f"/api/v1/takes/{job['take']}").json()
    for name in ("tune.abc", "tune.mid", "tune.musicxml", "tune.mp3", "tune.wav", "plan.json", "given.txt"):
        assert take["files"][name] > 80
    assert len(job["result"]["sections"]) >= 3 and take["title"].startswith("The morning was quiet")
    page = bench.client.get(f"/takes/{job['take']}").text
    assert page.count("<polyline") == 4 and "Open in the editor" in page
    assert "audio_bridge soundtrack given.txt -o tune.mp3 --model" in page


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("/soundtracks", {"story": ""}, "story"), ("/soundtracks", {"story": STORY, "key": "Am"}, "key"),
        ("/soundtracks", {"story": STORY, "metre": "C"}, "metre"),
        ("/stories", {"abc": TUNE, "sections": 10}, "sections"),
        ("/stories", {}, "abc"),
    ],
)  # fmt: skip
def test_wrong_values_name_their_place(bench: Any, path: str, body: dict[str, Any], place: str) -> None:
    answer = bench.client.post(f"/api/v1{path}", json=body)
    assert answer.status_code == 422 and place in answer.json()["detail"]


def test_what_cannot_be_read_fails_with_a_reason(bench: Any) -> None:
    for path, body, reason in (
        ("/stories", {"abc": "X:1\nT:t\nM:4/4\nK:C\nC|\n"}, "notes in the score"),
        ("/soundtracks", {"story": "xqzt wvbb kkrr zzpp qqtt mmnn bbvv ccxx"}, "English"),
        ("/soundtracks", {"story": "Sad."}, "1 word"),
    ):
        job = bench.make(path, body)
        assert job["state"] == "failed" and reason in job["error"]


def test_the_page_works_by_forms(bench: Any) -> None:
    assert "Write the music" in bench.client.get("/emotion").text
    for path, data in (("/stories", {"abc": TUNE}), ("/soundtracks", {"story": STORY})):
        answer = bench.client.post(path, data=data)
        assert answer.status_code == 303
    assert "/emotion" in bench.client.get(answer.headers["location"]).text
