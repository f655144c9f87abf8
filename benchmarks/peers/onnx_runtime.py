"""ONNX Runtime (`pip install onnx onnxruntime`) with its fused operators: GPT-2 only.

The graph is that of its own generation library for decoders: GroupQueryAttention, whose keys and values stay in one
buffer that is read and written in place, LayerNormalization, fast GELU; int8 quantises the matrices by its own dynamic
quantisation. Inputs and outputs are bound, so that nothing is copied between tokens but the ids.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.peers import Absent
from symbolic import models
from symbolic.config import GPT2Config

MICROSOFT = "com.microsoft"


class OnnxRuntime:
    """Our weights as a graph of its operators; `precision` is float32 or int8."""

    def __init__(self, folder: str, threads: int, precision: str) -> None:
        import onnx
        import onnxruntime

        self.runtime = onnxruntime
        model, config = models.load(folder, "cpu", torch.float32)
        if not isinstance(config, GPT2Config):
            raise Absent(f"ONNX Runtime has no operator for {config.family}")
        self.config = config
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary, "model.onnx")
            onnx.save(graph_of(model, config), path)
            if precision == "int8":
                from onnxruntime.quantization import quantize_dynamic

                known = {"DefaultTensorType": onnx.TensorProto.FLOAT}  # of what fused operators give
                quantize_dynamic(
                    path, path.with_name("int8.onnx"), op_types_to_quantize=["MatMul"], extra_options=known
                )
                path = path.with_name("int8.onnx")
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.about = {"path": f"ONNX Runtime {onnxruntime.__version__}, GroupQueryAttention"}

    def generate(self, prompts: list[list[int]], n: int) -> list[list[int]]:
        """n new tokens after each prompt, greedily, end of tune or not."""
        caches = self._caches(len(prompts), len(prompts[0]) + n)
        return greedily(lambda ids, n_before: self._step(ids, n_before, caches), prompts, n)

    def logits(self, prompts: list[list[int]]) -> list[list[float]]:
        """Scores after the last token of each prompt."""
        ids = np.array(prompts, dtype=np.int64)
        return list(self._step(ids, 0, self._caches(len(prompts), ids.shape[1]))[:, -1].tolist())

    def _caches(self, batch: int, length: int) -> list[Any]:
        """Keys and values of every layer, (batch, heads, length, size of a head)."""
        c = self.config
        shape = (batch, c.n_head, length, c.n_embd // c.n_head)
        return [self.runtime.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32)) for _ in range(2 * c.n_layer)]

    def _step(self, ids: Any, n_before: int, caches: list[Any]) -> Any:
        """Scores (batch, tokens, V) of ids that follow `n_before` others; the caches grow in place."""
        batch, n = ids.shape
        binding = self.session.io_binding()
        last = np.full(batch, n_before + n - 1, dtype=np.int32)
        places = np.arange(n_before, n_before + n, dtype=np.int64)[None].repeat(batch, axis=0)
        values = {"ids": ids, "places": places, "last": last, "total": np.array(n_before + n, dtype=np.int32)}
        for name, value in values.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(value))
        for number, cache in enumerate(caches):
            binding.bind_ortvalue_input(f"past.{number}", cache)
            binding.bind_ortvalue_output(f"present.{number}", cache)
        binding.bind_output("scores", "cpu")
        self.session.run_with_iobinding(binding)
        return binding.get_outputs()[-1].numpy()


def greedily(step: Callable[[Any, int], Any], prompts: list[list[int]], n: int) -> list[list[int]]:
    """n tokens after each prompt (equally long), the likeliest each time. `step` takes ids (B, T) and how many came
    before, and returns scores (B, T, V)."""
    ids, n_before = np.array(prompts, dtype=np.int64), 0
    made: list[Any] = []
    for _ in range(n):
        scores = step(ids, n_before)
        n_before += ids.shape[1]
        ids = scores[:, -1].argmax(axis=-1)[:, None]
        made.append(ids)
    return list(np.concatenate(made, axis=1).tolist())


def make(**settings: Any) -> OnnxRuntime:
    """The worker's object."""
    return OnnxRuntime(**settings)


def graph_of(model: Any, config: GPT2Config) -> Any:
    """The model as an ONNX graph: ids, places (B, T), last place of each row (B), places in all, caches -> scores."""
    from onnx import TensorProto, helper

    graph = _Graph()
    body, head = model.transformer, config.n_embd // config.n_head
    hidden = graph.add("Add", graph.add("Gather", graph.weight(body.wte.weight), "ids"),
                       graph.add("Gather", graph.weight(body.wpe.weight), "places"))  # fmt: skip
    for number, block in enumerate(body.h):
        normed = _norm(graph, hidden, block.ln_1)
        mixed = _product(graph, normed, block.attn.c_attn)
        query, key, value = graph.split(mixed, 3)
        attended = graph.add(
            "GroupQueryAttention", query, key, value, f"past.{2 * number}", f"past.{2 * number + 1}", "last", "total",
            outputs=("", f"present.{2 * number}", f"present.{2 * number + 1}"), domain=MICROSOFT,
            num_heads=config.n_head, kv_num_heads=config.n_head,
        )  # fmt: skip
        hidden = graph.add("Add", hidden, _product(graph, attended, block.attn.c_proj))
        wide = graph.add(
            "FastGelu", _product(graph, _norm(graph, hidden, block.ln_2), block.mlp.c_fc), domain=MICROSOFT
        )
        hidden = graph.add("Add", hidden, _product(graph, wide, block.mlp.c_proj))
    scores = graph.weight(model.lm_head.weight.t().contiguous())
    graph.add("MatMul", _norm(graph, hidden, body.ln_f), scores, outputs=("scores",))
    cache = ["batch", config.n_head, "length", head]
    info = helper.make_tensor_value_info
    inputs = [info("ids", TensorProto.INT64, ["batch", "n"]), info("places", TensorProto.INT64, ["batch", "n"])]
    inputs += [info("last", TensorProto.INT32, ["batch"]), info("total", TensorProto.INT32, [])]
    inputs += [info(f"past.{i}", TensorProto.FLOAT, cache) for i in range(2 * config.n_layer)]
    outputs = [info(f"present.{i}", TensorProto.FLOAT, cache) for i in range(2 * config.n_layer)]
    outputs.append(info("scores", TensorProto.FLOAT, ["batch", "n", config.vocab_size]))
    made = helper.make_graph(graph.nodes, "gpt2", inputs, outputs, graph.weights)
    versions = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(made, opset_imports=versions, ir_version=8)


class _Graph:
    """Nodes and weights, named in the order in which they are added."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def weight(self, tensor: torch.Tensor) -> str:
        from onnx import numpy_helper

        name = f"weight.{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(tensor.detach().float().numpy(), name))
        return name

    def add(self, kind: str, *inputs: str, outputs: tuple[str, ...] = ("",), domain: str = "", **settings: Any) -> str:
        """Add a node; the name of its first output."""
        from onnx import helper

        names = [name or f"value.{len(self.nodes)}.{i}" for i, name in enumerate(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, domain=domain, **settings))
        return names[0]

    def split(self, value: str, n: int) -> list[str]:
        """Equal parts of the last axis."""
        from onnx import helper

        names = [f"value.{len(self.nodes)}.{i}" for i in range(n)]
        self.nodes.append(helper.make_node("Split", [value], names, axis=-1))
        return names


def _norm(graph: _Graph, value: str, ours: Any) -> str:
    return graph.add("LayerNormalization", value, graph.weight(ours.weight), graph.weight(ours.bias), epsilon=ours.eps)


def _product(graph: _Graph, value: str, ours: Any) -> str:
    return graph.add("Add", graph.add("MatMul", value, graph.weight(ours.weight)), graph.weight(ours.bias))
