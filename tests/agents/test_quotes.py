"""A quote says what would be refused at this moment, though the price itself is within the limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from tests.adapters.scripted_server import Server
from x402_client import Buyer, Limit, Policy
from x402_client.buyer.keyless import keyless_wallet
from x402_client.errors import AlreadyPaid, PaymentRefused
from x402_client.ledgers.memory import MemoryLedger
from x402_client.sandbox import FAULTS, Sandbox

from .clients import Toolbox, toolbox

HERE = ["127.0.0.1"]


def test_a_budget_that_is_used_up_is_told_before_the_call(box: Toolbox, seller: Sandbox) -> None:
    url, buyer = seller.sell("/poem", "0.02"), seller.buyer(Policy(per_request="0.03", per_day="0.03"))
    own = box.tools(buyer, hosts=HERE)
    assert own.quote(url)["would_pay"] == "0.02 USD"
    own.paid_fetch(url)
    found = own.quote(url)
    assert (found["ok"], found["would_pay"]) == (True, None)
    assert found["reasons"][0].startswith("It would be refused now: 0.02 USD for http://127.0.0.1:")
    assert "would exceed the limit of 0.03 USD per day: 0.02 USD of it is counted" in found["reasons"][0]
    assert own.paid_fetch(url)["error"] == "OverLimit"


def test_a_freeze_is_told_before_the_call(box: Toolbox, seller: Sandbox) -> None:
    url, buyer = seller.sell("/poem", "0.02"), seller.buyer(Policy(per_day="5"))
    own = box.tools(buyer, hosts=HERE)
    buyer.freeze("127.0.0.1")
    found = own.quote(url)
    assert (found["would_pay"], "Payments to 127.0.0.1 are frozen" in found["reasons"][0]) == (None, True)
    buyer.unfreeze("127.0.0.1")
    assert own.quote(url)["would_pay"] == "0.02 USD"


#: What refuses a payment of /poem once one was made, or once it failed: the policy, what happens first, and the error.
REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a budget": ({"per_day": "0.03"}, "paid", "OverLimit"),
    "a number of payments": ({"max_payments": "1/hour"}, "paid", "OverLimit"),
    "a number of payments of a host": ({"hosts": {"127.0.0.1": Limit(max_payments="1/day")}}, "paid", "OverLimit"),
    "the same request": ({"same_request": "1/hour"}, "paid", "SameRequest"),
    "a freeze": ({}, "frozen", "Frozen"),
    "a pause": ({}, "failed", "HostNotAllowed"),
}


@pytest.mark.parametrize("cause", REFUSALS)
def test_what_would_be_refused_now_is_told_alike_by_each_quote(box: Toolbox, seller: Sandbox, cause: str) -> None:
    settings, happens, error = REFUSALS[cause]
    url = seller.sell("/poem", "0.02")
    buyer = seller.buyer(Policy(**{"per_request": "0.03", "per_day": "5", **settings}), breaker_after=1)
    own = box.tools(buyer, hosts=HERE)
    assert own.quote(url)["would_pay"] == "0.02 USD"
    assert box.quote(url).refusal is None
    if happens == "frozen":
        buyer.freeze("*")
    elif happens == "paid":
        own.paid_fetch(url)
    else:
        own.paid_fetch(f"{seller.url}/fault/drop-before-settling/weather", method="POST")
    found, quoted, paid = own.quote(url), box.quote(url), own.paid_fetch(url)
    assert (type(quoted.refusal).__name__, f"refused now: {error}" in repr(quoted)) == (error, True)
    assert (found["would_pay"], paid["error"]) == (None, error)
    told = found["reasons"][0].removeprefix("It would be refused now: ")
    seconds = [re.sub(r"in \d+ seconds?", "in some seconds", said) for said in (told, paid["says"])]
    assert seconds[0] == seconds[1], "the refusal itself says the same, to its end"
    assert quoted.choice is not None
    assert quoted.refusal is not None
    assert quoted.refusal.offer == quoted.choice


#: What became of the same request before: its fault, the key of its call, and the key of the call that asks now.
BEFORE: dict[str, tuple[list[str], str | None, str | None]] = {
    "nothing": ([], None, None),
    "unresolved": (["402-again"] * 9, None, None),
    "unresolved under this key": (["402-again"] * 9, "k", "k"),
    "unresolved under another key": (["402-again"] * 9, "k", "other"),
    "delivered under this key": ([], "k", "k"),
}
STOPS = ("nothing", "its host is frozen", "all is frozen", "it is paused", "the allowance is frozen", "it is used up")


@pytest.fixture(params=["httpx", "aiohttp"])
def one_box(request: pytest.FixtureRequest) -> Iterator[Toolbox]:
    with toolbox(request.param) as made:
        yield made


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("before", BEFORE)
def test_a_quote_names_what_the_call_then_raises(one_box: Toolbox, seller: Sandbox, before: str, stop: str) -> None:
    box = one_box
    fault, paid_under, key = BEFORE[before]
    url, buyer = seller.sell("/poem", "0.02", fault=fault), seller.buyer(Policy(per_day="5"), breaker_after=1)
    allowance = buyer.allowance("0.03" if stop == "it is used up" else "1")
    own = box.tools(allowance, hosts=HERE)
    if before != "nothing":
        with buyer.purchase(key=paid_under):
            own.paid_fetch(url)
    _stop(stop, buyer, allowance, own, seller)
    with buyer.purchase(key=key):
        quoted, found, paid = box.quote(url), own.quote(url), own.paid_fetch(url)
    refused = paid["error"] if paid.get("error") in REFUSED else None
    told = None if quoted.refusal is None else type(quoted.refusal).__name__
    assert told == refused, (quoted.refusal, paid)
    assert found["ok"], found
    if quoted.refusal is not None:
        assert quoted.refusal.money == paid["money"]
        assert found["reasons"][0].partition(".")[0].endswith(paid["says"].partition(".")[0])
    if paid["ok"] or paid["error"] in REFUSED:
        assert (found["would_pay"] is not None) is paid["ok"]


#: Errors of our own decision: the server sees no payment of a call that raises one.
REFUSED = (
    "Frozen",
    "HostNotAllowed",
    "AlreadyPaid",
    "OverLimit",
    "NoAcceptableOffer",
    "TooExpensive",
    "PaymentRefused",
)


def _stop(stop: str, buyer: Any, allowance: Any, own: Any, seller: Sandbox) -> None:
    if stop == "the allowance is frozen":
        allowance.freeze()
    elif stop == "it is paused":
        own.paid_fetch(f"{seller.url}/fault/drop-before-settling/weather", method="POST")
    elif stop == "it is used up":
        own.paid_fetch(seller.sell("/other", "0.02"))
    elif stop != "nothing":
        buyer.freeze("127.0.0.1" if stop == "its host is frozen" else "*")


#: Policies under which none of the seller's offers is chosen, and what a payment of a new purchase raises.
NOT_CHOSEN: dict[str, tuple[dict[str, Any], str]] = {
    "denied": ({"hosts": {"127.0.0.1": "deny"}}, "HostNotAllowed"),
    "not listed": ({"hosts": {"a.example": Limit(per_day="1")}, "only_listed_hosts": True}, "HostNotAllowed"),
    "too dear": ({"per_request": "0.01"}, "TooExpensive"),
    "another asset": ({"assets": ["EURC"]}, "NoAcceptableOffer"),
    "another account": ({"pay_to": ["0x0000000000000000000000000000000000000001"]}, "NoAcceptableOffer"),
}


@pytest.mark.parametrize("frozen", [None, "127.0.0.1", "allowance"])
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("why", NOT_CHOSEN)
def test_a_quote_without_a_choice_names_what_the_call_then_raises(
    plain: Toolbox, seller: Sandbox, why: str, before: str, frozen: str | None
) -> None:
    settings, error = NOT_CHOSEN[why]
    fault, paid_under, key = BEFORE[before]
    url, first = seller.sell("/poem", "0.02", fault=fault), seller.buyer(Policy(per_day="5"), repeat=())
    if before != "nothing":
        with first.purchase(key=paid_under):
            plain.tools(first, hosts=HERE).paid_fetch(url)
    policy = Policy(**{"per_day": "5", **settings})
    buyer = seller.buyer(policy, ledger=first.ledger, wallet=first.wallet, breaker_after=None, repeat=())
    allowance = buyer.allowance("1")
    if frozen is not None:
        buyer.freeze(frozen) if frozen != "allowance" else allowance.freeze()
    with toolbox("httpx") as box:
        own = box.tools(allowance, hosts=HERE)
        with buyer.purchase(key=key):
            quoted, found, paid = box.quote(url), own.quote(url), own.paid_fetch(url)
    assert (quoted.choice, found["would_pay"]) == (None, None)
    told = None if quoted.refusal is None else type(quoted.refusal).__name__
    # A payment that is presented asks no policy but for the host; what the seller answers no quote knows.
    assert told == (None if paid["error"] in ("PaymentRejected", "PaymentOutcomeUnknown") else paid["error"])
    if before == "nothing" and frozen is None:
        assert told == error
    assert found["reasons"]
    if quoted.refusal is not None:
        assert quoted.refusal.money == paid["money"]
        assert f"refused now: {told}" in repr(quoted)


class Asked(MemoryLedger):
    """A ledger that cannot list what it has."""

    def history(self, limit: int, purse: str = "default") -> NoReturn:
        raise AssertionError("A quote read the whole history.")


@pytest.mark.parametrize("cause", [cause for cause in REFUSALS if REFUSALS[cause][1] == "paid"])
def test_what_would_be_refused_is_told_without_a_look_at_the_history(box: Toolbox, seller: Sandbox, cause: str) -> None:
    settings, _, error = REFUSALS[cause]
    buyer = seller.buyer(Policy(**{"per_request": "0.03", "per_day": "5", **settings}), ledger=Asked())
    own, url = box.tools(buyer, hosts=HERE), seller.sell("/poem", "0.02")
    assert own.paid_fetch(url)["ok"]
    assert type(box.quote(url).refusal).__name__ == error


def test_a_key_that_was_paid_is_told_without_a_look_at_the_history(box: Toolbox, seller: Sandbox) -> None:
    buyer = seller.buyer(Policy(per_day="5"), ledger=Asked())
    own, url = box.tools(buyer, hosts=HERE), seller.sell("/poem", "0.02")
    with buyer.purchase(key="k"):
        assert own.paid_fetch(url)["ok"]
        refusal = box.quote(url).refusal
    assert isinstance(refusal, AlreadyPaid)
    assert (refusal.money, refusal.hold and refusal.hold.purchase.keyed) == ("spent", True)
    with buyer.purchase(key="k"):
        other = box.quote(seller.sell("/other", "0.02")).refusal
    assert type(other) is PaymentRefused
    with buyer.purchase(key="another"):
        assert box.quote(url).refusal is None


def test_an_approver_is_asked_about_the_same_request_and_so_nothing_refuses_it(box: Toolbox, seller: Sandbox) -> None:
    url = seller.sell("/poem", "0.02")
    policy = Policy(per_request="0.03", per_day="5", approve_above="0.03", same_request="1/hour")
    own = box.tools(seller.buyer(policy, approve=lambda approval: True), hosts=HERE)
    assert [own.paid_fetch(url)["ok"], own.quote(url)["would_pay"], own.paid_fetch(url)["ok"]] == [
        True,
        "0.02 USD",
        True,
    ]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_would_not_be_paid_has_its_reason(plain: Toolbox, seller: Sandbox, fault: str) -> None:
    own = plain.tools(seller.buyer(Policy(per_request="0.10", per_day="5")), hosts=HERE)
    found = own.quote(f"{seller.url}/fault/{fault}/weather")
    if not found["ok"]:
        assert found["says"]
    elif found["would_pay"] is None and not found["free"]:
        assert found["reasons"], found
    else:
        assert found.get("funds") == (None if found["would_pay"] is None else "not looked at")
    if found.get("status") == 402 and not found["offers"] and found["ok"]:
        assert found["reasons"][0] == own.paid_fetch(f"{seller.url}/fault/{fault}/weather")["says"]


@pytest.mark.parametrize("status", [404, 500])
def test_an_answer_that_failed_is_not_free(box: Toolbox, seller: Sandbox, status: int) -> None:
    own = box.tools(seller.buyer(), hosts=HERE)
    with Server() as server:
        found = own.quote(server.on("/gone", lambda ex: ex.answer(status, b"")))
    assert (found["ok"], found["status"], found["free"], found["would_pay"]) == (True, status, False, None)
    assert found["reasons"] == [f"The server answered {status}, and asked for no payment."]


@pytest.mark.parametrize("stop", ["a freeze", "a freeze of the host", "the policy"])
def test_what_stops_an_open_payment_does_not_hide_it(box: Toolbox, seller: Sandbox, stop: str) -> None:
    url = seller.sell("/poem", "0.02", fault=["drop-before-settling"] * 9)
    buyer = seller.buyer(Policy(per_day="5"), repeat=())
    box.tools(buyer, hosts=HERE).paid_fetch(url)
    [hold] = buyer.holds()
    if stop == "the policy":
        denied = Policy(per_day="5", hosts={"127.0.0.1": "deny"})
        buyer, error = seller.buyer(denied, ledger=buyer.ledger, wallet=buyer.wallet), "HostNotAllowed"
    else:
        buyer.freeze("*" if stop == "a freeze" else "127.0.0.1")
        error = "Frozen"
    with toolbox("httpx") as other:
        own = other.tools(buyer, hosts=HERE)
        quoted, known, found = own.quote(url), own.budget()["unresolved"], own.paid_fetch(url)
        by_face = other.quote(url)
    assert (found["error"], found["money"], found["next"]) == (error, "unknown", "ask a person")
    assert known == [quoted["unresolved_payment"]]
    assert (known[0]["payment"], known[0]["next"]) == (hold.id, "ask a person")
    assert (quoted["would_pay"], len(quoted["reasons"])) == (None, 2)
    assert quoted["reasons"][0].endswith("Only the user can lift this.")
    assert quoted["reasons"][1].endswith(f"Tell the user: it is the payment {hold.id} in the ledger.")
    assert (by_face.unresolved, type(by_face.refusal).__name__) == (hold.id, error)
    assert by_face.refusal is not None
    assert (by_face.refusal.money, hold.id in str(by_face.refusal)) == ("unknown", True)
    assert "would be presented again" not in repr(by_face)


@pytest.mark.parametrize("stop", ["nothing", "frozen", "too dear"])
def test_without_a_wallet_nothing_would_be_paid(plain: Toolbox, seller: Sandbox, stop: str) -> None:
    url = seller.sell("/poem", "0.20" if stop == "too dear" else "0.02")
    policy = Policy(per_request="0.10", per_day="5")
    buyer = Buyer(keyless_wallet(), seller.policy(policy), ledger=":memory:", rpc=seller.rpc)
    if stop == "frozen":
        buyer.freeze("*")
    own = plain.tools(buyer, hosts=HERE, facilitator=seller.url)
    found, paid, listed = own.quote(url), own.paid_fetch(url), own.search("poem")["found"]
    assert (found["ok"], found["would_pay"], len(found["offers"])) == (True, None, 2)
    assert [one["would_be_paid"] for one in listed] == [False]
    assert (listed[0]["why_not"] == "there is no wallet to pay with") is (stop == "nothing")
    assert ("There is no wallet to pay with" in found["reasons"][0]) is (stop not in ("frozen", "too dear"))
    if stop != "too dear":
        assert found["reasons"] == [f"It would be refused now: {paid['says']}"]
    buyer.close()
