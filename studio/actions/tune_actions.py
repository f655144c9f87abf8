"""Tunes: written, filled, varied, continued, harmonised, transposed, imported, played.

Each function fills the folder of a take and returns what take.json says under `result`; `options` are those of the
request of the same name (`studio.actions.requests`). The same options give what `python -m symbolic generate` gives.
"""

from collections.abc import Callable
from typing import Any

from studio.actions import tune_files, warm_models
from studio.actions.context import ActionContext
from studio.actions.tune_files import StudioTune
from symbolic import files
from symbolic.decode.editing import edit
from symbolic.decode.editing.edit import Given
from symbolic.errors import UserError
from symbolic.notation import abc_parser, harmony


def write(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """New tunes of a model, shown as they are drawn."""
    from symbolic.decode import prompt as prompts
    from symbolic.decode.constraint import line_mask
    from symbolic.decode.constraint.token_mask import prompted
    from symbolic.decode.continuation import generate_tunes
    from symbolic.notation import control_codes

    source = warm_models.get(options["model"])
    prompt = prompts.make_prompt(metre=options["metre"], key=options["key"], bars=options["first_bars"] or "")
    asked = control_codes.ask(
        options["sections"], options["bars"], options["similarity"], options["rhythm"], None, None
    )
    if asked.lines and not source.codes and (asked.similarity or asked.rhythm or not options["constrain"]):
        raise UserError(f"{source.name} was not trained with control codes: choose another model, or ask for less.")
    prompt = prompts.Prompt(prompt.metre, prompt.key, prompt.bars, asked=asked)
    automaton = None
    if options["constrain"]:
        automaton = line_mask.steered(prompted(prompt)) if asked.lines else prompted(prompt)
    drawn, n_tokens = generate_tunes(
        source, prompt, automaton=automaton, on_token=_watch(context, source), **_settings(options)
    )
    tunes = []
    for tune in drawn:
        text = control_codes.split(source.tokenizer.decode(tune.prompt + tune.tokens))[1]
        tunes.append(_finished(text, f"{source.name} {options['seed']} / {tune.index + 1}", options))
    return _written(context, tunes, n_tokens=n_tokens)


def fill(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """Bars of a tune in `n` other ways; where the bars are a share, each tune has its own bars chosen."""
    from symbolic.decode.editing import infilling
    from symbolic.decode.engine.sampling import Sampling

    given = _given(context, options)
    source = warm_models.get(options["model"])
    share = float(options["bars"]) if "." in options["bars"] else 0.0
    if share and not 0 < share <= 1:
        raise UserError(f"{options['bars']} of the bars: a share is above 0.0 and at most 1.0.")
    task = edit.Task(given, "fill", () if share else edit.parse_bars(options["bars"], given), share=share)
    rules = Sampling(options["temperature"], options["top_k"], options["top_p"], options["min_p"])
    fixed = {"eos": source.tokenizer.eos, "n_tokens": source.tokenizer.n_tokens, "constrain": options["constrain"]}
    fixed |= {"sampling": rules, "seed": options["seed"], "batch_size": 32}
    calls = [(task.bars, options["n"])]
    if share:
        calls = [(task.chosen(options["seed"], index), 1) for index in range(options["n"])]
    shift = 0 if given.has_pickup else 1
    tunes: list[StudioTune] = []
    bars: list[dict[str, str]] = []
    for index, (chosen, n) in enumerate(calls):
        context.say(kind="progress", done=index, of=len(calls))
        for filled in infilling.fill(source, given.text, chosen, n=n, stream=1000 * index, **fixed)[0]:
            tunes.append(tune_files.made(given, filled.text, filled.fault))
            bars.append({str(place + shift): body for place, body in zip(chosen, filled.bodies, strict=True)})
    notes = [] if source.infill else [f"{source.name} sees what stands before a bar, not what follows it."]
    return _written(context, tunes, bars=bars, notes=notes)


def go_on(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """A tune gone on with, shown as it is drawn."""
    from symbolic.decode import prompt as prompts
    from symbolic.decode.constraint.automaton import Automaton
    from symbolic.decode.continuation import generate_tunes
    from symbolic.decode.editing import infilling

    given = _given(context, options)
    source = warm_models.get(options["model"])
    beginning = edit.kept_text(given, _n_kept(given, options["keep_bars"]))
    automaton = None
    if options["constrain"]:
        automaton = Automaton()
        if automaton.read(beginning)[1] < len(beginning):
            raise UserError("its bars do not all have the length of the metre: mend them, or go on without the mask.")
    drawn, n_tokens = generate_tunes(
        source,
        prompts.Prompt(),
        automaton=automaton,
        beginning=beginning,
        on_token=_watch(context, source),
        **_settings(options),
    )
    new = [infilling.gone_on(beginning, source.tokenizer.decode(tune.tokens)) for tune in drawn]
    return _written(context, [tune_files.made(given, one.text, one.fault) for one in new], n_tokens=n_tokens)


def harmonise(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """Chord symbols."""
    given = _given(context, options, any_voices=True)
    return _written(context, [tune_files.made(given, harmony.harmonised(given.text, options["every"]))])


def transpose(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """Higher or lower."""
    given = _given(context, options, any_voices=True)
    return _written(context, [tune_files.made(given, abc_parser.transpose(given.text, options["semitones"]))])


def bring(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """A tune of one's own: as text, or a file that was sent in."""
    if options.get("upload"):
        path = context.data / "uploads" / options["upload"]
        text = tune_files.read_upload(options["kind"], path.read_bytes())
        options = {**options, "abc": text}
    given = _given(context, options, any_voices=True)
    return _written(context, [tune_files.made(given, given.text)])


def play(context: ActionContext, options: dict[str, Any]) -> dict[str, Any]:
    """MP3 and WAV of a tune."""
    from audio_bridge.render.render import render
    from audio_bridge.sound.audio import write_audio

    given = _given(context, options, any_voices=True)
    tune = tune_files.made(given, given.text)
    score = abc_parser.parse(tune.abc)
    sound = render(score, instrument=options["instrument"], tempo_qpm=options["tempo"])
    context.check()
    for name in ("tune.wav", "tune.mp3"):
        write_audio(sound, context.folder / name)
        context.say(kind="file", name=name)
    return _written(context, [tune], seconds=round(sound.seconds, 3))


def _given(context: ActionContext, options: dict[str, Any], any_voices: bool = False) -> Given:
    """The tune of a request, kept as given.abc so that the take can be made again."""
    given = tune_files.given_of(options["abc"])
    files.write_whole(context.folder / "given.abc", options["abc"])
    return given if any_voices else tune_files.one_voice(given)


def _n_kept(given: Given, n_bars: int | None) -> int:
    """Bars to keep, counted from the first as written, the pick-up included."""
    if n_bars is None:
        return given.n_bars
    n = n_bars + given.has_pickup
    if not 1 <= n <= given.n_bars:
        raise UserError(f"bar {n_bars}: the tune has {given.n_bars - given.has_pickup} bars.")
    return n


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    from symbolic.decode.engine.sampling import Sampling

    rules = Sampling(options["temperature"], options["top_k"], options["top_p"], options["min_p"])
    return {"rules": rules, "n": options["n"], "seed": options["seed"], "max_tokens": options["max_tokens"]}


def _watch(context: ActionContext, source: Any) -> Callable[[int, int], None]:
    """Show the text of the first tune as its tokens are drawn."""
    text: list[str] = []

    def on_token(index: int, token: int) -> None:
        if index == 0:
            text.append(source.tokenizer.token_text(token))
            context.show(kind="text", text="".join(text))
        else:
            context.check()

    return on_token


def _finished(text: str, title: str, options: dict[str, Any]) -> StudioTune:
    """A drawn text, transposed and harmonised as asked."""
    try:
        text = abc_parser.canonical(abc_parser.parse(text))
        text = abc_parser.transpose(text, options["transpose"] or 0)
        text = harmony.harmonised(text, options["harmonise"]) if options["harmonise"] else text
    except abc_parser.NotationError as error:
        return StudioTune(text, text, title, f"{error.reason}: {error}")
    return tune_files.made(Given(text, title), text)


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
