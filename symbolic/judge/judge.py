"""Ask a language model what it thinks of tunes, and whether it can be believed.

    python -m symbolic judge tunes.abc --model m-a-p/ChatMusician -o judged
    python -m symbolic judge tunes.abc --endpoint http://localhost:8000/v1 --model a-model -o judged

The judge is a chat model of `transformers` (--model: a folder or a name on the Hugging Face hub, which downloads it) or
one behind an OpenAI-compatible address (--endpoint, with --model its name there). The key of an address is read from
the environment variable that --key-variable names, and never written anywhere.

Before its scores are believed the judge is calibrated on human tunes of --against and on the same number of damaged
ones (characters dropped, random pitches, a Markov chain): does it score human tunes higher, does it say the same when
asked again, does it choose the same tune of two whichever stands first? A judge that fails is reported as not usable,
and its scores are written down as of no use.

Every tune is asked about --runs times. Answers are kept in FOLDER/answers.jsonl: broken off and begun again, only what
is missing is asked. FOLDER/judge.json and judge.md hold the result. --dry-run says what would be asked and what it
would cost.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic import files
from symbolic.errors import UsageError, UserError

if TYPE_CHECKING:
    from symbolic.evaluate.report.tables import Table
    from symbolic.judge.calibration import Check
    from symbolic.judge.ledger import Ledger
    from symbolic.judge.rubric import Rubric

ARTEFACTS = ("answers.jsonl", "judge.json", "judge.md")
SCORE = "overall"  # the scale that calibration looks at; the first of a rubric that has none of this name
ANSWER_TOKENS = 40  # of a score, for the estimate


@dataclass(frozen=True)
class Question:
    """One request to the judge: what it is for (`set`, `tune`), the number of the run, and the conversation."""

    set: str
    tune: int
    run: int
    rubric: "Rubric"
    messages: list[dict[str, str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    parser.add_argument("tunes", metavar="TUNES", help=".abc, .jsonl, or a folder of them")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="answers and results")
    parser.add_argument("--against", default="data/folk", metavar="DATA", help="human tunes (default data/folk)")
    parser.add_argument("-n", type=int, default=20, metavar="N", help="tunes to judge, drawn at random (default 20)")
    parser.add_argument(
        "--calibration", type=int, default=20, metavar="N", help="human tunes, and damaged (default 20)"
    )
    parser.add_argument("--runs", type=int, default=3, help="times that each tune is asked about (default 3)")
    parser.add_argument(
        "--rubric", default="tune", metavar="NAME|FILE.md", help="scores (default: tune, of the package)"
    )
    parser.add_argument("--pair-rubric", default="pair", metavar="NAME|FILE.md", help="of two tunes (default: pair)")
    parser.add_argument("--seed", type=int, default=0, help="of the order of tunes (default: 0)")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be asked and what it would cost")
    parser.add_argument("--json", action="store_true", help="end with the result in one line of JSON")
    judge = parser.add_argument_group("the judge")
    judge.add_argument(
        "--model", metavar="NAME|FOLDER", help="a chat model for transformers; with --endpoint its name there"
    )
    judge.add_argument("--device", default="auto", help="without --endpoint: auto, cpu or cuda (default auto)")
    judge.add_argument("--endpoint", metavar="URL", help="an OpenAI-compatible address, as http://localhost:8000/v1")
    judge.add_argument("--key-variable", default="OPENAI_API_KEY", metavar="NAME", help="(default OPENAI_API_KEY)")
    judge.add_argument("--temperature", type=float, default=0.7, help="0 is greedy (default 0.7)")
    judge.add_argument("--max-tokens", type=int, default=200, help="of an answer (default 200)")
    judge.add_argument("--seconds", type=float, default=60.0, help="for one answer of an address (default 60)")
    judge.add_argument("--parallel", type=int, default=4, help="requests to an address at a time (default 4)")
    judge.add_argument(
        "--price", type=float, nargs=2, metavar=("IN", "OUT"), help="per million tokens, for the estimate"
    )


def run(args: argparse.Namespace) -> int:
    """Ask, calibrate and report; return the exit status."""
    _check(args)
    from symbolic.judge import calibration, ledger

    questions, names = _questions(args)
    book = ledger.Ledger(args.output / ARTEFACTS[0])
    identity = _identity(args)
    missing = [one for one in questions if book.get(_name(one, identity)) is None]
    print(_estimate(questions, missing, args), file=sys.stderr)
    if args.dry_run:
        return 0
    failures = _ask_all(missing, book, identity, args) if missing else []
    if len(book) == 0:
        raise UserError(f"the judge gave no answer: {failures[0] if failures else 'nothing was asked'}")
    answers = _read_answers(questions, book, identity)
    found = _calibrated(answers, args)
    result = _result(args, identity, answers, found, failures, names)
    tables_ = _tables(result)
    from symbolic.evaluate.report import tables

    files.write_json(args.output / "judge.json", result)
    files.write_whole(args.output / "judge.md", "\n".join(map(tables.markdown, tables_)))
    print("\n".join(map(tables.console, tables_)), end="")
    if args.json:
        print(json.dumps(result))
    if failures:
        print(
            f"{len(failures)} of {len(questions)} requests had no answer; the same command asks them again.",
            file=sys.stderr,
        )
    return 0 if calibration.is_usable(found) else 1


def _check(args: argparse.Namespace) -> None:
    if not args.model:
        raise UsageError("name the judge: --model NAME, and with --endpoint URL its name there.")
    for name, least in (("n", 1), ("calibration", 3), ("runs", 2), ("max_tokens", 1), ("parallel", 1)):
        if getattr(args, name) < least:
            raise UsageError(f"--{name.replace('_', '-')} is {getattr(args, name)}; the least is {least}.")
    if not 0 <= args.temperature <= 2 or not args.seconds > 0:
        raise UsageError("--temperature goes from 0 to 2, and --seconds is above 0.")
    others = sorted({path.name for path in args.output.iterdir()} - set(ARTEFACTS)) if args.output.is_dir() else []
    if others or args.output.is_file():
        raise UsageError(f"{args.output} holds other files ({', '.join(others[:3])}): choose another folder with -o.")


def _questions(args: argparse.Namespace) -> tuple[list[Question], list[str]]:
    """List every request to be made, and the names of the tunes to be judged."""
    from symbolic.evaluate import baselines, sets
    from symbolic.judge import rubric

    rng = random.Random(args.seed)
    tunes = sets.read_tunes(args.tunes)
    chosen = sorted(rng.sample(range(len(tunes)), min(args.n, len(tunes))))
    human_set = sets.read_human(args.against)
    human = [one.text for one in rng.sample(list(human_set.held_out), min(args.calibration, len(human_set.held_out)))]
    chain = baselines.MarkovChain([one.text for one in human_set.train])
    spoil = (baselines.drop, baselines.random_pitches, lambda _, draw: chain.draw(draw))
    damaged = [spoil[number % len(spoil)](text, rng) for number, text in enumerate(human)]
    single, pair = rubric.read(args.rubric), rubric.read(args.pair_rubric)
    if not single.scales or not pair.choices:
        raise UserError("--rubric needs Scores, and --pair-rubric Choices.")
    texts = {"tunes": [tunes[i].text for i in chosen], "human": human, "damaged": damaged}
    asked = [
        Question(name, number, turn, single, single.messages(tune=show_tune(text)))
        for name, own in texts.items()
        for number, text in enumerate(own)
        for turn in range(args.runs)
    ]
    for number, (good, bad) in enumerate(zip(human, damaged)):
        for turn, (first, second) in enumerate(((good, bad), (bad, good))):
            asked.append(
                Question("pairs", number, turn, pair, pair.messages(first=show_tune(first), second=show_tune(second)))
            )
    return asked, [tunes[i].title or tunes[i].id for i in chosen]


def show_tune(text: str) -> str:
    """Return a tune as the judge sees it: in one layout, without title or origin; unchanged where it does not parse."""
    from symbolic.evaluate.sets import canonical_text
    from symbolic.notation.abc_parser import NotationError, canonical, parse, pretty

    try:
        laid_out = pretty(canonical(parse(text)))
    except NotationError:
        laid_out = "X:1\n" + canonical_text(text)
    return "\n".join(line for line in laid_out.splitlines() if not line.startswith(("T:", "%")))


def _identity(args: argparse.Namespace) -> dict[str, Any]:
    settings = {"temperature": args.temperature, "max_tokens": args.max_tokens}
    if args.endpoint:
        return {"endpoint": args.endpoint.rstrip("/"), "model": args.model, **settings}
    return {"model": args.model, **settings}


def _name(question: Question, identity: Mapping[str, Any]) -> str:
    from symbolic.judge import ledger

    return ledger.request_name(identity, question.rubric.digest, question.messages, question.run)


def _estimate(questions: Sequence[Question], missing: Sequence[Question], args: argparse.Namespace) -> str:
    from symbolic.judge import chat

    n_in = sum(chat.estimated_tokens(one.messages) for one in missing)
    n_out = ANSWER_TOKENS * len(missing)
    text = f"{len(questions):,} requests, {len(missing):,} of them to ask: about {n_in:,} tokens in, {n_out:,} out"
    if args.price:
        text += f", about {(n_in * args.price[0] + n_out * args.price[1]) / 1e6:.2f} in the unit of --price"
    return text + "."


def _ask_all(
    missing: Sequence[Question], book: "Ledger", identity: Mapping[str, Any], args: argparse.Namespace
) -> list[str]:
    """Send all requests and keep the answers; return why the others failed. A refusal for good ends it, after what was
    answered is kept."""
    from symbolic.judge.chat import ChatError

    judge = _judge(args)
    failures: list[str] = []
    told = time.monotonic()

    def ask(question: Question) -> None:
        nonlocal told
        began = time.monotonic()
        try:
            reply = judge.reply(question.messages, args.seed + question.run)
            book.add(_name(question, identity), reply, time.monotonic() - began)
        except ChatError as error:
            failures.append(str(error))
        if time.monotonic() - told > 10:
            told = time.monotonic()
            print(f"{len(book):,} answers", file=sys.stderr, flush=True)

    pool = ThreadPoolExecutor(args.parallel if args.endpoint else 1)
    try:
        for _ in pool.map(ask, missing):
            pass
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return failures


def _judge(args: argparse.Namespace) -> Any:
    from symbolic.judge import chat

    if args.endpoint:
        key = os.environ.get(args.key_variable, "")
        return chat.Endpoint(args.endpoint, args.model, key, args.temperature, args.max_tokens, args.seconds)
    return chat.Local(args.model, device=args.device, temperature=args.temperature, max_tokens=args.max_tokens)


def _read_answers(
    questions: Sequence[Question], book: "Ledger", identity: Mapping[str, Any]
) -> list[tuple[Question, dict[str, Any] | None, str]]:
    """Parse the kept answers: the fields of each answered request or None, and the reasons for None."""
    from symbolic.judge.rubric import AnswerError

    found: list[tuple[Question, dict[str, Any] | None, str]] = []
    for question in questions:
        reply = book.get(_name(question, identity))
        if reply is None:
            continue
        try:
            found.append((question, question.rubric.read_answer(reply.text), ""))
        except AnswerError as error:
            found.append((question, None, str(error)))
    return found


def _scores(answers: Sequence[tuple[Question, dict[str, Any] | None, str]], name: str, field: str, runs: int) -> Any:
    """Collect one field as an array (runs, tunes), NaN where no answer could be read."""
    import numpy as np

    own = [(one, value) for one, value, _ in answers if one.set == name]
    scores = np.full((runs, max((one.tune for one, _ in own), default=-1) + 1), np.nan)
    for one, value in own:
        if value is not None:
            scores[one.run, one.tune] = value[field]
    return scores


def _calibrated(
    answers: Sequence[tuple[Question, dict[str, Any] | None, str]], args: argparse.Namespace
) -> "list[Check]":
    from symbolic.judge import calibration

    field = _field(answers)
    human, damaged = (_scores(answers, name, field, args.runs) for name in ("human", "damaged"))
    pairs: dict[int, list[str | None]] = {}
    for question, value, _ in answers:
        if question.set == "pairs":
            pairs.setdefault(question.tune, [None, None])[question.run] = next(iter(value.values())) if value else None
    answered = sum(value is not None for _, value, _ in answers) / max(1, len(answers))
    return calibration.checks(human, damaged, [(a, b) for a, b in pairs.values()], answered, args.seed)


def _field(answers: Sequence[tuple[Question, dict[str, Any] | None, str]]) -> str:
    scales = next((one.rubric.scales for one, _, _ in answers if one.rubric.scales), {SCORE: (1, 10)})
    return SCORE if SCORE in scales else next(iter(scales))


def _result(
    args: argparse.Namespace,
    identity: Mapping[str, Any],
    answers: Sequence[tuple[Question, dict[str, Any] | None, str]],
    found: "Sequence[Check]",
    failures: Sequence[str],
    names: Sequence[str],
) -> dict[str, Any]:
    import numpy as np

    from symbolic.judge import calibration

    single = next((one.rubric for one, _, _ in answers if one.rubric.scales), None)
    scores: dict[str, dict[str, Any]] = {}
    for name in ("tunes", "human", "damaged"):
        for field in single.scales if single else ():
            runs = _scores(answers, name, field, args.runs)
            values = runs[np.isfinite(runs)]
            mean = (
                {"mean": float(values.mean()), "deviation": float(values.std()), "n": len(values)}
                if len(values)
                else {}
            )
            own = [[None if np.isnan(x) else int(x) for x in column] for column in runs.T]
            scores.setdefault(name, {})[field] = {**mean, "tunes": own}
    unread = [why for _, value, why in answers if value is None]
    return {
        "judge": dict(identity),
        "usable": calibration.is_usable(found),
        "calibration": [calibration.as_record(check) for check in found],
        "rubrics": {one.rubric.name: one.rubric.digest for one, _, _ in answers},
        "runs": args.runs,
        "seed": args.seed,
        "tunes": list(names),
        "scores": scores,
        "answers": len(answers),
        "unreadable": unread[:20],
        "without_answer": list(failures[:20]),
    }


def _tables(result: Mapping[str, Any]) -> "list[Table]":
    from symbolic.evaluate.report.tables import Table

    verdict = "usable" if result["usable"] else "NOT USABLE: it fails its calibration, so its scores say nothing"
    rows = [
        [one["name"], _with_interval(one), one["wanted"], "✓" if one["passes"] else "✗"]
        for one in result["calibration"]
    ]
    calibration = Table(f"{result['judge']['model']} as a judge: {verdict}", ["check", "found", "wanted", ""], rows)
    fields = list(result["scores"].get("tunes", {}))
    shown_rows = [
        [name, *(own[field].get("mean") for field in fields)] for name, own in result["scores"].items() if fields
    ]
    note = f"Means of {result['runs']} runs." + ("" if result["usable"] else " Of no use: see the calibration.")
    return [calibration, Table("Scores", ["set", *fields], shown_rows, note)]


def _with_interval(one: Mapping[str, Any]) -> str:
    if one["value"] is None:
        return "nothing to go by"
    interval = f" ({one['low']:.2f}–{one['high']:.2f})" if "low" in one else ""
    return f"{one['value']:.2f}{interval}"
