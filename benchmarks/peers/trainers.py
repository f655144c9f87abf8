"""Ways of training one model: this project's loop body, a plain loop over the library's model, `transformers.Trainer`.

All read the same rows of ids (random integers: speed does not depend on which), with fused AdamW, gradient clipping at
1 and bfloat16 autocast where asked for; all keep freed memory as `symbolic.training.train` does, which helps the peers
as well. `steps(n)` makes n optimiser steps and returns the seconds they took.
"""

import contextlib
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers import Absent
from symbolic import config as configuration
from symbolic import machine, models
from symbolic.config import Config
from symbolic.training import optim, train

CLIP_NORM = 1.0


class _Loop:
    """What the ways share: rows of ids, and steps one after the other."""

    def __init__(self, config: str, threads: int, batch: int, context: int, precision: str, device: str) -> None:
        torch.set_num_threads(threads)
        machine.keep_freed_memory()
        self.config: Config = configuration.load(Path(config))
        self.device, self.batch, self.context = torch.device(device), batch, context
        self.dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
        torch.manual_seed(self.config.seed)
        self.rows = torch.randint(3, 200, (16, batch, context + 1)).to(self.device)
        self.at = 0

    def next_rows(self) -> Tensor:
        self.at += 1
        return self.rows[self.at % len(self.rows)]

    def steps(self, n: int) -> float:
        """Seconds of n optimiser steps."""
        began = time.perf_counter()
        for _ in range(n):
            self.step()
        self.wait()
        return time.perf_counter() - began

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def step(self) -> Tensor:
        raise NotImplementedError

    def autocast(self) -> Any:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16)


class OurTrainer(_Loop):
    """The body of `symbolic.training.train`'s loop; `compiled` compiles each block as `compile: true` does, `plain` is
    without native kernels."""

    def __init__(self, compiled: bool, plain: bool = False, **shape: Any) -> None:
        super().__init__(**shape)
        attention, scan = ("explicit", "chunked") if plain else ("auto", "auto")
        self.model = models.build(self.config.model, attention=attention, scan=scan).to(self.device).train()
        self.optimizer = optim.build(self.model, self.config.train)
        if compiled:
            for block in self.model.blocks:
                block.compile()
        self.about = {"parameters": models.n_parameters(self.model), **models.paths(self.model)}

    def step(self) -> Tensor:
        """Train on one batch."""
        loss = train.accumulate(self.model, self.next_rows(), 1, self.dtype)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss


class PlainLoop(_Loop):
    """A loop in the manner of nanoGPT over the library's model; `compiled` compiles the whole model, as it does."""

    def __init__(self, compiled: bool, **shape: Any) -> None:
        super().__init__(**shape)
        self.model = _library_model(self.config).to(self.device).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, betas=(0.9, 0.95), fused=True)
        self.forward = torch.compile(self.model) if compiled else self.model
        self.about = {"parameters": models.n_parameters(self.model), "class": type(self.model).__name__}

    def step(self) -> Tensor:
        """Train on one batch."""
        rows = self.next_rows()
        with self.autocast():
            logits = self.forward(rows[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()


class Trainer(_Loop):
    """`transformers.Trainer` with its defaults but no saving; it shifts the labels itself."""

    def __init__(self, compiled: bool, **shape: Any) -> None:
        super().__init__(**shape)
        with contextlib.redirect_stderr(None):
            import accelerate  # noqa: F401  (Trainer needs it, and says so only when it is built)
        import transformers

        transformers.logging.set_verbosity_error()
        self.compiled = compiled
        self.model = _library_model(self.config).train()
        self.model.config.use_cache = False
        self.dataset = [
            {"input_ids": ids, "labels": ids} for ids in self.rows[:, :, :-1].cpu().flatten(0, 1)
        ]  # it pins them
        self.about = {"parameters": models.n_parameters(self.model), "class": type(self.model).__name__}

    def steps(self, n: int) -> float:
        """Train for `n` steps; return their seconds."""
        import transformers

        with tempfile.TemporaryDirectory() as folder:
            settings = transformers.TrainingArguments(
                output_dir=folder,
                max_steps=n,
                per_device_train_batch_size=self.batch,
                bf16=self.dtype == torch.bfloat16,
                use_cpu=self.device.type == "cpu",
                torch_compile=self.compiled,
                optim="adamw_torch_fused",
                learning_rate=1e-3,
                max_grad_norm=CLIP_NORM,
                logging_strategy="no",
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
            )
            clock = self._clock()
            data: Any = self.dataset
            transformers.Trainer(model=self.model, args=settings, train_dataset=data, callbacks=[clock]).train()
            return float(clock.seconds)

    def _clock(self) -> Any:
        """A callback that leaves out what Trainer does once, before its first step and after its last."""
        import transformers

        wait = self.wait

        class Clock(transformers.TrainerCallback):
            began = seconds = 0.0

            def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
                self.began = self.began or time.perf_counter()

            def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
                wait()
                self.seconds = time.perf_counter() - self.began

        return Clock()


KINDS = {"ours": OurTrainer, "loop": PlainLoop, "trainer": Trainer}


def make(kind: str, scan: str = "default", **settings: Any) -> _Loop:
    """The worker's object; `scan` "mambapy" demands that package of the library's Mamba."""
    if scan == "mambapy":
        from transformers.utils.import_utils import is_mambapy_available

        if not is_mambapy_available():
            raise Absent("the package mambapy is not installed")
    return KINDS[kind](**settings)


def _library_model(config: Config) -> Any:
    """The library's class with our shape; Mamba-2 in the chunk size of the configuration, Mamba with mambapy's scan."""
    import transformers

    from symbolic.models.stored import model_folder

    settings = model_folder.library_config(config.model)
    family = settings.pop("model_type")
    settings.pop("architectures")
    if family == "mamba":
        settings["use_mambapy"] = True  # taken where it is installed, else the loop over positions
    made = transformers.AutoConfig.for_model(family, **settings)
    return transformers.AutoModelForCausalLM.from_config(made)
