"""Small MusicXML documents for the tests, put together from strings."""


def note(pitch: str = "C4", duration: int = 2, extra: str = "", before: str = "") -> str:
    """A note such as "F#4", or a rest "r"; `before` stands first (chord, grace), `extra` after the duration."""
    if pitch == "r":
        return f"<note><rest/><duration>{duration}</duration>{extra}</note>"
    alter = f"<alter>{pitch.count('#') - pitch.count('b')}</alter>" if len(pitch) > 2 else ""
    inner = f"<step>{pitch[0]}</step>{alter}<octave>{pitch[-1]}</octave>"
    length = f"<duration>{duration}</duration>" if duration else ""
    return f"<note>{before}<pitch>{inner}</pitch>{length}{extra}</note>"


def notes(pitches: str, duration: int = 2, extra: str = "") -> str:
    """Notes of one duration: "C4 D4 E4"."""
    return "".join(note(pitch, duration, extra) for pitch in pitches.split())


def attributes(divisions: int = 2, time: str = "4/4", fifths: int = 0, extra: str = "") -> str:
    """The attributes of a first measure."""
    beats, kind = time.split("/")
    return (
        f"<attributes><divisions>{divisions}</divisions><key><fifths>{fifths}</fifths></key>"
        f"<time><beats>{beats}</beats><beat-type>{kind}</beat-type></time>{extra}</attributes>"
    )


def document(*parts: list[str], listed: str = "", head: str = "") -> bytes:
    """A score-partwise of parts, each a list of the contents of its measures; a content may begin with <measure."""
    names = listed or "".join(
        f'<score-part id="P{n}"><part-name>Part {n}</part-name></score-part>' for n in range(1, len(parts) + 1)
    )
    body = ""
    for n, part in enumerate(parts, start=1):
        measures = (
            one if one.startswith("<measure") else f'<measure number="{number}">{one}</measure>'
            for number, one in enumerate(part, start=1)
        )
        body += f'<part id="P{n}">{"".join(measures)}</part>'
    return f"{head}<score-partwise><part-list>{names}</part-list>{body}</score-partwise>".encode()
