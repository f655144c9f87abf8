"""Damaged MIDI files through the guarded reader and the tokenizer: no crash, no hang, no unbounded memory.

    python -m experiments.hostile -n 5000

Each file is a real piece, as `convert` and `generate` write it, damaged by one to three of DAMAGES: bytes flipped or
cut out, files spliced, lengths of chunks and of events that lie, time that jumps by weeks or does not pass, absurd
tempo, metre and key, statuses without data, tracks by the hundred. Three in four have the lengths of their tracks put
right afterwards, so that the damage inside is what is met. Each is read in the guarded child as `prepare` reads it;
what is read must be spelled canonically, come back from its own MIDI file as the same, and go through the REMI
tokenizer. Then each is read by the reader of `render` (mido, in this process).

A file may be refused with a reason. Any other exception, a child that died of it, more than SECONDS, or more than
MEMORY_BYTES in the child is a fault, printed with the file's number, which with --first makes it again. The exit status
is 1 when there is a fault.
"""

import argparse
import random
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import result_file
from experiments import fuzz_outcomes
from symbolic import command_line, files, machine
from symbolic.errors import UserError
from symbolic.formats import midi, midi_text
from symbolic.formats.sandbox import Guard
from symbolic.notation import abc_parser
from symbolic.notation.theory import NotationError

SECONDS = 20.0  # of the clock, for one file in one reader
MEMORY_BYTES = 1 * 2**30  # resident, of the child
BASES = 40  # pieces that are damaged
LENGTHS = (0, 1, 0x7F, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
EVENTS = (
    b"\xff\x51\x03\x00\x00\x00",  # a quarter note that takes no time
    b"\xff\x51\x03\xff\xff\xff",
    b"\xff\x51\x7f\x00",  # a tempo that is longer than the file
    b"\xff\x58\x04\x00\x00\x18\x08",  # 0/1
    b"\xff\x58\x04\xff\xff\x18\x08",
    b"\xff\x59\x02\x7f\x05",  # 127 sharps
    b"\xff\x03\xff\xff\xff\x7f",  # a name of 256 MiB
    b"\xff\x2f\x00",  # the end, before the end
    b"\xf0\xff\xff\xff\x7f",  # a system message without end
    b"\xf7\x00",
    b"\x90",  # a status without data
    b"\x90\xff\xff",
    b"\x40\x40",  # data without a status
    b"\x99\x24\x7f",  # a drum that is never released
    b"\xc0\x80",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("-n", type=int, default=5000, help="damaged files (default 5,000)")
    made.add_argument("--first", type=int, default=0, help="number of the first")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--data", type=Path, default=Path("data/folk"), help="whose training tunes are damaged")
    made.add_argument("-o", "--output", type=Path, default=result_file.EXPERIMENTS / "hostile.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Read every file in both readers, count what came of it, write the result."""
    settings = {"n": args.n, "first": args.first, "seconds": SECONDS, "memory_bytes": MEMORY_BYTES}
    recorder = result_file.Recorder("hostile", args.seed, settings, data_digest=result_file.data_digest(args.data))
    bases = real_files(args.data)
    outcomes: Counter[tuple[str, str]] = Counter()
    faults: list[str] = []
    peak = slowest = 0.0
    with Guard() as child, tempfile.TemporaryDirectory() as folder:
        stages: dict[str, Callable[[bytes], str]] = {
            "prepare": Preparing(child).read,
            "render": lambda data: rendered(data, Path(folder, "fuzz.mid")),
        }
        for number in range(args.first, args.first + args.n):
            data = damaged(bases, args.seed, number)
            for stage, read in stages.items():
                seconds, name = outcome(read, data)
                outcomes[stage, name.partition(":")[0]] += 1
                faults += [f"file {number}, {stage}: {name}"] if name.startswith("FAULT") else []
                slowest = max(slowest, seconds)
            peak = max(peak, machine.peak_mib_of(child.child.pid) if child.child else 0.0)
            if (number + 1) % 500 == 0:
                print(f"{number + 1:,}: {len(faults)} faults", file=sys.stderr, flush=True)
    if peak > MEMORY_BYTES / 2**20:
        faults.append(f"the reader needed {peak:,.0f} MiB")
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    sizes = {"peak memory of the reader": (peak, "MiB"), "slowest file in one reader": (slowest, "s")}
    return fuzz_outcomes.recorded(recorder, args.output, "files", outcomes, sizes, faults)


class Preparing:
    """Reading as `prepare` does, and what must hold of all that is read."""

    def __init__(self, child: Guard) -> None:
        from symbolic import tokens

        self.child, self.tokenizer = child, tokens.build("remi")

    def read(self, data: bytes) -> str:
        """Read a file as `prepare --as midi` does, and check that its text reads back."""
        text = self.child.read("midi", data, "midi")["text"]
        piece = midi_text.parse(text)
        assert midi_text.canonical(piece) == text, "canonical text does not read back as itself"
        again = self.child.read("midi", midi_text.to_midi(piece), "midi")["text"]
        assert again == text, "its own MIDI file reads back as another piece"
        assert self.tokenizer.encode(text), "it has no tokens"
        return "read"


def rendered(data: bytes, path: Path) -> str:
    """As `render` reads a MIDI file."""
    path.write_bytes(data)
    return "read" if midi.read_notes(path) else "no notes"


def outcome(read: Callable[[bytes], str], data: bytes) -> tuple[float, str]:
    """Seconds, and what came of it: the reader's word, a refusal, or `FAULT: ...`."""
    began = time.perf_counter()
    try:
        name = read(data)
    except NotationError as error:
        died = error.reason in ("fault", "over_time", "over_memory")
        name = f"FAULT: {error.reason}: {error}" if died else f"refused, {error.reason}"
    except UserError:
        name = "refused"
    except Exception as error:  # the point of the exercise
        name = fuzz_outcomes.fault_of(error)
    seconds = time.perf_counter() - began
    return seconds, f"FAULT: {seconds:.0f} s" if seconds > SECONDS else name


def real_files(data: Path) -> list[bytes]:
    """MIDI files of training tunes, as a score writes them and as a piece does."""
    texts = [row["text"] for row in files.read_jsonl(data / "tunes" / "train.jsonl")]
    scores = [abc_parser.parse(text) for text in texts[:: max(1, len(texts) // BASES)][:BASES]]
    written = [midi.to_bytes(midi.build(score)) for score in scores]
    return written + [midi_text.to_midi(midi_text.from_score(score, programs=(40,))) for score in scores]


def damaged(bases: Sequence[bytes], seed: int, number: int) -> bytes:
    """The damaged file of that number."""
    rng = random.Random(f"{seed}:{number}")
    data = bytearray(rng.choice(bases))
    for _ in range(rng.randint(1, 3)):
        rng.choice(DAMAGES)(data, bases, rng)
    if rng.random() < 0.75:
        _put_right(data)
    return bytes(data[: 4 * 2**20])


def flip(data: bytearray, bases: Sequence[bytes], rng: random.Random) -> None:
    """Replace some bytes by others."""
    for _ in range(rng.choice((1, 1, 1, 3, 30))):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)


def cut(data: bytearray, bases: Sequence[bytes], rng: random.Random) -> None:
    """Take out a stretch, or all behind a place."""
    low, high = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    del data[low : high if rng.random() < 0.5 else len(data)]


def splice(data: bytearray, bases: Sequence[bytes], rng: random.Random) -> None:
    """Go on from a place with the end of another file."""
    other = rng.choice(bases)
    del data[rng.randrange(len(data) + 1) :]
    data += other[rng.randrange(len(other)) :]


def _chunk_lengths(data: bytearray, bases: Sequence[bytes], rng: random.Random) -> None:
    """The length that a chunk gives of itself, or the number of tracks and the division of the header."""
    places = [place for place in range(len(data) - 8) if data[place : place + 4] in (b"MTrk", b"MThd")]
    if places:
        place = rng.choice(places)
        data[place + 4 : place + 8] = struct.pack(">I", rng.choice(LENGTHS))
    if rng.random() < 0.5 and len(data) > 14:
        data[8:14] = struct.pack(">HHH", rng.randrange(4), *(rng.choice((0, 1, 96, 0x7FFF, 0xFFFF)) for _ in range(2)))


def _event(data: bytearray, bases: Sequence[bytes], rng: random.Random) -> None:
    """Events that no writer writes, after a time of up to 8 weeks at the usual tempo."""
    delta = rng.choice((b"\x00", b"\x81\x00", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff\xff\x7f"))
    place = rng.randrange(min(14, len(data)), len(data) + 1)
    data[place:place] = (delta + rng.choice(EVENTS)) * rng.choice((1, 1, 3, 500))


def _endless(data: bytearray, bases: Sequence[bytes], rng: random.Random) -> None:
    """A track of a hundred thousand notes, or of notes that last for weeks."""
    gap = rng.choice((b"\x00", b"\x60", b"\xff\xff\xff\x7f"))
    events = (gap + b"\x90\x3c\x40" + gap + b"\x80\x3c\x00") * rng.choice((10, 1000, 100_000)) + b"\x00\xff\x2f\x00"
    data[14:] = b"MTrk" + struct.pack(">I", len(events)) + events


def _tracks(data: bytearray, bases: Sequence[bytes], rng: random.Random) -> None:
    empty = b"MTrk" + struct.pack(">I", 4) + b"\x00\xff\x2f\x00"
    track = bytes(data[14:]) if rng.random() < 0.3 else empty
    n = min(rng.choice((17, 300, 70_000)), 2**20 // max(1, len(track)))
    data[14:] = track * n
    data[8:12] = struct.pack(">HH", 1, min(n, 0xFFFF))


def _put_right(data: bytearray) -> None:
    """Each track says that it reaches to the next one."""
    place = data.find(b"MTrk")
    while 0 <= place <= len(data) - 8:
        following = data.find(b"MTrk", place + 8)
        size = (following if following >= 0 else len(data)) - place - 8
        data[place + 4 : place + 8] = struct.pack(">I", size)
        place = following


DAMAGES = (*[flip] * 4, *[_event] * 3, cut, splice, _chunk_lengths, _endless, _tracks)

if __name__ == "__main__":
    sys.exit(main())
