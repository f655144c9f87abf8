"""The studio's API against its own description, by Schemathesis: requests that it allows and such that it forbids.

    python -m experiments.studio_contract                      # 260 cases of every operation, more than 5,000 together
    python -m experiments.studio_contract --minutes 10 --resume    # in turns, operation by operation

Checked are: no server error; status, type and shape of each answer as described; what is forbidden is refused. The
studio answers in this process, takes on everybody's jobs and carries out none. Operations whose answer is a stream of
events are left out. Needs the extra `studio-browser-tests`.
"""

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import result_file
from studio.settings import Settings
from symbolic import command_line
from symbolic.errors import UserError

EXAMPLES = 260  # cases of one operation
MANY = {"short": 10**9, "long": 10**9}
WITH_BODY = ("post", "put", "patch")  # whose cases take longest to draw: they come last
HOST = {"Host": "127.0.0.1"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--cases", type=int, default=EXAMPLES, help="of each operation (default: %(default)s)")
    made.add_argument("--minutes", type=float, default=math.inf, help="begin no operation after this time")
    made.add_argument("--resume", action="store_true", help="go on from the result file")
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "studio_contract.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Check every operation that has no row yet, write; exit status 1 where one does not keep its description."""
    recorder = result_file.Recorder("studio_contract", 0, {"cases_an_operation": args.cases})
    if args.resume:
        recorder.keep(args.output, lambda row: False)
    known = {row["operation"] for row in recorder.rows}
    until = time.monotonic() + 60 * args.minutes
    with tempfile.TemporaryDirectory() as folder:
        found = sorted(operations(open_studio(Path(folder))), key=lambda one: one[1].method in WITH_BODY)
        for name, operation in found:
            if name in known or time.monotonic() > until:
                continue
            n_cases, fault = check(operation, args.cases)
            recorder.measured([n_cases], "cases", operation=name, measure="cases")
            recorder.measured([int(bool(fault))], "faults", operation=name, measure="faults")
            print(f"{name}: {n_cases} cases. {fault}", file=sys.stderr, flush=True)
    recorder.write(args.output)
    return int(any(row["repeats"][0] for row in recorder.rows if row["measure"] == "faults"))


def open_studio(data: Path) -> Any:
    """A studio in `data` that refuses nobody for coming too often, and whose jobs nobody carries out."""
    from studio.server import application, job_routes

    job_routes.SCORE_SECONDS = 0.0  # so long would a request wait for a worker
    limits: dict[str, Any] = {"max_queued": MANY, "max_queued_of_client": MANY, "requests_per_second": 1e9}
    return application.build(Settings(data=data, free_bytes=0, **limits))


def operations(app: Any) -> Iterator[tuple[str, Any]]:
    """Name and Schemathesis' operation of everything that the API describes. UserError without Schemathesis."""
    try:
        import schemathesis
    except ImportError as error:
        raise UserError("the check needs Schemathesis: pip install 'abc-symbolic[studio-browser-tests]'") from error
    for found in schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers=HOST).get_all_operations():
        operation = found.ok()
        if not operation.path.endswith("/events"):
            yield f"{operation.method.upper()} {operation.path}", operation


def check(operation: Any, n: int) -> tuple[int, str]:
    """Send up to n cases of an operation, the same in every run; how many were sent and what did not hold, '' for
    nothing."""
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    kept = [
        not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
        checks.response_schema_conformance, checks.negative_data_rejection,
    ]  # fmt: skip
    n_cases = 0

    @settings(
        max_examples=n, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def hold(case: Any) -> None:
        nonlocal n_cases
        n_cases += 1
        case.call_and_validate(headers=HOST, checks=kept)

    try:
        hold()
    except Exception as error:  # a group of failures, or what the application raised
        return n_cases, f"{type(error).__name__}: {error}"
    return n_cases, ""


if __name__ == "__main__":
    sys.exit(main())
