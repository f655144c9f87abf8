"""The whole path over and over, with kills, full disks and little memory in between: nothing broken, nothing lost.

    python -m experiments.soak --minutes 360
    python -m experiments.soak --minutes 5 --steps prepare train generate

Each round makes every step once, under an ordeal that the seed draws:

kill         SIGKILL at a random moment, at most as late as the step has taken so far
end          SIGTERM at such a moment
interrupt    SIGINT, as by Ctrl-C
full         every write past a random size fails, as on a full disk (RLIMIT_FSIZE; the signal is ignored)
memory       address space of MEMORY_BYTES
none         left alone

After an ordeal all that is published must be whole: JSON and JSON lines parse, safetensors have the length that their
header says, WAV and MIDI files are as long as theirs, ABC reads as UTF-8. Then the step is made again without an ordeal
and must succeed, leave no temporary file behind, and use no more memory than before. Anything else is a fault.
"""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import result_file
from symbolic import command_line, subprocess_limits

ORDEALS = ("kill", "end", "interrupt", "full", "memory", "none")
MEMORY_BYTES = 6 * 2**30  # of address space: torch alone maps some 3 GiB
MAX_FILE_BYTES = 300_000  # a "full" disk takes less than this in one file
STEP_SECONDS = 1200.0
GROWTH = 1.25  # of the memory of clean steps, last third against first third
EXPECTED = {
    "kill": (-signal.SIGKILL, 0), "end": (-signal.SIGTERM, 143, 130, 0, 1), "interrupt": (130, -signal.SIGINT, 0, 1),
    "full": (0, 1), "memory": (0, 1), "none": (0,),
}  # fmt: skip
CONFIG = result_file.ROOT / "configs" / "gpt2-debug.yaml"
_TRAIN = ["--name", "soak", "--data.folder", "data", "--train.checkpoint_every", "10", "--train.evaluate_every", "30"]


@dataclass(frozen=True)
class SoakStep:
    """One verb: its arguments after `python -m`, given the round's number."""

    name: str
    arguments: Callable[[int], list[str]]


STEPS = {
    step.name: step
    for step in (
        SoakStep("prepare", lambda n: ["symbolic", "prepare", "aird", "-o", "data"]),
        SoakStep("train", lambda n: ["symbolic", "train", str(CONFIG), *_TRAIN, "--resume"]),
        SoakStep("generate", lambda n: ["symbolic", "generate", "gpt2-6m", "-n", "8", "--seed", f"{n}", "-o", "t.abc"]),
        SoakStep("evaluate", lambda n: ["symbolic", "evaluate", "t.abc", "--against", "data", "-o", "scores"]),
        SoakStep("song", lambda n: ["audio_bridge", "song", "--seed", f"{n}", "-o", "song"]),
        SoakStep("serve", lambda n: ["studio", "serve", "--data", "studio", "--workers", "1"]),
    )
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--minutes", type=float, default=360.0, help="how long (default: %(default)s)")
    made.add_argument("--steps", nargs="+", choices=list(STEPS), default=list(STEPS), help="default: all")
    made.add_argument("--seed", type=int, default=0, help="of the ordeals (default: 0)")
    made.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "soak.json", help="result file")
    return made


def run(args: argparse.Namespace) -> int:
    """Rounds until the time is over; exit status 1 when there was a fault."""
    settings = {"minutes": args.minutes, "steps": args.steps, "memory_bytes": MEMORY_BYTES}
    recorder = result_file.Recorder("soak", args.seed, settings)
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        soak = Soak(folder, random.Random(args.seed))
        until, number = time.monotonic() + 60 * args.minutes, 0
        while time.monotonic() < until:
            shutil.rmtree(folder / "runs", ignore_errors=True)  # so that every round trains
            for name in args.steps:
                soak.step(STEPS[name], number)
            number += 1
            print(f"round {number}: {sum(soak.counts.values())} ordeals, {len(soak.faults)} faults", file=sys.stderr)
    for (name, ordeal), count in sorted(soak.counts.items()):
        recorder.measured([count], "times", step=name, ordeal=ordeal)
    for name, mib in soak.memory.items():
        recorder.measured(mib, "MiB", step=name, measure="peak memory, clean")
    recorder.measured([len(soak.faults)], "faults", measure="faults")
    recorder.settings["faults"] = soak.faults[:100]
    recorder.write(args.output)
    return int(bool(soak.faults))


class Soak:
    """The state of a run: what was done to which step, what went wrong, memory of clean steps in MiB."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.counts: Counter[tuple[str, str]] = Counter()
        self.faults: list[str] = []
        self.memory: dict[str, list[float]] = defaultdict(list)
        self.seconds: dict[str, float] = defaultdict(lambda: 20.0)

    def step(self, step: SoakStep, number: int) -> None:
        """An ordeal, a look at what is published, then the same step in peace."""
        ordeal = self.rng.choice(ORDEALS)
        self.counts[step.name, ordeal] += 1
        where = f"round {number}, {step.name}, {ordeal}"
        status, tail, _, _ = self._make(step, number, ordeal)
        ended = (-signal.SIGTERM,) if step.name == "serve" else ()  # as it is once its job is done
        if status not in (*EXPECTED[ordeal], *ended) or "Traceback" in tail:
            self._fault(f"{where}: status {status}: {tail[-300:]}")
        for fault in broken(self.folder):
            self._fault(f"{where}: {fault}")
        if ordeal == "none":
            return
        status, tail, seconds, mib = self._make(step, number, "none")
        self.seconds[step.name] = seconds
        if status not in (0, *ended):
            self._fault(f"{where}: made again in peace: status {status}: {tail[-300:]}")
        for fault in [*broken(self.folder), *(f"{path} was left behind" for path in left_over(self.folder))]:
            self._fault(f"{where}, again: {fault}")
        self.memory[step.name].append(mib)
        if grows(self.memory[step.name]):
            self._fault(f"{where}: memory grows: {[round(m) for m in self.memory[step.name]]} MiB")

    def _fault(self, text: str) -> None:
        self.faults.append(text)
        print(f"fault: {text}", file=sys.stderr, flush=True)

    def _make(self, step: SoakStep, number: int, ordeal: str) -> tuple[int, str, float, float]:
        """Run a step; its status (negative: a signal), the end of its messages, seconds, peak MiB."""
        arguments = step.arguments(number)
        if step.name == "train" and not (self.folder / "runs" / "soak").exists():
            arguments.remove("--resume")
        port = _free_port() if step.name == "serve" else 0
        with tempfile.TemporaryFile() as log:
            began = time.monotonic()
            child = subprocess.Popen(
                [sys.executable, "-m", *arguments, *(["--port", f"{port}"] if port else [])], cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(),
                preexec_fn=_limits(ordeal, self.rng.randrange(MAX_FILE_BYTES)), start_new_session=True,
            )  # fmt: skip
            late = self.rng.uniform(0.0, self.seconds[step.name])
            if port:
                self._use(child, port, late if ordeal in ("kill", "end", "interrupt") else 0.0, ordeal)
            elif ordeal in ("kill", "end", "interrupt"):
                _wait(child, late)
                _signal(child, ordeal)
            peak = _wait(child, STEP_SECONDS)
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                self._fault(f"{step.name} {ordeal}: did not end in {STEP_SECONDS:.0f} s")
            status = child.wait()
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4000))
            return status, log.read().decode("utf-8", "replace"), time.monotonic() - began, peak

    def _use(self, child: "subprocess.Popen[bytes]", port: int, late: float, ordeal: str) -> None:
        """Ask the studio for a lyric and wait for it, unless it is killed before; then end the server."""
        url, until = f"http://127.0.0.1:{port}", time.monotonic() + (late or STEP_SECONDS)
        job = None
        while time.monotonic() < until and child.poll() is None:
            try:
                if job is None:
                    body = json.dumps({"until": "words", "seed": 1}).encode()
                    job = _ask(f"{url}/api/v1/songs", body)["id"]
                elif _ask(f"{url}/api/v1/jobs/{job}")["state"] in ("done", "failed", "cancelled"):
                    break
            except (OSError, urllib.error.URLError, KeyError, ValueError):
                pass
            time.sleep(0.2)
        if ordeal == "kill":
            os.killpg(child.pid, signal.SIGKILL)
        else:
            _signal(child, ordeal if ordeal == "interrupt" else "end")


def broken(folder: Path) -> Iterator[str]:
    """What is published and not whole. Names that begin with a dot are not published."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            fault = _fault_of(path)
            if fault:
                yield f"{path.relative_to(folder)}: {fault}"


def left_over(folder: Path) -> Iterator[Path]:
    """Temporary files and folders that nobody will remove; locks stay by design."""
    for path in sorted(folder.rglob(".*")):
        if not path.name.endswith(".lock"):
            yield path.relative_to(folder)


def grows(mib: Sequence[float]) -> bool:
    """Whether the last third of some peaks is clearly above the first third."""
    third = len(mib) // 3
    return third >= 2 and statistics.median(mib[-third:]) > GROWTH * statistics.median(mib[:third])


def _fault_of(path: Path) -> str:
    """What is wrong with a published file; '' for nothing."""
    data = path.read_bytes()
    try:
        if path.suffix == ".json":
            json.loads(data)
        elif path.suffix == ".jsonl":
            for line in data.decode("utf-8").splitlines():
                json.loads(line)
        elif path.suffix in (".abc", ".yaml", ".md", ".html", ".lrc", ".csv"):
            data.decode("utf-8")
        elif path.suffix == ".safetensors":
            header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
            ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
            if 8 + struct.unpack("<Q", data[:8])[0] + max(ends, default=0) != len(data):
                return "cut short"
        elif path.suffix == ".wav":
            return "" if data[:4] == b"RIFF" and struct.unpack("<I", data[4:8])[0] + 8 == len(data) else "cut short"
        elif path.suffix == ".mid":
            return "" if data[:4] == b"MThd" and data.endswith(b"\xff\x2f\x00") else "cut short"
    except (ValueError, KeyError, struct.error) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _limits(ordeal: str, file_bytes: int) -> Callable[[], None]:
    """What a child does before it becomes the step."""

    def limit() -> None:
        import resource

        if ordeal == "full":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        if ordeal == "memory":
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))

    return limit


def _wait(child: "subprocess.Popen[bytes]", seconds: float) -> float:
    """Wait for the end of a child, not longer than so many seconds; its peak memory in MiB."""
    from symbolic import machine

    peak, until = 0.0, time.monotonic() + seconds
    while child.poll() is None and time.monotonic() < until:
        peak = max(peak, machine.peak_mib_of(child.pid))
        time.sleep(0.05)
    return peak


def _signal(child: "subprocess.Popen[bytes]", ordeal: str) -> None:
    if child.poll() is None:
        child.send_signal({"kill": signal.SIGKILL, "end": signal.SIGTERM, "interrupt": signal.SIGINT}[ordeal])


def _environment() -> dict[str, str]:
    return {**subprocess_limits.environment(), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ask(url: str, body: bytes | None = None) -> dict[str, str]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"} if body else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, str] = json.loads(answer.read())
        return found


if __name__ == "__main__":
    sys.exit(main())
