"""A session pays under an allowance, and under each that it is wrapped with."""

from __future__ import annotations

import copy

import pytest

from x402_client import Buyer, Policy, errors, outcome
from x402_client.errors import AllowanceEnded, ConfigurationError, HostNotAllowed, OverLimit, TooExpensive
from x402_client.mcp import quote, wrap
from x402_client.sandbox import Sandbox

from .mcp_sessions import DIALECTS, NAME, over_memory
from .mcp_shop import Shop, failed

pytestmark = pytest.mark.anyio
BERN = {"city": "Bern"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def shop_of(sandbox: Sandbox, dialect: str = "specification") -> Shop:
    sandbox.sell("/weather", "0.01", version=DIALECTS[dialect].version)
    return Shop(sandbox.url, DIALECTS[dialect])


@pytest.mark.parametrize("dialect", ["specification", "agents", "x402-mcp", "error -32042"])
async def test_a_tool_is_paid_under_an_allowance(mcp_sandbox: Sandbox, mcp_buyer: Buyer, dialect: str) -> None:
    run = mcp_buyer.allowance("0.02", name="run")
    part = run.allowance("0.02", per_request="0.01")
    async with over_memory(shop_of(mcp_sandbox, dialect)) as session:
        found = outcome(await wrap(session, part, NAME).call_tool("weather", BERN))
        assert found is not None
        assert found.hold.path == ("allowance run", f"allowance {part.name}")
        await session.call_tool("weather", BERN)
        with pytest.raises(OverLimit) as refused:
            await session.call_tool("weather", BERN)
    assert (refused.value.allowance, refused.value.money) == ("run", "untouched")
    assert (str(run.spent), str(part.remaining), str(mcp_buyer.spent())) == ("0.02 USD", "0.00 USD", "0.02 USD")
    assert len(mcp_sandbox.paid(mcp_buyer)) == 2


async def test_a_session_that_is_wrapped_again_pays_under_both(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    small, large = mcp_buyer.allowance("0.01"), mcp_buyer.allowance("1")
    shop = shop_of(mcp_sandbox)
    async with over_memory(shop) as session:
        before = type(wrap(session, small, NAME))
        for payer in (large, mcp_buyer, small, large):
            assert type(wrap(session, payer, NAME)) is before
        found = outcome(await session.call_tool("weather", BERN))
        assert found is not None
        assert set(found.hold.path) == {f"allowance {small.name}", f"allowance {large.name}"}
        with pytest.raises(OverLimit) as refused:
            await session.call_tool("weather", BERN)
        assert refused.value.allowance == small.name
        stranger = mcp_sandbox.buyer(Policy(per_day="1"))
        for payer in (stranger, stranger.allowance("1")):
            with pytest.raises(ConfigurationError, match=r"another buyer already.*wrap a new session"):
                wrap(session, payer, NAME)
        with pytest.raises(OverLimit):
            await session.call_tool("weather", BERN)
    assert (str(small.spent), str(large.spent), len(mcp_sandbox.paid(mcp_buyer))) == ("0.01 USD", "0.01 USD", 1)


async def test_a_copy_of_the_session_pays_as_before(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    small, large = mcp_buyer.allowance("0.01"), mcp_buyer.allowance("1")
    async with over_memory(shop_of(mcp_sandbox)) as session:
        copied = copy.copy(wrap(session, large, NAME))
        wrap(session, small, NAME)
        for each in (session, copied):
            assert outcome(await each.call_tool("weather", BERN)) is not None
        with pytest.raises(OverLimit):
            await session.call_tool("weather", BERN)
        assert outcome(await copied.call_tool("weather", BERN)) is not None
    assert (str(small.spent), str(large.spent)) == ("0.01 USD", "0.03 USD")


async def test_a_block_of_another_allowance_counts_too(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    own, around = mcp_buyer.allowance("1"), mcp_buyer.allowance("0.01")
    async with over_memory(shop_of(mcp_sandbox)) as session:
        wrap(session, own, NAME)
        with around:
            await session.call_tool("weather", BERN)
            with pytest.raises(OverLimit):
                await session.call_tool("weather", BERN)
        await session.call_tool("weather", BERN)
    assert (str(own.spent), str(around.spent)) == ("0.02 USD", "0.01 USD")


async def test_an_allowance_only_narrows(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    shop = shop_of(mcp_sandbox)
    cheap, elsewhere = mcp_buyer.allowance("1", per_request="0.001"), mcp_buyer.allowance("1", hosts=["mcp:other"])
    here = mcp_buyer.allowance("1", hosts=[f"mcp:{NAME}"])
    for payer, refusal, reason in (
        (cheap, TooExpensive, "one payment may cost 0.001 USD"),
        (elsewhere, HostNotAllowed, "is not among the hosts of the allowance"),
    ):
        async with over_memory(shop) as session:
            wrap(session, payer, NAME)
            found = await quote(session, "weather", BERN)
            assert found.choice is None
            assert reason in (found.offers[0].reason or "")
            with pytest.raises(refusal) as caught:
                await session.call_tool("weather", BERN)
            assert caught.value.allowance == payer.name
    assert shop.payments == []
    async with over_memory(shop) as session:
        found = await quote(wrap(session, here, NAME), "weather", BERN)
        assert found.choice is not None
        assert str(here.spent) == "0.00 USD"
        assert outcome(await session.call_tool("weather", BERN)) is not None
    assert str(here.spent) == "0.01 USD"


async def test_what_was_left_open_is_presented_when_its_allowance_is_closed(redelivering: Sandbox) -> None:
    buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"))
    shop, run, other = (
        shop_of(redelivering),
        buyer.allowance("0.01", name="run"),
        buyer.allowance("0.001", name="other"),
    )
    shop.faults = [failed]
    async with over_memory(shop) as session:
        assert (await wrap(session, run, NAME).call_tool("weather", BERN)).is_error
    [held] = run.holds()
    run.close()
    async with over_memory(shop) as session:
        result = await wrap(session, other, NAME).call_tool("weather", BERN)
        found = outcome(result)
        assert found is not None
        assert (found.hold.nonce, found.hold.path) == (held.nonce, ("allowance run",))
    async with over_memory(shop) as session:
        wrap(session, run, NAME)
        with pytest.raises(AllowanceEnded) as refused:
            await session.call_tool("weather", BERN)
    assert errors.find(refused.value) is refused.value
    assert (str(run.spent), str(other.spent), len(redelivering.paid(buyer))) == ("0.01 USD", "0.00 USD", 1)
