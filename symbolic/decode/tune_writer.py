"""Write tunes with a model: the function behind the verb `generate`, the studio and `symbolic.generate`.

    from symbolic.decode.tune_writer import generate

    made = generate("gpt2-6m", n=4, seed=17, prompt="M:6/8 K:Dmix", constrain=True)
    made.tunes[0].score, made.tunes[0].text, made.tokens_per_second

    given = edit.read_tune(Path("mine.abc"))
    generate(run, n=3, edit=edit.fill_edit(given, "5-8"))
    generate(edit=TuneEdit(given), transpose=2, harmonise="bar")                     # needs no model

A model is loaded once and may be used for many calls: `load_source` returns it. The same model, seed and request give
the same tunes, whatever the batch size. Nothing is printed and no file is written here; symbolic.decode.output does.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import runs
from symbolic.decode import prompt as prompts
from symbolic.decode.continuation import MAX_TOKENS, generate_tunes
from symbolic.decode.editing.edit import TuneEdit, kept_text, transpose_and_harmonise
from symbolic.decode.engine.sampling_rules import DEFAULT, Sampling
from symbolic.decode.loaded_model import NO_MODEL, LoadedModel, load_source
from symbolic.decode.prompt import Prompt
from symbolic.errors import UsageError, UserError
from symbolic.notation import abc_parser, control_codes, validity
from symbolic.notation.abc_parser import NotationError
from symbolic.notation.control_codes import Asked
from symbolic.notation.score import Score
from symbolic.tokens.counted import CountedTokenizer

if TYPE_CHECKING:
    from symbolic.decode.constraint.automaton import Automaton
    from symbolic.decode.constraint.voice_mask import Voices
    from symbolic.decode.engine.engine import Generated

ATTEMPT_STREAMS = 2**20  # streams of random numbers between two attempts at a tune
MIN_TEMPO, MAX_TEMPO = 10, 600  # beats a minute
MODE_NAMES = {
    "m": "minor", "mix": "mixolydian", "dor": "dorian", "phr": "phrygian", "lyd": "lydian", "loc": "locrian",
}  # fmt: skip


@dataclass(frozen=True)
class GenerationRequest:
    """What to write: how many tunes, from which seed, beginning how, under which rules.

    prompt: fixed beginning and control codes. edit: a given tune and what to do with it, in place of a prompt.
    constrain: only tunes that parse and fill their bars; voices: of that many voices, 2 to MAX_VOICES.
    max_tokens: limit of new tokens of a tune. batch_size: tunes drawn at a time.
    attempts: a new tune that does not end, parse or fill its bars is drawn again, so often in all; the last is kept.
    transpose: semitones; harmonise: chord symbols for each "bar" or "beat", or ''. Both are applied to every tune.
    title: of every tune, with its number where there are several ('': what the tune is, as "Jig in D"). tempo: `120`
    beats a minute, or `3/8=100`, or ''.
    """

    n: int = 10
    seed: int = 0
    sampling: Sampling = DEFAULT
    prompt: Prompt = Prompt()  # noqa: RUF009 (frozen)
    edit: TuneEdit | None = None
    constrain: bool = False
    voices: int | None = None
    max_tokens: int = MAX_TOKENS
    batch_size: int = 32
    transpose: int = 0
    harmonise: str = ""
    attempts: int = 1
    title: str = ""
    tempo: str = ""

    def __post_init__(self) -> None:
        _check_tempo(self.tempo)
        if self.attempts > 1 and self.edit is not None:
            raise UsageError("--attempts draws new tunes again: leave it out with --tune.")
        for name, value in (
            ("-n", self.n),
            ("--max-tokens", self.max_tokens),
            ("--batch-size", self.batch_size),
            ("--attempts", self.attempts),
        ):
            if value < 1:
                raise UsageError(f"{name} is {value}; it must be 1 or more.")
        if not 0 <= self.seed < 2**64:
            raise UsageError(f"--seed is {self.seed}; it must be 0 or more and below 2**64.")
        if self.voices is not None and not (self.constrain and 2 <= self.voices <= prompts.MAX_VOICES):
            raise UsageError(f"--voices is {self.voices}; it takes 2 to {prompts.MAX_VOICES} voices, and --constrain.")
        if self.voices is not None and (self.edit or self.prompt.asked.lines or self.prompt.bars):
            raise UsageError("--voices takes no more than --metre and --key beside it: leave out the others.")
        if self.edit is not None and (self.prompt.text or self.prompt.asked.lines):
            raise UsageError("--tune brings its own beginning: leave out --prompt, --metre, --key and what is asked.")

    @property
    def needs_model(self) -> bool:
        """False for a given tune that is only transposed or harmonised."""
        return self.edit is None or bool(self.edit.kind)


@dataclass(frozen=True)
class DrawnTune:
    """One tune: its text as drawn, its score or the reason why there is none, and how it ended.

    finished: "eos" or why it stopped early (symbolic.decode.engine.engine.Generated). fields: header fields of a given
    tune by letter. remark: a comment for people.
    """

    number: int
    title: str
    text: str
    score: Score | None
    fault: str
    finished: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    remark: str = ""


@dataclass(frozen=True)
class Generation:
    """The tunes of one request, in order, and what they took: tokens drawn (ends of tunes included) and seconds."""

    model: LoadedModel
    request: GenerationRequest
    tunes: list[DrawnTune]
    n_tokens: int
    seconds: float
    n_again: int = 0  # tunes drawn again, each time counted

    @property
    def n_unfinished(self) -> int:
        """Number of tunes that were cut before they ended."""
        return sum(tune.finished != "eos" for tune in self.tunes)

    @property
    def n_unparseable(self) -> int:
        """Number of tunes whose text does not parse."""
        return sum(tune.score is None for tune in self.tunes)

    @property
    def tokens_per_second(self) -> float:
        """Tokens drawn a second of wall time."""
        return self.n_tokens / max(self.seconds, 1e-9)


def generate(
    model: str | Path | LoadedModel | None = None,
    n: int = 10,
    *,
    seed: int = 0,
    sampling: Sampling = DEFAULT,
    prompt: str | Prompt = "",
    asked: Asked = control_codes.NOTHING_ASKED,
    edit: TuneEdit | None = None,
    constrain: bool = False,
    voices: int | None = None,
    max_tokens: int = MAX_TOKENS,
    batch_size: int = 32,
    transpose: int = 0,
    harmonise: str = "",
    attempts: int = 1,
    title: str = "",
    tempo: str = "",
    on_tune: Callable[[DrawnTune], None] | None = None,
    on_token: Callable[[int, int], bool | None] | None = None,
    device: str = "auto",
    dtype: str = "float32",
    step: str = "auto",
    threads: int = 1,
) -> Generation:
    """Write n tunes with a model, or edit a given tune; return them with what they took.

    model: a name, a folder, or a loaded model; device, dtype, step and threads serve to load it (`load_source`). None
    for an edit without a model. prompt: ABC as `M:6/8 K:Dmix |:AFD|`, or a Prompt. asked: control codes
    (symbolic.notation.control_codes.ask). on_tune(tune) is called as each tune ends, in any order; on_token(index,
    token) after each token of a new or continued tune, which it stops by returning True. GenerationRequest says the
    rest. Raises UsageError for settings that contradict one another, UserError for what a model cannot do.
    """
    start = prompt if isinstance(prompt, Prompt) else (prompts.read_prompt(prompt) if prompt else Prompt())
    request = GenerationRequest(
        n, seed, sampling, replace(start, asked=asked) if asked.lines else start, edit,
        constrain, voices, max_tokens, batch_size, transpose, harmonise, attempts, title, tempo,
    )  # fmt: skip
    if not request.needs_model:
        return perform(NO_MODEL, request)
    if model is None:
        raise UsageError("name the model that is to write: a run, a checkpoint, or gpt2-6m or mamba2-6m.")
    loaded = model if isinstance(model, LoadedModel) else load_source(str(model), device, dtype, threads, step=step)
    return perform(loaded, request, on_tune, on_token)


def perform(
    model: LoadedModel,
    request: GenerationRequest,
    on_tune: Callable[[DrawnTune], None] | None = None,
    on_token: Callable[[int, int], bool | None] | None = None,
    *,
    on_bar: Callable[[int, int, str], None] | None = None,
    show_progress: bool = False,
) -> Generation:
    """Do what is requested with a loaded model (NO_MODEL where none is needed).

    on_bar(index, place, text) tells of each token of a bar that is written anew: its tune, its place, both from 0, and
    its text so far.
    """
    check_trained(model, request)
    started = time.monotonic()
    writer = _Writer(model, request, on_tune, on_token, on_bar, show_progress)
    tunes = writer.new_tunes() if request.edit is None else writer.edited_tunes(request.edit)
    return Generation(model, request, tunes, writer.n_tokens, time.monotonic() - started, writer.n_again)


def check_trained(model: LoadedModel, request: GenerationRequest) -> None:
    """Refuse to ask a model for what it never learnt, by a UserError or UsageError."""
    if not request.needs_model:
        return
    if model.tokenizer.notation == "midi":
        raise UserError(f"{model.name} writes MIDI: use symbolic.decode.generate_midi for it, or a model of ABC.")
    if request.voices and model.folder in runs.ready_made():
        raise UsageError(f"{model.name} learnt tunes of one voice: --voices takes a model of several (README, MIDI).")
    if request.prompt.asked.lines and not model.codes and not is_counted(request) and not _knows(model, request):
        raise UserError(
            f"{model.name} was not trained with control codes, and would take no notice of "
            f"{request.prompt.asked.text}. Train a model with data.control: codes "
            "(configs/mamba2-1m-control.yaml), or ask for --metre and --key, and with --constrain for --sections and "
            "--bars, which it counts."
        )


def _knows(model: LoadedModel, request: GenerationRequest) -> bool:
    """True where a model of counted tokens can do what is asked: sections and bars; a style if it learnt styles."""
    asked = request.prompt.asked
    if not isinstance(model.tokenizer, CountedTokenizer) or asked.similarity or asked.lowest or asked.highest:
        return False
    return model.styles or not asked.rhythm


def is_counted(request: GenerationRequest) -> bool:
    """True where the mask itself sees to all that is asked: sections and their bars."""
    asked = request.prompt.asked
    return request.constrain and not (asked.similarity or asked.rhythm or asked.lowest or asked.highest)


class _Writer:
    """Writes the tunes of one request; `n_tokens` counts what was drawn."""

    def __init__(
        self,
        model: LoadedModel,
        request: GenerationRequest,
        on_tune: Callable[[DrawnTune], None] | None,
        on_token: Callable[[int, int], bool | None] | None,
        on_bar: Callable[[int, int, str], None] | None,
        show_progress: bool,
    ) -> None:
        self.model, self.request, self.show_progress = model, request, show_progress
        self.on_tune, self.on_token, self.on_bar = on_tune, on_token, on_bar
        self.n_tokens = self.n_again = 0

    def new_tunes(self) -> list[DrawnTune]:
        """Draw tunes that begin with the prompt, those that are not right again."""
        request, asked = self.request, self.request.prompt.asked
        prompt, plan = request.prompt, None
        if isinstance(self.model.tokenizer, CountedTokenizer):  # its marks tell the form, no lines
            plan = asked.plan
            prompt = replace(prompt, asked=replace(asked, sections=None, bars=(), similarity=()))
        rules = _rules(replace(request, prompt=prompt), self.model.styles) if request.constrain else None
        tunes: dict[int, DrawnTune] = {}
        for attempt in range(request.attempts):
            numbers = [number for number in range(1, request.n + 1) if number not in tunes]
            if not numbers:
                break
            self.n_again += len(numbers) if attempt else 0
            is_last = attempt + 1 == request.attempts
            drawn = self._draw(
                self._new_tune,
                prompt=prompt,
                automaton=rules,
                plan=plan,
                keep=None if is_last else _is_right,
                n=len(numbers),
                indices=[number - 1 for number in numbers],
                stream=attempt * ATTEMPT_STREAMS,
            )
            tunes |= {tune.number: tune for tune in drawn}
        return [tunes[number] for number in sorted(tunes)]

    def edited_tunes(self, edit: TuneEdit) -> list[DrawnTune]:
        """Return the given tune changed as asked, once or n times."""
        if edit.kind == "continue":
            return self._continued(edit)
        if edit.kind == "fill":
            return self._filled(edit)
        return [self._edited_tune(edit, 1, self.request.title or edit.given.title, edit.given.text)]

    def _draw(
        self,
        make: Callable[["Generated"], DrawnTune],
        *,
        prompt: Prompt,
        automaton: Any,
        beginning: str = "",
        plan: tuple[int, ...] | None = None,
        keep: Callable[[DrawnTune], bool] | None = None,
        **changes: Any,
    ) -> list[DrawnTune]:
        """Draw tunes and return those to keep; `changes` replace the settings of the request."""
        request, made = self.request, dict[int, DrawnTune]()

        def end_tune(generated: "Generated") -> None:
            tune = make(generated)
            if keep is not None and not keep(tune):
                return
            made[generated.index] = tune
            if self.on_tune is not None:
                self.on_tune(tune)

        _, n_tokens = generate_tunes(
            *(self.model, prompt, request.sampling),
            **self._settings() | changes,
            max_tokens=request.max_tokens,
            automaton=automaton,
            beginning=beginning,
            plan=plan,
            on_tune=end_tune,
            on_token=self.on_token,
            show_progress=self.show_progress,
        )
        self.n_tokens += n_tokens
        return [made[index] for index in sorted(made)]

    def _settings(self) -> dict[str, Any]:
        return {"n": self.request.n, "seed": self.request.seed, "batch_size": self.request.batch_size}

    def _new_tune(self, generated: "Generated") -> DrawnTune:
        from symbolic.decode.constraint import voice_mask

        number, title = generated.index + 1, self.request.title
        codes, text = control_codes.split(self.model.tokenizer.decode(generated.prompt + generated.tokens))
        if self.request.voices and generated.finished != "eos":
            text = voice_mask.drop_partial_bar(text)
        title = f"{title} {number}" if title and self.request.n > 1 else title
        tune = self._tune(number, title, text, generated.finished, _rhythm(codes))
        is_asked = tune.score is not None and self.request.prompt.asked.lines
        return replace(tune, remark=form_line(tune.score)) if is_asked and tune.score else tune

    def _continued(self, edit: TuneEdit) -> list[DrawnTune]:
        from symbolic.decode.editing import infilling, kept_bars

        beginning = kept_text(edit.given, len(edit.bars))

        def make(generated: "Generated") -> DrawnTune:
            new = infilling.gone_on(beginning, self.model.tokenizer.decode(generated.tokens))
            return self._edited_tune(
                edit, generated.index + 1, self._numbered(edit, generated.index + 1), new.text, new.fault,
                finished=generated.finished,
            )  # fmt: skip

        rules = kept_bars.automaton_after(beginning) if self.request.constrain else None
        return self._draw(make, prompt=Prompt(), automaton=rules, beginning=beginning)

    def _filled(self, edit: TuneEdit) -> list[DrawnTune]:
        """Write bars anew; tunes with other bars chosen go one by one."""
        request = self.request
        if not edit.share:
            return self._filled_at(edit, edit.bars, 0)
        tunes: list[DrawnTune] = []
        for index in range(request.n):
            tunes += self._filled_at(edit, edit.bars_to_write(request.seed, index), index)
        return tunes

    def _filled_at(self, edit: TuneEdit, places: tuple[int, ...], index: int) -> list[DrawnTune]:
        """Write the bars at these places anew: n times, or once, as tune `index`, where a share was asked for."""
        from symbolic.decode.editing import infilling

        request, tokenizer, on_bar = self.request, self.model.tokenizer, self.on_bar
        made, n_tokens = infilling.fill(
            *(self.model, edit.given.text, places),
            **(self._settings() | ({"n": 1} if edit.share else {})),
            stream=1000 * index,
            on_bar=on_bar and (lambda row, place, text: on_bar(index + row, place, text)),
            constrain=request.constrain,
            sampling=request.sampling,
            eos=tokenizer.eos,
            n_tokens=tokenizer.n_tokens,
        )
        self.n_tokens += n_tokens
        shift = 0 if edit.given.has_pickup else 1
        tunes = []
        for number, filled in enumerate(made, start=index + 1):
            bars = ", ".join(f"{place + shift}: {body}" for place, body in zip(places, filled.bodies, strict=True))
            title = self._numbered(edit, number)
            tunes.append(self._edited_tune(edit, number, title, filled.text, filled.fault, f"new bars {bars}"))
            if self.on_tune is not None:
                self.on_tune(tunes[-1])
        return tunes

    def _numbered(self, edit: TuneEdit, number: int) -> str:
        title = self.request.title or edit.given.title
        return f"{title} / {number}" if self.request.n > 1 else title

    def _edited_tune(
        self,
        edit: TuneEdit,
        number: int,
        title: str,
        text: str,
        fault: str = "",
        remark: str = "",
        *,
        finished: str = "eos",
    ) -> DrawnTune:
        tune = self._tune(number, title, text, finished)
        if tune.score is not None:
            edit.given.dressed(tune.score, len(edit.bars) if edit.kind == "continue" else None)
            tune.score.fields |= tune.fields
        score = None if fault else tune.score
        fields = edit.given.fields | tune.fields
        return replace(tune, fields=fields, remark=remark, fault=fault or tune.fault, score=score)

    def _tune(self, number: int, title: str, text: str, finished: str, rhythm: str = "") -> DrawnTune:
        """Parse one text, transposed and harmonised as asked; without a title it gets one that says what it is."""
        try:
            score = abc_parser.parse(text, strict=True)
        except NotationError as error:
            return DrawnTune(number, title or f"Tune {number}", text, None, f"{error.reason}: {error}", finished)
        transpose, harmonise = self.request.transpose, self.request.harmonise
        if transpose or harmonise:
            score = abc_parser.parse(transpose_and_harmonise(abc_parser.canonical(score), transpose, harmonise))
        title = title or title_of(score, rhythm)
        fields = {"Q": [_tempo_field(self.request.tempo, score)]} if self.request.tempo else {}
        score.fields |= {"T": [title]} | fields
        return DrawnTune(number, title, text, score, "", finished, fields)


def title_of(score: Score, rhythm: str = "") -> str:
    """Return what a tune is: its rhythm, else the commonest of its meter, and its key, as "Reel in A dorian"."""
    kind = rhythm or control_codes.STYLE_OF_METER.get(score.meter.text, "tune")
    mode = MODE_NAMES.get(score.key.mode, score.key.mode)
    return f"{kind.capitalize()} in {score.key.tonic} {mode}".strip()


def _is_right(tune: DrawnTune) -> bool:
    """True if a tune has ended, parses and fills its bars, where it has a meter."""
    if tune.finished != "eos" or tune.score is None:
        return False
    judged = validity.check_score(tune.score)
    return judged.is_right or judged.reason == "free_metre"


def _rhythm(codes: str) -> str:
    """Return the tune type that code lines name, or ''."""
    return next((line[2:].strip() for line in codes.splitlines() if line.startswith("R:")), "")


def _check_tempo(tempo: str) -> None:
    match = re.fullmatch(r"(?:[1-9]\d?/(?:1|2|4|8|16|32)=)?(\d{1,3})", tempo)
    if tempo and (match is None or not MIN_TEMPO <= int(match[1]) <= MAX_TEMPO):
        raise UsageError(
            f"--tempo is {tempo!r}; it must be {MIN_TEMPO} to {MAX_TEMPO} beats a minute, as 120 or 3/8=100."
        )


def _tempo_field(tempo: str, score: Score) -> str:
    """Return the value of Q: for a tempo; a bare number counts the beats of the meter."""
    if "=" in tempo:
        return tempo
    return f"{'3/8' if score.meter.is_compound else '1/4'}={tempo}"


def form_line(score: Score) -> str:
    """Return a one-line summary of a tune's form, in the spelling of the control codes that can ask for it."""
    found = control_codes.codes(score)
    text = control_codes.encode(found).replace("\n", " ") if found.in_range else f"S:{found.sections} "
    return "form " + text + control_codes.range_lines(abc_parser.canonical(score)).replace("\n", " ").strip()


def _rules(request: GenerationRequest, is_styled: bool) -> "Automaton | Voices":
    """Return the rules of --constrain for tunes that begin with the prompt; UserError where no right tune does."""
    from symbolic.decode.constraint import line_mask
    from symbolic.decode.constraint.token_mask import rules_after_prompt
    from symbolic.decode.constraint.voice_mask import Voices

    automaton = rules_after_prompt(request.prompt)
    if request.voices:
        return Voices(automaton, request.voices)
    return line_mask.with_codes(automaton) if is_styled or request.prompt.asked.lines else automaton
