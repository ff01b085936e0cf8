"""A quote says what would be refused at this moment, though the price itself is within the limits."""

from __future__ import annotations

from x402_client import Policy
from x402_client.sandbox import Sandbox

from .clients import Toolbox

HERE = ["127.0.0.1"]


def test_a_budget_that_is_used_up_is_told_before_the_call(box: Toolbox, seller: Sandbox) -> None:
    url, buyer = seller.sell("/poem", "0.02"), seller.buyer(Policy(per_request="0.03", per_day="0.03"))
    own = box.tools(buyer, hosts=HERE)
    assert own.quote(url)["would_pay"] == "0.02 USD"
    own.paid_fetch(url)
    found = own.quote(url)
    assert (found["ok"], found["would_pay"]) == (True, None)
    assert (
        "It would be refused now: it costs 0.02 USD, and what is left is 0.01 USD of the day's budget"
        in found["reasons"][0]
    )
    assert own.paid_fetch(url)["error"] == "OverLimit"


def test_a_freeze_is_told_before_the_call(box: Toolbox, seller: Sandbox) -> None:
    url, buyer = seller.sell("/poem", "0.02"), seller.buyer(Policy(per_day="5"))
    own = box.tools(buyer, hosts=HERE)
    buyer.freeze("127.0.0.1")
    found = own.quote(url)
    assert (found["would_pay"], "payments to 127.0.0.1 are frozen" in found["reasons"][0]) == (None, True)
    buyer.unfreeze("127.0.0.1")
    assert own.quote(url)["would_pay"] == "0.02 USD"
