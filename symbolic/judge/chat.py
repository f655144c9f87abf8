"""Chat models: one that `transformers` runs here, or one behind an OpenAI-compatible address.

    judge = Endpoint("https://api.example.org/v1", "a-model", key=os.environ["OPENAI_API_KEY"])
    judge.reply(messages, seed=1).text

An address gets POST ADDRESS/chat/completions. Busy and failing servers (408, 429, 5xx), connections that break, answers
that are not of the protocol and those that take longer than `seconds` are tried again, TRIES times in all, after waits
that double, or as long as Retry-After says (at most MOST_WAIT). What a server refuses for good (401, 404...) is a
UserError. The key is sent to that address only: redirections are not followed, and over plain http only this machine
gets it. It is never written anywhere, and struck out of what a server says.
"""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import Any, NamedTuple

from symbolic.errors import UserError

TRIES = 5
FIRST_WAIT, MOST_WAIT = 1.0, 60.0  # seconds
MOST_BYTES = 2**20  # of an answer
AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
CHARACTERS_A_TOKEN = 2.5  # of ABC, for estimates
Messages = Sequence[Mapping[str, str]]


class Reply(NamedTuple):
    """A model's answer. Token counts are the model's own, 0 where it reports none."""

    text: str
    prompt_tokens: int = 0
    answer_tokens: int = 0


class ChatError(Exception):
    """No answer could be had this time; a later try may succeed."""


@dataclass(frozen=True)
class Endpoint:
    """A chat model behind an OpenAI-compatible address. `wait` sleeps between tries (tests replace it)."""

    address: str
    model: str
    key: str = field(default="", repr=False)
    temperature: float = 0.7
    max_tokens: int = 200
    seconds: float = 60.0
    wait: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"--endpoint {self.address!r} is no address; write for example http://localhost:8000/v1.")
        if parts.username or parts.password:
            raise UserError("--endpoint: a key does not belong in the address; put it into the environment.")
        if self.key and parts.scheme == "http" and parts.hostname not in LOCAL_HOSTS:
            raise UserError(
                f"--endpoint {self.address}: the key would go over plain http; use https, or unset the key."
            )

    @property
    def identity(self) -> dict[str, Any]:
        """Return the settings that an answer depends on, without the key."""
        return {
            "endpoint": self.address.rstrip("/"),
            "model": self.model,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }

    def reply(self, messages: Messages, seed: int) -> Reply:
        """Ask for an answer.

        Raises ChatError when TRIES requests failed, UserError when the server refuses for good.
        """
        said = ""
        for number in range(TRIES):
            pause = min(FIRST_WAIT * 2**number, MOST_WAIT)
            try:
                return self._ask(messages, seed)
            except urllib.error.HTTPError as error:
                said = f"{error.code} {self._clean(error.reason)}"
                if error.code not in AGAIN:
                    raise UserError(self._refused(error)) from None
                pause = _retry_after(error.headers.get("Retry-After", ""), pause)
            except (OSError, HTTPException, ChatError) as error:  # OSError holds URLError and time-outs
                said = self._clean(error)
            if number < TRIES - 1:
                self.wait(pause)
        raise ChatError(f"no answer from {self.address} after {TRIES} tries: {said}")

    def _ask(self, messages: Messages, seed: int) -> Reply:
        body = {"model": self.model, "messages": [dict(one) for one in messages], "seed": seed}
        body |= {"temperature": self.temperature, "max_tokens": self.max_tokens}
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        headers |= {"Authorization": f"Bearer {self.key}"} if self.key else {}
        request = urllib.request.Request(
            self.address.rstrip("/") + "/chat/completions", json.dumps(body).encode(), headers, method="POST"
        )
        began = time.monotonic()
        with urllib.request.build_opener(_NoRedirection).open(request, timeout=self.seconds) as response:
            data = _read(response, began + self.seconds)
        return _reply(data)

    def _refused(self, error: urllib.error.HTTPError) -> str:
        """Word a refusal for good: what to do about it, preferring the server's own words to its status number."""
        try:
            said = self._clean(error.read(2000).decode("utf-8", "replace"))
        except (OSError, HTTPException):
            said = ""
        hint = {401: " Is the key right?", 403: " Is the key right?", 404: " Are address and model right?"}.get(
            error.code, ""
        )
        return (
            f"{self.address} refused the request ({error.code} {self._clean(error.reason)}).{hint} {said[:300]}".strip()
        )

    def _clean(self, value: object) -> str:
        """Put what a server said on one line, with the key struck out."""
        text = " ".join(str(value).split())
        return text.replace(self.key, "***") if self.key else text


class Local:
    """A chat model run by `transformers`: a folder, or a name on the Hugging Face hub.

    Only safetensors are loaded, and no code of the model's repository is run. A model whose tokenizer has no chat
    template is prompted as ChatMusician was trained: "Human: ... </s> Assistant: ".
    """

    def __init__(self, name: str, *, device: str = "auto", temperature: float = 0.7, max_tokens: int = 200) -> None:
        import transformers

        from symbolic import machine

        self.name, self.temperature, self.max_tokens = name, temperature, max_tokens
        self.device = machine.pick_device(device)
        try:
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                name, use_safetensors=True, trust_remote_code=False, dtype="auto"
            )
        except (OSError, ValueError) as error:
            raise UserError(f"--model {name}: no chat model can be loaded ({str(error).splitlines()[0]}).") from error
        self.model: Any = model.eval()
        self.model.to(self.device)

    @property
    def identity(self) -> dict[str, Any]:
        """Return the settings that an answer depends on."""
        return {"model": self.name, "temperature": self.temperature, "max_tokens": self.max_tokens}

    def reply(self, messages: Messages, seed: int) -> Reply:
        """Generate an answer; the same seed gives the same answer."""
        import torch

        encoded = self.tokenizer(self._prompt(messages), return_tensors="pt", add_special_tokens=False).to(self.device)
        n_prompt = int(encoded["input_ids"].shape[1])
        longest = getattr(self.model.config, "max_position_embeddings", None)
        if longest and n_prompt + self.max_tokens > longest:
            raise ChatError(f"the prompt has {n_prompt} tokens; {self.name} reads {longest} with the answer.")
        drawn = {"do_sample": True, "temperature": self.temperature} if self.temperature > 0 else {"do_sample": False}
        pad = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else self.tokenizer.eos_token_id
        torch.manual_seed(seed)
        with torch.inference_mode():
            ids = self.model.generate(**encoded, max_new_tokens=self.max_tokens, pad_token_id=pad, **drawn)[0]
        text = self.tokenizer.decode(ids[n_prompt:], skip_special_tokens=True)
        return Reply(str(text), n_prompt, len(ids) - n_prompt)

    def _prompt(self, messages: Messages) -> str:
        if getattr(self.tokenizer, "chat_template", None):
            return str(
                self.tokenizer.apply_chat_template(
                    [dict(one) for one in messages], tokenize=False, add_generation_prompt=True
                )
            )
        text = "\n\n".join(one["content"] for one in messages)
        return f"{self.tokenizer.bos_token or ''}Human: {text} {self.tokenizer.eos_token or '</s>'} Assistant: "


def estimated_tokens(messages: Messages) -> int:
    """Estimate the number of tokens of a prompt from its characters."""
    return round(sum(len(one["content"]) for one in messages) / CHARACTERS_A_TOKEN)


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Refuse to follow a redirect, since another address would get the key: its 3xx becomes an HTTPError."""
        return None


def _read(response: HTTPResponse, deadline: float) -> bytes:
    """Read the body within the deadline: a socket's own time-out starts again with every byte."""
    data = b""
    while part := response.read1(65536):
        data += part
        if len(data) > MOST_BYTES:
            raise ChatError(f"the answer has over {MOST_BYTES:,} bytes")
        if time.monotonic() > deadline:
            raise ChatError("the answer took too long")
    return data


def _reply(data: bytes) -> Reply:
    try:
        value = json.loads(data)
        text = value["choices"][0]["message"]["content"]
        usage = value.get("usage") or {}
        counts = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise ChatError(f"an answer that is not of the protocol: {data[:80]!r}") from error
    if not isinstance(text, str):
        raise ChatError("an answer without content")
    return Reply(text, *counts)


def _retry_after(value: str, otherwise: float) -> float:
    return min(float(value), MOST_WAIT) if value.strip().isdigit() else otherwise
