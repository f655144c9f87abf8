"""Cut the list of GPU architectures in a setup.py of mamba-ssm or causal-conv1d to that of the GPU at hand.

    python benchmarks/cuda/one_architecture.py SOURCES/mamba_ssm/setup.py

Their setup.py names nine architectures and ignores TORCH_CUDA_ARCH_LIST; one builds in a fraction of the
time. NOT RUN YET.
"""

import argparse
import re
import sys
from pathlib import Path

# `cc_flag.append("-gencode")` and the line after it with `"arch=compute_90,code=sm_90"`.
PAIR = re.compile(
    r'^[ \t]*cc_flag\.append\("-gencode"\)\n[ \t]*cc_flag\.append\("arch=compute_(\d+)\w*,code=sm_\w+"\)\n',
    re.MULTILINE,
)


def main(arguments: list[str]) -> int:
    """Rewrite the files for the GPU at hand."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="setup.py")
    paths = parser.parse_args(arguments).files
    import torch

    major, minor = torch.cuda.get_device_capability()
    for path in paths:
        text, n = only(path.read_text(encoding="utf-8"), f"{major}{minor}")
        path.write_text(text, encoding="utf-8")
        print(f"{path}: {n} architectures dropped, sm_{major}{minor} kept")
    return 0


def only(text: str, architecture: str) -> tuple[str, int]:
    """`text` without the flags of other architectures, and how many were dropped; unchanged where the one is absent."""
    found = PAIR.findall(text)
    if architecture not in found:
        return text, 0
    kept = PAIR.sub(lambda match: _kept(match, architecture), text)
    return kept, len(found) - found.count(architecture)


def _kept(match: re.Match[str], architecture: str) -> str:
    """A dropped pair leaves `pass` behind: it may be all that an `if` holds."""
    if match[1] == architecture:
        return match[0]
    indent = re.match(r"[ \t]*", match[0])
    return f"{indent[0] if indent else ''}pass\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
