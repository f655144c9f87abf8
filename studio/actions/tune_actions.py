"""Tunes: written, filled, varied, continued, harmonised, transposed, imported, played.

Each function fills the folder of a take and returns what take.json says under `result`; `options` are those of the
request of the same name (`studio.actions.requests`). The same options give what `python -m symbolic generate` gives.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from studio.actions import tune_files, warm_models
from studio.actions.context import ActionContext
from studio.actions.tune_files import StudioTune
from symbolic import files
from symbolic.decode.editing import edit
from symbolic.decode.editing.edit import GivenTune, TuneEdit
from symbolic.notation import abc_parser, control_codes
from symbolic.notation.layout import laid_out

DRAWS_A_WAY = 4  # at most, to find ways that differ

if TYPE_CHECKING:
    from symbolic.decode.loaded_model import LoadedModel
    from symbolic.decode.tune_writer import DrawnTune, Generation


def write(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """New tunes of a model, shown as they are drawn."""
    from dataclasses import replace

    from symbolic.decode import prompt as prompts

    prompt = prompts.make_prompt(metre=options["metre"], key=options["key"], bars=options["first_bars"] or "")
    form = [options[name] for name in ("sections", "bars", "similarity", "rhythm")]
    asked = {"transpose": options["transpose"] or 0, "harmonise": options["harmonise"] or ""}
    prompt = replace(prompt, asked=control_codes.ask(*form))
    made = _perform(context, options, prompt=prompt, max_tokens=options["max_tokens"], **asked)
    return _written(context, [_studio_tune(tune) for tune in made.tunes], n_tokens=made.n_tokens)


def fill(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """Bars of a tune in `n` other ways."""
    given = _given(context, options)
    return _new_bars(context, options, edit.fill_edit(given, options["bars"]))


def vary(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """The same; where the bars are a share, each of the `n` tunes has its own bars chosen by the seed."""
    given = _given(context, options)
    return _new_bars(context, options, edit.vary_edit(given, options["bars"]))


def go_on(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """A tune gone on with, shown as it is drawn."""
    given = _given(context, options)
    asked = edit.continue_edit(given, edit.ALL_BARS if options["keep_bars"] is None else options["keep_bars"])
    made = _perform(context, options, edit=asked, max_tokens=options["max_tokens"])
    return _written(context, [_studio_tune(tune, given) for tune in made.tunes], n_tokens=made.n_tokens)


def harmonise(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """Chord symbols."""
    given = _given(context, options)
    text = edit.transpose_and_harmonise(given.text, harmonise=options["every"])
    return _written(context, [tune_files.made(given, text)])


def transpose(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """Higher or lower."""
    given = _given(context, options)
    return _written(context, [tune_files.made(given, abc_parser.transpose(given.text, options["semitones"]))])


def bring(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """A tune of one's own, or several: as text, or a file that was sent in."""
    if options.get("upload"):
        data = (context.data / "uploads" / options["upload"]).read_bytes()
        options = {**options, "abc": tune_files.read_upload(options["kind"], data)}
    files.write_whole(context.folder / "given.abc", options["abc"])
    tunes, n_left_out = tune_files.book_of(options["abc"])
    notes = [f"The first {len(tunes)} tunes are here, {n_left_out} more are not."] if n_left_out else []
    return _written(context, tunes, notes=notes)


def play(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """MP3 and WAV of a tune."""
    from audio_bridge.render.render import render
    from audio_bridge.sound.audio import write_audio

    given = _given(context, options)
    tune = tune_files.made(given, given.text)
    sound = render(abc_parser.parse(tune.abc), instrument=options["instrument"], tempo_qpm=options["tempo"])
    for name in ("tune.wav", "tune.mp3"):
        context.check()
        write_audio(sound, context.folder / name)
        context.say(kind="file", name=name)
    return _written(context, [tune], seconds=round(sound.seconds, 3))


def _new_bars(context: ActionContext, options: dict[str, Any], asked: TuneEdit) -> dict[str, Any]:
    """The ways of a fill, each with the text of its new bars by number: ways that differ, where so many are found."""
    model, n = warm_models.get(options["model"]), options["n"]
    drawn = _perform(context, options, edit=asked).tunes
    places = _different(drawn, asked.given)
    if len(places) < n:  # the first tunes of a larger set are the same
        drawn = _perform(context, {**options, "n": DRAWS_A_WAY * n}, edit=asked).tunes
        places = _different(drawn, asked.given)
    places = places[:n] or [0]
    tunes = [_studio_tune(drawn[place], asked.given) for place in places]
    bars = [_bars_of(drawn[place], asked, asked.bars_to_write(options["seed"], place)) for place in places]
    notes = [] if model.infill else [f"{model.name} sees what stands before a bar, not what follows it."]
    if len(places) < n:
        notes.append(f"Of {len(drawn)} ways that were drawn {len(places)} differ.")
    return _written(context, tunes, bars=bars, notes=notes, n_drawn=len(drawn))


def _different(drawn: "list[DrawnTune]", given: GivenTune) -> list[int]:
    """Places of the tunes that are neither the given one nor one before them."""
    seen, places = {control_codes.music_of(given.text)}, []
    for place, tune in enumerate(drawn):
        music = control_codes.music_of(tune.text)
        if music not in seen:
            seen.add(music)
            places.append(place)
    return places


def _bars_of(drawn: "DrawnTune", asked: TuneEdit, places: tuple[int, ...]) -> dict[str, str]:
    """The new bars' text, by the number that people count bars with."""
    from symbolic.data import augmentation

    if drawn.score is None:
        return {}
    music = control_codes.music_of(drawn.text)
    spans = augmentation.bars(music)
    shift = 0 if asked.given.has_pickup else 1
    return {str(place + shift): music[spans[place].start : spans[place].end] for place in places}


def _perform(context: ActionContext, options: dict[str, Any], **asked: Any) -> "Generation":
    """Draw what is asked for with the model of the options; it can be seen, and stopped, at every token."""
    from symbolic.decode.engine.sampling_rules import Sampling
    from symbolic.decode.tune_writer import GenerationRequest, perform

    model = warm_models.get(options["model"])
    rules = Sampling(options["temperature"], options["top_k"], options["top_p"], options["min_p"])
    request = GenerationRequest(
        n=options["n"], seed=options["seed"], sampling=rules, constrain=options["constrain"], **asked
    )
    context.check()
    edit = asked.get("edit")
    on_bar = _watch_bars(context, 0 if edit.given.has_pickup else 1) if edit else None
    return perform(model, request, on_token=_watch(context, model), on_bar=on_bar)


def _watch(context: ActionContext, model: "LoadedModel") -> Callable[[int, int], None]:
    """Show the text of the first tune as its tokens are drawn."""
    text: list[str] = []

    def on_token(index: int, token: int) -> None:
        if index == 0:
            text.append(model.tokenizer.token_text(token))
            context.show(kind="text", text="".join(text))
        else:
            context.check()

    return on_token


def _watch_bars(context: ActionContext, shift: int) -> Callable[[int, int, str], None]:
    """Show the new bars of each way, by the number that people count them with, as their tokens are drawn."""
    ways: dict[int, dict[str, str]] = {}

    def on_bar(index: int, place: int, text: str) -> None:
        ways.setdefault(index, {})[str(place + shift)] = text
        context.show(kind="bars", ways=[ways[number] for number in sorted(ways)])

    return on_bar


def _given(context: ActionContext, options: dict[str, Any]) -> GivenTune:
    """The tune of a request, kept as given.abc so that the take can be made again."""
    given = tune_files.given_of(options["abc"])
    files.write_whole(context.folder / "given.abc", options["abc"])
    return given


def _studio_tune(drawn: "DrawnTune", given: GivenTune | None = None) -> StudioTune:
    """A drawn tune with the title and fields of the one that it was made from, or its own title."""
    if drawn.score is None:
        return StudioTune(drawn.text, drawn.text, drawn.title, drawn.fault or "it cannot be read")
    title = given.title if given is not None else drawn.title
    abc = laid_out(drawn.score, number=1, title=title, fields=drawn.fields)
    return StudioTune(abc, abc_parser.canonical(drawn.score), title)


def _written(
    context: ActionContext,
    tunes: list[StudioTune],
    bars: list[dict[str, str]] | None = None,
    notes: list[str] | None = None,
    **facts: Any,
) -> dict[str, Any]:
    """Write the files; returns the result with the tunes."""
    context.check()
    notes = (notes or []) + tune_files.write_tunes(context.folder, tunes)
    listed = [tune.as_json(**({"bars": bars[i]} if bars else {})) for i, tune in enumerate(tunes)]
    return {"tunes": listed, "notes": notes, **facts}
