"""The server by mcp 1.x. A question goes out in the middle of a call."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

from .host import shows_forms
from .tool_calls import INSTRUCTIONS, Asked, ToolCalls


def server_of(calls: ToolCalls, version: str) -> Any:
    """Return the server of some tools."""
    server: Any = import_module("mcp.server.lowlevel").Server("x402", version=version, instructions=INSTRUCTIONS)
    types: Any = import_module("mcp.types")

    async def listed() -> list[Any]:
        return [
            types.Tool(
                name=one.name, title=one.title, description=one.description, inputSchema=one.schema,
                annotations=types.ToolAnnotations(title=one.title, **one.hints),
            )
            for one in calls.listed()
        ]  # fmt: skip

    async def called(name: str, arguments: dict[str, Any]) -> Any:
        found = await calls.call(name, arguments, _Host(server.request_context))
        assert not isinstance(found, Asked)  # this host answers in the middle of a call
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=json.dumps(found, ensure_ascii=False))],
            structuredContent=found, isError=not found["ok"],
        )  # fmt: skip

    server.list_tools()(listed)
    server.call_tool(validate_input=False)(called)  # our tools say what is wrong with their arguments
    return server


class _Host:
    """The host of one call."""

    asks_between = False

    def __init__(self, context: Any) -> None:
        self._session, self._id = context.session, context.request_id
        self._token = getattr(context.meta, "progressToken", None)
        client = self._session.client_params
        self.can_ask = client is not None and shows_forms(client.capabilities)

    async def progress(self, number: int, message: str) -> None:
        """Tell how the call goes, if the host wants to hear it."""
        if self._token is not None:
            await self._session.send_progress_notification(
                self._token, number, message=message, related_request_id=str(self._id)
            )

    async def ask(self, text: str, schema: dict[str, Any]) -> tuple[Any, Any]:
        """Show a form to the user."""
        found = await self._session.elicit(text, schema, related_request_id=self._id)
        return found.action, found.content
