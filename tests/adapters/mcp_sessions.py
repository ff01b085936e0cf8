"""Sessions of mcp over each of its transports, connected to a shop."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter

from .mcp_shop import DIALECTS, LOST, Shop, Web

#: What ``wrap`` is told of a server without an address.
NAME = "reports"


@asynccontextmanager
async def over_memory(shop: Shop, **settings: Any) -> AsyncIterator[ClientSession]:
    """Connect to a shop in this process: nothing of mcp's but the session."""
    to_server, at_server = anyio.create_memory_object_stream[SessionMessage](0)
    to_client, at_client = anyio.create_memory_object_stream[SessionMessage | Exception](0)

    async def answer(message: Any) -> None:
        found = await anyio.to_thread.run_sync(shop.answer, message.model_dump(by_alias=True, exclude_unset=True))
        if found is not None and found is not LOST:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the client is gone
                await to_client.send(SessionMessage(jsonrpc_message_adapter.validate_python(found, by_name=False)))

    async def serve() -> None:
        async with anyio.create_task_group() as answers:
            async for one in at_server:
                answers.start_soon(answer, one.message)

    async with to_server, at_server, to_client, at_client, anyio.create_task_group() as serving:
        serving.start_soon(serve)
        async with ClientSession(at_client, to_server, **settings) as session:
            await session.initialize()
            yield session
        serving.cancel_scope.cancel()


@asynccontextmanager
async def over_http(url: str, http_client: Any = None, **settings: Any) -> AsyncIterator[ClientSession]:
    """Connect by streamable HTTP."""
    async with (
        streamable_http_client(url, http_client=http_client) as (read, write),
        ClientSession(read, write, **settings) as session,
    ):
        await session.initialize()
        yield session


@asynccontextmanager
async def over_sse(url: str) -> AsyncIterator[ClientSession]:
    """Connect by the old transport."""
    async with sse_client(url) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield session


@asynccontextmanager
async def over_stdio(url: str, dialect: str) -> AsyncIterator[ClientSession]:
    """Connect to a shop that is a program of its own."""
    root = str(Path(__file__).parents[2])
    program = StdioServerParameters(
        command=sys.executable,
        args=["-m", "tests.adapters.mcp_shop", url, dialect],
        env={"PYTHONPATH": root, "PATH": os.environ["PATH"]},
    )
    async with stdio_client(program) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield session


@asynccontextmanager
async def connected(transport: str, shop: Shop, dialect: str) -> AsyncIterator[ClientSession]:
    """Connect over a transport, by its name."""
    if transport == "memory":
        async with over_memory(shop) as session:
            yield session
    elif transport == "stdio":
        async with over_stdio(shop.url, dialect) as session:
            yield session
    else:
        with Web(shop) as web:
            opened = over_sse(f"{web.url}/sse") if transport == "sse" else over_http(f"{web.url}/{transport}")
            async with opened as session:
                yield session


__all__ = ["DIALECTS", "NAME", "connected", "over_http", "over_memory", "over_sse", "over_stdio"]
