"""The report: whole in itself, asks nothing of the network, and whatever a tune contains stays text."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from symbolic.errors import UserError
from symbolic.evaluate.report.page import Badge, Curve, Table, TuneCard, write_report
from symbolic.evaluate.report.tables import Share
from symbolic.files import sha256
from symbolic.formats.page.score_page import ASSETS, asset_records

HOSTILE = '</pre></script><script>alert(1)</script><img src=x onerror=alert(2)>" \' onload="x &lt;'
ABC = "X:1\nT:A tune\nM:4/4\nL:1/8\nK:G\nGABc dedB|]\n"


class Page(HTMLParser):
    """Every tag with its attributes, the text inside each kind of tag, and the tags left open."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "line", "circle", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)


@pytest.fixture
def page(tmp_path: Path) -> Page:
    card = TuneCard(
        HOSTILE, HOSTILE, b"RIFF", "wav", {HOSTILE: Badge(HOSTILE, False), "more " + HOSTILE: HOSTILE},
        HOSTILE, HOSTILE, (HOSTILE, HOSTILE),
    )  # fmt: skip
    write_report(
        tmp_path / "report.html",
        title=HOSTILE,
        intro=f"{HOSTILE}\n\nSecond.",
        curves=[Curve(HOSTILE, HOSTILE, [1, 2], [2.0, 1.0], HOSTILE, HOSTILE)],
        tables=[Table(HOSTILE, ["a", HOSTILE], [[HOSTILE, Share(0.5)]], HOSTILE)],
        tunes=[card, TuneCard("A tune", ABC)],
        provenance={HOSTILE: HOSTILE, "machine": {"cpu": HOSTILE}},
    )
    return Page((tmp_path / "report.html").read_text(encoding="utf-8"))


def scripts(page: Page) -> list[str]:
    return page.texts["script"]


def test_hostile_text_stays_text(page: Page) -> None:
    assert page.open == []
    assert [tag for tag, _ in page.tags].count("script") == 2 == len(scripts(page))
    assert not any(tag in ("img", "iframe", "object", "embed", "form", "base") for tag, _ in page.tags)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.texts["pre"] == [HOSTILE, HOSTILE, ABC]
    assert HOSTILE in page.texts["h1"] and HOSTILE in page.texts["h3"] and HOSTILE in page.texts["caption"]
    assert not any("alert(" in text for text in scripts(page)[1:] + page.texts["style"])


def test_nothing_is_fetched(page: Page) -> None:
    addresses = ("src", "href", "action", "data", "poster", "srcset", "xlink:href", "background", "cite")
    for tag, attributes in page.tags:
        for name in addresses:
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    assert not re.search(r"url\(|@import|https?:", "".join(page.texts["style"]))
    assert not re.search(r"https?:|fetch|XMLHttp|import\(", scripts(page)[1])


def test_the_policy_allows_these_scripts_only(page: Page) -> None:
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv"))
    assert policy is not None
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts(page)]
    assert rules["script-src"].split() == [f"'sha256-{one}'" for one in hashes]
    assert rules["default-src"] == "'none'" and rules["media-src"] == "data:" and "connect-src" not in rules
    place = [tag for tag, _ in page.tags].index
    assert place("meta") < place("style") and page.tags[place("meta") + 1][1]["http-equiv"] == "Content-Security-Policy"


def test_sound_is_inside(page: Page) -> None:
    (audio,) = [attributes for tag, attributes in page.tags if tag == "audio"]
    assert audio["src"] == "data:audio/wav;base64," + base64.b64encode(b"RIFF").decode()
    assert audio["preload"] == "none" and audio["aria-label"] == f"Recording of {HOSTILE}"


def test_an_unknown_kind_of_sound_is_refused(tmp_path: Path) -> None:
    card = TuneCard("t", ABC, b"x", 'text/html" onload="x')
    with pytest.raises(UserError, match="audio_type"):
        write_report(tmp_path / "r.html", title="t", intro="", tunes=[card])
    assert list(tmp_path.iterdir()) == []


def test_page_is_accessible(page: Page) -> None:
    by_tag: dict[str, list[dict[str, str | None]]] = {}
    for tag, attributes in page.tags:
        by_tag.setdefault(tag, []).append(attributes)
    assert by_tag["html"] == [{"lang": "en"}] and len(by_tag["h1"]) == 1 and by_tag["main"] and by_tag["title"]
    images = [attributes for _, attributes in page.tags if attributes.get("role") == "img"]
    assert len(images) == 4 and all(attributes["aria-label"] for attributes in images)
    identifiers = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(identifiers) == len(set(identifiers))
    labels = [a["aria-labelledby"] for _, a in page.tags if a.get("aria-labelledby")]
    links = [str(a["href"])[1:] for a in by_tag["a"]]
    assert set(labels) | set(links) <= set(identifiers)


def test_readable_without_scripts(page: Page) -> None:
    assert ABC in page.texts["pre"]
    assert next(a for tag, a in page.tags if tag == "details") == {"class": "abc", "open": None}
    assert any(tag == "polyline" for tag, _ in page.tags) and "50.0 %" in page.texts["td"]


def test_empty_report_has_no_script(tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", title="Nothing yet", intro="")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<script" not in text and "script-src 'none'" in text


def test_a_thousand_tunes_stay_small(tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", title="t", intro="", tunes=[TuneCard("A tune", ABC)] * 1000)
    assert (tmp_path / "r.html").stat().st_size < 1_500_000


def test_assets_are_what_their_record_says() -> None:
    records = asset_records()
    listed = {name for record in records for name in record["files"]}
    own = {
        "assets.json",
        "report.css",
        "report.js",
        "engrave.js",
        "note_player.js",
        "transposing.js",
        "score_page.js",
        "score_page.css",
    }
    assert {path.name for path in ASSETS.iterdir()} == listed | own
    for record in records:
        assert record["licence"] and record["source"] and record["version"] and record["name"]
        for name, digest in record["files"].items():
            assert sha256(ASSETS / name) == digest, name
    assert "Permission is hereby granted" in (ASSETS / "abcjs-basic-min.js.LICENSE").read_text(encoding="utf-8")
