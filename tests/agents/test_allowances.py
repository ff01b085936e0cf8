"""Tools of an allowance: its budget holds for what a model buys, and is told with the others."""

from __future__ import annotations

from x402_client import Policy
from x402_client.sandbox import Sandbox

from .clients import Toolbox


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
    assert "the allowance 'run-42' of 0.03 USD has 0.01 USD left" in str(found["reasons"])
    allowance.close()
    found = own.quote(poem)
    assert (found["would_pay"], "the allowance 'run-42' was closed" in str(found["reasons"])) == (None, True)


def test_a_closed_allowance_pays_no_more(plain: Toolbox, seller: Sandbox) -> None:
    allowance = seller.buyer(Policy(per_request="0.10", per_day="5")).allowance("0.05")
    own = plain.tools(allowance, hosts=["127.0.0.1"])
    allowance.close()
    refused = own.paid_fetch(f"{seller.url}/weather")
    assert (refused["ok"], refused["money"]) == (False, "untouched")
    assert refused["next"] != "repeat"


def test_what_an_earlier_run_left_unresolved_is_counted_in_the_next_ones_budget(box: Toolbox, seller: Sandbox) -> None:
    """The same call presents it, also under another allowance."""
    buyer = seller.buyer(Policy(per_request="0.10", per_day="5"))
    seller.order(*["drop-before-settling"] * 3)
    box.tools(buyer.allowance("1"), hosts=["127.0.0.1"]).paid_fetch(f"{seller.url}/weather", "POST")
    for payer in (buyer, buyer.allowance("1"), buyer.allowance("1", name="run").allowance("0.50")):
        assert box.tools(payer, hosts=["127.0.0.1"]).budget()["unresolved_payments"] == 1
