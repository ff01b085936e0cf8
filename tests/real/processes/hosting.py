"""A host without code of ours: it starts ``x402 mcp`` or another server by stdio, calls tools, and answers forms.

It runs by mcp 1.x and by mcp 2.x. ``protocol`` is "handshake", or for mcp 2.x "modern". The orders come on stdin.
"""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp import ClientSession, StdioServerParameters, stdio_client, types


class User:
    """The user of the host, who answers forms in one way: "yes", "unticked", "decline", "cancel" or "silence"."""

    def __init__(self, says: str) -> None:
        self.says = says
        self.asked: list[dict[str, Any]] = []

    async def __call__(self, context: Any, asked: Any) -> Any:
        self.asked.append(asked.model_dump(mode="json", by_alias=True, exclude_none=True))
        if self.says == "silence":
            await anyio.sleep_forever()
        if self.says in ("yes", "unticked"):
            return types.ElicitResult(action="accept", content={"pay": self.says == "yes"})
        return types.ElicitResult(action=self.says)


@asynccontextmanager
async def connected(orders: dict[str, Any], user: User | None) -> Any:
    command, *arguments = orders["command"]
    program = StdioServerParameters(command=command, args=arguments, env=orders["env"])
    forms = {} if user is None else {"elicitation_callback": user}
    if orders.get("protocol") == "modern":
        from mcp import Client

        async with Client(program, mode="2026-07-28", **forms) as client:
            yield client
    else:
        async with stdio_client(program) as (read, write), ClientSession(read, write, **forms) as session:
            await session.initialize()
            yield session


async def host(orders: dict[str, Any]) -> dict[str, Any]:
    """Make the calls. Return the tools, the results, the forms and the notes of progress."""
    user = User(orders["user"]) if orders.get("user") else None
    notes: list[str] = []
    done: list[dict[str, Any]] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        notes.append(message or "")

    async with connected(orders, user) as session:
        listed = await session.list_tools()
        for tool, arguments in orders["calls"]:
            result = await session.call_tool(tool, arguments, progress_callback=heard)
            told = result.model_dump(mode="json", by_alias=True)
            text = json.loads(told["content"][0]["text"])
            assert told["structuredContent"] == text
            assert told["isError"] is not text["ok"]
            done.append(text)
    tools = {tool.name: tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed.tools}
    return {"tools": tools, "done": done, "asked": user.asked if user else [], "notes": notes}


async def main() -> None:
    print(json.dumps(await host(json.loads(sys.stdin.read()))))


if __name__ == "__main__":
    anyio.run(main)
