"""The REST API from end to end: songs, tunes, edits, files, library."""

import io
import json
import sqlite3
import zipfile
from itertools import pairwise
from typing import Any

import pytest

from symbolic.notation.abc_parser import canonical, parse

TUNE = "X:1\nT:t\nM:6/8\nL:1/8\nK:D\n|:A|d2f e2d|cBA B2c|d2f e2d|c2A A2:|\n|:d|f2a g2f|e2d c2B|ABc d2e|f2d d2:|\n"


def test_an_empty_request_makes_words(bench: Any) -> None:
    job = bench.make("/songs", {"until": "words"})
    assert job["state"] == "done" and len(job["result"]["words"].split()) > 20
    take = bench.client.get(f"/api/v1/takes/{job['take']}").json()
    assert take["record"]["options"]["seed"] == job["seed"]
    again = bench.make("/songs", {"until": "words", "seed": job["seed"]})
    assert again["result"]["words"] == job["result"]["words"]


@pytest.mark.slow
def test_a_song_goes_on_from_its_words_and_keeps_them(bench: Any) -> None:
    words = bench.make("/songs", {"until": "words", "genre": "folk", "title": "River"})
    edited = words["result"]["words"].replace("\n", "\n", 1) + "\nThe river sings at night\n"
    score = bench.make(f"/songs/{words['take']}/redo", {"until": "score", "lyrics": edited})
    assert "The river sings at night" in score["result"]["words"]
    other = bench.make(f"/songs/{score['take']}/redo", {"until": "score", "redo": "melody"})
    assert other["result"]["words"] == score["result"]["words"]
    one, two = (bench.file(job["take"], "song.abc") for job in (score, other))
    assert one != two and one.startswith(b"X:1")
    work = bench.client.get(f"/api/v1/works/{words['take']}").json()
    assert [take["id"] for take in work["takes"]] == [words["take"], score["take"], other["take"]]
    assert bench.file(score["take"], "song.abc") == one  # takes are never written over


@pytest.mark.slow
def test_a_whole_song_can_be_heard_and_made_again(bench: Any) -> None:
    job = bench.make("/songs", {"genre": "rock", "lines": 2, "structure": "verse"})
    take = bench.client.get(f"/api/v1/takes/{job['take']}").json()
    for name in ("song.mp3", "song.wav", "song.mid", "song.musicxml", "song.lrc", "song.ultrastar.txt", "karaoke.html"):
        assert take["files"][name] > 80
    sizes = {e["stage"] for _, e in bench.studio.queue.events(job["id"]) if e["kind"] == "stage"}
    assert {"words", "melody", "score", "backing", "mix"} <= sizes
    record = json.loads(bench.file(job["take"], "take.json"))
    again = bench.client.post("/api/v1/takes/again", json=record)
    bench.work()
    assert bench.file(again.json()["take"], "song.mid") == bench.file(job["take"], "song.mid")


def test_filled_bars_leave_the_others_byte_for_byte(bench: Any) -> None:
    job = bench.make("/tunes/fill", {"abc": TUNE, "bars": "3-4", "n": 3, "seed": 5})
    tunes = job["result"]["tunes"]
    assert len(tunes) == 3 and all(set(tune["bars"]) == {"3", "4"} for tune in tunes)
    before = canonical(parse(TUNE)).split("|")
    for tune in tunes:
        after = canonical(parse(tune["abc"])).split("|")
        assert [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b] in ([4, 5], [4], [5], [])
    again = bench.make("/tunes/fill", {"abc": TUNE, "bars": "3-4", "n": 3, "seed": 5})
    assert again["result"]["tunes"] == tunes


def test_ways_differ_from_each_other_and_from_what_was_there(bench: Any) -> None:
    tune = "X:1\nT:t\nM:6/8\nL:1/8\nK:D\nd2f e2d|cBA B2c|d2f e2d|c2A A3|]\n"
    job = bench.make("/tunes/fill", {"abc": tune, "bars": "2", "n": 3, "seed": 7})
    ways = [one["bars"]["2"] for one in job["result"]["tunes"]]
    assert len({*ways, "cBAB2c"}) == 4
    record = bench.client.get(f"/api/v1/takes/{job['take']}").json()["record"]
    assert f"-n {job['result']['n_drawn']} " in record["command"] and record["options"]["n"] == 3
    alike = bench.make("/tunes/fill", {"abc": tune, "bars": "2", "n": 3, "seed": 7, "temperature": 0.0})["result"]
    assert len(alike["tunes"]) == 1 and any("differ" in note for note in alike["notes"])


def test_other_edits(bench: Any) -> None:
    up = bench.make("/tunes/transpose", {"abc": TUNE, "semitones": 2})["result"]["tunes"][0]["abc"]
    assert "K:E\n" in up and parse(up)
    chords = bench.make("/tunes/harmonise", {"abc": TUNE})["result"]["tunes"][0]["abc"]
    assert '"D"' in chords
    longer = bench.make("/tunes/continue", {"abc": TUNE, "seed": 1, "max_tokens": 60})["result"]["tunes"][0]["abc"]
    assert canonical(parse(longer)).startswith(canonical(parse(TUNE)).rstrip("\n:|"))
    varied = bench.make("/tunes/vary", {"abc": TUNE, "seed": 1})["result"]["tunes"][0]
    assert len(varied["bars"]) == 2


def test_tunes_are_shown_as_they_are_drawn(bench: Any) -> None:
    job = bench.make("/tunes", {"metre": "6/8", "key": "D", "seed": 3, "max_tokens": 120})
    shown = [event["text"] for _, event in bench.studio.queue.events(job["id"]) if event["kind"] == "text"]
    assert shown and all(later.startswith(earlier) for earlier, later in pairwise(shown))
    assert "M:6/8" in job["result"]["tunes"][0]["abc"]


def test_new_bars_are_shown_as_they_are_drawn(bench: Any) -> None:
    job = bench.make("/tunes/fill", {"abc": TUNE, "bars": "2-4", "n": 2, "seed": 3})
    shown = [event["ways"] for _, event in bench.studio.queue.events(job["id"]) if event["kind"] == "bars"]
    assert shown and all(1 <= len(ways) <= 2 for ways in shown)
    assert {bar for ways in shown for way in ways for bar in way} <= {"2", "3", "4"} and "2" in shown[0][0]
    assert all("|" not in text for ways in shown for way in ways for text in way.values())


def test_uploads_of_every_kind(bench: Any) -> None:
    made = bench.make("/tunes/import", {"abc": TUNE})
    kinds = {"tune.abc": "text/vnd.abc", "tune.mid": "audio/midi", "tune.musicxml": "application/xml"}
    for name, kind in kinds.items():
        answer = bench.client.put(
            "/api/v1/tunes", content=bench.file(made["take"], name), headers={"Content-Type": kind}
        )
        assert answer.status_code == 202, answer.text
        bench.work()
        job = bench.client.get(answer.headers["location"]).json()
        assert job["state"] == "done", (name, job["error"])
        assert parse(job["result"]["tunes"][0]["abc"]).meter.text == "6/8"
    assert list((bench.studio.settings.data / "uploads").iterdir()) == []


@pytest.mark.parametrize(("data", "status"), [(b"\x7fELF....", 415), (b"", 415), (b"just words", 415)])
def test_other_files_are_refused(bench: Any, data: bytes, status: int) -> None:
    answer = bench.client.put("/api/v1/tunes", content=data, headers={"Content-Type": "application/octet-stream"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_damaged_files_fail_with_a_reason(bench: Any) -> None:
    bomb = (
        b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "' + b"&a;" * 1000 + b'">]><score-partwise>&b;'
    )
    for data in (b"MThd\x00\x00\x00\x06broken", bomb, b"PK\x03\x04 not a zip"):
        answer = bench.client.put("/api/v1/tunes", content=data, headers={"Content-Type": "application/xml"})
        bench.work()
        job = bench.client.get(answer.headers["location"]).json()
        assert job["state"] == "failed" and job["error"]


def test_a_request_that_is_sent_twice_is_one_job(bench: Any) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = bench.client.post("/api/v1/songs", json={"until": "words"}, headers=headers).json()
    again = bench.client.post("/api/v1/songs", json={"until": "words"}, headers=headers).json()
    other = bench.client.post("/api/v1/songs", json={"until": "score"}, headers=headers)
    assert (first["id"], other.status_code) == (again["id"], 422)
    assert bench.work() == 1


def test_files_by_range_and_name_only(bench: Any) -> None:
    job = bench.make("/tunes/import", {"abc": TUNE})
    url = f"/api/v1/takes/{job['take']}/files/"
    whole = bench.client.get(url + "tune.mid")
    part = bench.client.get(url + "tune.mid", headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, whole.content[2:6])
    assert whole.headers["content-disposition"].startswith("attachment")
    assert bench.client.get(url + "tune.mid", headers={"Range": "bytes=99999999-"}).status_code == 416
    many = bench.client.get(url + "tune.mid", headers={"Range": "bytes=" + ",".join(f"{i}-" for i in range(10_000))})
    assert many.status_code in (200, 206, 400, 416)
    for name in ("..%2ftake.json", "studio.sqlite", "tune.svg", "tune-1.abc", "tune-17.abc", ".job"):
        assert bench.client.get(url + name).status_code in (404, 422), name


def test_a_zip_holds_everything_with_its_terms(bench: Any) -> None:
    job = bench.make("/tunes/fill", {"abc": TUNE, "bars": "3", "seed": 5})
    data = bench.client.get(f"/api/v1/takes/{job['take']}/take.zip").content
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {"take.json", "TERMS.txt", "given.abc", "tune.abc", "tune.mid"} <= set(archive.namelist())
        assert b"O'Neill" in archive.read("TERMS.txt")
        assert b"--fill 3" in archive.read("TERMS.txt")


def test_the_library(bench: Any) -> None:
    job = bench.make("/tunes/import", {"abc": TUNE})
    url = f"/api/v1/takes/{job['take']}"
    assert bench.client.patch(url, json={"starred": True}).json()["starred"] is True
    assert len(bench.client.get("/api/v1/works?show=starred").json()["takes"]) == 1
    assert bench.client.delete(url).status_code == 204
    assert bench.client.get("/api/v1/works").json()["takes"] == []
    assert bench.client.patch(url, json={"trashed": False}).json()["trashed"] is False
    bench.client.delete(url)
    assert bench.client.delete("/api/v1/trash").json() == {"deleted": 1}
    assert bench.client.get(url).status_code == 404
    assert not bench.studio.takes.folder(job["take"]).exists()


def test_wrong_values_name_their_place(bench: Any) -> None:
    for body, place in (
        ({"seed": True}, "seed"), ({"seed": -1}, "seed"), ({"genre": 3}, "genre"), ({"title": "a\x00b"}, "title"),
        ({"path": "/etc/passwd"}, "path"), ({"until": "later"}, "until"), ({"checkpoint": "x"}, "checkpoint"),
    ):  # fmt: skip
        answer = bench.client.post("/api/v1/songs", json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        assert place in answer.json()["detail"]
    assert bench.client.post("/api/v1/tunes", json={"model": "../../etc"}).status_code == 422
    assert "There are: " in bench.client.post("/api/v1/tunes", json={"model": "nobody"}).json()["detail"]


def test_a_check_says_the_line(bench: Any) -> None:
    found = bench.client.post("/api/v1/score/check", json={"abc": "X:1\nT:t\nM:4/4\nK:C\nCDEF|\nC§D|\n"}).json()
    assert (found["ok"], found["line"]) == (False, 6)
    good = bench.client.post("/api/v1/score/check", json={"abc": TUNE}).json()
    assert (good["ok"], good["bars"], good["pickup"]) == (True, 10, True)


def test_no_room_is_said(build_bench: Any) -> None:
    bench = build_bench(quota_bytes=1)
    bench.make("/tunes/import", {"abc": TUNE})
    bench.studio.tidy()
    answer = bench.client.post("/api/v1/tunes/import", json={"abc": TUNE})
    assert answer.status_code == 507 and "trash" in answer.json()["detail"]


@pytest.mark.parametrize(("reason", "status"), [("disk I/O error", 507), ("database is locked", 503)])
def test_a_database_that_cannot_be_written_is_told(
    bench: Any, monkeypatch: pytest.MonkeyPatch, reason: str, status: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError(reason)

    monkeypatch.setattr(bench.studio.queue, "submit", refuse)
    answer = bench.client.post("/api/v1/songs", json={"until": "words"})
    assert (answer.status_code, answer.json()["status"]) == (status, status) and "database" in answer.json()["detail"]


def test_a_book_of_tunes_is_opened_whole(bench: Any) -> None:
    second = "X:2\nT:Second\nM:4/4\nL:1/8\nK:G\nGABc d2d2|e2c2 d4|]\n"
    broken = "X:3\nT:Broken\nM:4/4\nL:1/8\nK:C\n[CEG\n"
    job = bench.make("/tunes/import", {"abc": f"{TUNE}\n{second}\n{broken}"})
    tunes = job["result"]["tunes"]
    assert [tune["title"] for tune in tunes] == ["t", "Second", ""] and [bool(t["fault"]) for t in tunes] == [0, 0, 1]
    assert b"T:Second" in bench.file(job["take"], "tune-2.abc")
    page = bench.client.get(f"/takes/{job['take']}?n=2").text
    assert "3 tunes" in page and "Open 1" in page and "GABc" in page
    job = bench.make("/tunes/import", {"abc": "\n".join([TUNE] * 18)})
    assert len(job["result"]["tunes"]) == 16 and "2 more are not" in job["result"]["notes"][0]


def test_a_tune_that_cannot_be_read_is_shown_again(bench: Any) -> None:
    job = bench.make("/tunes/import", {"abc": "my <b>tune</b>"})
    assert job["state"] == "failed"
    page = bench.client.get(f"/takes/{job['take']}").text
    assert "my &lt;b&gt;tune&lt;/b&gt;</textarea>" in page and "Open in the editor" in page
