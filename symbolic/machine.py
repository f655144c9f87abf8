"""The machine a result was made on, and the device and number type to compute with.

`card()` is the record that goes beside every measured number. `memory_gib` is binary gigabytes of the whole machine.
Asking for a device or type by name never falls back on another: what is absent is an error that names the fix.
"""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbolic.errors import UsageError

if TYPE_CHECKING:
    import torch

STAMP = "commit.txt"  # in the package, written when a wheel is built (hatch_build.py)

# Processor flags (Linux /proc/cpuinfo) that make bfloat16 products faster than float32 ones.
BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")

# Dense bfloat16 products, FLOP/s, from NVIDIA's data sheets (SXM form); the first name found in the device's counts.
PEAK_BFLOAT16_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "T4": 65e12}


def card() -> dict[str, Any]:
    """Return what a result file says of its machine: processor, cores, memory, GPU, system, versions, commit."""
    return {
        "cpu": cpu_name(),
        "cores": n_cores(),
        "memory_gib": memory_gib(),
        "gpu": gpu_name(),
        "os": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
        "commit": commit(),
    }


def pick_device(name: str) -> "torch.device":
    """Return the device for `auto`, `cpu`, `cuda` or `cuda:N`; `auto` is the first GPU where there is one."""
    import torch

    if name == "auto":
        return torch.device("cuda" if has_gpu() else "cpu")
    if name != "cpu" and not name.startswith("cuda"):
        raise UsageError(f"device {name!r} is not one of auto, cpu, cuda.")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device {name!r} was asked for, but {_why_no_cuda()}. Or write `device: cpu`.")
    return torch.device(name)


def has_gpu() -> bool:
    """Return True if PyTorch can use a GPU. Without NVIDIA's driver it cannot, and is not imported to be asked."""
    if "torch" not in sys.modules and not _has_cuda_driver():
        return False
    import torch

    return torch.cuda.is_available()


def pick_dtype(name: str, device: "torch.device") -> "torch.dtype":
    """Return the number type of matrix products; `auto` is bfloat16 where the device multiplies it faster than
    float32."""
    import torch

    if name == "auto":
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[cpu_number_type(name)]


def cpu_number_type(name: str) -> str:
    """Return float32 or bfloat16, the number type that a name or `auto` stands for on this processor."""
    if name == "auto":
        return "bfloat16" if _multiplies_bfloat16() else "float32"
    if name not in ("bfloat16", "float32"):
        raise UsageError(f"dtype {name!r} is not one of auto, bfloat16, float32.")
    return name


def has_bfloat16(device: "torch.device") -> bool:
    """Return whether the device has bfloat16 matrix instructions."""
    if device.type != "cuda":
        return _multiplies_bfloat16()
    import torch

    return torch.cuda.get_device_capability(device) >= (8, 0)


def n_threads() -> int:
    """Return threads that numerical libraries take when they are not told: OMP_NUM_THREADS, else all cores."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(asked) if asked.isdigit() and int(asked) else n_cores()


def peak_flops(device: "torch.device", dtype: "torch.dtype") -> float | None:
    """Return the device's peak FLOP/s in bfloat16 by its data sheet; None for CPUs, unknown GPUs and other types."""
    import torch

    if device.type != "cuda" or dtype != torch.bfloat16:
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for known, peak in PEAK_BFLOAT16_FLOPS.items() if known in name), None)


def memory_text(needed: int, device: "torch.device", remedy: str) -> str:
    """Return what a task needs, in bytes, beside what a GPU has free; with `remedy` where it will hardly fit."""
    import torch

    text = f"about {needed / 2**30:.1f} GiB needed"
    if device.type != "cuda":
        return text
    free = torch.cuda.mem_get_info(device)[0]
    return f"{text}, {free / 2**30:.1f} GiB free" + (f". It will hardly fit: {remedy}" if needed > free else "")


def keep_freed_memory() -> None:
    """Have the C library reuse freed blocks instead of handing them back to the system; nothing where it is not glibc.

    A step on a CPU frees and asks for the same hundreds of megabytes; given back, they come anew as zeroed pages, tens
    of thousands of page faults a step. The process then keeps its peak memory.
    """
    import ctypes

    if platform.libc_ver()[0] != "glibc":
        return
    library, most = ctypes.CDLL(None), 2**31 - 1
    m_trim_threshold, m_mmap_threshold = -1, -3  # malloc.h
    library.mallopt(m_trim_threshold, most)
    library.mallopt(m_mmap_threshold, 2**30)


def cpu_name() -> str:
    """Return the processor's name as the system gives it."""
    return _cpuinfo_line("model name") or platform.processor() or platform.machine()


def n_cores() -> int:
    """Return cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_gib() -> float | None:
    """Return memory of the machine, None where the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def peak_mib() -> float:
    """Return largest resident memory so far, of this process or of a child that has ended where one was larger.

    Linux hands the parent's largest size on to a child in ru_maxrss, so there the kernel's own mark of this process is
    read; macOS counts ru_maxrss in bytes.
    """
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    own, children = (
        resource.getrusage(who).ru_maxrss / unit for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return round(max(peak_mib_of("self") or own, children), 1)


def peak_mib_of(process: int | str) -> float:
    """Return largest resident memory so far of a process that runs, by its number; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def gpu_name() -> str | None:
    """Return the first GPU's name, None without one."""
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def version(package: str) -> str | None:
    """Return the installed version of a package, None where it is absent."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def commit() -> str | None:
    """Return the commit of the code that runs: of this project's checkout, with `+` when tracked files differ from it,
    or of the stamp in an installed wheel; None where there is neither. Another repository around the package is not
    asked.
    """
    package = Path(__file__).resolve().parent
    stamp = package / STAMP
    if stamp.is_file():
        return stamp.read_text(encoding="ascii").strip() or None
    checkout = package.parent
    if not (checkout / ".git").exists():  # a folder, or a file in a work tree of git
        return None
    head = _git(checkout, "rev-parse", "HEAD")
    if not head:
        return None
    return head + ("+" if _git(checkout, "status", "--porcelain", "--untracked-files=no") else "")


def modified_files() -> list[str]:
    """Return files of the checkout that differ from the commit or are new, results aside; [] for an installed wheel."""
    checkout = Path(__file__).resolve().parent.parent
    if not (checkout / ".git").exists():
        return []
    lines = _git(checkout, "status", "--porcelain", "--no-renames").splitlines()
    return sorted(path for line in lines if "/results/" not in (path := line[3:].strip('"')))


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.rstrip() if done.returncode == 0 else ""


def _cpuinfo_line(key: str) -> str:
    """Return the first value of `key` in /proc/cpuinfo, empty on systems without it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == key:
                    return value.strip()
    except OSError:
        pass
    return ""


def _multiplies_bfloat16() -> bool:
    return any(flag in _cpuinfo_line("flags").split() for flag in BFLOAT16_FLAGS)


def _has_cuda_driver() -> bool:
    """True if the library of NVIDIA's driver can be loaded."""
    import ctypes

    for name in ("libcuda.so.1", "nvcuda.dll"):
        try:
            ctypes.CDLL(name)
            return True
        except OSError:
            continue
    return False


def _why_no_cuda() -> str:
    import torch

    if torch.version.cuda is None:
        return "this PyTorch is built without CUDA: install a CUDA build (https://pytorch.org/get-started/locally)"
    return "PyTorch finds no GPU: check `nvidia-smi`"
