"""The official Bazaar, over real sockets: what is paid with its extension is listed, found by us, and paid again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from eth_account import Account

from tests.real import environments
from tests.real.programs import Program
from tests.real.world import NETWORK, NETWORK_V1, World
from x402_client import Buyer, Money, Policy, Wallet, outcome
from x402_client.discovery import Listing, adiscover, discover
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(300)]
#: Records as they stand in public lists, beside what the official classes write.
STRANGE = [
    {"resource": "https://old.example/weather", "type": "http", "x402Version": 1, "lastUpdated": 1_703_123_456,
     "metadata": {"description": "Version 1", "provider": "Old"}, "accepts": [{
         "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "5000", "asset": "USDC",
         "payTo": "0x" + "12" * 20, "maxTimeoutSeconds": 60, "resource": "https://old.example/weather",
         "description": "", "mimeType": "", "extra": None, "outputSchema": {"input": {
             "type": "http", "method": "get", "queryParams": {"city": {"type": "string", "required": True}}}}}]},
    {"resource": "stdio", "type": "mcp", "accepts": [{}]},
    {"accepts": None},
]  # fmt: skip


@dataclass
class Market:
    world: World
    facilitator: str
    seller: str

    def buyer(self, policy: Policy) -> Buyer:
        account = self.world.buyer(1_000_000)
        return Buyer(Wallet(evm=account), policy, ledger=":memory:", rpc={NETWORK: self.world.chain.url})


@pytest.fixture(scope="module")
def market(world: World) -> Iterator[Market]:
    python = environments.needed(environments.environment, "bazaar")
    programs = [Program(python, "facilitator_bazaar.py"), Program(python, "seller_bazaar.py")]
    try:
        orders = {"rpc": world.chain.url, "network": NETWORK, "network_v1": NETWORK_V1, "strange": STRANGE}
        facilitator = programs[0].order(orders)
        pay_to = str(Account.create().address)
        seller = programs[1].order({"facilitator": facilitator, "network": NETWORK, "pay_to": pay_to})
        yield Market(world, facilitator, seller)
    finally:
        for program in programs:
            program.stop()


@pytest.fixture(scope="module")
def listed(market: Market) -> dict[str, Listing]:
    """What is found after each of the seller's routes was paid once."""
    buyer = market.buyer(Policy(per_request="0.02", per_day="1", networks=["base-sepolia"]))
    payer = market.buyer(Policy(per_request="1", per_day="1"))
    with wrap(httpx.Client(timeout=60), payer) as client:
        answers = [
            client.get(market.seller + "/weather", params={"city": "Rome"}),
            client.post(market.seller + "/say", json={"text": "hello"}),
            client.get(market.seller + "/users/ann"),
        ]
    assert [outcome(answer).money for answer in answers if outcome(answer)] == ["spent"] * 3  # type: ignore[union-attr]
    found = discover(facilitator=market.facilitator, buyer=buyer)
    by_path = {listing.url.removeprefix(market.seller): listing for listing in found}
    assert (found.skipped, found.failures, found.partial) == (2, (), False)
    return by_path


def test_what_was_paid_is_listed_with_price_method_and_schema(listed: dict[str, Listing]) -> None:
    assert set(listed) == {"/weather", "/say", "/users/:name", "https://old.example/weather"}
    weather, say, user = listed["/weather"], listed["/say"], listed["/users/:name"]
    assert (weather.method, weather.kind, weather.description) == ("GET", "http", "The weather of a city")
    assert (weather.mime_type, weather.template, user.template) == ("application/json", False, True)
    assert weather.schema["properties"] == {"city": {"type": "string", "description": "Its name"}}
    assert (weather.schema["required"], weather.example) == (["city"], {"city": "Rome"})
    assert (say.method, set(say.schema["properties"]), say.schema["required"]) == ("POST", {"text", "loud"}, ["text"])
    assert set(user.schema["properties"]) == set(user.schema["required"]) == {"name"}
    assert weather.updated is not None


def test_each_is_judged_as_its_402_would_be(listed: dict[str, Listing]) -> None:
    weather, user = listed["/weather"], listed["/users/:name"]
    assert (weather.price, weather.refusal) == (Money("0.01", "USD (test)"), "")
    assert weather.choice is not None
    assert weather.choice.network == NETWORK
    assert (user.choice, user.price) == (None, Money("0.03", "USD (test)"))
    [reason] = user.reasons
    assert reason.endswith("it costs 0.03 USD (test); one payment may cost 0.02 USD (test)")


def test_a_record_of_version_1_is_understood(listed: dict[str, Listing]) -> None:
    old = listed["https://old.example/weather"]
    assert (old.method, old.version, old.name, old.description) == ("GET", 1, "Old", "Version 1")
    assert old.schema == {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    assert old.choice is not None


def test_what_is_found_is_paid_at_the_price_that_was_listed(listed: dict[str, Listing], market: Market) -> None:
    buyer = market.buyer(Policy(per_request="0.05"))
    with wrap(httpx.Client(timeout=60), buyer) as client:
        answer = client.get(listed["/weather"].url, params=listed["/weather"].example)
    paid = outcome(answer)
    assert paid is not None
    assert (paid.money, paid.hold.price) == ("spent", listed["/weather"].price)


async def _searched(market: Market, query: str) -> list[str]:
    return [listing.url async for listing in adiscover(query, facilitator=market.facilitator)]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_search_follows_its_cursor_to_the_end(
    listed: dict[str, Listing], market: Market, anyio_backend: str
) -> None:
    assert len(await _searched(market, "http")) == 4  # two to a page
    assert await _searched(market, "foggy") == [market.seller + "/weather"]


OFFICIAL_CLIENT = """
import sys
from x402.extensions.bazaar import ListDiscoveryResourcesParams, SearchDiscoveryResourcesParams, with_bazaar
from x402.http import FacilitatorConfig, HTTPFacilitatorClientSync
client = with_bazaar(HTTPFacilitatorClientSync(FacilitatorConfig(url=sys.argv[1])))
listed = client.extensions.bazaar.list_resources(ListDiscoveryResourcesParams(type="http", limit=2, offset=1))
found = client.extensions.bazaar.search(SearchDiscoveryResourcesParams(query="poem"))
print(listed.pagination.total, *(one.resource.rpartition("/")[2] for one in listed.items))
print(*(f"{one.description} {one.accepts[0]['amount']}" for one in found.resources))
"""


def test_the_official_client_reads_the_sandboxs_list(market: Market) -> None:
    with Sandbox() as sandbox:
        sandbox.sell("/poem", "0.02", description="Four lines")
        command = [str(environments.needed(environments.environment, "bazaar")), "-c", OFFICIAL_CLIENT, sandbox.url]
        surroundings = environments.clean_environ()
        ran = subprocess.run(command, capture_output=True, text=True, timeout=110, env=surroundings)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["4 report yacht", "Four lines 20000"]
