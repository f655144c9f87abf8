"""Decoding on one GPU: our engine against `transformers.generate` and mamba_ssm's CUDA-graph generation.

    python benchmarks/cuda/cuda_decoding.py --repeats 5

bfloat16, greedy, 512 new tokens, batch 1 and 32. All run in this process, in turns: one process owns the GPU. A path
that fails is 'not run' with its error. NOT RUN YET: nothing here has met a GPU.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import result_file, weights
from symbolic import command_line
from symbolic import config as configuration
from symbolic.errors import UserError

MODELS = ("gpt2-6m", "mamba-6m", "mamba2-6m")
PROMPT_TOKENS = 16
Generate = Callable[[Any, int], Any]  # prompts (B, T) on the device, new tokens -> tokens


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse `arguments` (those of the command line where None), run, and return the exit status."""
    args = parser().parse_args(arguments)
    return command_line.guarded(lambda: run(args))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--models", nargs="+", default=list(MODELS), metavar="NAME")
    made.add_argument("--batches", nargs="+", type=int, default=[1, 32], metavar="N")
    made.add_argument("--tokens", type=int, default=512)
    made.add_argument("--repeats", type=int, default=5)
    made.add_argument("--data", type=Path, default=Path("data/folk"))
    made.add_argument("-o", "--output", type=Path, default=result_file.BENCHMARKS / "cuda" / "decoding.json")
    return made


def run(args: argparse.Namespace) -> int:
    """Measure every model and path."""
    import torch

    if not torch.cuda.is_available():
        raise UserError("no CUDA device: this benchmark measures GPUs. On a CPU: python -m benchmarks.decoding")
    print(f"this takes about {2 * len(args.models) * len(args.batches)} min", file=sys.stderr)
    settings = {"tokens": args.tokens, "prompt_tokens": PROMPT_TOKENS, "precision": "bfloat16", "sampling": "greedy"}
    recorder = result_file.Recorder("cuda-decoding", settings=settings, data_digest=result_file.data_digest(args.data))
    prompts = weights.prompts(args.data, max(args.batches), PROMPT_TOKENS)
    with tempfile.TemporaryDirectory() as scratch:
        for name in args.models:
            chosen = weights.choose(name, {}, Path(scratch))
            recorder.config_digests[name] = configuration.digest(chosen.config)
            for batch in args.batches:
                _measure(recorder, chosen, torch.tensor(prompts[:batch], device="cuda"), args)
    recorder.write(args.output)
    return 0


def _measure(recorder: result_file.Recorder, chosen: weights.Weights, prompts: Any, args: argparse.Namespace) -> None:
    keys = {"model": chosen.name, "batch": len(prompts), "quantity": "speed", "precision": "bfloat16"}
    ready: dict[str, Generate] = {}
    for name, build in PATHS.items():
        try:
            ready[name] = build(chosen.folder)
            ready[name](prompts, args.tokens)  # warms up, compiles, captures
        except Exception as error:  # a peer that fails is a row of the result, whatever it raises
            ready.pop(name, None)
            recorder.not_run(f"{type(error).__name__}: {error}"[:300], path=name, **keys)
    speeds: dict[str, list[float]] = {name: [] for name in ready}
    for _ in range(args.repeats):
        for name, generate in ready.items():
            speeds[name].append(len(prompts) * args.tokens / _seconds(generate, prompts, args.tokens))
    for name, repeats in speeds.items():
        recorder.measured(repeats, "tokens/s", path=name, **keys)


def _seconds(generate: Generate, prompts: Any, n: int) -> float:
    import torch

    torch.cuda.synchronize()
    began = time.perf_counter()
    generate(prompts, n)
    torch.cuda.synchronize()
    return time.perf_counter() - began


def ours(folder: Path, step: str = "torch") -> Generate:
    """The engine with a step by name."""
    import torch

    from symbolic import models
    from symbolic.decode.engine import engine
    from symbolic.decode.engine.sampling import Sampling

    model = engine.prepare(models.load(folder, "cuda", torch.bfloat16)[0], step)
    settings: dict[str, Any] = {"n_tokens": model.config.vocab_size, "eos": None, "sampling": Sampling(temperature=0)}
    return lambda prompts, n: engine.generate(
        model, prompts.tolist(), max_new_tokens=n, batch_size=len(prompts), **settings
    )


def library(folder: Path) -> Generate:
    """`generate` of the library's class, with a static cache where it has one."""
    import torch
    import transformers

    model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    model.to("cuda").eval()
    model.generation_config = transformers.GenerationConfig(pad_token_id=0, bos_token_id=1)
    cache = {"cache_implementation": "static"} if model.config.model_type == "gpt2" else {}
    return lambda prompts, n: model.generate(
        prompts, attention_mask=torch.ones_like(prompts), max_new_tokens=n, do_sample=False, **cache
    )


def mamba_ssm(folder: Path) -> Generate:
    """mamba_ssm's own language model with `cg=True`; the weights are those of the folder, under its names."""
    import torch
    from mamba_ssm.models.config_mamba import MambaConfig
    from mamba_ssm.models.mixer_seq_simple import MambaLMHeadModel

    from symbolic import models
    from symbolic.config import Mamba2Config
    from symbolic.config import MambaConfig as Mamba1Config

    source, shape = models.load(folder, "cpu", torch.bfloat16)
    if not isinstance(shape, Mamba1Config | Mamba2Config):
        raise UserError("mamba_ssm has Mamba and Mamba-2 only")
    layer: dict[str, Any] = {"d_state": shape.d_state, "d_conv": shape.d_conv, "expand": shape.expand}
    if isinstance(shape, Mamba2Config):
        second = {"layer": "Mamba2", "headdim": shape.head_dim, "ngroups": shape.n_groups}
        layer |= {**second, "chunk_size": shape.chunk_size}
    else:
        layer["dt_rank"] = shape.dt_rank
    settings = MambaConfig(
        d_model=shape.d_model, n_layer=shape.n_layer, vocab_size=shape.vocab_size, ssm_cfg=layer, rms_norm=True,
        residual_in_fp32=True, fused_add_norm=True, pad_vocab_size_multiple=1,
    )  # fmt: skip
    model = MambaLMHeadModel(settings, device="cuda", dtype=torch.bfloat16)
    model.load_state_dict({_their_name(name): tensor for name, tensor in source.state_dict().items()})
    return lambda prompts, n: model.generate(input_ids=prompts, max_length=prompts.shape[1] + n, cg=True, top_k=1)


PATHS: dict[str, Callable[[Path], Generate]] = {
    "ours, torch step": ours,
    "ours, CUDA graphs": lambda folder: ours(folder, "graph"),
    "transformers": library,
    "mamba_ssm, CUDA graph": mamba_ssm,
}


def _their_name(name: str) -> str:
    return name.replace("backbone.embeddings.", "backbone.embedding.")


if __name__ == "__main__":
    sys.exit(main())
