"""What no program can be faster than on this machine: bytes read and operations made in a second, the best of a few
tries in plain PyTorch.

A decoding step reads every weight once and makes its operations for every row; it takes at least the longer of the two
(the roofline of Williams, Waterman and Patterson, CACM 2009). Bandwidth is measured on as many bytes as the weights
have, so that what fits a cache is read from it, in a matrix times a vector; operations in the product of the batch with
a square matrix, and of two square matrices, whichever is faster.
"""

import time
from collections.abc import Callable
from typing import Any

import torch

TRIES = 7
LEAST_SECONDS = 0.02  # of one try
WIDTH = 1024  # of the square matrix


class Floor:
    """Measures the machine with so many threads."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        self.about = {"path": f"PyTorch {torch.__version__}, {threads} threads"}

    def bytes_per_second(self, n_bytes: int) -> float:
        """Of reading `n_bytes` over and over, float32."""
        matrix = torch.rand(max(1, n_bytes // 4 // WIDTH), WIDTH)
        vector = torch.rand(WIDTH)
        return matrix.numel() * 4 / best_seconds(lambda: torch.mv(matrix, vector))

    def operations_per_second(self, batch: int) -> float:
        """Of products in float32; a multiplication with an addition is two."""
        square = torch.rand(WIDTH, WIDTH)
        rates = []
        for rows in {batch, WIDTH}:
            other = torch.rand(rows, WIDTH)
            rates.append(2 * rows * WIDTH**2 / best_seconds(lambda other=other: torch.mm(other, square)))  # type: ignore[misc]
        return max(rates)


def best_seconds(action: Callable[[], Any]) -> float:
    """Seconds of one call: the best of TRIES means over calls that together take LEAST_SECONDS."""
    action()
    began = time.perf_counter()
    action()
    n = max(1, round(LEAST_SECONDS / max(1e-7, time.perf_counter() - began)))
    means = []
    for _ in range(TRIES):
        began = time.perf_counter()
        for _ in range(n):
            action()
        means.append((time.perf_counter() - began) / n)
    return min(means)


def make(**settings: Any) -> Floor:
    """The worker's object."""
    return Floor(**settings)
