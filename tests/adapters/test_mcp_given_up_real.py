"""The same with a server of mcp's own, behind a layer that asks by HTTP 402, as middlewares for x402 do."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
import uvicorn
from mcp import ClientSession
from mcp.client.sse import sse_client
from mcp.server.mcpserver import MCPServer

from x402_client import Policy
from x402_client.httpx2 import wrap as wrap_http
from x402_client.mcp import wrap
from x402_client.sandbox import Sandbox

from .mcp_sessions import over_http
from .mcp_shop import fetch

pytestmark = pytest.mark.anyio
BERN = {"city": "Bern"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class AsksByHttp:
    """The layer. It settles with the sandbox, and stands still with the first payment in its hands."""

    def __init__(self, app: Any, sandbox: Sandbox) -> None:
        self.app, self.sandbox = app, sandbox
        self.presented: list[str] = []
        self.reached, self.go = threading.Event(), threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        again = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replayed() -> Any:
            return next(again, None) or await receive()

        if json.loads(body).get("method") != "tools/call" or json.loads(body)["params"]["name"] == "free":
            return await self.app(scope, replayed, send)
        header = dict(scope["headers"]).get(b"payment-signature", b"").decode() or None
        if header is not None:
            self.presented.append(header)
            self.reached.set()
            await anyio.to_thread.run_sync(self.go.wait, 10, abandon_on_cancel=True)
        status, headers, _ = await anyio.to_thread.run_sync(fetch, f"{self.sandbox.url}/weather", 2, header)
        if status == 402:
            terms = [(b"payment-required", headers["payment-required"].encode()), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 402, "headers": terms})
            return await send({"type": "http.response.body", "body": b""})
        return await self.app(scope, replayed, send)


@contextmanager
def served(sandbox: Sandbox, transport: str) -> Iterator[tuple[AsksByHttp, str]]:
    """Serve a tool that is sold and one that is free."""
    server = MCPServer("shop", log_level="ERROR")

    @server.tool()
    def weather(city: str) -> str:
        return f"Sun in {city}."

    @server.tool()
    def free() -> str:
        return "For nothing."

    sandbox.sell("/weather", "0.01")
    app = server.sse_app() if transport == "sse" else server.streamable_http_app(json_response=transport == "json")
    layer = AsksByHttp(app, sandbox)
    runner = uvicorn.Server(uvicorn.Config(layer, port=0, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    while not runner.started:
        threading.Event().wait(0.01)
    port = runner.servers[0].sockets[0].getsockname()[1]
    try:
        yield layer, f"http://127.0.0.1:{port}/{'sse' if transport == 'sse' else 'mcp'}"
    finally:
        layer.go.set()
        runner.should_exit = True
        thread.join(5)


@pytest.mark.parametrize("transport", ["json", "events", "sse"])
async def test_any_number_of_repeats_present_one_payment(redelivering: Sandbox, transport: str) -> None:
    with served(redelivering, transport) as (layer, url):
        buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"))

        def client(**settings: Any) -> httpx2.AsyncClient:
            return wrap_http(httpx2.AsyncClient(**settings), buyer)

        async def use(session: ClientSession) -> None:
            wrap(session, buyer)
            for _ in range(3):
                layer.reached.clear()
                call = asyncio.create_task(session.call_tool("weather", BERN))
                await anyio.to_thread.run_sync(layer.reached.wait, 5)
                call.cancel()
                await asyncio.wait([call])
                assert call.cancelled()
                assert [hold.in_flight for hold in buyer.holds()] == [False]
            layer.go.set()
            await anyio.sleep(0.2)
            assert buyer.history() == ()
            result: Any = await session.call_tool("weather", BERN)
            assert result.content[0].text == "Sun in Bern."
            assert not (await session.call_tool("free", {})).is_error

        if transport == "sse":
            async with (
                sse_client(url, httpx_client_factory=client) as (read, write),
                ClientSession(read, write) as session,
            ):
                await session.initialize()
                await use(session)
        else:
            async with client() as http_client, over_http(url, http_client) as session:
                await use(session)
    assert (len(layer.presented), len(set(layer.presented))) == (4, 1)
    assert (len(buyer.history()), buyer.holds(), len(redelivering.paid(buyer))) == (1, (), 1)
