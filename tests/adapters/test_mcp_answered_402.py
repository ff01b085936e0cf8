"""A message of a wrapped session that its HTTP client does not pay, and that is answered by 402, ends as its call does.

Strategy: the transports of mcp end with a 402, or leave the call without an answer. Each test has no read time-out, so
that a call that nothing ends is seen.
"""

from __future__ import annotations

import anyio
import pytest
from mcp import ClientSession, MCPError

from x402_client import Policy, outcome
from x402_client.errors import ConfigurationError, PaymentRejected, QuoteError
from x402_client.mcp import quote, wrap
from x402_client.sandbox import Sandbox

from .mcp_sessions import over_http
from .mcp_shop import Shop, Web
from .paying_sessions import paying_session
from .refusing_shop import REFUSALS, WITH_TERMS, Refuses

pytestmark = pytest.mark.anyio
BERN = {"city": "Bern"}
TRANSPORTS = pytest.mark.parametrize("transport", ["mcp", "events", "sse"])
#: Seconds after which nothing ends a call any more.
FOR_EVER = 10


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def goes_on(session: ClientSession) -> bool:
    """Return True if a session is usable."""
    return not (await session.call_tool("free", {})).is_error


@TRANSPORTS
@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_payment_that_is_answered_by_402_is_rejected_and_stays_open(
    redelivering: Sandbox, transport: str, refusal: str
) -> None:
    buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"), repeat=())
    with Refuses(redelivering, refusal) as web:
        web.shop.tools["free"] = lambda params: {"result": {"content": []}}
        async with paying_session(transport, web.url, buyer) as session:
            wrap(session, buyer)
            with anyio.fail_after(FOR_EVER), pytest.raises(PaymentRejected) as caught:
                await session.call_tool("weather", BERN)
            [hold] = buyer.holds()
            assert caught.value.hold is not None
            assert (caught.value.hold.nonce, caught.value.money, hold.in_flight) == (hold.nonce, "held", False)
            assert await goes_on(session)
            found = outcome(await session.call_tool("weather", BERN))
    assert found is not None
    assert (found.hold.nonce, found.money, buyer.holds()) == (hold.nonce, "spent", ())
    assert (len(web.presented), len(set(web.presented))) == (2, 1)


@TRANSPORTS
async def test_of_calls_at_once_the_one_that_is_answered_by_402_alone_is_ended(
    redelivering: Sandbox, transport: str
) -> None:
    buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"), repeat=())
    found: list[object] = []
    with Refuses(redelivering, "terms in both") as web:
        async with paying_session(transport, web.url, buyer) as session:
            wrap(session, buyer)

            async def call(city: str) -> None:
                try:
                    found.append(outcome(await session.call_tool("weather", {"city": city})))
                except PaymentRejected as rejected:
                    found.append(rejected)

            with anyio.fail_after(FOR_EVER):
                async with anyio.create_task_group() as calls:
                    for number in range(5):
                        calls.start_soon(call, f"Bern {number}")
    assert sorted(type(one).__name__ for one in found) == ["Outcome"] * 4 + ["PaymentRejected"]
    assert (len(buyer.holds()), len(buyer.history()), len(set(web.presented))) == (1, 4, 5)


@TRANSPORTS
@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_quote_ends_no_session(redelivering: Sandbox, transport: str, refusal: str) -> None:
    buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"))
    with Refuses(redelivering, refusal, by_http=True) as web:
        web.shop.tools["free"] = lambda params: {"result": {"content": []}}
        async with paying_session(transport, web.url, buyer) as session:
            wrap(session, buyer)
            for _ in range(2):
                with anyio.fail_after(FOR_EVER):
                    if refusal in WITH_TERMS:
                        found = await quote(session, "weather", BERN)
                        assert found.choice is not None
                        assert (str(found.choice.price), found.url[-8:]) == ("0.01 USD", "#weather")
                    else:
                        with pytest.raises((MCPError, QuoteError)):
                            await quote(session, "weather", BERN)
                assert await goes_on(session)
    assert (web.presented, buyer.holds(), str(buyer.spent())) == ([], (), "0.00 USD")


async def test_a_402_that_comes_late_to_an_earlier_message_of_a_call_ends_nothing(redelivering: Sandbox) -> None:
    buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"))
    with Refuses(redelivering, "terms in both", refusals=0) as web:
        web.late = True
        async with paying_session("sse", web.url, buyer) as session:
            with anyio.fail_after(FOR_EVER):
                found = outcome(await wrap(session, buyer).call_tool("weather", BERN))
    assert found is not None
    assert (found.money, len(web.presented), buyer.holds()) == ("spent", 1, ())


class Slow:
    """An approver who says yes after a while, so that the seller is asked again."""

    async def __call__(self, approval: object) -> bool:
        await anyio.sleep(0.05)
        return True


@TRANSPORTS
@pytest.mark.parametrize("refusals", [0, 1])
async def test_terms_that_are_asked_for_again_may_come_by_402(
    redelivering: Sandbox, transport: str, refusals: int
) -> None:
    policy = Policy(per_request="0.05", per_day="1", approve_above="0")
    buyer = redelivering.buyer(policy, approve=Slow(), terms_age=0, repeat=())
    with Refuses(redelivering, "terms in both", refusals=refusals) as web:
        web.again = True
        web.shop.tools["free"] = lambda params: {"result": {"content": []}}
        async with paying_session(transport, web.url, buyer) as session:
            wrap(session, buyer)
            with anyio.fail_after(FOR_EVER):
                if refusals:
                    with pytest.raises(PaymentRejected):
                        await session.call_tool("weather", BERN)
                else:
                    assert outcome(await session.call_tool("weather", BERN)) is not None
            assert await goes_on(session)
    assert (web.asked, len(web.presented), len(buyer.holds())) == (2, 1, refusals)


@TRANSPORTS
async def test_a_payment_by_hand_that_is_answered_by_402_ends_no_session(redelivering: Sandbox, transport: str) -> None:
    buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"))
    with Refuses(redelivering, "terms in both") as web:
        web.shop.tools["free"] = lambda params: {"result": {"content": []}}
        async with paying_session(transport, web.url, buyer) as session:
            wrap(session, buyer)
            with anyio.fail_after(FOR_EVER), pytest.raises(MCPError, match="HTTP 402"):
                await session.call_tool("weather", BERN, meta={"x402/payment": {"by": "hand"}})
            assert await goes_on(session)
    assert (web.presented, buyer.holds()) == (['{"by": "hand"}'], ())


async def test_a_quote_of_a_session_that_is_not_wrapped_asks_nothing(redelivering: Sandbox) -> None:
    buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"))
    with Web(Shop(redelivering.url)) as web:
        async with paying_session("mcp", web.url, buyer) as session:
            with pytest.raises(ConfigurationError, match="not wrapped, so nothing was asked"):
                await quote(session, "weather", BERN)
        async with over_http(f"{web.url}/mcp") as session:
            with pytest.raises(ConfigurationError, match="not wrapped, so nothing was asked"):
                await quote(session, "weather", BERN)
    assert web.shop.calls == []
