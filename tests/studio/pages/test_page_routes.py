"""The pages without JavaScript: the song flow by forms alone, hostile text in every field."""

import re
from typing import Any

HOSTILE = [
    "<img src=x onerror=\"window.xss=1\">", "</title><script>window.xss=2</script>", "\"><svg onload=window.xss=3>",
    "</textarea><script>window.xss=4</script>", "' onfocus=window.xss=5 autofocus='", "{{ 7 * 7 }}",
]  # fmt: skip


def follow(bench: Any, answer: Any) -> str:
    """The page that a form leads to, once its job is done."""
    assert answer.status_code == 303, answer.text
    bench.work()
    page = bench.client.get(answer.headers["location"])
    assert page.status_code == 200
    return str(page.text)


def take_of(page: str) -> str:
    found = re.search(r"/takes/([0-9a-f]{32})/", page)
    assert found is not None
    return found[1]


def test_the_song_flow_by_forms(bench: Any) -> None:
    assert "Write the words" in bench.client.get("/").text
    words = follow(bench, bench.client.post("/songs", data={}))
    take = take_of(words)
    assert "Make the melody" in words and "<textarea" in words
    other = follow(bench, bench.client.post(f"/takes/{take}/next", data={"do": "words"}))
    text = "[Verse]\nThe light is on the water now\nThe boats are coming home\n"
    score = follow(bench, bench.client.post(f"/takes/{take_of(other)}/next", data={"do": "score", "lyrics": text}))
    assert "The boats are coming home" in score and "w:" in score and "Another melody" in score
    assert "song.musicxml" in score and "take.zip" in score


def test_a_running_job_shows_how_far_it_is_and_can_be_stopped(bench: Any) -> None:
    answer = bench.client.post("/songs", data={"title": "x"})
    page = bench.client.get(answer.headers["location"]).text
    assert 'http-equiv="refresh"' in page and "number 1 in the queue" in page
    job = re.search(r"/jobs/([0-9a-f]{32})/cancel", page)
    assert job is not None
    bench.client.post(f"/jobs/{job[1]}/cancel")
    assert "It was stopped" in bench.client.get(answer.headers["location"]).text


def test_hostile_text_stays_text(bench: Any) -> None:
    for text in HOSTILE:
        refused = bench.client.post("/songs", data={"genre": text})
        assert refused.status_code == 422 and "There are folk, pop, rock" in refused.text
        assert text[0] not in "<\"'" or text not in refused.text
        fields = dict.fromkeys(("title", "artist", "first_line"), text)
        page = follow(bench, bench.client.post("/songs", data=fields))
        take = take_of(page)
        lyrics = follow(
            bench, bench.client.post(f"/takes/{take}/next", data={"do": "score", "lyrics": text + "\nla la\n"})
        )
        library = bench.client.get("/library").text
        form = bench.client.get("/", params={**fields, "genre": text}).text
        for shown in (page, lyrics, library, form):
            if text[0] in "<\"'":
                assert text not in shown
            assert "49" not in re.findall(r"<h1>(.*)</h1>", shown)
    hostile_tune = 'X:1\nT:</pre><script>window.xss=1</script>\nM:4/4\nK:C\n"<b onclick=x>"CDEF|\nw:<img~src=x>\n'
    page = follow(bench, bench.client.post("/tunes", data={"abc": hostile_tune}))
    assert "<script>window" not in page and "<b onclick" not in page and "<img~" not in page


def test_templates_escape_everything(bench: Any) -> None:
    from studio.pages.rendering import HERE

    texts = [path.read_text(encoding="utf-8") for path in (HERE / "templates").iterdir()]
    assert not any(
        re.search(r"\|\s*safe|autoescape false|<script>|style=|\son\w+=|https?://(?!127)", text) for text in texts
    )


def test_the_tune_editor_by_forms(bench: Any) -> None:
    tune = "X:1\nT:mine\nM:6/8\nL:1/8\nK:D\n|:A|d2f e2d|cBA B2c|d2f e2d|c2A A2:|\n"
    take = take_of(follow(bench, bench.client.post("/tunes", data={"abc": tune})))
    form = {"bars": "2", "n": "3", "abc": tune, "form": "1", "constrain": "true"}
    filled = follow(bench, bench.client.post(f"/takes/{take}/edit", data={"do": "fill", **form}))
    assert "3 ways" in filled and "Keep 2" in filled
    for wrong in ({"do": "fill", "bars": "", "abc": tune}, {"do": "rm", "abc": tune}):
        assert bench.client.post(f"/takes/{take}/edit", data=wrong).status_code == 422


def test_marks(bench: Any) -> None:
    take = take_of(follow(bench, bench.client.post("/songs", data={})))
    bench.client.post(f"/takes/{take}/mark", data={"do": "star"})
    assert take in bench.client.get("/library?show=starred").text
    bench.client.post(f"/takes/{take}/mark", data={"do": "trash"})
    assert take not in bench.client.get("/library").text
    bench.client.post("/trash/empty")
    assert bench.client.get(f"/takes/{take}").status_code == 404


def test_every_page_has_a_language_a_title_and_one_heading(bench: Any) -> None:
    for path in ("/", "/tune", "/library", "/about", "/api/docs", "/nothing"):
        page = bench.client.get(path).text
        assert '<html lang="en">' in page and len(re.findall(r"<h1", page)) == 1 and "<title>" in page


def test_first_view_fits_its_budget(bench: Any) -> None:
    from studio.pages.rendering import static_files

    files = static_files()
    home = len(bench.client.get("/", headers={"Accept-Encoding": "gzip"}).content)
    first = 8_000 + sum(len(files[name].compressed) for name in ("studio.css", "icon.svg", "live.js"))
    assert home < 8_000 and first < 40_000
    score = first + sum(len(one.compressed) for name, one in files.items() if name.endswith(".js"))
    assert score < 220_000
