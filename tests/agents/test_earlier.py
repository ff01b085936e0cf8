"""A tool that says "untouched" looked first for an unresolved payment of the same request."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.adapters.scripted_server import Exchange, Server
from tests.wire.terms import KEY
from x402_client import Buyer, Policy, Wallet
from x402_client.agents.advice import MOST_PRESENTED
from x402_client.agents.asking import Request
from x402_client.agents.earlier import among
from x402_client.agents.results import failed
from x402_client.sandbox import Sandbox
from x402_client.testing import payment_required, payment_response

from .clients import Toolbox

HERE = ["127.0.0.1"]
POLICY = Policy(per_request="0.10", per_day="5")


def paid_once(box: Toolbox, seller: Sandbox, *call: str) -> tuple[Any, str]:
    """The tools after a payment that settled and brought no answer, and where it went."""
    url = seller.sell("/poem", "0.02", fault="drop-after-settling")
    own = box.tools(seller.buyer(POLICY, repeat=()), hosts=HERE)
    assert own.paid_fetch(f"{url}?day=1", *call)["money"] == "spent"
    return own, url


@pytest.mark.parametrize("call", [(), ("POST", '{"a": 1}')])
def test_a_seller_that_is_down_hides_no_earlier_payment(box: Toolbox, seller: Sandbox, call: tuple[str, ...]) -> None:
    own, url = paid_once(box, seller, *call)
    seller.close()
    found = own.paid_fetch(f"{url}?day=1", *call)
    assert (found["ok"], found["money"], found["next"]) == (False, "spent", "repeat")
    assert (
        "An earlier call paid 0.02 USD to 127.0.0.1 for this request. Make the same call again later" in found["says"]
    )
    assert "Nothing was paid" not in found["says"]
    for other in ((f"{url}?day=2", *call), (f"{url}?day=1", "PUT", "other")):
        found = own.paid_fetch(*other)
        assert (found["money"], found["says"].endswith("Nothing was paid.")) == ("untouched", True)


def test_a_tool_of_one_endpoint_tells_of_it_too(box: Toolbox, seller: Sandbox) -> None:
    url, buyer = seller.sell("/poem", "0.02", fault="drop-after-settling"), seller.buyer(POLICY, repeat=())
    ask = box.payable(buyer, url, hosts=HERE)
    assert ask()["money"] == "spent"
    seller.close()
    assert (ask()["money"], ask()["next"]) == ("spent", "repeat")


@pytest.mark.parametrize("status", [404, 402, 503])
def test_an_answer_without_a_payment_hides_none(plain: Toolbox, status: int) -> None:
    asked: list[Exchange] = []

    def sell(one: Exchange) -> None:
        asked.append(one)
        terms = payment_required("0.01")
        if len(asked) > 2:
            one.answer(status, b"No.")
        elif len(asked) == 1:
            one.answer(402, b"", list(terms["headers"].items()))
        else:
            one.answer(500, b"Oh.")

    buyer = Buyer(Wallet(evm=KEY), POLICY, ledger=":memory:", rpc={}, repeat=())
    with Server() as server:
        server.on("/", sell)
        own = plain.tools(buyer, hosts=HERE)
        own.paid_fetch(server.url())
        found = own.paid_fetch(server.url())
    [hold] = buyer.holds()
    assert (found["status"], found["money"], found["next"]) == (status, hold.money, "repeat")
    assert "An earlier call made a payment of 0.01 USD to 127.0.0.1 for this request." in found["says"]
    assert "Nothing was paid" not in found["says"]


def test_a_payment_of_another_wallet_a_key_or_in_flight_is_not_meant(plain: Toolbox, seller: Sandbox) -> None:
    url, buyer = seller.sell("/poem", "0.02", fault="drop-after-settling"), seller.buyer(POLICY, repeat=())
    own = plain.tools(buyer, hosts=HERE)
    own.paid_fetch(url)
    [hold] = buyer.holds()
    seller.close()
    with buyer.purchase(key="another"):
        assert own.paid_fetch(url)["money"] == "untouched"
    request, down = Request("GET", url), failed(httpx.ConnectError("down"))
    for other in (hold.but(payer="0x" + "ab" * 20), hold.but(in_flight=True), hold.but(state="reserved")):
        assert among([other], buyer, request, down) is down
    found = among([hold.but(tries=MOST_PRESENTED)], buyer, request, down)
    assert (found["money"], found["next"]) == ("spent", "ask a person")
    assert f"payment {hold.id} in the ledger" in found["says"]


@pytest.mark.parametrize("to", ["/goods", "/gone", "file:///x", "http://[::1"])
def test_a_redirect_after_a_payment_hides_no_payment(box: Toolbox, to: str) -> None:
    terms = payment_required("0.01")

    def sell(one: Exchange) -> None:
        if one.seen.header("payment-signature") is None:
            one.answer(402, b"", list(terms["headers"].items()))
        else:
            one.answer(302, b"", [*payment_response(b"")["headers"].items(), ("Location", to)])

    buyer = Buyer(Wallet(evm=KEY), POLICY, ledger=":memory:", rpc={}, repeat=())
    with Server() as server:
        server.on("/goods", lambda one: one.answer(200, b"the goods"))
        server.on("/gone", lambda one: one.answer(404, b"No."))
        found = box.tools(buyer, hosts=HERE).paid_fetch(server.on("/", sell))
    if to == "/goods":
        assert (found["ok"], found["paid"]) == (True, "0.01 USD")
    else:
        assert (found["ok"], found["money"] in ("spent", "held", "unknown")) == (False, True)
