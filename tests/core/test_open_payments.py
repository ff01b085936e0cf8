"""A refusal by a budget tells of unresolved payments that count in it: they may come back before it resets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from x402_client import Limit, Money, Policy
from x402_client.buyer.fitting import with_refusal
from x402_client.core import asks
from x402_client.core.drive import run
from x402_client.core.flow import inspect
from x402_client.errors import LedgerUnavailable, OverLimit, PaymentOutcomeUnknown, SameRequest
from x402_client.model.holds import Hold

from .scripted_flow import Ground, asking, called, paid

SOONER = "It fits sooner if the chain shows that {} counted in it {} not used."
ONLY = (
    "It fits again only if the chain shows that {} counted in it {} not used; a higher limit in the Policy allows it."
)
IN_VAIN = "Waiting will not help; a higher limit in the Policy allows it."


def unresolved(ground: Ground, *requests: str) -> list[Hold]:
    for request in requests:
        with pytest.raises(PaymentOutcomeUnknown):
            ground.pay(called(request), Send=TimeoutError())
    return list(ground.ledger.holds())


def refused(ground: Ground, *shown: Hold) -> str:
    """The refusal's words, which a quote made before it says too. ``shown``: the holds that a ledger lists."""
    if shown:
        ground.scripted[asks.Holds] = lambda ask: shown
    call = called("the next")
    quote = run(inspect(call, asking(), ground.rules), ground.answer)
    assert quote is not None
    told = run(with_refusal(call, quote, ground.rules), ground.answer).refusal
    with pytest.raises(OverLimit) as caught:
        ground.pay(called("the next"), Send=paid())
    assert told is not None
    assert told.args[0] == caught.value.args[0]
    return str(caught.value)


@pytest.mark.parametrize(("policy", "said"), [({"per_day": "0.02"}, SOONER), ({"total": "0.02"}, ONLY)])
@pytest.mark.parametrize(("delivered", "number", "was"), [(1, "1 unresolved payment", "was"),
                                                         (0, "2 unresolved payments", "were")])  # fmt: skip
def test_it_tells_how_many_may_come_back(
    policy: dict[str, Any], said: str, delivered: int, number: str, was: str
) -> None:
    ground = Ground(Policy(**policy))
    for one in range(delivered):
        ground.ledger.close(_delivered(ground, f"delivered {one}"), "spent", None)
    unresolved(ground, *["a", "b"][delivered:])
    words = refused(ground)
    assert said.format(number, was) in words
    assert "Waiting will not help" not in words


def _delivered(ground: Ground, request: str) -> Hold:
    outcome = ground.pay(called(request), Send=paid()).outcome
    assert outcome is not None
    return outcome.hold


def test_none_is_told_where_none_may_come_back() -> None:
    ground = Ground(Policy(total="0.01"))
    [hold] = unresolved(ground, "a")
    assert hold.authorization is not None
    endless = hold.but(authorization=replace(hold.authorization, evidence={"no_end": "1"}))
    for other in (hold.but(money="spent"), hold.but(in_flight=True), hold.but(state="reserved"), endless):
        assert IN_VAIN in refused(ground, other)
    ground.scripted[asks.Holds] = LedgerUnavailable("gone")
    assert IN_VAIN in refused(ground)


def test_a_price_above_the_whole_limit_never_fits() -> None:
    ground = Ground(Policy(total="0.01"))
    unresolved(ground, "a")
    assert IN_VAIN in refused(Ground(Policy(total="0.009"), ground.ledger))


def test_those_of_other_hosts_do_not_count_in_the_limit_of_one() -> None:
    ground = Ground(Policy(per_day="1", hosts={"api.example.com": Limit(total="0.01")}))
    [hold] = unresolved(ground, "a")
    bought = hold.purchase
    elsewhere = replace(bought, origin=replace(bought.origin, host="b.example"))
    assert ONLY.format("1 unresolved payment", "was") in refused(ground, hold, hold.but(purchase=elsewhere))
    assert IN_VAIN in refused(ground, hold.but(purchase=elsewhere))


def test_those_in_another_currency_do_not_count_in_an_amount() -> None:
    ground = Ground(Policy(total="0.01"))
    [hold] = unresolved(ground, "a")
    assert IN_VAIN in refused(ground, hold.but(price=Money("0.01 EUR")))


def test_a_number_of_payments_counts_them_all() -> None:
    ground = Ground(Policy(per_request="1", max_payments="1/day"))
    unresolved(ground, "a")
    assert SOONER.format("1 unresolved payment", "was") in refused(ground)


def test_it_is_told_too_where_what_the_chain_gave_back_was_not_enough() -> None:
    ground = Ground(Policy(total="0.02"))
    first, second = unresolved(ground, "a", "b")

    def then_another_takes_it(ask: asks.Conclude) -> bool:
        ground.ledger.conclude(first, False)
        Ground(Policy(total="0.02"), ground.ledger).pay(called("meanwhile"), Send=paid())
        return True

    with pytest.raises(OverLimit, match="2 unresolved payments counted") as caught:
        ground.pay(called("the next"), Expired=[[(first, "not_settled")]], Conclude=then_another_takes_it)
    assert caught.value.spent == Money("0.02 USD (test)")
    assert second.id in {hold.id for hold in ground.ledger.holds()}


def test_the_damper_for_loops_is_no_budget() -> None:
    ground = Ground(Policy(per_day="1", same_request="1/day"))
    ground.ledger.close(_delivered(ground, "the next"), "spent", None)
    unresolved(ground, "a")
    with pytest.raises(SameRequest) as caught:
        ground.pay(called("the next"))
    assert "unresolved" not in str(caught.value)
