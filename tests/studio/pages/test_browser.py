"""The studio in Chromium: song flow, bar editor, reload, hostile text, keyboard, no script, accessibility, bytes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.studio.browser_pages import look, needs_axe, served, tab_to, visit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
HOSTILE = [
    '<img src=x onerror="window.xss=1">', "</title><script>window.xss=2</script>", '"><svg onload="window.xss=3">',
    "</textarea><script>window.xss=4</script>", "' autofocus onfocus=window.xss=5 '", "{{ 7 * 7 }}${7*7}",
]  # fmt: skip
HOSTILE_TUNE = """X:1
T:<img src=x onerror="window.xss=1">
T:</title><script>window.xss=2</script>
C:<svg onload="window.xss=3">
R:"><script>window.xss=4</script>
M:6/8
L:1/8
K:D
%%text <iframe srcdoc="<script>parent.xss=5</script>">
"<b onmouseover=window.xss=6>x"A|"^<img src=x onerror=window.xss=7>"d2f e2d|cBA B2c|
w: <img~src=x~onerror=window.xss=8> a b c d e
d2f e2d|c2A A2:|
W:<img src=x onerror=window.xss=9>
"""
TUNE = "X:1\nT:t\nM:6/8\nL:1/8\nK:D\n|:A|d2f e2d|cBA B2c|d2f e2d|c2A A2:|\n|:d|f2a g2f|e2d c2B|ABc d2e|f2d d2:|\n"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running server with its workers."""
    with served(tmp_path_factory.mktemp("studio")) as url:
        yield url


def press(page: Any, name: str) -> None:
    """Press a button and wait for the page of the take that it makes."""
    before = page.url
    page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_url(lambda url: url != before)
    finished(page)


def finished(page: Any) -> None:
    """Wait until the take is made."""
    page.wait_for_selector("#h-origin")


def bring(page: Any, tune: str = TUNE) -> None:
    """Open a tune in the editor."""
    page.goto("/tune")
    page.locator("#abc").fill(tune)
    press(page, "Open in the editor")
    page.wait_for_selector("#bars button")


STORY = "The morning was quiet and the sea lay still. Then a storm tore the boats away. They sat by the fire and sang."


def write_music(page: Any) -> None:
    """Music for a short story, chosen from few melodies."""
    page.goto("/emotion")
    page.get_by_label("Story, in English").fill(STORY)
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Bars of each section").fill("4")
    page.get_by_label("Melodies to choose from").fill("2")
    press(page, "Write the music")


def test_a_song_from_words_to_sound(browser: Any, address: str) -> None:
    with visit(browser, address) as page:
        page.goto("/")
        page.get_by_label("rock").check()
        page.get_by_label("Title", exact=True).fill("The Long Road")
        page.get_by_label("Artist").fill("Nobody")
        page.get_by_label("First line").fill("I walked along the river in the rain")
        press(page, "Write the words")
        first = page.locator("#lyrics").input_value()
        assert "I walked along the river in the rain" in first
        press(page, "Other words")
        other = page.locator("#lyrics").input_value()
        assert other != first
        page.locator("#lyrics").fill(other.rstrip() + "\nThe quiet moon is waiting by the door\n")
        press(page, "Make the melody")
        assert "The quiet moon is waiting by the door" in page.locator("#lyrics").input_value()
        assert page.locator(".sheet svg .abcjs-note").count() > 20
        score = page.locator("#abc").text_content()
        press(page, "Another melody")
        assert page.locator("#abc").text_content() != score
        page.get_by_role("button", name="Make the sound").click()
        page.wait_for_selector("#live, #sound")
        page.reload()  # a closed tab or a reload loses nothing
        page.wait_for_selector("#sound")
        assert page.evaluate("document.getElementById('sound').duration || 1") > 0.5
        assert page.locator("#karaoke p").count() > 3
        links = page.locator(".downloads a").all_text_contents()
        wanted = {"MP3", "MIDI", "MusicXML", "ABC", "Lyrics with times (LRC)", "UltraStar", "Karaoke page"}
        assert wanted <= set(links)
        with page.expect_download() as caught:
            page.get_by_role("link", name="Everything").click()
        assert caught.value.suggested_filename == "The-Long-Road-take.zip"


def test_a_bar_is_clicked_and_the_rest_stays(browser: Any, address: str) -> None:
    with visit(browser, address) as page:
        bring(page)
        before = page.locator("#abc").input_value()
        page.locator("#sheet .abcjs-mm3.abcjs-note").first.scroll_into_view_if_needed()
        box = page.locator("#sheet .abcjs-mm3.abcjs-note").nth(1).bounding_box()
        page.mouse.click(box["x"] - 3, box["y"] + box["height"] / 2)  # beside a note, in the bar
        assert page.locator("#chosen").input_value() == "3"
        assert page.get_by_role("button", name="Bar 3").get_attribute("aria-pressed") == "true"
        press(page, "Three others")
        assert page.locator(".ways > li").count() == 3
        assert page.locator(".ways > li .fresh").count() > 3
        fresh = page.locator(".ways > li .bar code").all_text_contents()
        assert len(fresh) == 3
        page.keyboard.press("2")  # hear the second
        page.wait_for_selector(".ways .hear[aria-pressed=true] >> text=Hear 2")
        page.get_by_role("link", name="Keep 2").click()
        page.wait_for_url(re.compile("n=2"))
        after = page.locator("#abc").input_value()
        old, new = before.split("|"), after.split("|")
        assert len(old) == len(new)
        changed = [place for place, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1]]
        assert changed in ([4], [])  # |: A | 1 | 2 | 3


def test_mistakes_are_shown_where_they_are(browser: Any, address: str) -> None:
    with visit(browser, address) as page:
        bring(page)
        page.get_by_text("ABC", exact=True).first.click()
        page.locator("#abc").fill(TUNE.replace("cBA B2c", "cBA B§c"))
        page.wait_for_selector("#fault:has-text('line')")
        page.locator("#abc").fill(TUNE)
        page.wait_for_selector("#fault:empty", state="attached")


def test_hostile_text_runs_nowhere(browser: Any, address: str) -> None:
    with visit(browser, address) as page:
        for text in HOSTILE:
            page.goto("/")
            for label in ("Title", "Artist", "First line"):
                page.get_by_label(label, exact=True).fill(text)
            press(page, "Write the words")
            page.locator("#lyrics").fill(f"[Verse]\nWe walk along {text}\nAnd sing it all again {text}\n")
            press(page, "Make the melody")
            assert page.evaluate("window.xss") is None, text
        bring(page, HOSTILE_TUNE)
        box = page.locator("#sheet .abcjs-note").first.bounding_box()
        page.mouse.move(box["x"] + 2, box["y"] + 2)
        page.mouse.click(box["x"] + 2, box["y"] + 2)
        page.goto("/library")
        assert HOSTILE[0] in page.locator("table").inner_text()


def test_the_main_flow_without_scripts(browser: Any, address: str) -> None:
    with visit(browser, address, java_script_enabled=False) as page:
        page.goto("/")
        page.get_by_role("button", name="Write the words").click()
        finished(page)
        page.get_by_role("button", name="Make the melody").click()
        finished(page)
        page.get_by_role("button", name="Make the sound").click()
        finished(page)
        assert page.locator("audio").get_attribute("src").endswith("song.mp3")
        page.goto("/tune")
        page.get_by_role("button", name="Open in the editor").click()
        finished(page)
        page.locator("#chosen").fill("2")
        page.get_by_role("button", name="Three others").click()
        finished(page)
        page.get_by_role("link", name="Keep 3").click()
        assert page.locator(".ways > li").count() == 3


def test_by_keyboard_alone(browser: Any, address: str) -> None:
    with visit(browser, address) as page:
        page.goto("/")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        tab_to(page, "input[name=title]")
        page.keyboard.type("By keys")
        tab_to(page, "button.main")
        page.keyboard.press("Enter")
        finished(page)
        tab_to(page, "button[value=score]")
        page.keyboard.press("Enter")
        page.wait_for_selector(".sheet svg")
        tab_to(page, "button[value=song]")
        page.keyboard.press("Enter")
        page.wait_for_selector("#sound")
        tab_to(page, "#sound")
        bring(page)
        tab_to(page, "#bars button:nth-child(3)")
        page.keyboard.press("Space")
        assert page.locator("#chosen").input_value() == "2"  # after the pick-up, bar 0
        tab_to(page, "button[value=fill]")
        page.keyboard.press("Enter")
        page.wait_for_selector(".ways")
        tab_to(page, ".ways a.button")


def test_a_story_for_music_and_music_for_a_story(browser: Any, address: str) -> None:
    with visit(browser, address) as page:
        bring(page)
        press(page, "A story for it")
        assert page.locator("#story .line").count() >= 3 and page.locator("svg.arc polyline").count() == 4
        page.locator("#story .line").nth(1).click()
        page.wait_for_selector("#story .line.now[aria-current=true]")
        write_music(page)
        assert page.locator("#story .line").count() >= 3 and page.locator(".sheet svg .abcjs-note").count() > 20
        press(page, "Open in the editor")
        page.wait_for_selector("#bars button")


@pytest.fixture(scope="module")
def made(browser: Any, address: str) -> dict[str, str]:
    """Addresses of every kind of page."""
    pages = {"home": "/", "api": "/api/docs", "trash": "/library?show=trash"}
    pages |= {name: f"/{name}" for name in ("tune", "emotion", "library", "about")}
    with visit(browser, address) as page:
        page.goto("/")
        press(page, "Write the words")
        pages["words"] = page.url
        press(page, "Make the melody")
        pages["score"] = page.url
        press(page, "Make the sound")
        pages["song"] = page.url
        bring(page)
        pages["editor"] = page.url
        page.locator("#chosen").fill("3")
        press(page, "Three others")
        pages["ways"] = page.url
        page.goto(pages["editor"])
        press(page, "A story for it")
        pages["story"] = page.url
        write_music(page)
        pages["soundtrack"] = page.url
    return pages


@needs_axe
def test_axe_finds_nothing_in_any_look(browser: Any, address: str, made: dict[str, str], tmp_path: Path) -> None:
    context = browser.new_context(base_url=address, bypass_csp=True)
    page = context.new_page()
    files = downloaded(page, made, tmp_path)
    found: dict[str, Any] = {}
    for name, url in {**made, "nothing": "/nothing", **files}.items():
        page.goto(url)
        page.wait_for_timeout(300)
        found |= look(page, name)
    context.close()
    assert found == {}


def downloaded(page: Any, made: dict[str, str], folder: Path) -> dict[str, str]:
    """The pages that takes are downloaded as: addresses of files in `folder`."""
    found = {}
    for take, name in (("song", "karaoke"), ("story", "story")):
        path = folder / f"{name}.html"
        path.write_bytes(page.request.get(f"/api/v1{urlsplit(made[take]).path}/files/{path.name}").body())
        found[f"{name}-file"] = path.as_uri()
    return found


def test_bytes_of_the_first_view(browser: Any, address: str, made: dict[str, str]) -> None:
    for name, limit, n_requests in FIRST_VIEWS:
        context = browser.new_context(base_url=address)
        page = context.new_page()
        finished: list[Any] = []
        page.on("requestfinished", lambda request, seen=finished: seen.append(request))
        page.goto(made[name])
        page.wait_for_load_state("networkidle")
        sizes = [sum(request.sizes()[key] for key in SIZES) for request in finished]
        context.close()
        assert sum(sizes) <= limit and len(sizes) <= n_requests, (name, sizes)


FIRST_VIEWS = (  # page, bytes, requests
    *((name, 40_000, 12) for name in ("home", "tune", "emotion", "library", "about", "words", "story")),
    *((name, 220_000, 14) for name in ("score", "soundtrack", "editor", "ways")),
)
SIZES = ("responseBodySize", "responseHeadersSize")
