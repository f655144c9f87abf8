"""XML of strangers: encodings, archives, and what is refused."""

import io
import zipfile

import pytest

from symbolic.formats.musicxml.xml_reading import MAX_DEPTH, parsed, score_root, unzipped
from symbolic.notation.theory import NotationError

SCORE = "<score-partwise><work><work-title>Šárka – é</work-title></work></score-partwise>"
CONTAINER = '<container><rootfiles><rootfile full-path="{}"/></rootfiles></container>'


def archive(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, text in members.items():
            file.writestr(name, text)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "title"),
    [
        (SCORE.encode(), "Šárka – é"),
        (b"\n  " + SCORE.encode(), "Šárka – é"),
        (SCORE.encode("utf-8-sig"), "Šárka – é"),
        (('<?xml version="1.0" encoding="UTF-16"?>' + SCORE).encode("utf-16"), "Šárka – é"),
        (('<?xml version="1.0" encoding="windows-1250"?>' + SCORE).encode("cp1250"), "Šárka – é"),
        ('<?xml version="1.0" encoding="Shift_JIS"?><a><work-title>春</work-title></a>'.encode("shift_jis"), "春"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a><work-title>Für</work-title></a>'.encode("latin-1"), "Für"),
        ("<a><work-title>Für</work-title></a>".encode("latin-1"), "Für"),  # says nothing and is not UTF-8
        ('<?xml version="1.0" encoding="UTF-16"?><a><work-title>Für</work-title></a>'.encode(), "Für"),  # and is UTF-8
        (b'<!DOCTYPE a PUBLIC "x" "http://example.org/x.dtd"><a><work-title>D</work-title></a>', "D"),
        (b'<n:a xmlns:n="urn:x"><n:work-title>N</n:work-title></n:a>', "N"),
    ],
)
def test_encodings(data: bytes, title: str) -> None:
    assert parsed(data).findtext(".//work-title") == title


@pytest.mark.parametrize(
    "data",
    [
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY % x "y"> %x;]><a/>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"),
        b"<a><b></a>",
        b"<a>",
        b"",
        b"<a>" * (MAX_DEPTH + 1),
    ],
)
def test_what_is_refused(data: bytes) -> None:
    with pytest.raises(NotationError) as caught:
        parsed(data)
    assert caught.value.reason in ("bad_musicxml", "too_large")


def test_the_container_names_the_score() -> None:
    both = {"a.xml": "<wrong/>", "lyrics/score.odd": SCORE}
    assert (
        unzipped(archive(**both, **{"META-INF/container.xml": CONTAINER.format("lyrics/score.odd")})) == SCORE.encode()
    )
    assert unzipped(archive(**both)) == b"<wrong/>"  # without a container: the first XML member
    assert score_root(archive(**{"__MACOSX/x.xml": "<junk/>", "b.musicxml": SCORE})).tag == "score-partwise"
    with pytest.raises(NotationError, match="no score"):
        unzipped(archive(**{"readme.txt": "x"}))
    with pytest.raises(NotationError, match="damaged"):
        unzipped(archive(**both)[:40])


def test_a_damaged_member_is_a_damaged_archive() -> None:
    """Every value of one byte of what is deflated: read, or refused with a reason, by zlib too."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("score.xml", SCORE * 50)
    refused = 0
    for place in (40, 60, 90):
        for value in range(256):
            data = bytearray(buffer.getvalue())
            data[place] = value
            try:
                unzipped(bytes(data))
            except NotationError as error:
                assert error.reason == "bad_musicxml"
                refused += 1
    assert refused > 500


def test_an_archive_with_any_byte_changed_or_its_end_cut_is_read_or_refused() -> None:
    whole = archive(**{"score.xml": SCORE})
    damaged = [whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :] for place in range(len(whole))]
    for data in [*damaged, *(whole[:end] for end in range(len(whole)))]:
        try:
            unzipped(data)
        except NotationError as error:
            assert error.reason == "bad_musicxml"
