"""Testing a program that pays, with the fixtures that come with the package.

`x402_sandbox` is a seller with invented money, `x402_buyer` a buyer for it, under the policy of the fixture
`x402_policy`, which you override with your own.

Run it: python -m pytest examples/test_an_agent.py
"""

import httpx
import pytest

from x402_client import Buyer, Money, Policy, errors
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox


def weather(url: str, buyer: Buyer) -> str:
    """The program under test."""
    with wrap(httpx.Client(timeout=5), buyer) as client:
        try:
            return str(client.get(url).json()["content"])
        except errors.PaymentOutcomeUnknown:
            return str(client.get(url).json()["content"])
        except errors.OverLimit:
            return "unknown"


@pytest.fixture
def x402_policy() -> Policy:
    return Policy(per_request="0.02", per_day="1")


def test_it_pays_once(x402_sandbox: Sandbox, x402_buyer: Buyer) -> None:
    url = x402_sandbox.sell("/lisbon", "0.02", content={"content": "sunny"})
    assert weather(url, x402_buyer) == "sunny"
    assert len(x402_sandbox.settlements) == 1


def test_it_pays_once_over_a_bad_line(x402_sandbox: Sandbox, x402_buyer: Buyer) -> None:
    url = x402_sandbox.sell("/lisbon", "0.02", fault="drop-after-settling", redeliver=True)
    assert weather(url, x402_buyer) == "worth it"
    assert len(x402_sandbox.paid(x402_buyer)) == 1


@pytest.mark.parametrize("fault", ["price-over-limit", "wrong-token", "pay-to-zero"])
def test_it_does_not_pay_for_bad_terms(x402_sandbox: Sandbox, x402_buyer: Buyer, fault: str) -> None:
    url = x402_sandbox.fault_url(fault)
    with wrap(httpx.Client(), x402_buyer) as client, pytest.raises(errors.PaymentRefused):
        client.get(url)
    assert x402_sandbox.balance(x402_buyer) == Money(200)
    assert x402_sandbox.settlements == []
