"""This project's decoding engine, with the PyTorch step or the native one."""

from typing import Any

import torch

from benchmarks.peers import Absent
from symbolic import models
from symbolic.decode.engine import engine, native_step
from symbolic.decode.engine.sampling import Sampling
from symbolic.errors import UserError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class OurDecoder:
    """`step` is torch or native; `precision` float32, bfloat16 or (native) int8. The native step holds float32 weights
    in 16 bits where that changes none of them; `held` "float32" keeps it from that, by a change of a millionth."""

    def __init__(self, folder: str, threads: int, precision: str, step: str, held: str = "") -> None:
        torch.set_num_threads(threads)
        self.dtype = DTYPES.get(precision, torch.float32)  # of a state of the torch step
        if step == "torch":
            self.model: Any = models.load(folder, "cpu", DTYPES[precision])[0]
            self.about = {"path": "torch", **models.paths(self.model)}
        else:
            try:
                loaded = models.load(folder, "cpu", torch.float32)[0]
                if held == "float32":
                    with torch.no_grad():
                        for weight in loaded.parameters():
                            weight.mul_(1 + 2**-20)
                self.model = native_step.NativeModel(loaded, weights=precision, threads=threads)
            except UserError as error:
                raise Absent(str(error)) from error
            self.about = {"path": self.model.step_name}

    def generate(self, prompts: list[list[int]], n: int) -> list[list[int]]:
        """n new tokens after each prompt, greedily, end of tune or not."""
        tunes = engine.generate(
            self.model,
            prompts,
            max_new_tokens=n,
            n_tokens=self.model.config.vocab_size,
            eos=None,
            sampling=Sampling(temperature=0),
            batch_size=len(prompts),
        )
        return [tune.tokens for tune in tunes]

    @torch.inference_mode()
    def logits(self, prompts: list[list[int]]) -> list[list[float]]:
        """Scores after the last token of each prompt (equally long)."""
        tokens = torch.tensor(prompts)
        state = self.model.new_state(len(prompts), tokens.shape[1], self.dtype, "cpu")
        lengths = torch.full((len(prompts),), tokens.shape[1])
        return list(self.model.prefill(tokens, lengths, state).float().tolist())


def make(**settings: Any) -> OurDecoder:
    """The worker's object."""
    return OurDecoder(**settings)
