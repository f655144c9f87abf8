"""llama.cpp through llama-cpp-python (`pip install llama-cpp-python`), with our weights as a GGUF file.

The low-level calls are used: one llama_decode for all rows a token, NumPy's argmax on its scores. The batch's arrays
are filled through NumPy views once and only tokens and positions change, so that Python costs it next to nothing.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import gguf
from benchmarks.peers import Absent
from symbolic import models

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.int8}


class Llama:
    """A model and one context, made anew when the shape of the batch changes."""

    def __init__(self, folder: str, threads: int, precision: str) -> None:
        import llama_cpp

        self.api, self.threads = llama_cpp, threads
        self._quiet = llama_cpp.llama_log_callback(_say_nothing)
        llama_cpp.llama_log_set(self._quiet, None)
        llama_cpp.llama_backend_init()
        model, self.config = models.load(folder, "cpu", torch.float32)
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / "model.gguf"
            gguf.write(model, path, DTYPES[precision])
            settings = llama_cpp.llama_model_default_params()
            settings.use_mmap = False
            # Version 0.3.36 ends with a general protection fault where it repacks Q8_0 for the tiles of the processor.
            settings.use_extra_bufts = precision != "int8"
            self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), settings)
        if not self.model:
            raise Absent("llama.cpp refuses the GGUF file")
        self.context: Any = None
        self.shape = (0, 0)
        self.about = {"path": f"llama.cpp {precision}", "system": llama_cpp.llama_print_system_info().decode()}

    def generate(self, prompts: list[list[int]], n: int) -> list[list[int]]:
        """n new tokens after each prompt, greedily, end of tune or not."""
        rows, length = len(prompts), len(prompts[0])
        self._open(rows, length + n)
        last = self._read_prompts(prompts).argmax(axis=1)
        batch = _Batch(self.api, rows, wanted=True)
        made = [last]
        for place in range(length, length + n - 1):
            batch.tokens[:], batch.positions[:] = last, place
            last = self._decode(batch, rows).argmax(axis=1)
            made.append(last)
        batch.free()
        return list(np.stack(made, axis=1).tolist())

    def logits(self, prompts: list[list[int]]) -> list[list[float]]:
        """Scores after the last token of each prompt."""
        self._open(len(prompts), len(prompts[0]) + 1)
        return list(self._read_prompts(prompts).tolist())

    def _open(self, rows: int, length: int) -> None:
        """A context for so many rows of such a length, its memory blank."""
        if self.shape != (rows, length):
            if self.context:
                self.api.llama_free(self.context)
            settings = self.api.llama_context_default_params()
            settings.n_ctx, settings.n_seq_max = rows * (-(-length // 256) * 256), rows
            settings.n_batch = settings.n_ubatch = max(512, rows)
            settings.n_threads = settings.n_threads_batch = self.threads
            self.context, self.shape = self.api.llama_init_from_model(self.model, settings), (rows, length)
            if not self.context:
                raise Absent(f"llama.cpp makes no context for {rows} rows of {length} tokens")
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)

    def _read_prompts(self, prompts: list[list[int]]) -> Any:
        """All prompts, at most n_batch tokens a call; scores after the last token of each (rows, V)."""
        length, scores = len(prompts[0]), []
        most = max(1, max(512, len(prompts)) // length)
        for start in range(0, len(prompts), most):
            part = prompts[start : start + most]
            batch = _Batch(self.api, len(part) * length, wanted=False)
            batch.tokens[:] = np.concatenate(part)
            batch.positions[:] = np.tile(np.arange(length), len(part))
            batch.place(np.repeat(np.arange(start, start + len(part)), length))
            batch.wanted[length - 1 :: length] = 1
            scores.append(self._decode(batch, len(part)).copy())
            batch.free()
        return np.concatenate(scores)

    def _decode(self, batch: "_Batch", n_scores: int) -> Any:
        status = self.api.llama_decode(self.context, batch.batch)
        if status:
            raise Absent(f"llama_decode answered {status}")
        scores = self.api.llama_get_logits(self.context)
        return np.ctypeslib.as_array(scores, shape=(n_scores, self.config.vocab_size))


class _Batch:
    """llama_batch with NumPy views of its arrays; token i belongs to row i unless `place` says otherwise."""

    def __init__(self, api: Any, n: int, *, wanted: bool) -> None:
        self.api, self.batch = api, api.llama_batch_init(n, 0, 1)
        self.batch.n_tokens = n
        view = np.ctypeslib.as_array
        self.tokens, self.positions = view(self.batch.token, (n,)), view(self.batch.pos, (n,))
        self.wanted = view(self.batch.logits, (n,))
        view(self.batch.n_seq_id, (n,))[:] = 1
        self.wanted[:] = wanted
        self.place(np.arange(n))

    def place(self, rows: Any) -> None:
        """The row of each token."""
        for index, row in enumerate(rows):
            self.batch.seq_id[index][0] = int(row)

    def free(self) -> None:
        self.api.llama_batch_free(self.batch)


def _say_nothing(level: int, text: bytes, data: Any) -> None:
    """llama.cpp's log."""


def make(**settings: Any) -> Llama:
    """The worker's object."""
    return Llama(**settings)
