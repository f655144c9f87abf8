"""Pages in Chromium: a served studio, a page of a new person that asks no other host, and what axe finds.

Needs the extra `studio-browser-tests` and a Chromium (CHROMIUM names it); axe-core's axe.min.js where AXE says it is.
"""

import contextlib
import os
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

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
AXE = Path(os.environ.get("AXE", "axe.min.js"))
SECONDS = 400.0  # of patience with a busy machine
LOOKS = (("light", 1200), ("dark", 1200), ("light", 400), ("dark", 400))  # colour scheme, width in pixels
SHOTS = os.environ.get("STUDIO_SHOTS", "")  # a folder: pictures of every page are put there, to be looked at
needs_axe = pytest.mark.skipif(not AXE.is_file(), reason="no axe-core; AXE names its axe.min.js")


@contextlib.contextmanager
def served(data: Path, *words: str) -> Iterator[str]:
    """The address of a running studio with its workers; SIGTERM ends it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "studio", "serve", "--port", str(port), "--data", str(data), *words]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_for(url + "/healthz")
            yield url
        finally:
            process.terminate()
            process.wait(120)


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


def look(page: Any, name: str, looks: tuple[tuple[str, int], ...] = LOOKS) -> dict[str, Any]:
    """What is wrong with the page that is open, in each look: axe's findings, and parts wider than the window."""
    found: dict[str, Any] = {}
    page.add_script_tag(path=str(AXE))
    for scheme, width in looks:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(150)
        rules = page.evaluate("axe.run()")["violations"]
        faults = [(rule["id"], [node["html"][:160] for node in rule["nodes"][:3]]) for rule in rules]
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            faults.append(("wider than the window", [str(wide)]))
        if faults:
            found[f"{name}, {scheme}, {width}"] = faults
        if SHOTS:
            page.screenshot(path=f"{SHOTS}/{name}-{scheme}-{width}.png", full_page=True)
    page.set_viewport_size({"width": 1200, "height": 900})
    return found


def tab_to(page: Any, selector: str, most: int = 80) -> None:
    """Press Tab until an element is focused."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached by Tab")
