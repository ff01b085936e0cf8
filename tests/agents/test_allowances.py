"""Tools of an allowance: its budget holds for what a model buys, and is told with the others."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from x402_client import Hold, Policy
from x402_client.model.holds import Attempt
from x402_client.sandbox import Sandbox

from .clients import Toolbox, toolbox


def test_an_allowance_stands_where_a_buyer_may_stand(box: Toolbox, seller: Sandbox) -> None:
    url = seller.sell("/poem", "0.02", content="Roses are red.")
    buyer = seller.buyer(Policy(per_request="0.10", per_day="5"))
    allowance = buyer.allowance("0.05")
    own = box.tools(allowance, hosts=["127.0.0.1"], facilitator=seller.url)
    found = own.paid_fetch(url, max_usd="0.03")
    assert (found["ok"], found["paid"], found["left"]) == (
        True,
        "0.02 USD",
        "4.98 USD of the day's budget, 0.03 USD of this allowance",
    )
    assert own.quote(url)["would_pay"] == "0.02 USD"
    assert own.search("poem")["found"][0]["would_be_paid"]
    assert own.budget() == {
        "ok": True, "left": {"day": "4.98 USD", "allowance": "0.03 USD"},
        "spent": {"day": "0.02 USD", "allowance": "0.02 USD"}, "per_payment": "0.10 USD", "unresolved_payments": 0,
        "payments_in_flight": 0,
    }  # fmt: skip
    assert box.payable(allowance, url)()["ok"]
    refused = own.paid_fetch(url, max_usd="0.03")
    assert (refused["ok"], refused["error"], refused["money"], refused["next"]) == (
        False, "OverLimit", "untouched", "ask a person",
    )  # fmt: skip
    assert len(seller.settlements) == 2
    assert str(allowance.spent) == "0.04 USD"


def test_a_model_is_told_the_terms_of_the_allowance_that_are_narrower(box: Toolbox, seller: Sandbox) -> None:
    poem = seller.sell("/poem", "0.02", content="Roses are red.")
    buyer = seller.buyer(Policy(per_request="0.10", per_day="5"))
    own = box.tools(
        buyer.allowance("1", per_request="0.01").allowance("0.50"), hosts=["127.0.0.1"], facilitator=seller.url
    )
    assert own.budget()["per_payment"] == "0.01 USD"
    found = own.quote(poem)
    assert found["would_pay"] is None
    assert "one payment may cost 0.01 USD" in str(found["reasons"])
    assert own.search("poem")["found"][0]["would_be_paid"] is False
    refused = own.paid_fetch(poem)
    assert (refused["ok"], refused["money"]) == (False, "untouched")


def test_a_model_is_told_of_an_allowance_and_a_cap_around_the_call(box: Toolbox, seller: Sandbox) -> None:
    poem = seller.sell("/poem", "0.02", content="Roses are red.")
    buyer = seller.buyer(Policy(per_request="0.10", per_day="5"))
    run, step = buyer.allowance("1"), buyer.allowance("0.05", per_request="0.04")
    own = box.tools(buyer, hosts=["127.0.0.1"])
    with run, step:
        assert own.paid_fetch(poem)["left"] == "4.98 USD of the day's budget, 0.03 USD of this allowance"
        assert own.budget()["left"] == {"day": "4.98 USD", "allowance": "0.03 USD"}
        assert (own.budget()["spent"]["allowance"], own.budget()["per_payment"]) == ("0.02 USD", "0.04 USD")
        with buyer.purchase(per_request="0.01"):
            assert own.budget()["per_payment"] == "0.01 USD"
        with buyer.purchase(per_request="1 EUR"):
            assert own.budget()["per_payment"] == "0.00 USD"
    assert own.budget()["left"] == {"day": "4.98 USD"}


def test_a_quote_says_why_nothing_would_be_paid_under_an_allowance(box: Toolbox, seller: Sandbox) -> None:
    poem = seller.sell("/poem", "0.02", content="Roses are red.")
    allowance = seller.buyer(Policy(per_request="0.10", per_day="5")).allowance("0.03", name="run-42")
    own = box.tools(allowance, hosts=["127.0.0.1"])
    assert own.quote(poem)["would_pay"] == "0.02 USD"
    own.paid_fetch(poem)
    found = own.quote(poem)
    assert (found["ok"], found["would_pay"]) == (True, None)
    [reason] = found["reasons"]
    assert ("the limit of 0.03 USD" in reason, "allowance 'run-42'" in reason) == (True, True)
    assert reason == f"It would be refused now: {own.paid_fetch(poem)['says']}"
    allowance.close()
    found = own.quote(poem)
    assert (
        found["would_pay"],
        found["reasons"][0].startswith("It would be refused now: The allowance 'run-42' was"),
    ) == (
        None,
        True,
    )


def test_a_closed_allowance_pays_no_more(plain: Toolbox, seller: Sandbox) -> None:
    allowance = seller.buyer(Policy(per_request="0.10", per_day="5")).allowance("0.05")
    own = plain.tools(allowance, hosts=["127.0.0.1"])
    allowance.close()
    refused = own.paid_fetch(f"{seller.url}/weather")
    assert (refused["ok"], refused["money"]) == (False, "untouched")
    assert refused["next"] != "repeat"


def test_what_an_earlier_run_left_unresolved_is_counted_in_the_next_ones_budget(box: Toolbox, seller: Sandbox) -> None:
    """The same call presents it, also under another allowance, which is told how many there are."""
    buyer = seller.buyer(Policy(per_request="0.10", per_day="5"))
    seller.order(*["drop-before-settling"] * 3)
    box.tools(buyer.allowance("1"), hosts=["127.0.0.1"]).paid_fetch(f"{seller.url}/weather", "POST")
    for payer in (buyer, buyer.allowance("1"), buyer.allowance("1", name="run").allowance("0.50")):
        told = box.tools(payer, hosts=["127.0.0.1"]).budget()
        told_of = ("unresolved_payments", "unresolved_outside")
        assert [told.get(name, 0) for name in told_of] == ([1, 0] if payer is buyer else [0, 1])


#: Where payments are made, and which of them a run sees that stands in the buyer's place or in a block. "kid" is inside
#: of "run".
MADE = ("buyer", "run", "kid", "other")
SEES = {"buyer": MADE, "run": ("run", "kid"), "kid": ("kid",), "other": ("other",)}


@pytest.mark.parametrize("flies", [False, True], ids=["unresolved", "in flight"])
@pytest.mark.parametrize("in_block", [False, True], ids=["in the buyer's place", "in a block"])
@pytest.mark.parametrize("asks", MADE)
@pytest.mark.parametrize("library", ["httpx", "aiohttp"])
def test_a_budget_lists_the_payments_of_its_allowance_alone(
    seller: Sandbox, library: str, asks: str, in_block: bool, flies: bool
) -> None:
    buyer = seller.buyer(Policy(per_request="0.10", per_day="5"), breaker_after=None, repeat=())
    run = buyer.allowance("0.50", name="run")
    payers: dict[str, Any] = {"buyer": buyer, "run": run, "kid": run.allowance("0.20"), "other": buyer.allowance("1")}
    names: dict[str, str] = {}
    attempts = [Attempt() for _ in MADE]
    for number, name in enumerate(MADE):
        url = seller.sell(f"/{name}", f"0.0{number + 1}", fault=["drop-before-settling"] * 9)
        with toolbox("httpx") as made:
            made.tools(payers[name], hosts=["127.0.0.1"]).paid_fetch(url)
        [hold] = [one for one in buyer.holds() if one.id not in names]
        names[hold.id] = name
        if flies:
            assert isinstance(buyer.ledger.claim(hold.purchase, attempts[number]), Hold)
    with toolbox(library) as box, payers[asks] if in_block and asks != "buyer" else nullcontext():
        told = box.tools(buyer if in_block else payers[asks], hosts=["127.0.0.1"]).budget()
    sees = SEES[asks]
    known = [names[one["payment"]] for one in told.get("unresolved", [])]
    assert sorted(known) == ([] if flies else sorted(sees))
    assert told["payments_in_flight"] == (len(sees) if flies else 0)
    assert told.get("unresolved_outside", 0) == (0 if flies else len(MADE) - len(sees))
    if flies:
        counted = sum(MADE.index(name) + 1 for name in sees)
        assert f" 0.{counted:02} USD is counted for it" in told["says"]
