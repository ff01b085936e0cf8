"""Tools of MCP servers are paid in every dialect and over every transport, once, and what came is told."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from x402_client import Buyer, Policy, outcome
from x402_client.mcp import wrap
from x402_client.sandbox import Sandbox

from .mcp_sessions import DIALECTS, NAME, connected, over_memory
from .mcp_shop import Shop

pytestmark = pytest.mark.anyio
TRANSPORTS = ("memory", "mcp", "events", "sse", "stdio")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def one_sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(one_sandbox: Sandbox) -> Sandbox:
    return one_sandbox


@pytest.fixture
def buyer(sandbox: Sandbox) -> Buyer:
    return sandbox.buyer(Policy(per_request="0.05", per_day="1"))


def shop_of(sandbox: Sandbox, dialect: str = "specification") -> Shop:
    spoken = DIALECTS[dialect]
    sandbox.sell("/weather", "0.01", version=spoken.version)
    return Shop(sandbox.url, spoken)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_every_dialect_is_paid_once(sandbox: Sandbox, buyer: Buyer, dialect: str) -> None:
    shop = shop_of(sandbox, dialect)
    async with over_memory(shop) as session:
        result = await wrap(session, buyer, NAME).call_tool("weather", {"city": "Bern"})
    [done] = sandbox.paid(buyer)
    assert json.loads(result.content[0].text)["content"] == "worth it"
    found = outcome(result)
    assert found is not None
    assert (found.money, found.receipt and found.receipt.transaction) == ("spent", done.transaction)
    assert result.meta["x402"] == {
        "money": "spent",
        "transaction": done.transaction,
        "network": done.network,
        "amount": "0.01 USD",
    }
    assert (str(buyer.spent()), buyer.holds()) == ("0.01 USD", ())
    assert len({json.dumps(one, sort_keys=True) for one in shop.payments}) == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_every_transport_is_paid_once(sandbox: Sandbox, buyer: Buyer, transport: str) -> None:
    shop = shop_of(sandbox)
    async with connected(transport, shop, "specification") as session:
        result = await wrap(session, buyer, NAME).call_tool("weather", {"city": "Bern"})
        assert outcome(await session.call_tool("free")) is None
    assert outcome(result).money == "spent"  # type: ignore[union-attr]
    assert len(sandbox.paid(buyer)) == 1
    [hold] = buyer.history()
    assert hold.url.endswith("#weather")
    assert hold.host == ("mcp:reports" if transport in ("memory", "stdio") else "127.0.0.1")
