"""A call of a tool that its caller gives up on, where the session and its HTTP client are both wrapped.

Strategy: whatever moment it is, and however the caller goes away, the same call presents the same payment, or none was
made. The session goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
from mcp import ClientSession, MCPError

from x402_client import Buyer, Policy, outcome
from x402_client.adapters.session_calls import SessionCall
from x402_client.core.call import HttpRequest
from x402_client.core.digests import tool_digest
from x402_client.errors import OverLimit, PaymentOutcomeUnknown, PaymentRejected, X402Error
from x402_client.httpx2 import wrap as wrap_http
from x402_client.mcp import wrap
from x402_client.sandbox import Sandbox

from .paying_sessions import paying_session
from .staged_shop import MOMENTS, TOOL, Asks, Moment, Staged

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
BERN = {"city": "Bern"}
#: Seconds after which a caller's read time-out is over.
PATIENCE = 0.5
WAYS = ("cancel", "timeout", "move_on_after", "read time-out")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def session_over(transport: str, web: Staged, buyer: Buyer, wraps: bool = True) -> AsyncIterator[ClientSession]:
    """Connect a session over an HTTP client that pays. ``wraps``: it pays, too."""

    async with paying_session(transport, web.url, buyer) as session:
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


async def once_reached(web: Staged, then: Callable[[], None]) -> None:
    """Do this once the server stands still."""
    await anyio.to_thread.run_sync(web.reached.wait, 5)
    then()


async def given_up(way: str, session: ClientSession, web: Staged) -> BaseException | None:
    """Make a call, give up on it, and return what its caller got."""
    try:
        if way == "cancel":
            task = asyncio.create_task(session.call_tool(TOOL, BERN))
            await anyio.to_thread.run_sync(web.reached.wait, 5)
            task.cancel()
            await task
        elif way == "timeout":
            async with asyncio.timeout(None) as until, anyio.create_task_group() as both:
                both.start_soon(once_reached, web, lambda: until.reschedule(0))
                await session.call_tool(TOOL, BERN)
        elif way == "move_on_after":
            async with anyio.create_task_group() as both:
                with anyio.move_on_after(5) as scope:
                    both.start_soon(once_reached, web, lambda: setattr(scope, "deadline", 0))
                    await session.call_tool(TOOL, BERN)
                assert scope.cancelled_caught
            return None
        else:
            await session.call_tool(TOOL, BERN, read_timeout_seconds=PATIENCE)
    except BaseException as failure:
        return failure
    pytest.fail("it had an answer")


def marks(transport: str) -> tuple[pytest.MarkDecorator, ...]:
    """Return the mark of a case that takes long: over SSE mcp waits for five seconds until it lets a call go."""
    return (pytest.mark.slow,) if transport == "sse" else ()


def cases() -> list[Any]:
    """Return every moment for the ways in which callers go, and for the other ways of asking those that differ."""
    ways: dict[tuple[Asks, str], tuple[str, ...]] = {
        ("http", "mcp"): WAYS,
        ("http", "events"): ("cancel",),
        ("http", "sse"): ("cancel", "read time-out"),
        ("result", "mcp"): ("cancel", "read time-out"),
        ("result", "sse"): ("move_on_after",),
        ("both", "mcp"): ("timeout",),
        ("both", "sse"): ("cancel", "read time-out"),
    }
    return [
        pytest.param(asks, transport, way, moment, id=f"{asks}, {transport}, {way}, {moment}", marks=marks(transport))
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


async def delivered(buyer: Buyer) -> None:
    """Wait until a purchase is delivered."""
    for _ in range(500):
        if buyer.history():
            return
        await anyio.sleep(0.01)
    pytest.fail("nothing was delivered")


# --- one payer of the two


@pytest.mark.parametrize("early", [True, False])
async def test_what_comes_over_sse_before_the_message_is_accepted_is_delivered_with_its_receipt(
    redelivering: Sandbox, early: bool
) -> None:
    """A server that settles while its tool works pushes the result first."""
    with Staged(redelivering, "http", "body" if early else None) as web:
        web.is_early = early
        buyer = buyer_of(redelivering, web)
        async with session_over("sse", web, buyer) as session:
            await session.list_tools()  # else the call asks for them, behind the message that is not accepted yet
            result = await session.call_tool(TOOL, BERN)
            assert result.meta is not None
            assert result.meta["x402"]["money"] == ("unknown" if early else "spent")
            [in_flight] = buyer.holds() if early else [None]
            assert in_flight is None or in_flight.in_flight
            web.go.set()
            await delivered(buyer)
            assert not (await session.call_tool("free", {})).is_error
    [hold] = buyer.history()
    assert (hold.nonce, hold.money, hold.receipt is not None) == (web.presented[0], "spent", True)
    assert buyer.holds() == ()


async def test_a_result_before_an_answer_that_never_comes_is_delivered_all_the_same(redelivering: Sandbox) -> None:
    with Staged(redelivering, "http", "body") as web:
        web.is_early = True
        buyer = buyer_of(redelivering, web)
        async with session_over("sse", web, buyer) as session:
            await session.list_tools()
            assert not (await session.call_tool(TOOL, BERN)).is_error
            assert buyer.history() == ()
        assert (len(buyer.history()), buyer.holds()) == (1, ())


async def test_a_session_takes_over_what_an_approver_of_the_other_way_thinks_about(redelivering: Sandbox) -> None:
    with Staged(redelivering, "both", "approve") as web:
        web.is_late = True
        buyer = buyer_of(redelivering, web)
        async with session_over("sse", web, buyer) as session:
            result = await session.call_tool(TOOL, BERN)
            assert not result.is_error
            assert not web.go.is_set()
            web.go.set()
            await anyio.sleep(0.1)
            assert not (await session.call_tool("free", {})).is_error
    assert (len(web.presented), len(buyer.history()), buyer.holds()) == (1, 1, ())


@pytest.mark.slow
async def test_a_result_that_asks_while_a_payment_is_out_below_is_not_paid(redelivering: Sandbox) -> None:
    with Staged(redelivering, "both", "paid") as web:
        web.is_late = True
        buyer = buyer_of(redelivering, web, settle_timeout=30)
        async with session_over("sse", web, buyer) as session:
            with pytest.raises(PaymentRejected, match="one call pays at most once") as caught:
                await session.call_tool(TOOL, BERN)
            [hold] = buyer.holds()
            assert caught.value.hold is not None
            assert (caught.value.hold.nonce, hold.in_flight, buyer.history()) == (hold.nonce, False, ())
            web.go.set()
            assert not (await session.call_tool("free", {})).is_error
            web.is_late = False
            for _ in range(3):
                if await brought_content(session):
                    break
    assert set(web.presented) == {hold.nonce}


@pytest.mark.parametrize("transport", ["mcp", "sse"])
@pytest.mark.parametrize("count", [1, 12])
async def test_calls_of_a_server_that_asks_twice_at_once_sign_once_each(
    redelivering: Sandbox, transport: str, count: int
) -> None:
    with Staged(redelivering, "both") as web:
        buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"))
        async with session_over(transport, web, buyer) as session, anyio.create_task_group() as calls:
            for _ in range(count):
                calls.start_soon(brought_content, session)
    assert len(set(web.presented)) <= count
    assert len(buyer.holds()) + len(buyer.history()) <= count
    assert buyer.spent().units <= 10_000 * count


# --- the time


@pytest.mark.parametrize("transport", ["mcp", "events", "sse"])
async def test_an_answer_to_a_payment_below_has_the_time_that_a_settlement_takes(
    redelivering: Sandbox, transport: str
) -> None:
    with Staged(redelivering) as web:
        web.works = 3 * PATIENCE
        buyer = buyer_of(redelivering, web, settle_timeout=30)
        async with session_over(transport, web, buyer) as session:
            result = await session.call_tool(TOOL, BERN, read_timeout_seconds=PATIENCE)
        assert (result.is_error, len(buyer.history())) == (False, 1)


async def test_a_call_that_is_not_paid_ends_at_its_own_read_time_out_as_if_the_session_was_not_wrapped(
    redelivering: Sandbox,
) -> None:
    found = []
    for wraps in (True, False):
        with Staged(redelivering, "http", "asks") as web:
            buyer = buyer_of(redelivering, web, settle_timeout=30)
            async with session_over("mcp", web, buyer, wraps) as session:
                started = anyio.current_time()
                with pytest.raises(MCPError) as caught:
                    await session.call_tool(TOOL, BERN, read_timeout_seconds=PATIENCE)
                assert anyio.current_time() - started < 3
                found.append((type(caught.value), str(caught.value), caught.value.error, caught.value.args))
    assert found[0] == found[1]


# --- each call for itself


@pytest.mark.parametrize("transport", ["mcp", "events", "sse"])
async def test_fifty_calls_at_once_are_fifty_purchases(redelivering: Sandbox, transport: str) -> None:
    with Staged(redelivering) as web:
        buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"))
        async with session_over(transport, web, buyer) as session, anyio.create_task_group() as calls:
            for _ in range(50):
                calls.start_soon(session.call_tool, TOOL, BERN)
    assert (len(set(web.presented)), len(web.presented)) == (50, 50)
    assert (len(buyer.history()), buyer.holds()) == (50, ())


async def test_of_equal_calls_in_two_sessions_the_one_that_is_given_up_alone_stays_open(redelivering: Sandbox) -> None:
    with Staged(redelivering, "http", "paid") as web:
        buyer = buyer_of(redelivering, web)
        async with session_over("mcp", web, buyer) as first, session_over("mcp", web, buyer) as second:
            given_up_on = asyncio.create_task(first.call_tool(TOOL, BERN))
            await anyio.to_thread.run_sync(web.reached.wait, 5)
            assert not (await second.call_tool(TOOL, BERN)).is_error
            given_up_on.cancel()
            await asyncio.wait([given_up_on])
            [hold] = buyer.holds()
            assert (hold.in_flight, hold.nonce) == (False, web.presented[0])
            web.go.set()
            assert not (await second.call_tool(TOOL, BERN)).is_error
    assert web.presented[2] == web.presented[0]
    assert (len(set(web.presented)), len(buyer.history()), buyer.holds()) == (2, 2, ())


@pytest.mark.slow
async def test_a_refusal_after_its_caller_gave_up_ends_no_session(redelivering: Sandbox) -> None:
    for transport in ("mcp", "sse"):
        with Staged(redelivering, "http", "asks") as web:
            buyer = redelivering.buyer(Policy(per_request="0.001", per_day="1"))
            async with session_over(transport, web, buyer) as session:
                await given_up("cancel", session, web)
                web.go.set()
                await anyio.sleep(0.1)
                assert not (await session.call_tool("free", {})).is_error
        assert (web.presented, buyer.holds()) == ([], ())


async def test_under_a_session_that_is_not_wrapped_the_answer_that_was_read_is_the_delivery(
    redelivering: Sandbox,
) -> None:
    with Staged(redelivering, "http", "paid") as web:
        buyer = buyer_of(redelivering, web)
        async with session_over("mcp", web, buyer, wraps=False) as session:
            await given_up("cancel", session, web)
            assert [hold.in_flight for hold in buyer.holds()] == [True]
            web.go.set()
            await delivered(buyer)


# --- the limits around a call


@pytest.mark.parametrize(("transport", "ahead"), [("mcp", False), ("sse", False), ("mcp", True)])
async def test_a_payment_below_counts_in_the_allowance_of_its_session(
    redelivering: Sandbox, transport: str, ahead: bool
) -> None:
    with Staged(redelivering) as web:
        buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1", pay_ahead=ahead))
        own, around = buyer.allowance("0.02", name=f"{transport} {ahead}"), buyer.allowance("1")
        async with session_over(transport, web, buyer, wraps=False) as session:
            wrap(session, own)
            with around:
                for city in ("Bern", "Basel"):
                    await session.call_tool(TOOL, {"city": city})
            with pytest.raises(OverLimit):
                await session.call_tool(TOOL, {"city": "Chur"})
    assert (str(own.spent), str(around.spent), len(buyer.history())) == ("0.02 USD", "0.02 USD", 2)
    assert len(web.presented) == 2


@pytest.mark.parametrize("delivered", [False, True])
async def test_a_task_that_is_cancelled_after_the_end_of_its_call_is_cancelled(
    redelivering: Sandbox, delivered: bool
) -> None:
    """A transport that closes cancels the tasks that post, and so does a time-out inside of it."""
    body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": TOOL, "arguments": BERN}}
    with Staged(redelivering, "http", "paid") as web:
        buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"))
        server = HttpRequest.of("POST", f"{web.url}/mcp")
        call = SessionCall(server, lambda: tool_digest(TOOL, BERN).digest, 60)
        async with wrap_http(httpx2.AsyncClient(), buyer) as client:
            with call.under_way(), call.waiting():
                post = asyncio.create_task(client.post(f"{web.url}/mcp", json=body))
                await anyio.to_thread.run_sync(web.reached.wait, 5)
                call.end(delivered=delivered)
                post.cancel()
                await asyncio.wait([post])
                assert post.cancelled()
        assert (len(buyer.history()), len(buyer.holds())) == (delivered, not delivered)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.parametrize("ahead", [False, True])
async def test_a_call_is_paid_below_and_given_up_on_each_kind_of_loop(
    redelivering: Sandbox, ahead: bool, anyio_backend: str
) -> None:
    with Staged(redelivering) as web:
        buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1", pay_ahead=ahead))
        async with session_over("mcp", web, buyer) as session:
            await session.call_tool(TOOL, {"city": "Basel"})
            web.moment = "paid"
            assert await given_up("move_on_after", session, web) is None
            [hold] = buyer.holds()
            assert not hold.in_flight
            web.go.set()
            await session.call_tool(TOOL, BERN)
    assert web.presented[1:] == [hold.nonce] * 2
    assert (len(buyer.history()), buyer.holds()) == (2, ())


async def test_a_call_that_is_given_up_leaves_a_payment_ahead_open(redelivering: Sandbox) -> None:
    with Staged(redelivering) as web:
        buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1", pay_ahead=True))
        async with session_over("mcp", web, buyer) as session:
            await session.call_tool(TOOL, {"city": "Basel"})
            web.moment = "paid"
            await given_up("cancel", session, web)
            [hold] = buyer.holds()
            assert not hold.in_flight
            web.go.set()
            await session.call_tool(TOOL, BERN)
    assert web.presented[1:] == [hold.nonce] * 2
    assert (len(buyer.history()), buyer.holds()) == (2, ())


async def test_nothing_is_signed_while_mcp_still_tells_its_server_of_the_cancellation(redelivering: Sandbox) -> None:
    """Over SSE its word of that waits behind the message that is not accepted yet."""
    with Staged(redelivering, "http", "asks") as web:
        buyer = buyer_of(redelivering, web)
        async with session_over("sse", web, buyer) as session:
            call = asyncio.create_task(session.call_tool(TOOL, BERN))
            await anyio.to_thread.run_sync(web.reached.wait, 5)
            call.cancel()
            await anyio.sleep(0.1)
            assert not call.done()
            web.go.set()
            await asyncio.wait([call])
            assert call.cancelled()
        assert (web.presented, buyer.holds(), buyer.history()) == ([], (), ())
