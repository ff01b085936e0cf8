"""Permit2 and ceilings in the sandbox: every shell pays, no fault costs more than was agreed, and the rest is freed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import pytest
import requests

import x402_client.aiohttp
import x402_client.httpx
import x402_client.requests
from x402_client import Buyer, Money, Policy, errors, events
from x402_client.receipts import outcome
from x402_client.sandbox import Sandbox

POLICY = Policy(per_request="0.10", per_day="1", upto="0.05")
Get = Callable[[Buyer, str], Any]


def by_httpx(buyer: Buyer, url: str) -> Any:
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        return outcome(client.get(url))


def by_async_httpx(buyer: Buyer, url: str) -> Any:
    async def ask() -> Any:
        async with x402_client.httpx.wrap(httpx.AsyncClient(), buyer) as client:
            return outcome(await client.get(url))

    return asyncio.run(ask())


def by_requests(buyer: Buyer, url: str) -> Any:
    with x402_client.requests.wrap(requests.Session(), buyer) as session:
        return outcome(session.get(url))


def by_aiohttp(buyer: Buyer, url: str) -> Any:
    async def ask() -> Any:
        async with x402_client.aiohttp.wrap(aiohttp.ClientSession(), buyer) as session:
            response = await session.get(url)
            await response.read()
            return outcome(response)

    return asyncio.run(ask())


SHELLS = {"httpx": by_httpx, "httpx async": by_async_httpx, "requests": by_requests, "aiohttp": by_aiohttp}
every_shell = pytest.mark.parametrize("get", SHELLS.values(), ids=SHELLS)


class Told:
    """What a buyer tells, with a wait for what it looks up in the background."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []
        self._heard = threading.Event()

    def __call__(self, event: events.Event) -> None:
        self.events.append(event)
        if isinstance(event, events.Concluded):
            self._heard.set()

    def concluded(self) -> None:
        assert self._heard.wait(20), self.events


@every_shell
def test_a_fixed_price_is_paid_by_permit2_from_the_allowance(sandbox: Sandbox, get: Get) -> None:
    buyer = sandbox.buyer(POLICY)
    sandbox.approve(buyer, "0.01")
    found = get(buyer, f"{sandbox.url}/permit2/weather")
    assert found.money == "spent"
    [done] = sandbox.settlements
    assert (done.nonce, done.price) == (found.hold.nonce, Money("0.01"))
    assert buyer.reader.read(found.hold) == "settled"
    assert buyer.spent() == Money("0.01")
    with pytest.raises(errors.InsufficientFunds, match="has approved 0 USDC to it"):
        get(buyer, f"{sandbox.url}/permit2/weather")
    assert buyer.spent() == sandbox.earned == Money("0.01")


@every_shell
def test_of_a_ceiling_only_the_charge_counts_once_the_chain_shows_it(sandbox: Sandbox, get: Get) -> None:
    told = Told()
    buyer = sandbox.buyer(POLICY, on_event=told)
    url = sandbox.sell("/tokens", "0.05", upto=True, charge="0.007")
    found = get(buyer, url)
    assert (found.money, found.ceiling, found.claimed) == ("spent", Money("0.05"), Money("0.007"))
    told.concluded()
    assert found.charged == buyer.spent() == sandbox.earned == Money("0.007")
    assert buyer.ledger.owed() == ()  # type: ignore[attr-defined]
    assert buyer.history(1)[0].price == Money("0.007")


def test_a_days_worth_of_small_charges_fits_under_large_ceilings(sandbox: Sandbox) -> None:
    buyer = sandbox.buyer(Policy(per_request="0.06", per_day="0.06", upto="0.05"))
    url = sandbox.sell("/tokens", "0.05", upto=True, charge="0.001")
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        for _ in range(8):  # the rest is looked up before the limit refuses
            assert client.get(url).status_code == 200
    buyer.reconcile()
    assert buyer.spent() == sandbox.earned == Money("0.008")


def test_a_charge_is_found_where_the_chains_clock_is_ahead_of_ours(sandbox: Sandbox) -> None:
    sandbox.advance(48)
    url, told = sandbox.sell("/ahead", "0.05", upto=True, charge="0.01"), Told()
    buyer = sandbox.buyer(POLICY, on_event=told)
    by_httpx(buyer, url)
    told.concluded()
    assert buyer.spent() == sandbox.earned == Money("0.01")


def test_nothing_is_signed_without_a_word_for_ceilings(sandbox: Sandbox) -> None:
    buyer = sandbox.buyer(Policy(per_request="1", per_day="1"))
    with pytest.raises(errors.NoAcceptableOffer, match=r"Policy\(upto=\.\.\.\)"):
        by_httpx(buyer, f"{sandbox.url}/upto/weather")
    with pytest.raises(errors.NoAcceptableOffer, match=r"ceilings up to 0\.05 USD"):
        by_httpx(sandbox.buyer(POLICY), sandbox.sell("/dear", "0.06", upto=True))
    assert sandbox.settlements == []


@pytest.mark.parametrize(
    ("way", "fault"), [("/upto", "facilitator-zero"), ("/upto", "another-spender"), ("/permit2", "another-spender")]
)
def test_terms_that_no_honest_seller_has_are_refused(sandbox: Sandbox, way: str, fault: str) -> None:
    buyer = sandbox.buyer(POLICY)
    with pytest.raises(errors.NoAcceptableOffer):
        by_httpx(buyer, f"{sandbox.url}{way}/fault/{fault}/weather")
    assert buyer.spent() == sandbox.earned == Money("0")


def test_a_charge_that_comes_after_a_receipt_of_zero_is_counted_all_the_time(sandbox: Sandbox) -> None:
    """ "Zero is not settled on chain, and the signature still lives": the same payload is settled whole after it."""
    buyer = sandbox.buyer(POLICY)
    found = by_httpx(buyer, f"{sandbox.url}/upto/fault/late-charge/report")
    assert (found.money, found.claimed) == ("held", Money("0"))
    assert buyer.spent() == sandbox.earned == Money("0.05")
    buyer.reconcile()
    assert buyer.spent() == Money("0.05")
    assert buyer.history(1)[0].money == "spent"


def test_a_charge_of_zero_is_freed_only_past_the_deadline(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    buyer = sandbox.buyer(POLICY)
    found = by_httpx(buyer, sandbox.sell("/nothing", "0.05", upto=True, charge="0"))
    assert (found.money, found.claimed, sandbox.settlements) == ("held", Money("0"), [])
    assert buyer.reconcile().released == ()
    assert buyer.spent() == Money("0.05")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 900)  # the sandbox's chains follow
    buyer.reconcile()
    assert (buyer.spent(), buyer.history(1)[0].money) == (Money("0"), "untouched")


def test_what_the_chain_shows_counts_and_not_what_the_seller_says(sandbox: Sandbox) -> None:
    buyer = sandbox.buyer(POLICY)
    found = by_httpx(buyer, f"{sandbox.url}/upto/fault/wrong-charge/report")
    assert found.claimed == Money.of_units(1)
    buyer.reconcile()
    assert buyer.spent() == sandbox.earned == Money("0.05")


@pytest.mark.parametrize("way", ["/permit2", "/upto"])
@pytest.mark.parametrize(
    "fault", ["drop-before-settling", "drop-after-settling", "error-before-settling", "402-after-settling"]
)
def test_an_unclear_end_presents_the_same_payment_again(sandbox: Sandbox, way: str, fault: str) -> None:
    buyer = sandbox.buyer(POLICY, repeat=())
    url = f"{sandbox.url}/redeliver{way}/fault/{fault}/weather"
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        try:
            assert client.get(url).status_code == 500
        except (errors.PaymentOutcomeUnknown, errors.PaymentRejected):
            taken = way == "/upto" and fault.endswith("-after-settling")
            assert buyer.spent() == (Money("0.005") if taken else Money("0.01"))
        response = client.get(url)
    assert response.status_code == 200
    assert len(sandbox.settlements) == 1
    buyer.reconcile()
    assert buyer.spent() == sandbox.earned
    assert len({visit.payment for visit in sandbox.visits if visit.payment}) == 1


def test_an_unresolved_ceiling_is_given_back_when_it_died_unused(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    buyer = sandbox.buyer(POLICY, repeat=())
    with pytest.raises(errors.PaymentOutcomeUnknown):
        by_httpx(buyer, f"{sandbox.url}/upto/fault/drop-before-settling/weather")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 900)
    buyer.reconcile()
    assert buyer.spent() == Money("0")
    assert buyer.holds() == ()


def test_it_is_sold_on_the_evm_chain_by_version_2_alone(sandbox: Sandbox) -> None:
    for wrong in ({"chains": "solana"}, {"version": 1}):
        with pytest.raises(errors.ConfigurationError, match="on the EVM chain, by version 2"):
            sandbox.sell("/x", "0.01", upto=True, **wrong)  # type: ignore[arg-type]
    for path in ("/solana/upto/weather", "/v1/permit2/weather"):
        assert httpx.get(sandbox.url + path).status_code == 402
