"""What came of a damaged input: the reader's word, a refusal by the project's own errors, or a fault; and their counts.

`experiments.fuzz`, `experiments.fuzz_files` and `experiments.hostile` share it.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks import result_file
from symbolic.errors import UserError

SECONDS = 20.0  # of processor time, for one input in one stage


class HangError(Exception):
    """A tune took longer than it may."""


def guarded(action: Callable[[], str], seconds: float) -> tuple[float, str]:
    """Processor time, and what came of it: the action's word, an own error's reason, or `FAULT: ...`."""
    began = time.process_time()
    signal.signal(signal.SIGPROF, _hang)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        name = action()
    except UserError as error:
        name = f"refused, {getattr(error, 'reason', type(error).__name__)}"
    except HangError:
        name = f"FAULT: over {seconds:.0f} s"
    except Exception as error:  # the point of the exercise
        name = fault_of(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return time.process_time() - began, name


def fault_of(error: Exception) -> str:
    """The outcome that an error is which nobody should meet."""
    return f"FAULT: {type(error).__name__}: {' '.join(str(error).split())[:200]}"


def recorded(
    recorder: result_file.Recorder, output: Path, unit: str, outcomes: Counter[tuple[str, str]],
    sizes: dict[str, tuple[float, str]], faults: list[str],
) -> int:  # fmt: skip
    """Write how often each (stage, outcome) was, the sizes by name with their units, the number of faults; the exit
    status."""
    for (stage, name), count in sorted(outcomes.items()):
        recorder.measured([count], unit, stage=stage, outcome=name)
    for measure, (value, of) in sizes.items():
        recorder.measured([value], of, measure=measure)
    recorder.measured([len(faults)], "faults", measure="faults")
    recorder.write(output)
    return 1 if faults else 0


def _hang(*_: object) -> None:
    raise HangError
