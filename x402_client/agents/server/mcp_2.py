"""The server by mcp 2.x. From protocol 2026-07-28 on a question ends a call, and the answer comes with the next."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

from .host import shows_forms
from .tool_calls import INSTRUCTIONS, Asked, Reply, ToolCalls

#: The first protocol without a way back to the host in the middle of a call.
_ASKS_BETWEEN = "2026-07-28"
_QUESTION = "approval"


def server_of(calls: ToolCalls, version: str) -> Any:
    """Return the server of some tools."""
    types: Any = import_module("mcp.types")

    async def listed(context: Any, asked: Any) -> Any:
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=one.name, title=one.title, description=one.description, inputSchema=one.schema,
                    annotations=types.ToolAnnotations(title=one.title, **one.hints),
                )
                for one in calls.listed()
            ]
        )  # fmt: skip

    async def called(context: Any, asked: Any) -> Any:
        found = await calls.call(asked.name, asked.arguments or {}, _Host(context), _reply(asked))
        if isinstance(found, Asked):
            form = types.ElicitRequestFormParams(message=found.question.text, requested_schema=found.question.schema)
            return types.InputRequiredResult(
                input_requests={_QUESTION: types.ElicitRequest(params=form)}, request_state=found.ticket
            )
        return types.CallToolResult(
            content=[types.TextContent(text=json.dumps(found, ensure_ascii=False))],
            structured_content=found, is_error=not found["ok"],
        )  # fmt: skip

    server: Any = import_module("mcp.server.lowlevel").Server
    return server(
        "x402", version=version, title="x402", instructions=INSTRUCTIONS, on_list_tools=listed, on_call_tool=called
    )


def _reply(asked: Any) -> Reply | None:
    """Return the answer that came with a call, if there is one."""
    ticket = getattr(asked, "request_state", None)
    if ticket is None:
        return None
    answer = (getattr(asked, "input_responses", None) or {}).get(_QUESTION)
    return Reply(ticket, getattr(answer, "action", None), getattr(answer, "content", None))


class _Host:
    """The host of one call."""

    def __init__(self, context: Any) -> None:
        self._session, self._id = context.session, context.request_id
        self.can_ask = shows_forms(self._session.client_capabilities)
        self.asks_between = context.protocol_version >= _ASKS_BETWEEN

    async def progress(self, number: int, message: str) -> None:
        """Tell how the call goes, if the host wants to hear it."""
        await self._session.report_progress(number, message=message)

    async def ask(self, text: str, schema: dict[str, Any]) -> tuple[Any, Any]:
        """Show a form to the user."""
        found = await self._session.elicit_form(text, schema, self._id)
        return found.action, found.content
