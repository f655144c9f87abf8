"""Sound and words: rendering, melody conditioning, lyrics, songs. May import `symbolic`, never the other way round.

The names below do what the verbs do. Each is imported when it is first used; errors are exceptions
(`symbolic.errors.UserError`).

    >>> import audio_bridge, symbolic
    >>> score = symbolic.parse("X:1\\nM:4/4\\nL:1/4\\nQ:1/4=120\\nK:C\\nCEGc | c4 |]")
    >>> sound = audio_bridge.render(score, instrument="flute")
    >>> sound.samples.shape[0], sound.sample_rate, 4.0 < sound.seconds < 7.5
    (2, 44100, True)

    audio_bridge.write_audio(sound, "scale.wav")
    audio_bridge.condition("scale.abc", "harp.wav", audio_bridge.ConditionOptions(texts=("a slow harp",)))

    render       a score or MIDI file in memory -> Audio
    render_file  an ABC or MIDI file -> audio files
    write_audio  Audio -> .wav, .flac or .mp3
    condition    melodies and texts -> sound that follows them (MusicGen-melody; ConditionOptions)
    adherence    how closely a recording follows a score
    song         a title -> words, melody, chords, sound, score and karaoke in a folder
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audio_bridge.musicgen.condition import ConditionOptions as ConditionOptions
    from audio_bridge.musicgen.condition import condition as condition
    from audio_bridge.musicgen.melody_adherence import adherence as adherence
    from audio_bridge.render.render import render as render
    from audio_bridge.render.render import render_file as render_file
    from audio_bridge.song.song import song as song
    from audio_bridge.sound.audio import write_audio as write_audio

PUBLIC = {
    "ConditionOptions": "audio_bridge.musicgen.condition:ConditionOptions",
    "adherence": "audio_bridge.musicgen.melody_adherence:adherence",
    "condition": "audio_bridge.musicgen.condition:condition",
    "render_file": "audio_bridge.render.render:render_file",
    "write_audio": "audio_bridge.sound.audio:write_audio",
}
CALLABLE_PACKAGES = ("render", "song")  # rooms whose name is also a verb's: they can be called


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    from importlib import import_module

    if name in CALLABLE_PACKAGES:
        return import_module(f"{__name__}.{name}")
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = PUBLIC[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *PUBLIC, *CALLABLE_PACKAGES])
