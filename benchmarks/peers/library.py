"""`transformers`' own `generate`, with the dynamic or the static cache."""

from typing import Any

import torch
import transformers

from benchmarks.peers import Absent

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Library:
    """`cache` is dynamic, static, or compiled (static, with the forward pass compiled)."""

    def __init__(self, folder: str, threads: int, precision: str, cache: str) -> None:
        torch.set_num_threads(threads)
        transformers.logging.set_verbosity_error()
        self.model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=DTYPES[precision]).eval()
        if cache != "dynamic" and self.model.config.model_type != "gpt2":
            raise Absent(f"{type(self.model).__name__} has no key-value cache to make static")
        if cache == "compiled":
            self.model.forward = torch.compile(self.model.forward)
        self.cache = {} if cache == "dynamic" else {"cache_implementation": "static"}
        self.model.generation_config = transformers.GenerationConfig(pad_token_id=0, bos_token_id=1)
        self.about = {"path": f"generate, {cache} cache", "attention": self.model.config._attn_implementation}

    @torch.inference_mode()
    def generate(self, prompts: list[list[int]], n: int) -> list[list[int]]:
        """n new tokens after each prompt, greedily, end of tune or not."""
        tokens = torch.tensor(prompts)
        settings = {"do_sample": False, "max_new_tokens": n, "eos_token_id": None, **self.cache}
        made = self.model.generate(tokens, attention_mask=torch.ones_like(tokens), **settings)
        return list(made[:, tokens.shape[1] :].tolist())

    @torch.inference_mode()
    def logits(self, prompts: list[list[int]]) -> list[list[float]]:
        """Scores after the last token of each prompt."""
        return list(self.model(torch.tensor(prompts)).logits[:, -1].float().tolist())


def make(**settings: Any) -> Library:
    """The worker's object."""
    return Library(**settings)
