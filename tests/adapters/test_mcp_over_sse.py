"""A tool call over the older transport is named by its session's endpoint, though each connection posts elsewhere."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import httpx
import httpx2
import pytest
from mcp import ClientSession
from mcp.client.sse import sse_client

from x402_client import Buyer, Policy
from x402_client.errors import TooExpensive
from x402_client.httpx import wrap as wrap_httpx
from x402_client.httpx2 import wrap as wrap_http
from x402_client.mcp import wrap
from x402_client.sandbox import Sandbox

from .mcp_shop import Shop, Web, crashed, fetch

pytestmark = pytest.mark.anyio
BERN = {"city": "Bern"}
SUN = {"content": [{"type": "text", "text": "Sun."}]}
CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "weather", "arguments": BERN}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class OverSse(Web):
    """Asks by HTTP 402 for the message, takes the payment there, and answers in the stream, if it is not lost."""

    def __init__(self, sandbox: Sandbox, losses: int = 1) -> None:
        sandbox.sell("/weather", "0.01")
        super().__init__(Shop(sandbox.url))
        self.losses, self.by_http = losses, True
        self.presented: list[str] = []
        self.places: list[str] = []

    def post(self, handler: Any) -> None:
        if not handler.path.startswith("/messages") or not self.by_http:
            return super().post(handler)
        message = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        _, _, session = handler.path.partition("?")
        if message.get("method") != "tools/call":
            answer = self.shop.answer(message)
            return self._accepted(handler, session, answer)
        return self.called(handler, session, message)

    def called(self, handler: Any, session: str, message: Any) -> None:
        header = handler.headers.get("payment-signature")
        self.places.append(handler.path)
        status, headers, body = fetch(f"{self.shop.url}/weather", 2, header)
        if status == 402:
            handler.send_response(402)
            handler.send_header("PAYMENT-REQUIRED", headers["payment-required"])
            handler.send_header("Content-Length", "0")
            return handler.end_headers()
        self.presented.append(header)
        if self.losses:
            self.losses -= 1
            self._accepted(handler, session, None)
            return self.sessions[session].put(None)
        result = {"content": [{"type": "text", "text": body.decode()}]}
        return self._accepted(handler, session, {"jsonrpc": "2.0", "id": message["id"], "result": result})

    def _accepted(self, handler: Any, session: str, answer: Any) -> None:
        handler.send_response(202)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        handler.wfile.flush()
        if answer is not None:
            self.sessions[session].put(json.dumps(answer))


@asynccontextmanager
async def connected(web: Web, buyer: Buyer | None) -> AsyncIterator[ClientSession]:
    """Open a new connection, through an HTTP client that pays, or through one that does not."""

    def client(**settings: Any) -> httpx2.AsyncClient:
        made = httpx2.AsyncClient(**settings)
        return made if buyer is None else wrap_http(made, buyer)

    async with (
        sse_client(f"{web.url}/sse", httpx_client_factory=client) as (read, write),
        ClientSession(read, write, read_timeout_seconds=5) as session,
    ):
        await session.initialize()
        yield session


async def _loses(web: Web, buyer: Buyer, wraps: bool) -> None:
    with pytest.raises(BaseException) as caught:
        async with connected(web, buyer) as session:
            await (wrap(session, buyer) if wraps else session).call_tool("weather", BERN)
    assert isinstance(caught.value, Exception)


@pytest.mark.parametrize("wraps", [True, False])
async def test_a_call_after_a_reconnect_presents_the_payment_that_was_left_open(
    redelivering: Sandbox, wraps: bool
) -> None:
    buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"))
    with OverSse(redelivering) as web:
        await _loses(web, buyer, wraps)
        [hold] = buyer.holds()
        async with connected(web, buyer) as session:
            result = await (wrap(session, buyer) if wraps else session).call_tool("weather", BERN)
    assert not result.is_error
    assert len(set(web.places)) == 2
    assert (len(web.presented), len(set(web.presented))) == (2, 1)
    assert len(redelivering.paid(buyer)) == 1
    if wraps:
        assert ([one.nonce for one in buyer.history()], buyer.holds()) == ([hold.nonce], ())


async def test_what_a_result_of_this_endpoint_left_open_is_presented_by_http(redelivering: Sandbox) -> None:
    buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"))
    with OverSse(redelivering, losses=0) as web:
        web.by_http, web.shop.faults = False, [crashed]
        await _loses(web, buyer, wraps=True)
        [hold] = buyer.holds()
        web.by_http = True
        async with connected(web, buyer) as session:
            await wrap(session, buyer).call_tool("weather", BERN)
    assert ([one.nonce for one in buyer.history()], buyer.holds()) == ([hold.nonce], ())
    assert len(redelivering.paid(buyer)) == 1


class AsksOne(OverSse):
    """Asks the second call for a price that is too high, and answers the others once it has all three."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self.kept: list[Any] = []
        self.all_asked = threading.Event()

    def called(self, handler: Any, session: str, message: Any) -> None:
        if len(self.kept) == 1 and not self.places:
            return super().called(handler, session, message)
        self.kept.append({"jsonrpc": "2.0", "id": message["id"], "result": SUN})
        self._accepted(handler, session, None)
        if len(self.kept) == 2:
            self.all_asked.set()
        return None

    def answer_those(self) -> None:
        [waiting] = self.sessions.values()
        for answer in self.kept:
            waiting.put(json.dumps(answer))


async def test_of_equal_calls_at_once_the_refused_one_alone_is_ended(mcp_sandbox: Sandbox) -> None:
    buyer = mcp_sandbox.buyer(Policy(per_request="0.001", per_day="1"))
    found: list[Any] = []
    with AsksOne(mcp_sandbox) as web:
        async with connected(web, buyer) as session:
            wrap(session, buyer)

            async def call() -> None:
                try:
                    found.append(await session.call_tool("weather", BERN))
                except TooExpensive as refused:
                    found.append(refused)

            async with anyio.create_task_group() as calls:
                for _ in range(3):
                    calls.start_soon(call)
                await anyio.to_thread.run_sync(web.all_asked.wait, 5)
                web.answer_those()
    assert isinstance(found[0], TooExpensive)
    assert [one.content[0].text for one in found[1:]] == ["Sun."] * 2
    assert buyer.holds() == ()


async def test_a_request_by_hand_is_named_without_the_id_of_a_session(redelivering: Sandbox) -> None:
    buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"), repeat=())
    with OverSse(redelivering, losses=9) as web, wrap_httpx(httpx.Client(), buyer) as client:
        for place in ("session_id=1", "sessionId=2", "a=b&sessionid=3", "a=b&session_id=4", "a=c&session_id=4"):
            web.sessions[place] = web.sessions.setdefault("any", queue.Queue[str | None]())
            client.post(f"{web.url}/messages?{place}", json=CALL)
    assert [web.presented.index(one) for one in web.presented] == [0, 0, 2, 2, 4]
