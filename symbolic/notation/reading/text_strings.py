r"""Text strings of ABC (ABC 2.1, section 8.2): \'e, \"u, \vr, \AE, \u00e9, &eacute; as the signs they mean.

What means no sign, a lone backslash among it, stays as it is. `encode` guards text that would be read as another.
"""

import html
import re
import unicodedata

_ACCENTS = {"`": "\u0300", "'": "\u0301", "^": "\u0302", '"': "\u0308", "~": "\u0303", "c": "\u0327", "v": "\u030c",
            "u": "\u0306", "H": "\u030b"}  # fmt: skip
_LIGATURES = {"AA": "Å", "aa": "å", "AE": "Æ", "ae": "æ", "OE": "Œ", "oe": "œ", "/O": "Ø", "/o": "ø", "ss": "ß",
              "DH": "Ð", "dh": "ð", "TH": "Þ", "th": "þ", "HO": "Ő", "HU": "Ű"}  # fmt: skip
_MNEMONIC = re.compile(
    r"\\(?:u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<guarded>[\\&])"
    rf"|(?P<ligature>{'|'.join(_LIGATURES)})|(?P<accent>[`'^\"~cvuH])(?P<letter>[A-Za-z]))"
    r"|&(?:[A-Za-z]{2,8}\d{0,2}|\#\d{1,6}|\#x[0-9a-fA-F]{1,5});",
    re.VERBOSE,
)
_UMLAUT = re.compile(r'\\"[AEIOUYaeiouy]')


def decode(text: str) -> str:
    """The text with every mnemonic, Unicode number and named entity as the sign it means."""
    return _MNEMONIC.sub(_sign, text) if "\\" in text or "&" in text else text


def encode(text: str) -> str:
    r"""The text as `decode` gives it back: `\\` and `\&` where it holds what would be read as a sign."""
    return text if decode(text) == text else re.sub(r"[\\&]", r"\\\g<0>", text)


def without_quoted_umlauts(line: str) -> str:
    r"""A line of music whose annotations have no `\"u`, the quotation mark of which would end them.

    Nothing is changed where the marks are no umlauts, which is where the others do not stand in pairs.
    """
    pieces = _UMLAUT.split(line)
    before = 0
    for piece in pieces[:-1]:
        before += piece.count('"')
        if before % 2 == 0:
            return line
    return _UMLAUT.sub(_accented, line) if (before + pieces[-1].count('"')) % 2 == 0 else line


def _accented(match: re.Match[str]) -> str:
    return decode(match[0])


def _sign(match: re.Match[str]) -> str:
    """The sign of one match; what would be no visible sign stays as it was."""
    if match["guarded"]:
        return match["guarded"]
    if match["ligature"]:
        return _LIGATURES[match["ligature"]]
    if match["letter"]:
        sign = unicodedata.normalize("NFC", match["letter"] + _ACCENTS[match["accent"]])
        return sign if len(sign) == 1 else match[0]
    number = match["short"] or match["long"]
    if number:
        sign = chr(int(number, 16)) if int(number, 16) <= 0x10FFFF else ""
    else:
        sign = html.unescape(match[0])
    sign = sign.replace("\xa0", " ")
    return sign if sign and sign.isprintable() else match[0]
