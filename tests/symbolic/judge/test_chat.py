"""An endpoint against a local server that speaks the protocol and misbehaves; a local model that is tiny and random."""

import time
from pathlib import Path
from typing import Any

import pytest

from symbolic.errors import UserError
from symbolic.judge import chat
from symbolic.judge.chat import ChatError, Endpoint, Local

from .conftest import Handler, Server, answer, said

KEY = "sk-secret-0123"
MESSAGES = [{"role": "system", "content": "S"}, {"role": "user", "content": "Judge this."}]


def drip(handler: Handler, request: Any) -> None:
    """A byte now and then, for ever: no single wait is long."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b" ")
        time.sleep(0.05)


def hang_up(handler: Handler, request: Any) -> None:
    handler.close_connection = True


def endpoint(server: Server, waits: list[float] | None = None, seconds: float = 60.0) -> Endpoint:
    kept = [] if waits is None else waits
    return Endpoint(server.address, "a-model", KEY, 0.5, 33, seconds, kept.append)


def test_the_protocol(server: Server) -> None:
    server.behave = [answer(said("hello"))]
    assert endpoint(server).reply(MESSAGES, seed=7) == ("hello", 11, 3)
    headers, body = server.requests[0]
    assert headers["path"] == "/v1/chat/completions" and headers["Authorization"] == f"Bearer {KEY}"
    assert body == {"model": "a-model", "messages": MESSAGES, "seed": 7, "temperature": 0.5, "max_tokens": 33}


def test_rate_limits_and_failures_are_waited_out(server: Server) -> None:
    server.behave = [answer(b"slow down", 429, Retry_After="7"), answer(b"oops", 500), hang_up, answer(said("at last"))]
    waits: list[float] = []
    assert endpoint(server, waits).reply(MESSAGES, 0).text == "at last"
    assert waits == [7.0, 2.0, 4.0]


def test_a_server_that_stays_busy_is_given_up(server: Server) -> None:
    server.behave = [answer(b"busy", 503, Retry_After="9999")]
    waits: list[float] = []
    with pytest.raises(ChatError, match="after 5 tries: 503"):
        endpoint(server, waits).reply(MESSAGES, 0)
    assert len(server.requests) == chat.TRIES and waits == [chat.MOST_WAIT] * (chat.TRIES - 1)


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"<html>gateway</html>",
            b"{}",
            b'{"choices": []}',
            b'{"choices": [{"message": {}}]}',
            b"[]",
            b"[" * 10**5,
        ),
        *(said(None), said(5)),
        b'{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": "many"}}',
    ],
)
def test_malformed_answers_are_asked_again(server: Server, body: bytes) -> None:
    server.behave = [answer(body), answer(said("well"))]
    assert endpoint(server).reply(MESSAGES, 0).text == "well" and len(server.requests) == 2


def test_slow_and_endless_answers_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "TRIES", 2)
    server.behave = [drip]
    with pytest.raises(ChatError, match="too long"):
        endpoint(server, seconds=0.3).reply(MESSAGES, 0)
    server.behave = [answer(b" " * (chat.MOST_BYTES + 1))]
    with pytest.raises(ChatError, match="over 1,048,576 bytes"):
        endpoint(server).reply(MESSAGES, 0)


def test_a_refusal_for_good_is_not_asked_again_and_never_shows_the_key(server: Server) -> None:
    server.behave = [answer(f'{{"error": "Incorrect API key provided: {KEY}"}}'.encode(), 401)]
    with pytest.raises(UserError, match="Is the key right") as caught:
        endpoint(server).reply(MESSAGES, 0)
    assert len(server.requests) == 1 and KEY not in str(caught.value) and "***" in str(caught.value)
    assert KEY not in repr(endpoint(server))


def test_a_redirection_is_not_followed_with_the_key(server: Server, other_server: Server) -> None:
    other_server.behave = [answer(said("stolen"))]
    server.behave = [answer(b"", 302, Location=other_server.address)]
    with pytest.raises(UserError, match="302"):
        endpoint(server).reply(MESSAGES, 0)
    assert other_server.requests == []


def test_nobody_there() -> None:
    waits: list[float] = []
    with pytest.raises(ChatError, match="refused"):
        Endpoint("http://127.0.0.1:9/v1", "m", wait=waits.append).reply(MESSAGES, 0)
    assert waits == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("localhost:8000", "is no address"),
        ("file:///etc/passwd", "is no address"),
        ("http://example.org/v1", "plain http"),
        ("https://me:pw@example.org/v1", "does not belong in the address"),
    ],
)
def test_addresses_that_are_refused(address: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Endpoint(address, "m", KEY)


def test_a_local_model_speaks_through_its_chat_template(tiny: Path) -> None:
    judge = Local(str(tiny), device="cpu", max_tokens=5)
    assert judge._prompt(MESSAGES) == "[system]S[user]Judge this.[assistant]"
    first, again, other = (judge.reply(MESSAGES, seed) for seed in (1, 1, 2))
    assert first == again != other and first.answer_tokens == 5 and first.prompt_tokens == len(judge._prompt(MESSAGES))
    judge.tokenizer.chat_template = None
    assert judge._prompt(MESSAGES) == "<s>Human: S\n\nJudge this. </s> Assistant: "
    with pytest.raises(ChatError, match="reads 2048"):
        judge.reply([{"role": "user", "content": "x" * 3000}], 0)


def test_an_absent_model_has_a_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no chat model can be loaded"):
        Local(str(tmp_path))
