"""OpenVINO (`pip install openvino onnx`): GPT-2 only, one row at a time.

It reads the graph that ONNX Runtime gets (benchmarks.peers.onnx_runtime) and computes it in float32; keys and values go
out of a step and into the next. With several rows its GroupQueryAttention fails (2026.4): it takes one length for all.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.peers import Absent
from benchmarks.peers.onnx_runtime import graph_of, greedily
from symbolic import models
from symbolic.config import GPT2Config


class OpenVino:
    """Our weights as a graph of its operators, in float32."""

    def __init__(self, folder: str, threads: int, precision: str) -> None:
        import onnx
        import openvino

        model, config = models.load(folder, "cpu", torch.float32)
        if not isinstance(config, GPT2Config):
            raise Absent(f"OpenVINO is given no graph of {config.family}")
        self.config = config
        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision_hint(precision)}
        settings |= {"PERFORMANCE_HINT": "LATENCY", "KV_CACHE_PRECISION": "f32"}
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary, "model.onnx")
            onnx.save(graph_of(model, config), path)
            self.request = openvino.Core().compile_model(str(path), "CPU", settings).create_infer_request()
        self.about = {"path": f"OpenVINO {openvino.__version__.partition('-')[0]}"}

    def generate(self, prompts: list[list[int]], n: int) -> list[list[int]]:
        """n new tokens after the only prompt, greedily, end of tune or not."""
        caches = self._caches(len(prompts))

        def step(ids: Any, n_before: int) -> Any:
            nonlocal caches
            scores, caches = self._step(ids, n_before, caches)
            return scores

        return greedily(step, prompts, n)

    def logits(self, prompts: list[list[int]]) -> list[list[float]]:
        """Scores after the last token of the only prompt."""
        ids = np.array(prompts, dtype=np.int64)
        return list(self._step(ids, 0, self._caches(len(prompts)))[0][:, -1].tolist())

    def _caches(self, batch: int) -> list[Any]:
        """Keys and values of every layer before the first token. Raises Absent for more rows than one."""
        if batch > 1:
            raise Absent("OpenVINO's GroupQueryAttention fails with several rows")
        c = self.config
        return [np.zeros((1, c.n_head, 0, c.n_embd // c.n_head), np.float32) for _ in range(2 * c.n_layer)]

    def _step(self, ids: Any, n_before: int, caches: list[Any]) -> tuple[Any, list[Any]]:
        """Scores (1, tokens, V) of ids that follow `n_before` others, and the caches with theirs."""
        n = n_before + ids.shape[1]
        values = {"ids": ids, "places": np.arange(n_before, n, dtype=np.int64)[None]}
        values |= {"last": np.array([n - 1], dtype=np.int32), "total": np.array(n, dtype=np.int32)}
        found = self.request.infer({**values, **{f"past.{i}": cache for i, cache in enumerate(caches)}})
        return found["scores"], [found[f"present.{i}"] for i in range(len(caches))]


def precision_hint(precision: str) -> str:
    """OpenVINO's name of a precision of computing. Raises Absent for those that it is not asked for here."""
    if precision != "float32":
        raise Absent(f"OpenVINO is measured in float32 only, not in {precision}")
    return "f32"


def make(**settings: Any) -> OpenVino:
    """The worker's object."""
    return OpenVino(**settings)
