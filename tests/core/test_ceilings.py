"""Ceilings in the flow: what a receipt of one is worth, what is told, and what frees its rest."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.schemes.test_permit2 import EXTRA
from tests.wire.terms import ORIGIN, entry
from x402_client import Money, Outcome, Policy
from x402_client.core import asks
from x402_client.core.delivery import Delivery
from x402_client.core.digests import NOTHING
from x402_client.core.drive import run
from x402_client.core.reclaim import reclaim, reclaim_expired
from x402_client.errors import (
    LedgerUnavailable,
    OverLimit,
    PaidNotDelivered,
    PaymentOutcomeUnknown,
    PaymentRejected,
)
from x402_client.events import Concluded, Warned
from x402_client.model.budgets import GIVEN_BACK
from x402_client.model.holds import CEILING, CHARGED, Hold, Spending
from x402_client.model.hosts import Origin

from .scripted_flow import Ground, asking, called, paid, reply

ALLOWED = Policy(per_request="0.10", per_day="0.05", upto="0.05")
ENDPOINT = {"rpc": {"base-sepolia": "http://127.0.0.1:9/"}}
OFFER = entry(scheme="upto", extra=EXTRA["upto"])
CENT = Money("0.01 USD (test)")


def bought(there: Ground, have: int = 10_000, **receipt: Any) -> Outcome:
    answer = there.pay(called(), first=asking(OFFER), Fetch=(100, have), Send=lambda ask: paid(**receipt))
    assert answer.outcome is not None
    return answer.outcome


def delivered(there: Ground, **receipt: Any) -> Outcome:
    """A ceiling of a cent whose answer was read to its end."""
    found = bought(there, **receipt)
    Delivery(called(), found, there.answer).done()
    return found


@pytest.mark.parametrize(
    ("said", "money", "mismatch"),
    [
        ({"amount": "7000"}, "spent", None),
        ({"amount": "10000"}, "spent", None),
        ({}, "spent", None),
        ({"amount": "10001"}, "unknown", "it names an amount of 10001; the ceiling of 10000 was signed"),
        ({"amount": "7000", "transaction": ""}, "unknown", "it names no transaction"),
        # A charge of zero never touches the chain: the signature lives, and so does what it can take.
        ({"amount": "0", "transaction": ""}, "held", None),
        ({"amount": "0"}, "held", None),
        ({"amount": "0", "success": False}, "unknown", None),
    ],
)
def test_what_a_receipt_of_a_ceiling_is_worth(said: dict[str, Any], money: str, mismatch: str | None) -> None:
    found = bought(Ground(ALLOWED), **said)
    assert (found.money, found.mismatches) == (money, () if mismatch is None else (mismatch,))
    claimed = None if "amount" not in said else Money.of_units(int(said["amount"]), CENT.currency)
    assert (found.ceiling, found.claimed, found.charged) == (CENT, claimed, None)


def test_what_is_recorded_is_a_ceiling_by_its_bit() -> None:
    found = bought(Ground(ALLOWED, **ENDPOINT))
    signed = found.hold.authorization
    assert signed is not None
    assert (signed.kind, signed.ceiling, signed.proof, signed.evidence["first_block"]) == (CEILING, 10_000, "bit", 100)
    assert "up to 0.01 USD (test)" in repr(found)
    assert pickle.loads(pickle.dumps(found)).ceiling == CENT


def test_a_fixed_price_has_no_ceiling() -> None:
    found = Ground().pay(called()).outcome
    assert found is not None
    assert (found.ceiling, found.claimed, found.charged) == (None, None, None)


def test_an_allowance_beyond_the_price_is_told_before_the_payment_leaves() -> None:
    there = Ground(ALLOWED, **ENDPOINT)
    bought(there, have=10**12)
    [warned] = [event for event in there.told if isinstance(event, Warned)]
    assert "more than this payment takes" in warned.problem
    kinds = [type(ask) for ask in there.asked]
    assert kinds.index(asks.Tell) < kinds.index(asks.Send)


@pytest.mark.parametrize("said", [{}, {"amount": "0", "transaction": ""}])
def test_a_delivered_ceiling_counts_whole_and_is_looked_at_later(said: dict[str, Any]) -> None:
    there = Ground(ALLOWED)
    found = delivered(there, **said)
    assert [ask.outcome for ask in there.all(asks.LookLater)] == [found]
    assert there.spent == 10_000
    [owed] = there.ledger.owed()
    assert owed.id == found.hold.id


def concluded(there: Ground, hold: Hold, fate: Any, policy: Policy | None = ALLOWED) -> str:
    there.asked.clear()
    return run(reclaim(hold, fate, policy), there.answer)


def test_a_charge_frees_the_rest_and_is_told() -> None:
    there = Ground(ALLOWED)
    hold = delivered(there).hold.but(charged=7_000)
    assert concluded(there, hold, "settled") == "settled"
    assert there.spent == 7_000
    [event] = there.told
    assert isinstance(event, Concluded)
    assert "at most 0.007 USD (test) of a ceiling" in str(event)
    assert there.ledger.history(1)[0].authorization.kind == CHARGED  # type: ignore[union-attr]


def test_a_settlement_without_a_charge_frees_nothing() -> None:
    there = Ground(ALLOWED)
    hold = delivered(there).hold
    assert concluded(there, hold, "settled") == "unknown"
    assert (there.spent, there.told) == (10_000, [])


def test_a_ceiling_that_died_unused_is_freed() -> None:
    there = Ground(ALLOWED)
    hold = delivered(there).hold
    assert concluded(there, hold, "not_settled") == "not_settled"
    assert there.spent == 0


def test_what_a_charge_frees_makes_room_for_the_next_purchase() -> None:
    there = Ground(Policy(per_request="0.10", per_day="0.015", upto="0.05"))
    hold = delivered(there).hold.but(charged=4_000)
    there.scripted[asks.Expired] = lambda ask: [(hold, "settled")]
    assert bought(there).ceiling == CENT
    assert there.spent == 14_000


@pytest.mark.parametrize("fate", ["open", "live", "unknown"])
def test_what_tells_nothing_makes_no_room(fate: Any) -> None:
    there = Ground(ALLOWED)
    hold = delivered(there).hold
    there.scripted[asks.Expired] = lambda ask: [(hold, fate)]
    assert run(reclaim_expired(ALLOWED), there.answer) is False
    assert there.spent == 10_000


def test_a_ceiling_is_never_paid_ahead() -> None:
    from x402_client.core.known_terms import Memory, Terms
    from x402_client.core.paying_ahead import pay_ahead

    there = Ground(ALLOWED.but(pay_ahead=True))
    found = bought(there)
    there.asked.clear()
    call = called(memory=Memory())
    call.memory.learn(call.place, NOTHING.product, Terms(quote=None, offer=found.offer))  # type: ignore
    there.scripted[asks.Digest] = NOTHING
    assert run(pay_ahead(call, there.rules), there.answer) is None
    assert there.names == ["LeftAlone", "Digest"]


# --- one whose answer was lost

DROP = ConnectionError("the line broke")
#: What a look sees of a charge, by the word of two witnesses.
SEEN = asks.Seen(True, None, 7_000, "settled")


def lost(there: Ground, **scripted: Any) -> PaymentOutcomeUnknown:
    with pytest.raises(PaymentOutcomeUnknown) as error:
        there.pay(called(), first=asking(OFFER), **{"Fetch": (100, 10_000), "Send": DROP, **scripted})
    return error.value


def test_what_is_seen_of_a_lost_one_counts_at_once_and_the_purchase_stays_unresolved() -> None:
    there = Ground(ALLOWED)
    error = lost(there, LookNow=SEEN)
    assert error.hold is not None
    assert (error.money, error.hold.charge, there.spent) == ("spent", Money("0.007 USD (test)"), 7_000)
    assert "up to 0.01 USD (test) was presented" in str(error)
    assert "At most 0.007 USD (test) of it was taken." in str(error)
    [hold] = there.ledger.holds()
    assert (hold.state, hold.money, hold.charge, hold.offer.price) == ("signed", "spent", error.hold.charge, CENT)
    assert [event.settled for event in there.told if isinstance(event, Concluded)] == [True]
    assert there.all(asks.LookLater) == []


def test_what_is_not_seen_yet_is_looked_at_in_the_background() -> None:
    there = Ground(ALLOWED)
    error = lost(there)
    assert (error.money, there.spent) == ("unknown", 10_000)
    [later] = there.all(asks.LookLater)
    assert (later.unresolved, later.outcome.hold.id) == (True, error.hold and error.hold.id)
    assert later.outcome.hold.authorization.header == ("", "")


def test_a_ledger_that_fails_at_it_takes_the_place_of_no_end() -> None:
    there = Ground(ALLOWED)
    error = lost(there, LookNow=SEEN, Conclude=LedgerUnavailable("disk"))
    assert (error.money, there.spent) == ("spent", 10_000)


@pytest.mark.parametrize("receipt", [{"amount": "7000"}, {"amount": "10000"}, {"amount": "0", "transaction": ""}, {}])
def test_its_re_presentation_is_a_ceilings_and_counts_nothing_again(receipt: dict[str, Any]) -> None:
    there = Ground(ALLOWED)
    lost(there, LookNow=SEEN)
    found = there.pay(called(), Send=lambda ask: paid(**receipt)).outcome
    assert found is not None
    assert (found.money, found.mismatches, found.ceiling) == ("spent", (), CENT)
    assert found.charged == Money("0.007 USD (test)")
    Delivery(called(), found, there.answer).done()
    assert (there.ledger.owed(), there.ledger.holds(), there.spent) == ((), (), 7_000)
    assert there.all(asks.LookLater) == []


asked_again = asking(OFFER)


@pytest.mark.parametrize("again", [asked_again, reply(500), reply(404), DROP])
@pytest.mark.parametrize("policy", [ALLOWED, ALLOWED.but(accept_loss="1")])
def test_a_known_charge_is_no_loss_before_the_expiry_and_one_after_it(again: Any, policy: Policy) -> None:
    there = Ground(policy)
    lost(there, LookNow=SEEN)
    for _ in range(3):
        if again in (DROP, asked_again):
            with pytest.raises((PaymentRejected, PaymentOutcomeUnknown)) as failure:
                there.pay(called(), first=asking(OFFER), Send=again)
            assert failure.value.money == "spent"
        else:
            outcome = there.pay(called(), first=asking(OFFER), Send=again).outcome
            assert outcome is not None
            assert (outcome.money, outcome.charged) == ("spent", Money("0.007 USD (test)"))
        assert (len(there.ledger.holds()), there.ledger.history(9), there.spent) == (1, (), 7_000)
    if policy is ALLOWED:
        with pytest.raises(PaidNotDelivered, match=r"shows that at most 0\.007 USD \(test\) was paid"):
            there.pay(called(), first=asking(OFFER), Settlement="settled")
        assert there.spent == 7_000


@pytest.mark.parametrize("shown", [True, False])
def test_an_expired_ceiling_is_told_as_paid_where_a_look_after_it_shows_that(shown: bool) -> None:
    there = Ground(ALLOWED)
    lost(there, LookNow=asks.Seen(False))
    kind = PaidNotDelivered if shown else PaymentOutcomeUnknown
    seen = SEEN if shown else asks.Seen(False)
    with pytest.raises(kind) as failure:
        there.pay(called(), first=asking(OFFER), Settlement="unknown", Send=asked_again, LookNow=seen)
    assert ("shows that at most 0.007 USD (test) was paid" in str(failure.value)) is shown
    assert "showed before" not in str(failure.value)


def test_led_to_another_seller_it_says_that_it_was_paid() -> None:
    there = Ground(ALLOWED)
    lost(there, LookNow=SEEN)
    elsewhere = called(origin=Origin("https", "other.example", 443), came_from=ORIGIN)
    with pytest.raises(PaymentOutcomeUnknown, match="was led to") as led:
        there.pay(elsewhere, first=asking(OFFER))
    assert (led.value.money, "can settle until" in str(led.value)) == ("spent", False)


# --- one witness


@pytest.mark.parametrize("is_lost", [False, True])
@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=25))
def test_one_witness_frees_no_more_than_a_windows_limit(is_lost: bool, charges: list[int]) -> None:
    """A liar shows a tiny charge of each ceiling, and the seller takes all of it: at most a budget more."""
    policy = Policy(per_request="0.10", per_day="0.05", upto="0.05")
    there, freed = Ground(policy), 0
    for number, charge in enumerate(charges):
        before = there.spent
        try:
            seen = asks.Seen(True, None, charge, "one_says_charge")
            call = called(f"GET /{number}")
            said = {"Fetch": (100, 10_000), "LookNow": seen, "Send": DROP if is_lost else lambda ask: paid()}
            answer = there.pay(call, first=asking(OFFER), **said)
        except OverLimit:
            assert before > 40_000
            continue
        except PaymentOutcomeUnknown:
            pass
        else:
            assert answer.outcome is not None
            Delivery(call, answer.outcome, there.answer).done()
            run(reclaim(answer.outcome.hold.but(charged=charge), "one_says_charge", policy), there.answer)
        freed += before + 10_000 - there.spent
        assert there.spent - before in (10_000, charge)
    assert freed <= 50_000


def test_of_one_witness_each_charge_counts_as_much_as_it_frees() -> None:
    there = Ground(ALLOWED)
    hold = delivered(there).hold
    there.scripted[asks.Conclude] = False
    for charge in (9_000, 4_000, 4_000):
        assert concluded(there, hold.but(charged=charge), "one_says_charge") == "unknown"
    del there.scripted[asks.Conclude]
    assert concluded(there, hold.but(charged=10_000), "one_says_charge") == "settled", "it frees nothing"
    given_back = there.ledger.spent(Spending("", "day", "USD (test)", f"default{GIVEN_BACK}"))
    assert (given_back, there.spent) == (1_000 + 6_000, 10_000)
