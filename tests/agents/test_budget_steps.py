"""What a model is told of open payments: of those that its calls do not present, and of expired ones."""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext
from typing import Any

import httpx
import pytest

from x402_client import Buyer, Policy, errors
from x402_client.agents import tools
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox

LOST = "drop-before-settling"


def opened(seller: Sandbox, key: str | None) -> Buyer:
    """Leave a payment open, under a key or under none."""
    buyer = seller.buyer(Policy(per_request="0.10", per_day="5"))
    url = seller.sell("/goods", "0.01", fault=[LOST] * 9)
    around = nullcontext() if key is None else buyer.purchase(key=key)
    with pytest.raises(errors.PaymentOutcomeUnknown), wrap(httpx.Client(), buyer) as client, around:
        client.get(url)
    return buyer


def next_told(buyer: Buyer, hosts: list[str], is_async: bool) -> str:
    own: Any = tools(httpx.AsyncClient() if is_async else httpx.Client(), buyer, hosts=hosts)
    found = asyncio.run(own.budget()) if is_async else own.budget()
    [told] = found["unresolved"]
    return str(told["next"])


@pytest.mark.parametrize("is_async", [False, True])
def test_a_payment_is_repeated_by_the_calls_that_present_it_alone(is_async: bool) -> None:
    with Sandbox() as seller:
        host = seller.url.removeprefix("http://")
        buyer = opened(seller, None)
        assert next_told(buyer, [host], is_async) == "repeat"
        assert next_told(buyer, ["other.example"], is_async) == "ask a person"
        buyer = opened(seller, "order 1")
        assert next_told(buyer, [host], is_async) == "ask a person"
        with buyer.purchase(key="order 1"):
            assert next_told(buyer, [host], is_async) == "repeat"
        with buyer.purchase(key="order 2"):
            assert next_told(buyer, [host], is_async) == "ask a person"


@pytest.mark.parametrize("expired", [False, True])
def test_a_quote_and_a_failure_say_that_an_expired_payment_may_be_paid_anew(
    monkeypatch: pytest.MonkeyPatch, expired: bool
) -> None:
    with Sandbox() as seller:
        buyer = opened(seller, None)
        later = time.time() + (5_000 if expired else 0)
        monkeypatch.setattr(time, "time", lambda: later)
        url = seller.url + "/goods"
        quote: Any = tools(httpx.Client(), buyer, hosts=[seller.url.removeprefix("http://")])
        told = quote.quote(url)
        assert told["unresolved_payment"]["next"] == "repeat"
        [reason] = told["reasons"]
        assert ("given back and paid anew" in reason) is expired
        assert ("pays nothing new" in reason) is not expired
        seller.close()  # no answer: the call fails before it comes to the payment
        says = quote.paid_fetch(url)["says"]
        assert ("given back and paid anew" in says, "presents the same payment" in says) == (expired, not expired)
