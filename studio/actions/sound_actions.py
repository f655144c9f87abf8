"""Sound from a melody and a text: MusicGen-melody on a tune."""

import argparse
from typing import Any

from studio.actions import models, tune_files
from studio.actions.context import ActionContext
from symbolic import files
from symbolic.errors import UserError


def condition(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """conditioned.wav: the tune's melody in the sound that the text describes."""
    from audio_bridge.musicgen import condition as verb

    given = tune_files.given_of(options["abc"])
    tune = tune_files.made(given, given.text)
    files.write_whole(context.folder / "given.abc", options["abc"])
    notes = tune_files.write_tunes(context.folder, [tune])
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    target = context.folder / "conditioned.wav"
    words = [str(context.folder / "tune.abc"), "--text", options["text"], "--seconds", str(options["seconds"])]
    words += ["--model", str(models.checkpoint_folder(options["model"])), "--seed", str(options["seed"])]
    context.say(kind="progress", done=0, of=1)
    if verb.run(parser.parse_args([*words, "-o", str(target)])):
        raise UserError("the conditioned sound could not be made.")
    return {"tunes": [tune.as_json()], "notes": notes}
