"""Sound from a melody and a text: MusicGen-melody on a tune."""

from typing import Any

from studio.actions import models, tune_files
from studio.actions.context import ActionContext
from symbolic import files


def condition(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """conditioned.wav: the tune's melody in the sound that the text describes."""
    from audio_bridge.musicgen.condition import ConditionOptions
    from audio_bridge.musicgen.condition import condition as make_sound
    from audio_bridge.musicgen.melody_source import MelodyRequest

    given = tune_files.given_of(options["abc"])
    tune = tune_files.made(given, given.text)
    files.write_whole(context.folder / "given.abc", options["abc"])
    notes = tune_files.write_tunes(context.folder, [tune])
    asked = ConditionOptions(
        melody=MelodyRequest(seconds=options["seconds"]),
        texts=(options["text"],),
        model=str(models.checkpoint_folder(options["model"])),
        seed=options["seed"],
    )
    context.say(kind="progress", done=0, of=1)
    make_sound([context.folder / "tune.abc"], context.folder / "conditioned.wav", asked)
    return {"tunes": [tune.as_json()], "notes": notes}
