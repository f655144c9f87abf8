"""One row an answer: what a survey is analysed from, written to and read from CSV; webMUSHRA's CSV is read too.

Columns: rater (a short number, never the link), trial, kind (main, practice, repeat, attention), clip, system, item,
control, human, criterion, value, heard, expected (attention trials), simulated. A plain CSV of others needs only rater,
system and value; item, clip and criterion where there are several.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from studio.survey.answer_store import AnswerStore
from studio.survey.survey_folder import Survey
from studio.survey.trial_plan import Trial, trials_of
from symbolic import files
from symbolic.errors import UserError

MAX_CSV_BYTES = 64 << 20
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_WEBMUSHRA = ("session_test_id", "trial_id", "rating_stimulus", "rating_score")
_OTHER_NAMES = {
    "participant": "rater",
    "subject": "rater",
    "listener": "rater",
    "model": "system",
    "condition": "system",
    "score": "value",
    "rating": "value",
    "stimulus": "clip",
    "question": "criterion",
}


@dataclass(frozen=True)
class AnswerRow:
    """One answer with all that is known of its clip. `place` is the clip's place on its page; `other` the system of the
    clip beside it in a paired trial."""

    rater: str
    system: str
    value: float
    criterion: str = "rating"
    clip: str = ""
    item: str = ""
    trial: int = 0
    kind: str = "main"
    place: int = 0
    other: str = ""
    control: str = ""
    human: bool = False
    heard: float = 1.0
    expected: float | None = None
    simulated: bool = False

    @property
    def label(self) -> str:
        """The system, or its control: what a row of a table is called."""
        return f"{self.system} ({self.control})" if self.control and self.control != "anchor" else self.system


def rows_of(survey: Survey, store: AnswerStore) -> list[AnswerRow]:
    """All answers of raters who did not withdraw, in their order."""
    stimuli = {stimulus.id: stimulus for stimulus in survey.stimuli}
    rows = []
    for rater in store.raters():
        trials = trials_of(survey.spec, survey.stimuli, rater.number)
        for answer in store.answers(rater.id):
            trial = trials[answer.trial]
            stimulus = stimuli[trial.stimuli[answer.place]]
            beside = [stimuli[id].system for i, id in enumerate(trial.stimuli[:2]) if i != answer.place]
            rows.append(
                AnswerRow(
                    rater=str(rater.number + 1),
                    system=stimulus.system,
                    value=answer.value,
                    criterion=answer.criterion,
                    clip=stimulus.id,
                    item=str(stimulus.item),
                    trial=trial.number,
                    kind=trial.kind,
                    place=answer.place,
                    other=beside[0] if beside else "",
                    control=stimulus.control,
                    human=stimulus.is_human,
                    heard=answer.heard,
                    expected=_expected(trial),
                    simulated=rater.simulated,
                )
            )
    return rows


def abx_truth(trial: Trial) -> float:
    """The right answer of an ABX trial: 0 where X is A, 1 where X is B."""
    return float(trial.stimuli[2] != trial.stimuli[0])


def _expected(trial: Trial) -> float | None:
    if trial.kind == "attention":
        return None if trial.answer is None else float(trial.answer)
    return abx_truth(trial) if "abx" in trial.criteria else None


def to_csv(rows: Iterable[AnswerRow]) -> str:
    """CSV that pandas reads; text that a spreadsheet would take for a formula is quoted with an apostrophe."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [f.name for f in fields(AnswerRow)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: _safe(v) for k, v in asdict(row).items()})
    return buffer.getvalue()


def _safe(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def read_csv(path: Path) -> list[AnswerRow]:
    """Answers from a CSV of ours, of webMUSHRA, or a plain one. UserError names the line and what is missing."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}.") from error
    if len(data) > MAX_CSV_BYTES:
        raise UserError(f"{path} is larger than {MAX_CSV_BYTES >> 20} MiB.")
    text = files.decode(data)
    reader = csv.DictReader(io.StringIO(text), delimiter=files.delimiter(text.split("\n", 1)[0]))
    names = [_OTHER_NAMES.get(name.strip().lower(), name.strip().lower()) for name in reader.fieldnames or []]
    reader.fieldnames = names
    if set(_WEBMUSHRA) <= set(names):
        return [_of_webmushra(row, path, n) for n, row in enumerate(reader, start=2)]
    missing = [name for name in ("rater", "system", "value") if name not in names]
    if missing:
        raise UserError(f"{path} has no column {missing[0]!r}; it has {', '.join(names) or 'none'}.")
    rows = [_of_plain(row, path, n) for n, row in enumerate(reader, start=2)]
    if not rows:
        raise UserError(f"{path} has no answers.")
    return rows


def _of_plain(row: dict[str, str], path: Path, line: int) -> AnswerRow:
    known = {f.name: row[f.name].lstrip("'") for f in fields(AnswerRow) if row.get(f.name) not in (None, "")}
    known.setdefault("clip", f"{known.get('system', '')}/{known.get('item', '')}")
    numbers = {"value": float, "heard": float, "expected": float, "trial": int, "place": int}
    typed: dict[str, object] = dict(known)
    for name, value in known.items():
        try:
            if name in numbers:
                typed[name] = numbers[name](value.replace(",", ".") if numbers[name] is float else value)
            elif name in ("human", "simulated"):
                typed[name] = value.lower() in ("1", "true", "yes")
        except ValueError as error:
            raise UserError(f"{path}, line {line}: {name} is {value!r}, not a number.") from error
    if not {"rater", "system", "value"} <= set(known):
        raise UserError(f"{path}, line {line}: rater, system and value must be given.")
    return AnswerRow(**typed)  # type: ignore[arg-type]


def _of_webmushra(row: dict[str, str], path: Path, line: int) -> AnswerRow:
    """webMUSHRA writes one row a slider; the session's uuid or the line of the answers tells raters apart."""
    rater = row.get("session_uuid") or row.get("email") or row.get("name") or row["session_test_id"]
    try:
        value = float(row["rating_score"].replace(",", "."))
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path}, line {line}: rating_score is {row['rating_score']!r}, not a number.") from error
    item = row["trial_id"]
    return AnswerRow(rater, row["rating_stimulus"], value, "mushra", f"{row['rating_stimulus']}/{item}", item)


def raters_of(rows: Sequence[AnswerRow]) -> list[str]:
    """Raters in order of first appearance."""
    return list(dict.fromkeys(row.rater for row in rows))
