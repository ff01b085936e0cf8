"""What a buyer is asked: where money went, what is left, and whether it was built of the right things."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import requests

import x402_client.httpx
import x402_client.requests
from x402_client import Buyer, Limit, Money, Policy, Token, Wallet, errors, events, receipt
from x402_client.adapters.requests_adapter import PaymentAdapter
from x402_client.httpx import AsyncPaymentTransport, PaymentTransport
from x402_client.ledgers.conformance.fixtures import order, purchase
from x402_client.ledgers.memory import MemoryLedger
from x402_client.model.budgets import WINDOWS
from x402_client.model.holds import Attempt
from x402_client.sandbox import Sandbox

KEY = "11" * 32


@pytest.fixture
def seller() -> Iterator[Sandbox]:
    with Sandbox() as seller:
        yield seller


def test_remaining_is_the_least_of_what_applies(seller: Sandbox) -> None:
    policy = Policy(
        per_day="5 EUR",
        per_hour="0.5",
        total="1",
        hosts={
            "127.0.0.1": Limit(per_hour="0.05", per_minute="3"),
            "*.wild.dev": Limit(total="0.02"),
            "no.dev": "deny",
        },
    )
    buyer = seller.buyer(policy)
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        client.get(seller.url + "/weather")

    def left(*asked: str | None) -> Any:
        found = buyer.remaining(*asked)
        assert anyio.run(buyer.aremaining, *asked) == found
        return None if found is None else str(found)

    assert left(None, "hour") == "0.49 USD"
    assert left("127.0.0.1", "hour") == "0.04 USD", "the host's own budget is the tighter one"
    assert left("127.0.0.1", "minute") == "2.99 USD"
    assert left("elsewhere.dev", "hour") == "0.49 USD", "the overall budget holds everywhere"
    assert left("a.wild.dev", "total") == "0.02 USD"
    assert left("*.wild.dev", "total") == "0.02 USD"
    assert left("no.dev", "hour") == "0.00 USD"
    assert left(None, "month") is None
    assert left(None, "day", "eur") == "5.00 EUR"
    assert str(buyer.spent(currency="eur")) == "0.00 EUR"
    assert str(buyer.spent("127.0.0.1")) == "0.01 USD"
    assert anyio.run(buyer.aspent) == Money("0.01")
    with pytest.raises(errors.ConfigurationError, match="window"):
        buyer.spent(window="fortnight")
    for asked in (buyer.spent, buyer.remaining, partial(anyio.run, buyer.aspent), partial(anyio.run, buyer.aremaining)):
        for window in WINDOWS:
            with pytest.raises(errors.ConfigurationError, match=f'is a window.*write window="{window}"'):
                asked(window)
    buyer.close()
    anyio.run(buyer.aclose)


USDC = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
MINT = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"


async def awaited(event: Any) -> None: ...


class Listener:
    async def __call__(self, event: Any) -> None: ...


def vouching(network: str, address: str, **said: Any) -> Policy:
    return Policy(per_request="1", tokens=[Token(network, address, **said)])


@pytest.mark.parametrize("program", [None, "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"])
def test_a_token_that_is_one_is_taken(program: str | None) -> None:
    for policy in (vouching("solana", MINT, program=program), vouching("base", USDC), vouching("base", USDC.lower())):
        Buyer(Wallet(evm=KEY), policy).close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"rpc": "https://a.example"},
        {"rpc": {"base": 5}},
        {"rpc": {"base": [5]}},
        {"rpc": {"base": []}},
        {"rpc": {"base": "https://"}},
        {"rpc": {5: "https://a.example"}},
        {"rpc": {"nonsense": "https://a.example"}},
        {"purse": ""},
        {"purse": "\ud800"},
        {"purse": 5},
        {"ledger": 5},
        {"on_refusal": "shrug"},
        {"settle_timeout": 0},
        {"approve_timeout": "soon"},
        {"terms_age": -1},
        {"approve": 5},
        {"on_event": 5},
        {"on_event": awaited},
        {"on_event": Listener()},
        {"policy": vouching("base", USDC[:-1] + "d")},
        {"policy": vouching("solana", "0x" + "ab" * 20)},
        {"policy": vouching("solana", "2" * 43 + "0")},
        {"policy": vouching("solana", "2" * 30)},
        {"policy": vouching("solana", MINT, program=MINT)},
        {"policy": vouching("solana-devnet", MINT, program="Token")},
        {"policy": None},
        {"bounds": None},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_mistakes_are_said_when_building(wrong: dict[str, Any]) -> None:
    with pytest.raises(errors.ConfigurationError):
        Buyer(Wallet(evm=KEY), **wrong)


def test_a_buyer_is_a_buyer() -> None:
    nobody: Any = None
    for build in (PaymentTransport, AsyncPaymentTransport, PaymentAdapter):
        with pytest.raises(errors.ConfigurationError, match="Buyer"):
            build(nobody)
    with httpx.Client() as client, pytest.raises(errors.ConfigurationError, match="buyer is a Buyer"):
        x402_client.httpx.wrap(client, nobody)
    with requests.Session() as session, pytest.raises(errors.ConfigurationError, match="buyer is a Buyer"):
        x402_client.requests.wrap(session, nobody)


def test_a_policy_of_host_limits_pays_nobody_else(seller: Sandbox) -> None:
    buyer = seller.buyer(Policy(hosts={"api.example.com": Limit(per_request="0.50")}))
    client = x402_client.httpx.wrap(httpx.Client(), buyer)
    with client, pytest.raises(errors.NoAcceptableOffer, match="no limit of the policy for this host"):
        client.get(seller.url + "/weather")
    assert seller.settlements == []


def test_scope_run_refuses_what_would_run_outside_of_it(seller: Sandbox) -> None:
    buyer = seller.buyer()

    async def main() -> None:
        async with x402_client.httpx.wrap(httpx.AsyncClient(), buyer) as client:
            scope = buyer.purchase(key="order")
            with pytest.raises(errors.ConfigurationError, match="plain functions"):
                scope.run(client.get, seller.url + "/weather")

    asyncio.run(main())
    assert seller.settlements == []


def test_thousands_of_tiny_chunks_do_not_stop_the_loop() -> None:
    """A 402 in one-byte chunks, all of them there at once."""
    gaps: list[float] = []

    async def body() -> Any:
        for _ in range(100_000):
            yield b"x"

    class Dripping(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(402, content=body())

    async def tick() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            gaps.append(time.perf_counter() - before)

    async def main() -> None:
        ticking = asyncio.create_task(tick())
        buyer = Buyer(Wallet(evm=KEY))
        async with x402_client.httpx.wrap(httpx.AsyncClient(transport=Dripping()), buyer) as client:
            assert (await client.get("https://seller.example/")).status_code == 402
        ticking.cancel()

    asyncio.run(main())
    assert len(gaps) > 100, "the loop went on turning while the 402 was read"


def sells_by_redirect(shown: dict[str, Any] | None) -> httpx.MockTransport:
    """A seller of the user's own making that answers a payment with the place of the content."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/content":
            return httpx.Response(200, text="content")
        if "payment-signature" not in request.headers:
            return httpx.Response(402, headers={"payment-required": sealed(TERMS)})
        proof = {} if shown is None else {"payment-response": sealed(shown)}
        return httpx.Response(303, headers={"location": "/content", **proof})

    return httpx.MockTransport(answer)


def sealed(document: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


TERMS = {
    "x402Version": 2,
    "accepts": [
        {
            "scheme": "exact",
            "network": "eip155:84532",
            "amount": "10000",
            "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "payTo": "0x" + "12" * 20,
            "maxTimeoutSeconds": 60,
        }
    ],
}
PROOF = {"success": True, "transaction": "0x12", "network": "eip155:84532"}


@pytest.mark.parametrize(("proof", "delivered"), [(PROOF, True), (PROOF | {"network": "base"}, False), (None, False)])
def test_a_redirect_to_the_content_delivers_if_the_settlement_is_proven(proof: Any, delivered: bool) -> None:
    buyer = Buyer(Wallet(evm=KEY), ledger=":memory:")
    transport = sells_by_redirect(proof)
    with x402_client.httpx.wrap(httpx.Client(transport=transport, follow_redirects=True), buyer) as client:
        for _ in range(2):
            response = client.get("https://seller.example/")
            assert response.text == "content"
            assert receipt(response) == receipt(response.history[0])
    # Without a proof the same payment is presented again, never a second one signed.
    assert len(buyer.history()) == (2 if delivered else 0)
    assert len(buyer.holds()) == (0 if delivered else 1)
    assert buyer.spent(currency="USD (test)").units == (20_000 if delivered else 10_000)


@pytest.mark.parametrize("names", ["authorization", b"x", 3, None, [1], [""], ["a b"], ["a:"], ["é"], ["a\n"]])
def test_identity_headers_that_are_none(names: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match="identity_headers lists names of headers"):
        Buyer(Wallet(evm=KEY), ledger=":memory:", identity_headers=names)


def test_identity_headers_are_known_by_one_spelling() -> None:
    buyer = Buyer(Wallet(evm=KEY), ledger=":memory:", identity_headers=iter(["X-Tenant", "authorization", "x-tenant"]))
    assert buyer.identity_headers == ("authorization", "x-tenant")


def test_a_policy_as_a_dict_is_answered_by_the_line_to_write() -> None:
    given: Any = {"per_day": "1"}
    with pytest.raises(errors.ConfigurationError, match=r"write Buyer\(wallet, Policy\(per_day='1'\)\)"):
        Buyer(Wallet(evm=KEY), given)


def test_a_budget_in_smallest_units_is_told_though_no_log_is_shown() -> None:
    policy = Policy(per_day=5_000_000)
    with pytest.warns(UserWarning, match="per_day=5000000 means 5000000 US dollars"):
        Buyer(Wallet(evm=KEY), policy, ledger=":memory:")
    told: list[events.Event] = []
    Buyer(Wallet(evm=KEY), policy, ledger=":memory:", on_event=told.append)
    assert ["5000000 US dollars" in str(event) for event in told] == [True]


def test_a_time_for_answers_that_no_payment_outlives_is_told() -> None:
    policy, told = Policy(per_day="1", validity=120), list[events.Event]()
    Buyer(Wallet(evm=KEY), policy, ledger=":memory:", settle_timeout=120, on_event=told.append)
    assert ["settle_timeout is 120 seconds, and a payment is valid for 120" in str(one) for one in told] == [True]
    told.clear()
    for seconds in (119, None):
        Buyer(Wallet(evm=KEY), policy, ledger=":memory:", settle_timeout=seconds, on_event=told.append)
    assert told == []


def test_a_purse_that_is_new_beside_others_is_told_once(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    told: list[str] = []

    def made(purse: str) -> Buyer:
        return Buyer(Wallet(evm=KEY), ledger=place, purse=purse, on_event=lambda event: told.append(str(event)))

    first = made("tenants")
    first.ledger.reserve(order(purchase(purse="tenants")), Attempt())
    assert not [one for one in told if "Purse" in one], "the first purse of a ledger is expected"
    made("tenants").close()
    assert not [one for one in told if "Purse" in one]
    made("tenant").close()
    [said] = [one for one in told if "Purse" in one]
    assert "Purse 'tenant' is new in the ledger" in said
    assert "its budgets begin at zero. Did you mean 'tenants'? Used before there: 'tenants'." in said
    first.close()


def test_the_ledger_of_a_sandbox_that_has_ended_is_named_as_such() -> None:
    with pytest.raises(errors.LedgerUnavailable, match="that sandbox is not running any more"):
        Buyer(Wallet(evm=KEY), ledger="/tmp/x402-sandbox-gone/ledger.db")


@pytest.mark.parametrize("is_async", [False, True])
def test_a_ledger_that_fails_at_its_close_is_told_as_any_failure_of_it(is_async: bool) -> None:
    class Failing(MemoryLedger):
        def close_ledger(self) -> None:
            raise ValueError("odd")

    buyer = Buyer(Wallet(evm=KEY), ledger=Failing())
    with pytest.raises(errors.LedgerUnavailable, match="The ledger failed with ValueError: odd"):
        anyio.run(buyer.aclose) if is_async else buyer.close()
