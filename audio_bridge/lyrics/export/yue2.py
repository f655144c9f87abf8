"""A request for a song generator that takes words, a style and a score, as YuE2 does.

`lyrics` has one section tag a section, `[verse]`, `[chorus]`; `style` is words; `score` is ABC with two voices,
`Vocal` (the melody, its words under it) and `Ins` (the chords). Nothing is sent anywhere: the file is to be given to
the generator by hand.
"""

from typing import Any

from audio_bridge.lyrics.export import sheet
from audio_bridge.lyrics.export.accompaniment import two_voices
from audio_bridge.lyrics.setting.word_setting import Setting

FORMAT = "yue2-request-1"


def build(setting: Setting, qpm: float) -> dict[str, Any]:
    """Return the request as JSON values."""
    lyrics = setting.lyrics
    tagged = "\n\n".join("\n".join([f"[{s.kind}]", *s.lines]) for s in lyrics.sections)
    style = ", ".join(filter(None, [lyrics.genre, lyrics.language, f"{qpm:g} quarter notes a minute",
                                    f"in {setting.score.key.text}", setting.score.meter.text]))  # fmt: skip
    return {"format": FORMAT, "title": lyrics.title, "lyrics": tagged, "style": style, "score": score(setting, qpm)}


def score(setting: Setting, qpm: float) -> str:
    """Return ABC with the voices Vocal and Ins, the words under Vocal."""
    lines = two_voices(setting).splitlines()
    head = ["X:1", f"T:{setting.lyrics.title or 'untitled'}", f"Q:{sheet.tempo_field(qpm, setting.score.meter)}"]
    out: list[str] = []
    for line, before in zip(lines, ["", *lines]):
        out.append(line)
        if before == "V:Vocal":
            out.append("w: " + sheet.words_line(list(setting.labels)))
    key = next(i for i, line in enumerate(out) if line.startswith("K:"))
    voices = [line for line in out[key + 1 :] if line.startswith("V:") and "clef" in line]
    return "\n".join([*head, *out[:key], *voices, out[key], *[v for v in out[key + 1 :] if v not in voices]]) + "\n"
