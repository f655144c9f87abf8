"""The plug-in in MuseScore 3 under a virtual display: bars are filled, chords are written, the rest stays.

Needs mscore3, Xvfb, openbox and xdotool (Debian: musescore3 xvfb openbox xdotool).
"""

import http.server
import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from studio import plugins
from symbolic.formats.musicxml.musicxml_writing import to_musicxml
from symbolic.notation import abc_parser

PLUGIN = Path(next(iter(plugins.__path__))) / "musescore.qml"
PROGRAMS = ("mscore3", "Xvfb", "openbox", "xdotool")
TUNE = "X:1\nT:t\nM:6/8\nL:1/8\nK:D\nd2f e2d|cBA B2c|d2f e2d|c2A A3|f2a g2f|e2d c2B|ABc d2e|f2d d3|]\n"
BAR = 1440  # ticks of a bar of 6/8, 480 to the quarter note
BUTTONS = {"fill": 51, "vary": 87, "continue": 123, "harmonise": 159, "again": 195}  # pixels below the window's top
SECONDS = 120.0
PLUGINS_XML = """<?xml version="1.0" encoding="UTF-8"?>
<museScore version="3.01"><Plugin><path>{path}</path><load>1</load>
<SC><key>studio</key><seq>Ctrl+Alt+Shift+K</seq></SC></Plugin></museScore>
"""
INI = """[application]
startup\\firstStart=false
[ui]
application\\startup\\showStartCenter=false
application\\startup\\showTours=false
"""


def test_only_what_every_version_allows_is_used() -> None:
    text = PLUGIN.read_text(encoding="utf-8")
    code = re.sub(r"//.*", "", text.replace("http://", ""))
    for name in (
        "writeScore",
        "readScore",
        "newScore",
        "closeScore",
        "QProcess",
        "FileIO",
        "QtQuick.Controls",
        "https",
    ):
        assert name not in code, name
    assert "curScore.startCmd" in code and "XMLHttpRequest" in code


class Relay:
    """A server between MuseScore and the studio of the tests, which keeps what was asked and answered."""

    def __init__(self, bench: Any) -> None:
        self.seen: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        relay = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posted = bench.client.post(self.path, content=body, headers={"Content-Type": "application/json"})
                verb, answer = self.path.rpartition("/")[2], posted.json()
                if verb == "fill":
                    answer["notes"][1][2] = None  # so that there is a rest to be written
                self.send_response(posted.status_code)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())
                relay.seen.append((verb, json.loads(body), answer))

            def log_message(self, *words: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for(self, n: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """The n-th exchange, from 1."""
        until = time.monotonic() + SECONDS
        while len(self.seen) < n:
            assert time.monotonic() < until, "MuseScore asked nothing"
            time.sleep(0.1)
        return self.seen[n - 1]


@pytest.fixture
def relay(bench: Any) -> Iterator[Relay]:
    thread = threading.Thread(target=bench.worker.run)
    thread.start()
    made = Relay(bench)
    yield made
    made.server.shutdown()
    made.server.server_close()
    bench.worker.stop.set()
    thread.join()


@pytest.fixture
def xdotool(tmp_path: Path, relay: Relay) -> Iterator[Callable[..., str]]:
    """MuseScore with the tune open; a function that plays keyboard and mouse."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    plugin = tmp_path / "musescore.qml"
    plugin.write_text(PLUGIN.read_text().replace("127.0.0.1:8017", f"127.0.0.1:{relay.server.server_port}"))
    folder = tmp_path / "home" / ".local" / "share" / "MuseScore" / "MuseScore3"
    folder.mkdir(parents=True)
    (folder / "plugins.xml").write_text(PLUGINS_XML.format(path=plugin))
    settings = tmp_path / "home" / ".config" / "MuseScore"
    settings.mkdir(parents=True)
    (settings / "MuseScore3.ini").write_text(INI)
    (tmp_path / "tune.musicxml").write_text(to_musicxml(abc_parser.parse(TUNE)))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    environment = {**kept, "HOME": str(tmp_path / "home"), "XDG_RUNTIME_DIR": str(tmp_path)}
    started: list[subprocess.Popen[bytes]] = []
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

    def start(*words: str) -> None:
        started.append(subprocess.Popen(words, env=environment, **quiet))

    read, write = os.pipe()
    words = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x900x24"]
    started.append(subprocess.Popen(words, env=environment, pass_fds=[write], **quiet))
    os.close(write)
    with os.fdopen(read) as numbers:
        environment["DISPLAY"] = f":{numbers.readline().strip()}"
    start("openbox")
    start("mscore3", "-w", str(tmp_path / "tune.musicxml"))

    def do(*words: str) -> str:
        return subprocess.run(["xdotool", *words], env=environment, capture_output=True, text=True, timeout=60).stdout

    _window(do, "MuseScore 3: tune")
    time.sleep(5)
    yield do
    for process in reversed(started):
        process.kill()
        process.wait()


def _window(do: Callable[..., str], title: str) -> str:
    """The id of a window, once it is there."""
    until = time.monotonic() + SECONDS
    while not (found := do("search", "--name", f"^{title}$").split()):
        assert time.monotonic() < until, f"no window {title}"
        time.sleep(0.5)
    return found[-1]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_bars_are_filled_in_musescore(xdotool: Callable[..., str], relay: Relay) -> None:
    for _ in range(10):  # a busy machine may not be ready for keys yet
        xdotool("mousemove", "470", "318", "click", "1")  # in bar 2
        time.sleep(1)
        xdotool("keydown", "shift", "mousemove", "550", "337", "click", "1", "keyup", "shift")  # to bar 3
        time.sleep(1)
        xdotool("key", "ctrl+alt+shift+k")
        time.sleep(4)
        if xdotool("search", "--name", "^Studio$"):
            break
    dialog = _window(xdotool, "Studio")
    time.sleep(2)

    def press(name: str) -> None:
        xdotool("windowactivate", dialog)
        time.sleep(1.5)
        xdotool("mousemove", "--window", dialog, "190", str(BUTTONS[name]), "click", "1")

    press("fill")
    verb, asked, answered = relay.wait_for(1)
    assert (verb, asked["metre"], asked["key"], asked["division"]) == ("fill", "6/8", "D", 480)
    assert len(asked["notes"]) == 32 and BAR <= asked["from"] < 2 * BAR < asked["to"] <= 3 * BAR
    assert (answered["from"], answered["to"]) == (BAR, 3 * BAR)
    time.sleep(3)
    press("harmonise")  # sends the score as it is now
    verb, now, chords = relay.wait_for(2)
    outside = [note for note in asked["notes"] if not BAR <= note[0] < 3 * BAR]
    assert verb == "harmonise" and now["notes"] == sorted(outside + answered["notes"])
    assert len(chords["chords"]) >= 4
    time.sleep(2)
    press("continue")
    verb, _, longer = relay.wait_for(3)
    time.sleep(3)
    press("harmonise")
    _, last, _ = relay.wait_for(4)
    assert verb == "continue" and longer["from"] == 8 * BAR
    written = [note for note in last["notes"] if note[0] >= 8 * BAR]
    assert written == [note for note in longer["notes"] if note[0] <= written[-1][0]] and written
