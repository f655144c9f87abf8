"""Cache of answers that were paid for: a file of JSON lines, one an answer, appended as they come.

    {"request": SHA-256, "text": what the model said, "prompt_tokens": n, "answer_tokens": n, "seconds": s}

A request is known by the digest of the judge's settings, the rubric, the whole prompt and the number of the run, so a
run that was broken off, or is made again with more tunes, asks only what is new. A last line cut short by a crash is
left out and asked again. Nothing of the key enters the file. Several threads may add.
"""

import json
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symbolic import files
from symbolic.errors import UserError
from symbolic.judge.chat import Reply


class Ledger:
    """The answers in one file, which is created when the first is added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._answers: dict[str, Reply] = {}
        if path.exists():
            self._read()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, request: str) -> Reply | None:
        """Return the answer to a request, None where it is not known."""
        return self._answers.get(request)

    def add(self, request: str, reply: Reply, seconds: float) -> None:
        """Append an answer; it is on the disk when this returns."""
        row = {"request": request, **reply._asdict(), "seconds": round(seconds, 3)}
        with self._lock:
            self._answers[request] = reply
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with open(self.path, "a", encoding="utf-8") as file:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise UserError(f"cannot write {self.path}: {error.strerror or error}.") from error

    def _read(self) -> None:
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                row = json.loads(line)
                reply = Reply(str(row["text"]), int(row["prompt_tokens"]), int(row["answer_tokens"]))
                self._answers[str(row["request"])] = reply
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{self.path}:{number}: not an answer of `judge`. Move the file away.") from error
        if len(whole) < len(data):
            files.write_whole(self.path, whole)


def request_name(identity: Mapping[str, Any], rubric: str, messages: Sequence[Mapping[str, str]], run: int) -> str:
    """Return the digest under which an answer is kept."""
    return files.digest(json.dumps([dict(identity), rubric, [dict(one) for one in messages], run], sort_keys=True))
