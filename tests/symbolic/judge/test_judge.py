"""The verb: good and bad judges told apart, answers kept, costs told before they arise."""

import argparse
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from symbolic.errors import UsageError, UserError
from symbolic.evaluate.tune_features import observe
from symbolic.files import write_jsonl
from symbolic.judge import chat, judge

from .conftest import Behaviour, Handler, Server, answer, said

N = 6  # tunes of each kind
N_SCORES, N_PAIRS = 3 * N * 2, 2 * N  # requests: three sets in two runs, pairs in two orders


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, real_tunes: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("data")
    some = random.Random(0).sample([text for text in real_tunes if 150 < len(text) < 600], 60)
    rows = [{"id": f"t{i}", "title": f"Tune {i}", "text": text} for i, text in enumerate(some)]
    write_jsonl(folder / "tunes" / "train.jsonl", rows[:40])
    write_jsonl(folder / "tunes" / "test.jsonl", rows[40:])
    write_jsonl(folder / "mine.jsonl", rows[:N])
    return folder


def run(data: Path, output: Path, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    judge.add_arguments(parser)
    fixed = [str(data / "mine.jsonl"), "--against", str(data), "-o", str(output), "--runs", "2", "-n", str(N)]
    return judge.run(parser.parse_args([*fixed, "--calibration", str(N), *arguments]))


def by_address(server: Server) -> list[str]:
    return ["--endpoint", server.address, "--model", "a-model"]


def merit(abc: str) -> float:
    """What a musician would say first: do the bars add up, does the melody keep to its key?"""
    seen = observe(abc)
    return (
        (seen.check.n_full / max(1, seen.check.n_bars) + max(0.0, seen.values["key_fit"])) if seen.check.parses else 0
    )


def musician(handler: Handler, request: Any) -> None:
    prompt = request["messages"][1]["content"]
    tunes = [f"X:1{part}" for part in re.split(r"^X:1", prompt, flags=re.MULTILINE)[1:]]
    tunes = [re.split(r"\n\n", tune)[0] + "\n" for tune in tunes]
    if len(tunes) == 2:
        handler.send(said(json.dumps({"better": "first" if merit(tunes[0]) > merit(tunes[1]) else "second"})))
    else:
        score = round(1 + 9 * merit(tunes[0]) / 2)
        handler.send(said(json.dumps({"melody": score, "rhythm": score, "form": score, "overall": score})))


def always(score: str, choice: str) -> Behaviour:
    def send(handler: Handler, request: Any) -> None:
        is_pair = "Second tune" in request["messages"][1]["content"]
        handler.send(said(choice if is_pair else score))

    return send


PRAISE = '{"melody": 9, "rhythm": 9, "form": 9, "overall": 9}'


def result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "judge.json").read_text(encoding="utf-8"))
    return found


def test_a_judge_that_hears_passes(
    data: Path, tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.behave = [musician]
    assert run(data, tmp_path / "out", *by_address(server)) == 0
    found = result(tmp_path / "out")
    assert found["usable"] and found["answers"] == N_SCORES + N_PAIRS == len(server.requests)
    assert found["scores"]["human"]["overall"]["mean"] > found["scores"]["damaged"]["overall"]["mean"] + 2
    assert len(found["scores"]["tunes"]["overall"]["tunes"]) == N == len(found["tunes"])
    assert "a-model as a judge: usable" in capsys.readouterr().out
    prompts = [body["messages"][1]["content"] for _, body in server.requests]
    assert not any("T:" in prompt or "%" in prompt for prompt in prompts)  # nothing tells where a tune is from


def test_a_judge_that_praises_everything_is_not_usable(data: Path, tmp_path: Path, server: Server) -> None:
    server.behave = [always(PRAISE, '{"better": "first"}')]
    assert run(data, tmp_path / "out", *by_address(server)) == 1
    found = result(tmp_path / "out")
    assert not found["usable"]
    assert [one["name"] for one in found["calibration"] if one["passes"]] == ["answers that can be read"]
    assert "NOT USABLE" in (tmp_path / "out" / "judge.md").read_text(encoding="utf-8")


def test_a_judge_that_refuses_is_not_usable(data: Path, tmp_path: Path, server: Server) -> None:
    server.behave = [always("I'm sorry, I can't help with that.", "Both are lovely!")]
    assert run(data, tmp_path / "out", *by_address(server)) == 1
    found = result(tmp_path / "out")
    assert not found["usable"] and "not one JSON object" in found["unreadable"][0]
    assert found["calibration"][0]["value"] == 0.0


def test_what_was_answered_is_not_asked_again(
    data: Path, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("A_KEY", "sk-hidden")
    output, words = tmp_path / "out", [*by_address(server), "--key-variable", "A_KEY", "--parallel", "1"]
    server.behave = [musician] * 10 + [answer(b"no more credit for sk-hidden", 402)]
    with pytest.raises(UserError, match="402") as caught:
        run(data, output, *words)
    assert "sk-hidden" not in str(caught.value) and len((output / "answers.jsonl").read_text().splitlines()) == 10
    with open(output / "answers.jsonl", "a", encoding="utf-8") as file:
        file.write('{"request": "cut sho')
    server.behave = [musician]
    server.requests.clear()
    assert run(data, output, *words) == 0
    assert len(server.requests) == N_SCORES + N_PAIRS - 10
    assert run(data, output, *words) == 0 and len(server.requests) == N_SCORES + N_PAIRS - 10
    written = "".join(path.read_text(encoding="utf-8") for path in output.iterdir())
    assert "sk-hidden" not in written + capsys.readouterr().err
    assert run(data, output, *words, "--temperature", "0") == 0  # another judge
    assert len(server.requests) == 2 * (N_SCORES + N_PAIRS) - 10


def test_a_dry_run_asks_nothing(data: Path, tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data, tmp_path / "out", *by_address(server), "--dry-run", "--price", "2.5", "10") == 0
    said_ = capsys.readouterr().err
    assert (
        f"{N_SCORES + N_PAIRS} requests, {N_SCORES + N_PAIRS} of them to ask: about" in said_ and "of --price" in said_
    )
    assert server.requests == [] and not (tmp_path / "out").exists()


def test_a_server_that_fails_now_and_then_costs_only_its_answers(
    data: Path, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chat, "TRIES", 1)
    server.behave = [answer(b"busy", 503)] * 3 + [musician]
    run(data, tmp_path / "out", *by_address(server))
    assert len(result(tmp_path / "out")["without_answer"]) == 3
    assert "3 of 48 requests had no answer" in capsys.readouterr().err
    server.behave = [answer(b"busy", 503)]
    with pytest.raises(UserError, match="gave no answer"):
        run(data, tmp_path / "other", *by_address(server))


def test_a_local_model_that_babbles_is_not_usable(data: Path, tmp_path: Path, tiny: Path) -> None:
    words = ["--model", str(tiny), "--device", "cpu", "--max-tokens", "4"]
    assert run(data, tmp_path / "out", *words, "-n", "1", "--calibration", "3") == 1
    found = result(tmp_path / "out")
    assert not found["usable"] and found["answers"] == 2 * 7 + 6


def test_wrong_use_has_a_message(data: Path, tmp_path: Path) -> None:
    for words, message in (
        ([], "name the judge"),
        (["--endpoint", "http://localhost/v1"], "name the judge"),
        (["--model", "x", "--calibration", "1"], "the least is 3"),
        (["--model", "x", "--temperature", "3"], "from 0 to 2"),
    ):
        with pytest.raises(UsageError, match=message):
            run(data, tmp_path / "out", *words)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "other.txt").touch()
    with pytest.raises(UsageError, match="holds other files"):
        run(data, tmp_path / "full", "--model", "x")
    with pytest.raises(UserError, match="rubric"):
        run(data, tmp_path / "out", "--model", "x", "--rubric", "absent")
