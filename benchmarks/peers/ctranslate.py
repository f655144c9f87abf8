"""CTranslate2 (`pip install ctranslate2`): GPT-2 only; it has no state-space models."""

import tempfile
from typing import Any

import numpy as np
import torch

from benchmarks.peers import Absent
from symbolic import models
from symbolic.config import GPT2Config

COMPUTE = {"float32": "float32", "bfloat16": "bfloat16", "int8": "int8"}


class CTranslate2:
    """Our weights in its format, converted on the way."""

    def __init__(self, folder: str, threads: int, precision: str) -> None:
        import ctranslate2

        model, config = models.load(folder, "cpu", torch.float32)
        if not isinstance(config, GPT2Config):
            raise Absent(f"CTranslate2 has no {config.family}")
        kinds = ctranslate2.get_supported_compute_types("cpu")
        if COMPUTE[precision] not in kinds:
            raise Absent(f"CTranslate2 has no {precision} on this processor (it has {', '.join(sorted(kinds))})")
        with tempfile.TemporaryDirectory() as temporary:
            _specification(model, config).save(temporary)
            self.generator = ctranslate2.Generator(
                temporary, device="cpu", compute_type=COMPUTE[precision], inter_threads=1, intra_threads=threads
            )
        self.end = str(config.vocab_size - 1)  # a padding id, which a trained model never draws
        self.about = {"path": f"ctranslate2 {self.generator.compute_type}"}

    def generate(self, prompts: list[list[int]], n: int) -> list[list[int]]:
        """n new tokens after each prompt, greedily, end of tune or not."""
        results = self.generator.generate_batch(
            [[str(token) for token in prompt] for prompt in prompts],
            max_batch_size=len(prompts),
            beam_size=1,
            sampling_topk=1,
            min_length=n,
            max_length=n,
            end_token=self.end,
            include_prompt_in_result=False,
        )
        return [list(result.sequences_ids[0]) for result in results]

    def logits(self, prompts: list[list[int]]) -> list[list[float]]:
        """Scores after the last token of each prompt."""
        made = self.generator.forward_batch(prompts)
        return list(np.array(made)[:, -1].tolist())


def make(**settings: Any) -> CTranslate2:
    """The worker's object."""
    return CTranslate2(**settings)


def _specification(model: Any, config: GPT2Config) -> Any:
    """The model as its converter for GPT-2 describes it, with ids as vocabulary."""
    from ctranslate2.specs import common_spec, transformer_spec

    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        config.n_layer, config.n_head, pre_norm=True, activation=common_spec.Activation.GELUTanh
    )
    body, decoder = model.transformer, spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = _array(body.wte.weight)
    decoder.position_encodings.encodings = _array(body.wpe.weight)
    decoder.projection.weight = _array(model.lm_head.weight)
    _norm(decoder.layer_norm, body.ln_f)
    for theirs, ours in zip(decoder.layer, body.h, strict=True):
        _norm(theirs.self_attention.layer_norm, ours.ln_1)
        _product(theirs.self_attention.linear[0], ours.attn.c_attn)
        _product(theirs.self_attention.linear[1], ours.attn.c_proj)
        _norm(theirs.ffn.layer_norm, ours.ln_2)
        _product(theirs.ffn.linear_0, ours.mlp.c_fc)
        _product(theirs.ffn.linear_1, ours.mlp.c_proj)
    spec.register_vocabulary([str(i) for i in range(config.vocab_size)])
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = "1", str(config.vocab_size - 1), "0"
    spec.validate()
    return spec


def _norm(theirs: Any, ours: Any) -> None:
    theirs.gamma, theirs.beta = _array(ours.weight), _array(ours.bias)


def _product(theirs: Any, ours: Any) -> None:
    theirs.weight, theirs.bias = _array(ours.weight.t()), _array(ours.bias)


def _array(tensor: torch.Tensor) -> "np.ndarray[Any, Any]":
    return np.ascontiguousarray(tensor.detach().float().numpy())
