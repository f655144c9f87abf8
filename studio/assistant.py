"""Serve the studio's verbs to an assistant: a Model Context Protocol server on standard input and output.

    python -m studio assistant [--data FOLDER]

An assistant's configuration names that command, for example {"command": "python", "args": ["-m", "studio",
"assistant"]}. There is one tool for each verb of the REST API (song, tune, fill, vary, continue, ...), with the same
bounds, and `models`. An answer has the result, the take's id and folder, and the terms of the training data. Nothing
is read or written but the library of --data, and nothing is asked of the network.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.settings import DATA, Settings
from symbolic.errors import UserError

if TYPE_CHECKING:
    from studio.server.local_studio import LocalStudio

MODELS = "models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("--data", type=Path, default=DATA, metavar="FOLDER", help="the library (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Serve until standard input ends."""
    try:
        import anyio

        from studio.server.local_studio import LocalStudio
    except ImportError as error:
        raise UserError("the studio is not installed: pip install -e .[studio]") from error
    with LocalStudio(Settings(data=args.data.expanduser().absolute()), "assistant") as studio:
        anyio.run(_serve, studio)
    return 0


def tools() -> list[dict[str, Any]]:
    """Name, description and JSON schema of each tool."""
    from studio.actions.requests import VERBS

    listed = [
        {"name": verb, "description": " ".join(str(model.__doc__).split()), "input_schema": model.model_json_schema()}
        for verb, model in VERBS.items()
    ]
    text = "The models that may be asked for, and what each can do."
    return [*listed, {"name": MODELS, "description": text, "input_schema": {"type": "object", "properties": {}}}]


def call(studio: "LocalStudio", name: str, values: dict[str, Any]) -> dict[str, Any]:
    """The answer of a tool. UserError says what is wrong with the values or what failed."""
    if name == MODELS:
        from studio.actions import models

        return {"models": models.as_json(studio.studio.models)}
    return studio.make(name, values)


async def _serve(studio: "LocalStudio") -> None:
    """Speak the protocol on standard input and output."""
    try:
        import mcp_types
        from mcp.server.lowlevel import Server
        from mcp.server.stdio import stdio_server
    except ImportError as error:
        raise UserError("the protocol's package is not installed: pip install -e .[studio-assistant]") from error
    import anyio

    async def list_tools(context: Any, params: Any) -> "mcp_types.ListToolsResult":
        return mcp_types.ListToolsResult(tools=[mcp_types.Tool(**tool) for tool in tools()])

    async def call_tool(context: Any, params: "mcp_types.CallToolRequestParams") -> "mcp_types.CallToolResult":
        try:
            made = await anyio.to_thread.run_sync(call, studio, params.name, params.arguments or {})
        except UserError as error:
            fault = mcp_types.TextContent(type="text", text=str(error))
            return mcp_types.CallToolResult(content=[fault], is_error=True)
        text = mcp_types.TextContent(type="text", text=json.dumps(made, ensure_ascii=False))
        return mcp_types.CallToolResult(content=[text], structured_content=made)

    server: Any = Server("abc-symbolic-studio", version="1", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
