"""What a model is told of open payments that none of its calls presents: they are not its to repeat."""

from __future__ import annotations

import asyncio
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
