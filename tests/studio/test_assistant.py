"""The tools of the assistant's server: the closed list of verbs, over the protocol and by function."""

import json
import sys
from pathlib import Path

import pytest

from studio import assistant
from studio.actions.requests import VERBS
from studio.server.local_studio import LocalStudio
from symbolic.errors import UserError

TUNE = "X:1\nT:t\nM:6/8\nL:1/8\nK:D\n|:A|d2f e2d|cBA B2c|d2f e2d|c2A A2:|\n"


def test_one_tool_for_each_verb() -> None:
    tools = {tool["name"]: tool for tool in assistant.tools()}
    assert set(tools) == {*VERBS, "models"}
    assert tools["fill"]["input_schema"]["required"] == ["abc", "bars"]
    assert tools["fill"]["input_schema"]["additionalProperties"] is False
    assert all(tool["description"] for tool in tools.values())


def test_a_call_makes_a_take(local_studio: LocalStudio) -> None:
    made = assistant.call(local_studio, "transpose", {"abc": TUNE, "semitones": 2})
    assert "K:E" in made["result"]["tunes"][0]["abc"]
    assert Path(made["folder"], "tune.mid").is_file()
    names = {entry["name"] for entry in assistant.call(local_studio, "models", {})["models"]}
    assert "gpt2-6m" in names


@pytest.mark.parametrize(
    ("name", "values", "place"),
    [
        ("transpose", {"abc": TUNE}, "semitones"), ("fill", {"abc": TUNE, "bars": "3", "path": "/etc"}, "path"),
        ("shell", {}, "no verb"), ("transpose", {"abc": TUNE, "semitones": "2"}, "semitones"),
        ("fill", {"abc": TUNE, "bars": "99"}, "99"), ("transpose", {"abc": "nothing", "semitones": 1}, "X:"),
    ],
)  # fmt: skip
def test_mistakes_are_named(local_studio: LocalStudio, name: str, values: dict[str, object], place: str) -> None:
    with pytest.raises(UserError, match=place):
        assistant.call(local_studio, name, values)


@pytest.mark.slow
def test_the_protocol_over_standard_input_and_output(tmp_path: Path) -> None:
    pytest.importorskip("mcp", reason="the extra `studio-assistant` is not installed")
    import anyio
    from mcp.client.session import ClientSession
    from mcp.client.stdio import StdioServerParameters, stdio_client

    async def talk() -> None:
        words = ["-m", "studio", "assistant", "--data", str(tmp_path / "data")]
        server = StdioServerParameters(command=sys.executable, args=words)
        async with stdio_client(server) as streams, ClientSession(*streams) as session:
            await session.initialize()
            listed = await session.list_tools()
            assert {tool.name for tool in listed.tools} == {*VERBS, "models"}
            made = await session.call_tool("harmonise", {"abc": TUNE})
            assert not made.is_error
            assert '"D"' in json.loads(made.content[0].text)["result"]["tunes"][0]["abc"]
            wrong = await session.call_tool("harmonise", {"abc": "nothing"})
            assert wrong.is_error and "X:" in wrong.content[0].text

    anyio.run(talk)
