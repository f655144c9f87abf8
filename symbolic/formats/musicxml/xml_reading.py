"""XML of strangers, read by expat without entities and without the network; the score inside a .mxl archive.

A document type declaration is allowed (old MusicXML files have one), an entity declaration is not, and nothing outside
the file is fetched. Encodings: UTF-8, UTF-16 and Latin-1 by expat itself, every other declared one by Python's codecs;
text that is not in the encoding it declares is read as UTF-8 or Windows-1252. Call it in the guarded process
(`symbolic.formats.sandbox`), since expat is compiled code.
"""

import codecs
import io
import re
import zipfile
import zlib
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from symbolic import files
from symbolic.notation.theory import NotationError

MAX_UNPACKED = 64 * 2**20  # bytes of a compressed file's score
MAX_ELEMENTS = 4_000_000
MAX_DEPTH = 200
CONTAINER = "META-INF/container.xml"
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._:-]{1,40})[\"']")
_NATIVE = {"utf-8", "utf8", "utf-16", "iso-8859-1", "us-ascii"}
_MISLABELLED = {  # what expat says of bytes that are not in the encoding that they declare or imply
    expat.errors.codes[text]
    for text in (expat.errors.XML_ERROR_INVALID_TOKEN, expat.errors.XML_ERROR_INCORRECT_ENCODING)
}


def score_root(data: bytes) -> Element:
    """Root element of a MusicXML file's bytes, compressed (.mxl) or not, namespaces removed.

    Raises NotationError: bad_musicxml, too_large.
    """
    return parsed(unzipped(data) if data[:2] == b"PK" else data)


def parsed(data: bytes) -> Element:
    """Root element of an XML document. Raises NotationError `bad_musicxml` with the line of the fault."""
    data = data.lstrip(b" \t\r\n") if data[:1] in b" \t\r\n" else data
    encoding = _declared_encoding(data)
    if encoding is not None:
        data = _decoded(data, encoding).encode("utf-8")
    try:
        return _Tree("utf-8" if encoding is not None else None).parse(data)
    except expat.ExpatError as error:
        if encoding is None and error.code in _MISLABELLED:
            return _parse_mislabelled(data, error)
        raise _bad(error) from error


def unzipped(data: bytes) -> bytes:
    """The score of a .mxl archive: the root file that its container names, else its first XML member."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _member(archive, _root_file(archive))
    except NotationError:
        raise
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, EOFError, ValueError) as error:
        raise NotationError("bad_musicxml", f"the archive is damaged ({error}).") from error


def _root_file(archive: zipfile.ZipFile) -> str:
    """Name of the score inside the archive (MusicXML 4.0, 'Compressed .mxl files')."""
    names = archive.namelist()
    if CONTAINER in names:
        try:
            container = parsed(_member(archive, CONTAINER))
        except NotationError:
            container = Element("container")
        for rootfile in container.iter("rootfile"):
            path = rootfile.get("full-path", "")
            if path in names and rootfile.get("media-type", "musicxml").find("musicxml") >= 0:
                return path
        for rootfile in container.iter("rootfile"):
            if rootfile.get("full-path") in names:
                return rootfile.get("full-path", "")
    scores = [name for name in names if name.lower().endswith((".xml", ".musicxml"))]
    scores = [name for name in scores if not name.startswith(("META-INF", "__MACOSX"))]
    if not scores:
        raise NotationError("bad_musicxml", "the archive holds no score.")
    return scores[0]


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as stream:
        unpacked = stream.read(MAX_UNPACKED + 1)
    if len(unpacked) > MAX_UNPACKED:
        raise NotationError("too_large", f"it unpacks to over {MAX_UNPACKED // 2**20} MiB.")
    return unpacked


class _Tree:
    """Builds elements from expat's events, refusing what makes a document dangerous."""

    def __init__(self, encoding: str | None) -> None:
        self.builder = TreeBuilder()
        self.depth = self.n_elements = 0
        self.expat = expat.ParserCreate(encoding)
        self.expat.buffer_text = True
        self.expat.StartElementHandler = self.start
        self.expat.EndElementHandler = self.end
        self.expat.CharacterDataHandler = self.builder.data
        self.expat.EntityDeclHandler = _refuse_entity
        self.expat.ExternalEntityRefHandler = _refuse_entity
        self.expat.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def parse(self, data: bytes) -> Element:
        """The root of a whole document."""
        self.expat.Parse(data, True)
        return self.builder.close()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Open an element."""
        self.depth, self.n_elements = self.depth + 1, self.n_elements + 1
        if self.depth > MAX_DEPTH or self.n_elements > MAX_ELEMENTS:
            raise NotationError("too_large", "it has more or deeper elements than any score needs.")
        self.builder.start(tag.rpartition(":")[2], attributes)

    def end(self, tag: str) -> None:
        """Close an element."""
        self.depth -= 1
        self.builder.end(tag.rpartition(":")[2])


def _refuse_entity(*_: object) -> int:
    raise NotationError("bad_musicxml", "it declares entities, which no score needs.")


def _declared_encoding(data: bytes) -> str | None:
    """The encoding that the declaration names, where Python must decode it; None where expat does."""
    match = _DECLARED.match(data)
    name = match[1].decode("ascii").lower() if match else "utf-8"
    if name in _NATIVE or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return None
    try:
        return codecs.lookup(name).name
    except LookupError:
        return None


def _decoded(data: bytes, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except (UnicodeError, LookupError):  # also codecs that are no text encodings
        text = files.decode(data)
    return text if isinstance(text, str) else files.decode(data)


def _parse_mislabelled(data: bytes, first: expat.ExpatError) -> Element:
    """A document that says or implies UTF-8 and is not: read as `files.decode` reads texts of others."""
    try:
        return _Tree("utf-8").parse(files.decode(data).encode("utf-8"))
    except expat.ExpatError:
        raise _bad(first) from first


def _bad(error: expat.ExpatError) -> NotationError:
    return NotationError("bad_musicxml", f"it is not well-formed XML ({error}).")
