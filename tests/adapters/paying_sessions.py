"""Sessions of MCP over an HTTP client that pays, on each of the transports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import ClientSession
from mcp.client.sse import sse_client

from x402_client import Buyer
from x402_client.httpx2 import wrap as wrap_http

from .mcp_sessions import over_http


@asynccontextmanager
async def paying_session(transport: str, url: str, buyer: Buyer) -> AsyncIterator[ClientSession]:
    """Connect a session that is not wrapped. ``transport``: ``sse``, or the path of a streamable endpoint."""

    def client(**settings: Any) -> httpx2.AsyncClient:
        return wrap_http(httpx2.AsyncClient(**settings), buyer)

    if transport == "sse":
        async with (
            sse_client(f"{url}/sse", httpx_client_factory=client) as (read, write),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            yield session
    else:
        async with client() as http_client, over_http(f"{url}/{transport}", http_client) as session:
            yield session
