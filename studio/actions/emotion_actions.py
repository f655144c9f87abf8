"""A story for music, music for a story, with their arcs: what `symbolic story` and `audio_bridge soundtrack` make.

The result has `sections`: seconds, a word for the mood, its text, and two points of valence and arousal on -1..1: what
was asked of it, and what a second model measures in what was made, which had no part in the choice.
"""

import io
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from studio.actions import tune_files, warm_models
from studio.actions.context import ActionContext
from symbolic import files

if TYPE_CHECKING:
    import mido

    from audio_bridge.sound.audio import Audio
    from symbolic.affect.composing.composer import Composition
    from symbolic.affect.hearing.note_table import NoteTable
    from symbolic.affect.story.story_choice import Story


def tell_story(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """A story for a tune, or for a MIDI, MusicXML or ABC file that was sent in: story.txt, story.html, tune.mp3."""
    from audio_bridge.render.render import render
    from symbolic.affect.hearing import score_affect
    from symbolic.affect.story import story_choice, story_page, story_plan

    table, midi = _heard(context, options)
    title = options["title"] or table.title or "untitled"
    heard = score_affect.score_arc(table)
    plan = story_plan.plan_of(heard, options["sections"])
    story = story_choice.write_story(
        plan, options["seed"], progress=lambda done, of: context.show(kind="progress", done=done, of=of)
    )
    context.say(kind="text", text=story.text)
    _write_sound(context, render(midi))
    files.write_whole(context.folder / "story.txt", story.text)
    files.write_json(context.folder / "story.json", {"title": title} | story.record())
    page = story_page.page(story, title, table, (context.folder / "tune.mp3").read_bytes())
    files.write_whole(context.folder / "story.html", page)
    remarks = [*heard.record["remarks"], *plan.remarks]
    return {"title": title, "shape": plan.shape, "seconds": story.starts()[-1], "notes": remarks, **_told(story)}


def score_story(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """Music for a story, played: tune.abc, tune.mid, tune.mp3, plan.json."""
    from audio_bridge.affect import soundtrack
    from symbolic.affect.composing import composer

    files.write_whole(context.folder / "given.txt", options["story"])
    made = composer.compose(
        options["story"], warm_models.get(options["model"]), bars=options["bars"], meter=options["metre"],
        key=options["key"], title=options["title"], n=options["n"], seed=options["seed"],
        progress=lambda done, of: context.show(kind="progress", done=done, of=of),
    )  # fmt: skip
    context.check()
    notes = _write_music(context, made)
    context.say(kind="text", text="\n".join(section.text for section in made.sections))
    names = (options["instrument"], "piano")
    found = soundtrack.soundtrack(made, None, names, options["narrate"], options["seed"])
    _write_sound(context, found.mix)
    tune = tune_files.StudioTune(made.text, made.text, options["title"] or _first_words(made))
    return {
        "title": tune.title, "tunes": [tune.as_json()], "seconds": round(found.mix.seconds, 3),
        "notes": [*notes, *_out_of_reach(made)], "sections": _composed(made),
    }  # fmt: skip


def _heard(context: ActionContext, options: dict[str, Any]) -> "tuple[NoteTable, mido.MidiFile]":
    """The notes of the request's music, with loudness where it has one, and a MIDI file that plays them.

    Files of others are read in the guarded process; what was read is kept as given.abc or given.mid.
    """
    import mido

    from symbolic.affect.composing import section_writer
    from symbolic.affect.hearing import note_table
    from symbolic.formats import midi_text

    if options.get("upload") and options["kind"] == "midi":
        data = (context.data / "uploads" / options["upload"]).read_bytes()
        answer = warm_models.read_guarded("midi", data, "midi")
        title = (answer.get("fields", {}).get("T") or [""])[0]
        data = midi_text.to_midi(midi_text.parse(answer["text"]))
        files.write_whole(context.folder / "given.mid", data)
        midi = mido.MidiFile(file=io.BytesIO(data))
        return note_table.of_midi(midi, title), midi
    text = options["abc"]
    if options.get("upload"):
        text = tune_files.read_upload(options["kind"], (context.data / "uploads" / options["upload"]).read_bytes())
    tune_files.given_of(text)  # UserError names the line
    files.write_whole(context.folder / "given.abc", text)
    text = note_table.tune_text(context.folder / "given.abc")
    midi = mido.MidiFile(file=io.BytesIO(section_writer.piece_midi(text)))
    return note_table.of_abc(text), midi


def _write_sound(context: ActionContext, sound: "Audio") -> None:
    from audio_bridge.sound.audio import write_audio

    for name in ("tune.mp3", "tune.wav"):
        context.check()
        write_audio(sound, context.folder / name)
        context.say(kind="file", name=name)


def _write_music(context: ActionContext, made: "Composition") -> list[str]:
    """The piece in every notation; its MIDI has the dynamics."""
    from symbolic.formats.musicxml.musicxml_writing import to_musicxml
    from symbolic.notation import abc_parser
    from symbolic.notation.theory import NotationError

    files.write_whole(context.folder / "tune.abc", made.text)
    files.write_whole(context.folder / "tune.mid", made.midi)
    files.write_json(context.folder / "plan.json", made.record())
    try:
        score = abc_parser.parse(made.text)
        files.write_whole(context.folder / "tune.musicxml", to_musicxml(score, title=_first_words(made)))
    except NotationError as error:
        return [f"MusicXML: {error}"]
    return []


def _told(story: "Story") -> dict[str, Any]:
    """The sections and sentences of a story."""
    arcs, starts = story.section_arcs(), story.starts()
    sections = [
        _section(part.start, part.end, part.word, " ".join(story.of_section(i)), arcs["target"][i], arcs["measured"][i])
        for i, part in enumerate(story.plan.sections)
    ]
    lines = [
        {"start": start, "section": place, "text": text}
        for start, place, text in zip(starts, story.section_of, story.sentences)
    ]
    return {"sections": sections, "sentences": lines}


def _composed(made: "Composition") -> list[dict[str, Any]]:
    from symbolic.affect import emotion_words
    from symbolic.affect.plane import DOMAINS

    moods = emotion_words.nearest(made.arcs()["target"], DOMAINS["sections"])
    return [
        _section(start, end, mood, section.text, plan.target, point)
        | {"how": f"{plan.controls.mode}, {plan.controls.qpm} quarters a minute, {plan.controls.dynamics}"}
        for (start, end), mood, section, plan, point in zip(
            pairwise(made.starts), moods, made.sections, made.plans, made.measured
        )
    ]


def _section(start: float, end: float, word: str, text: str, asked: Any, measured: Any) -> dict[str, Any]:
    return {
        "start": round(start, 3), "end": round(end, 3), "word": word, "text": text,
        "asked": [round(float(value), 3) for value in asked],
        "measured": [round(float(value), 3) for value in measured],
    }  # fmt: skip


def _out_of_reach(made: "Composition") -> list[str]:
    n_missed = made.record()["not_reached"]
    return [f"{n_missed} of {len(made.plans)} moods are out of reach of the melodies and settings."] if n_missed else []


def _first_words(made: "Composition") -> str:
    for line in made.text.splitlines():
        if line.startswith("T:"):
            return line[2:].strip()
    return "untitled"
