"""The studio in Chromium: song flow, bar editor, reload, hostile text, keyboard, no script, accessibility, bytes.

Needs the extra `studio-browser-tests` and a Chromium (CHROMIUM names it); axe-core's axe.min.js where AXE says it is.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="the extra `studio-browser-tests` is not installed")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
AXE = Path(os.environ.get("AXE", "axe.min.js"))
if not CHROMIUM:
    pytest.skip("no Chromium; CHROMIUM names one", allow_module_level=True)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SECONDS = 400.0  # of patience with a busy machine
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
    """A running server with its workers; SIGTERM ends it in five seconds."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = tmp_path_factory.mktemp("studio")
    words = [sys.executable, "-m", "studio", "serve", "--port", str(port), "--data", str(data)]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url + "/healthz")
        yield url
        process.terminate()
        process.wait(30)


def _wait_for(url: str) -> None:
    until = time.monotonic() + SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@contextlib.contextmanager
def visit(browser: Any, address: str, **options: Any) -> Iterator[Any]:
    """A page of a new person. At the end: no other host was asked, no script of others ran, the policy held."""
    context = browser.new_context(base_url=address, **options)
    context.set_default_timeout(SECONDS * 1000)
    page = context.new_page()
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    yield page
    if options.get("java_script_enabled", True) and not page.url.startswith("about:"):
        assert page.evaluate("window.xss") is None
    context.close()
    hosts = {urlsplit(url).netloc for url in asked if url.startswith("http")}
    assert hosts <= {urlsplit(address).netloc}
    assert faults == []


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
        page.locator("#abc").fill(TUNE.replace("cBA B2c", "cBA B@c"))
        playwright.expect(page.locator("#fault")).to_contain_text("line", timeout=SECONDS * 1000)
        page.locator("#abc").fill(TUNE)
        playwright.expect(page.locator("#fault")).to_be_empty(timeout=SECONDS * 1000)


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

        def tab_to(selector: str) -> None:
            for _ in range(60):
                page.keyboard.press("Tab")
                if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                    return
            raise AssertionError(f"{selector} cannot be reached by Tab")

        tab_to("input[name=title]")
        page.keyboard.type("By keys")
        tab_to("button.main")
        page.keyboard.press("Enter")
        finished(page)
        tab_to("button[value=score]")
        page.keyboard.press("Enter")
        page.wait_for_selector(".sheet svg")
        tab_to("button[value=song]")
        bring(page)
        tab_to("#bars button:nth-child(3)")
        page.keyboard.press("Space")
        assert page.locator("#chosen").input_value() == "2"  # after the pick-up, bar 0


@pytest.fixture(scope="module")
def made(browser: Any, address: str) -> dict[str, str]:
    """Addresses of every kind of page."""
    pages = {name: f"/{name}" for name in ("", "tune", "library", "about", "api/docs", "library?show=trash", "nothing")}
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
    return pages


@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core; AXE names its axe.min.js")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Any, address: str, made: dict[str, str], scheme: str) -> None:
    context = browser.new_context(base_url=address, bypass_csp=True, color_scheme=scheme)
    page = context.new_page()
    found = {}
    for name, url in made.items():
        page.goto(url)
        page.wait_for_timeout(300)
        page.add_script_tag(path=str(AXE))
        results = page.evaluate("axe.run()")["violations"]
        found[name] = [(one["id"], one["nodes"][0]["html"]) for one in results]
    context.close()
    assert {name: rules for name, rules in found.items() if rules} == {}


@pytest.mark.parametrize("width", [400, 1200])
def test_nothing_is_wider_than_the_window(browser: Any, address: str, made: dict[str, str], width: int) -> None:
    context = browser.new_context(base_url=address, viewport={"width": width, "height": 800})
    page = context.new_page()
    wide = {}
    for name, url in made.items():
        page.goto(url)
        page.wait_for_timeout(200)
        wide[name] = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert {name: wide for name, wide in wide.items() if wide > width} == {}


def test_bytes_of_the_first_view(browser: Any, address: str, made: dict[str, str]) -> None:
    for name, limit, n_requests in (("", 40_000, 12), ("words", 40_000, 12), ("score", 220_000, 12)):
        context = browser.new_context(base_url=address)
        page = context.new_page()
        finished: list[Any] = []
        page.on("requestfinished", finished.append)
        page.goto(made[name])
        page.wait_for_load_state("networkidle")
        sizes = [sum(request.sizes()[key] for key in SIZES) for request in finished]
        context.close()
        assert sum(sizes) <= limit and len(sizes) <= n_requests, (name, sizes)


SIZES = ("responseBodySize", "responseHeadersSize")
