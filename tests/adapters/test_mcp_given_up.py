"""A call of a tool that its caller gives up on, where the session and its HTTP client are both wrapped.

Strategy: whatever moment it is, and however the caller goes away, the same call presents the same payment, or none was
made. The session goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
from mcp import ClientSession, MCPError
from mcp.client.sse import sse_client

from x402_client import Buyer, Policy, outcome
from x402_client.errors import PaymentOutcomeUnknown, PaymentRejected, X402Error
from x402_client.httpx2 import wrap as wrap_http
from x402_client.mcp import wrap
from x402_client.sandbox import Sandbox

from .mcp_sessions import over_http
from .staged_shop import MOMENTS, TOOL, Asks, Moment, Staged

pytestmark = pytest.mark.anyio
BERN = {"city": "Bern"}
#: Seconds after which a caller gives up.
PATIENCE = 0.3
WAYS = ("cancel", "wait_for", "move_on_after", "read time-out")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def session_over(transport: str, web: Staged, buyer: Buyer, wraps: bool = True) -> AsyncIterator[ClientSession]:
    """Connect a session over an HTTP client that pays. ``wraps``: it pays, too."""

    def client(**settings: Any) -> httpx2.AsyncClient:
        return wrap_http(httpx2.AsyncClient(**settings), buyer)

    if transport == "sse":
        async with (
            sse_client(f"{web.url}/sse", httpx_client_factory=client) as (read, write),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            yield wrap(session, buyer) if wraps else session
    else:
        async with client() as http_client, over_http(f"{web.url}/{transport}", http_client) as session:
            yield wrap(session, buyer) if wraps else session


class Agrees:
    """An approver who says yes. At the moment for it, it says nothing until the server goes on."""

    def __init__(self, web: Staged) -> None:
        self.web = web

    async def __call__(self, approval: Any) -> bool:
        if self.web.moment == "approve":
            await anyio.to_thread.run_sync(self.web.stand_still, "approve", abandon_on_cancel=True)
        return True


def buyer_of(sandbox: Sandbox, web: Staged, **more: Any) -> Buyer:
    policy = Policy(per_request="0.05", per_day="1", approve_above="0")
    return sandbox.buyer(policy, approve=Agrees(web), **{"settle_timeout": PATIENCE, **more})


async def given_up(way: str, session: ClientSession, web: Staged) -> BaseException | None:
    """Make a call, give up on it, and return what its caller got."""
    try:
        if way == "cancel":
            task = asyncio.create_task(session.call_tool(TOOL, BERN))
            await anyio.to_thread.run_sync(web.reached.wait, 5)
            task.cancel()
            await task
        elif way == "wait_for":
            await asyncio.wait_for(session.call_tool(TOOL, BERN), PATIENCE)
        elif way == "move_on_after":
            with anyio.move_on_after(PATIENCE) as scope:
                await session.call_tool(TOOL, BERN)
            assert scope.cancelled_caught
            return None
        else:
            await session.call_tool(TOOL, BERN, read_timeout_seconds=PATIENCE)
    except BaseException as failure:
        return failure
    pytest.fail("it had an answer")


def cases() -> list[Any]:
    """Return every moment for the ways in which callers go, and for the other ways of asking those that differ."""
    ways: dict[tuple[Asks, str], tuple[str, ...]] = {
        ("http", "mcp"): WAYS,
        ("http", "events"): ("cancel",),
        ("http", "sse"): ("cancel", "read time-out"),
        ("result", "mcp"): ("cancel", "read time-out"),
        ("result", "sse"): ("move_on_after",),
        ("both", "mcp"): ("wait_for",),
        ("both", "sse"): ("cancel", "read time-out"),
    }
    return [
        pytest.param(asks, transport, way, moment, id=f"{asks}, {transport}, {way}, {moment}")
        for (asks, transport), known in ways.items()
        for way in known
        for moment in MOMENTS
        # Over SSE the answer to a message has no body. With both at once a payment by HTTP is rejected at once, and one
        # that an approver thinks about is made by the session.
        if not (transport == "sse" and moment == "body")
        and not (asks == "both" and moment in ("approve", "headers", "body", "listed"))
        # mcp's clock runs for a request alone.
        and not (asks == "result" and way == "read time-out" and moment in ("approve", "listed"))
    ]


@pytest.mark.parametrize(("asks", "transport", "way", "moment"), cases())
async def test_the_same_call_presents_the_same_payment(
    redelivering: Sandbox, asks: Asks, transport: str, way: str, moment: Moment
) -> None:
    with Staged(redelivering, asks, moment) as web:
        buyer = buyer_of(redelivering, web)
        async with session_over(transport, web, buyer) as session:
            failure = await given_up(way, session, web)
            assert web.reached.is_set()
            was_paid = bool(web.presented)
            known = [hold.nonce for hold in buyer.holds() if hold.nonce is not None]
            assert buyer.history() == ()
            assert len(known) == was_paid
            assert not any(hold.in_flight for hold in buyer.holds())
            check_money(failure, way, was_paid, buyer)
            web.go.set()
            await anyio.sleep(0.1)  # a late answer changes nothing
            assert [hold.nonce for hold in buyer.holds() if hold.nonce is not None] == known
            if asks != "both":
                result = await session.call_tool(TOOL, BERN)
                assert (result.is_error, buyer.holds()) == (False, ())
                assert [hold.nonce for hold in buyer.history()] == (known or web.presented)
            else:
                for _ in range(3):
                    if await brought_content(session):
                        break
            assert not (await session.call_tool("free", {})).is_error
        assert len(set(web.presented)) <= 1
        assert len(redelivering.paid(buyer)) <= 1
        assert str(buyer.spent()) in ("0.01 USD", "0.00 USD")


async def brought_content(session: ClientSession) -> bool:
    """Call a server that asks twice at once. It brings the content, or a refusal that names the one payment."""
    try:
        return not (await session.call_tool(TOOL, BERN, read_timeout_seconds=5)).is_error
    except PaymentRejected as rejected:
        return rejected.hold is None


def check_money(failure: BaseException | None, way: str, was_paid: bool, buyer: Buyer) -> None:
    """Look at what the caller was told of the money."""
    if way != "read time-out":
        return
    assert isinstance(failure, MCPError)
    if not was_paid:
        assert not isinstance(failure, X402Error)
        assert outcome(failure) is None
        return
    assert isinstance(failure, PaymentOutcomeUnknown)
    [hold] = buyer.holds()
    found = outcome(failure)
    assert found is not None
    assert failure.hold is not None
    assert (failure.hold.nonce, found.hold.nonce) == (hold.nonce, hold.nonce)
    assert failure.money in ("unknown", "spent")
