"""A tool that says "untouched" looked first for an unresolved payment of the same request."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.adapters.scripted_server import Exchange, Server
from tests.wire.terms import KEY
from x402_client import Buyer, Policy, Wallet
from x402_client.agents.advice import MOST_PRESENTED
from x402_client.agents.asking import HttpxAsker, Request
from x402_client.agents.earlier import among
from x402_client.agents.hosts import AllowedHosts
from x402_client.agents.results import failed
from x402_client.sandbox import Sandbox
from x402_client.testing import payment_required, payment_response

from .clients import Toolbox, toolbox

HERE = ["127.0.0.1"]
ANY = AllowedHosts(None)
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


def test_a_quote_of_a_seller_that_is_down_hides_no_earlier_payment(box: Toolbox, seller: Sandbox) -> None:
    own, url = paid_once(box, seller)
    seller.close()
    found = own.quote(f"{url}?day=1")
    assert (found["ok"], found["money"], found["next"]) == (False, "spent", "repeat")
    assert (
        "An earlier call paid 0.02 USD to 127.0.0.1 for this request. paid_fetch presents that payment" in found["says"]
    )
    other = own.quote(f"{url}?day=2")
    assert (other["money"], other["says"].endswith("Nothing was paid.")) == ("untouched", True)


def test_a_quote_of_an_answer_that_asks_for_nothing_tells_of_an_earlier_payment(box: Toolbox) -> None:
    asked: list[Exchange] = []

    def sell(one: Exchange) -> None:
        asked.append(one)
        if len(asked) > 2:
            one.answer(404, b"No.")
        elif len(asked) == 1:
            one.answer(402, b"", list(payment_required("0.01")["headers"].items()))
        else:
            one.answer(500, b"Oh.")

    buyer = Buyer(Wallet(evm=KEY), POLICY, ledger=":memory:", rpc={}, repeat=())
    with Server() as server:
        server.on("/", sell)
        own = box.tools(buyer, hosts=HERE)
        own.paid_fetch(server.url())
        found, other = own.quote(server.url()), own.quote(f"{server.url()}?other")
    assert (found["free"], found["would_pay"]) == (False, None)
    assert other["reasons"] == ["The server answered 404, and asked for no payment."]
    [reason] = found["reasons"]
    known = "An earlier call presented a payment of 0.01 USD to 127.0.0.1 for this request."
    assert reason.startswith(f"{known} paid_fetch")


@pytest.mark.parametrize("name", ["httpx", "httpx async", "requests"])
def test_parameters_that_the_client_adds_hide_none(name: str, seller: Sandbox) -> None:
    with toolbox(name) as box:
        box.client.params = {"tenant": "a b"}
        own, url = paid_once(box, seller)
        seller.close()
        assert own.paid_fetch(f"{url}?day=1")["money"] == own.quote(f"{url}?day=1")["money"] == "spent"
        box.client.params = {"tenant": "other"}
        assert own.paid_fetch(f"{url}?day=1")["money"] == "untouched"


def test_a_header_of_the_client_that_tells_tenants_apart_is_known(box: Toolbox, seller: Sandbox) -> None:
    url = seller.sell("/poem", "0.02", fault="drop-after-settling")
    buyer = seller.buyer(POLICY, repeat=(), identity_headers=("X-Tenant",))
    box.client.headers["X-Tenant"] = "a"
    own = box.tools(buyer, hosts=HERE)
    assert own.paid_fetch(f"{url}?day=1")["money"] == "spent"
    seller.close()
    assert own.paid_fetch(f"{url}?day=1")["money"] == "spent"
    assert own.paid_fetch(f"{url}?day=2")["money"] == "untouched"
    box.client.headers["X-Tenant"] = "b"
    assert own.paid_fetch(f"{url}?day=1")["money"] == "untouched"


@pytest.mark.parametrize("path", ["/m\u00fcnchen?q=a b", "/a%2fb?x=%C3%A9", "/a/../poem?{}"])
def test_each_librarys_spelling_of_a_url_hides_none(box: Toolbox, seller: Sandbox, path: str) -> None:
    buyer = Buyer(Wallet(evm=KEY), POLICY, ledger=":memory:", rpc={}, repeat=())
    with Server() as server:
        server.fallback = lambda one: (
            one.answer(402, b"", list(payment_required("0.01")["headers"].items()))
            if one.seen.header("payment-signature") is None
            else one.answer(500, b"Oh.")
        )
        own = box.tools(buyer, hosts=HERE)
        own.paid_fetch(server.url(path))
        [hold] = buyer.holds()
    assert own.paid_fetch(server.url(path))["money"] == hold.money


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
    assert "An earlier call presented a payment of 0.01 USD to 127.0.0.1 for this request." in found["says"]
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
    sent = HttpxAsker(plain.client, ANY, lambda url, paid: None).as_sent
    for other in (hold.but(payer="0x" + "ab" * 20), hold.but(in_flight=True), hold.but(state="reserved")):
        assert among([other], buyer, sent, request, down) is down
    found = among([hold.but(tries=MOST_PRESENTED)], buyer, sent, request, down)
    assert (found["money"], found["next"]) == ("spent", "ask a person")
    assert f"payment {hold.id} in the ledger" in found["says"]


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("fault", ["drop-after-settling", "drop-before-settling"])
def test_a_payment_that_the_policy_gives_up_is_to_be_repeated(
    plain: Toolbox, fault: str, accepted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a quote and a budget say is what the next call does, also of one that was presented many times."""
    with Sandbox() as seller:
        url = seller.sell("/poem", "0.02", fault=[fault] * 3)
        buyer = seller.buyer(POLICY.but(accept_loss="0.02" if accepted else "0"), repeat=())
        own = plain.tools(buyer, hosts=HERE)
        own.paid_fetch(url)
        later = time.time() + 5_000
        seller.advance(5_000)
        monkeypatch.setattr("x402_client.buyer.settlement_reader.time.time", lambda: later)
        [told], found = own.budget()["unresolved"], own.quote(url)
        assert told["next"] == found["unresolved_payment"]["next"]
        given_up = "If that brings nothing, it is given up, as the policy allows, and paid anew"
        assert (given_up in found["reasons"][-1]) is accepted
        own.paid_fetch(url)
        ended = told["payment"] not in {hold.id for hold in buyer.holds()}
        assert ended is (accepted or fault == "drop-before-settling")
        assert [hold.id for hold in buyer.history() if hold.state == "written_off"] == (
            [told["payment"]] if accepted and fault == "drop-after-settling" else []
        )


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


@pytest.mark.parametrize("gone", [False, True])
def test_a_ledger_that_cannot_be_read_proves_no_repeat(box: Toolbox, tmp_path: Path, gone: bool) -> None:
    kept = tmp_path / "spend.db"

    def sell(one: Exchange) -> None:
        if one.seen.header("payment-signature") is None:
            one.answer(402, b"", list(payment_required("0.01")["headers"].items()))
            return
        if gone:
            for each in filter(Path.is_file, tmp_path.iterdir()):
                each.unlink()
            kept.write_bytes(b"This is no ledger." * 1_000)
        one.head(200, list(payment_response(b"")["headers"].items()), 1_000)
        one.send(b"Roses are red.")
        one.leave()

    buyer = Buyer(Wallet(evm=KEY), POLICY, ledger=str(kept), rpc={}, repeat=())
    with Server() as server:
        found = box.tools(buyer, hosts=HERE).paid_fetch(server.on("/", sell))
    assert (found["ok"], found["money"] in ("spent", "held", "unknown")) == (False, True)
    assert len(re.findall("It was paid for|A payment for it was presented", found["says"])) == 1
    if gone:
        assert found["next"] == "ask a person"
        assert "the ledger cannot be read now. So it is not known if the same call presents that" in found["says"]
        assert "x402 ledger holds" in found["says"]
        assert "presents the same payment" not in found["says"]
    else:
        assert found["next"] == "repeat"
        assert found["says"].endswith("Make the same call again: it presents the same payment.")
        assert buyer.holds()[0].money == found["money"]


@pytest.mark.parametrize("fault", ["work-says-no", "drop-after-settling"])
def test_after_a_no_of_a_seller_that_was_paid_each_place_names_the_payment(
    box: Toolbox, seller: Sandbox, fault: str
) -> None:
    url, buyer = seller.sell("/poem", "0.02", fault=fault), seller.buyer()
    own = box.tools(buyer, hosts=HERE)
    refused = own.paid_fetch(url)
    [hold] = buyer.holds()
    assert (refused["next"], hold.id in refused["says"]) == ("ask a person", True)
    quoted = own.quote(url)
    [reason] = quoted["reasons"]
    assert (quoted["would_pay"], "presents that payment again" in reason) == (None, False)
    assert reason.endswith(f"Tell the user: it is the payment {hold.id} in the ledger.")


@pytest.mark.parametrize("times", [1, 2])
def test_a_quote_says_how_long_a_payment_that_was_refused_often_is_better_left_alone(
    plain: Toolbox, seller: Sandbox, times: int
) -> None:
    url, buyer = seller.sell("/poem", "0.02", fault=["402-again"] * 30), seller.buyer(POLICY, breaker_after=None)
    own = plain.tools(buyer, hosts=HERE)
    *_, found = [own.paid_fetch(url) for _ in range(times)]
    waits = re.search(r"again in (\d+) seconds, not before", found["says"])
    quoted = own.quote(url)
    told = re.search(r"the next (\d+) seconds will hardly help", quoted["reasons"][0])
    assert (waits is None, told is None) == (times == 1, times == 1)
    if waits is not None and told is not None:
        assert abs(int(waits[1]) - int(told[1])) <= 2
    assert ("paid_fetch presents" in quoted["reasons"][0]) is (times == 1)
    assert quoted["unresolved_payment"]["next"] == found["next"] == "repeat"
