"""What to do about a payment goes by what its seller said of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from x402_client.agents.advice import next_for
from x402_client.core.last_answer import with_last
from x402_client.core.next_step import next_step
from x402_client.core.stops import Stops
from x402_client.ledgers.conformance.ledger import order, purchase
from x402_client.model.holds import Authorization, Hold

ORDER = order(purchase("a"))
HOLD = Hold("1", ORDER.purchase, ORDER.offer, ORDER.price, 0.0, "signed")


def spent_and_told(said: str) -> Hold:
    """Return a payment that the chain shows as taken, after a 402 with these words."""
    signed = Authorization("0x1", "0x2", 2**31, ("PAYMENT-SIGNATURE", "eA=="), {})
    return with_last(HOLD.but(authorization=signed), "spent", 402, said)


@pytest.mark.parametrize("spelled", [str, str.upper, str.capitalize])
@pytest.mark.parametrize(
    ("said", "was_used"),
    [
        ("FiatTokenV2: authorization is used or canceled", True),
        ("nonce already used", True),
        ("invalid_exact_evm_nonce_used", True),
        ("payment_used_before", True),
        ("used", True),
        ("settlement refused", False),
        ("payment_refused", False),
        ("unused facilitator", False),
        ("the settlement was paused", False),
        ("failure caused by the node", False),
    ],
)
def test_a_seller_says_that_a_payment_was_used_by_that_word_alone(
    said: str, was_used: bool, spelled: Callable[[str], str]
) -> None:
    advice = next_step(spent_and_told(spelled(said)))
    assert advice.case == ("denied" if was_used else "owed")
    assert ("The seller says that the payment was used" in advice.todo) is was_used


@pytest.mark.parametrize("just", [True, False])
@pytest.mark.parametrize(("no_end", "case"), [(True, "no end"), (False, "expired")])
def test_what_has_no_end_that_a_chain_can_show_is_not_sent_to_wait_for_it(no_end: bool, case: str, just: bool) -> None:
    signed = Authorization("0x1", "0x2", 1, ("PAYMENT-SIGNATURE", "eA=="), {"no_end": no_end})
    found = next_step(HOLD.but(authorization=signed), expired=True, just_expired=just)
    assert found.case == ("just expired" if just and not no_end else case)
    assert ("never that it was not" in found.todo) is no_end


def test_a_word_in_camel_case_is_one() -> None:
    assert next_step(spent_and_told("AuthorizationUsed")).case == "denied"
    assert next_step(spent_and_told("PaymentRefused")).case == "owed"


# --- what stops a payment


def _signed(expires: int, **evidence: Any) -> Hold:
    return HOLD.but(authorization=Authorization("0x1", "0x2", expires, ("PAYMENT-SIGNATURE", "eA=="), evidence))


def _led(hold: Hold) -> Hold:
    return with_last(hold, "spent", 303, leads_to="https://b.example/there")


LIVE, OVER = _signed(2**31), _signed(1)
#: A payment of each case, whether it expired, and how recently.
CASES: dict[str, tuple[Hold, bool, bool]] = {
    "delivered": (HOLD.but(state="delivered"), False, False),
    "written off": (HOLD.but(state="written_off"), False, False),
    "released": (HOLD.but(state="released"), False, False),
    "in flight": (LIVE.but(in_flight=True), False, False),
    "in flight, expired": (OVER.but(in_flight=True), True, False),
    "open": (LIVE, False, False),
    "short": (with_last(LIVE, "held", 402, short=True), False, False),
    "refused": (with_last(LIVE.but(tries=9), "held", 402), False, False),
    "owed": (with_last(LIVE, "spent", 500), False, False),
    "denied": (with_last(LIVE, "spent", 404), False, False),
    "just expired": (OVER, True, True),
    "expired": (OVER, True, False),
    "no end": (_signed(1, no_end=True), True, False),
    "owed, led on": (_led(LIVE), False, False),
    "expired, led on": (with_last(OVER, "unknown", 303, leads_to="https://b.example/there"), True, False),
}


@pytest.mark.parametrize("name", [name for name, (_, expired, _) in CASES.items() if expired])
def test_nothing_that_expired_is_waited_for_but_the_end_of_its_call(name: str) -> None:
    hold, expired, just = CASES[name]
    assert (next_step(hold, expired, just).step == "wait") is name.startswith("in flight")


def test_what_expired_just_now_says_why_the_chain_may_not_tell_yet_and_when_to_ask_again() -> None:
    todo = next_step(_signed(1_000_000), expired=True, just_expired=True).todo
    assert "its confirmed blocks have to pass that time, ask again after 1970-01-12 13:48:40 UTC" in todo


STOPS = [
    Stops(frozen, denied)
    for frozen in ((), ("*",), ("*", "a.example"))
    for denied in ("", "https://a.example is denied by the policy.")
]
PRESENTS = ("open", "short", "owed")
NOTHING = ("delivered", "written off", "released")


@pytest.mark.parametrize("stops", STOPS)
@pytest.mark.parametrize("name", CASES)
def test_a_stop_is_lifted_first_where_the_next_step_presents_and_is_named_everywhere_else(
    name: str, stops: Stops
) -> None:
    hold, expired, just = CASES[name]
    free, found = next_step(hold, expired, just), next_step(hold, expired, just, stops=stops)
    assert found.case == free.case == name.partition(",")[0]
    is_first = name in PRESENTS and not stops.is_free
    assert found.step == (("unfreeze" if stops.frozen else "allow") if is_first else free.step)
    if stops.is_free or name in NOTHING:
        assert found == free
        return
    assert ("It is frozen" in found.todo) is bool(stops.frozen)
    assert (stops.denied in found.todo) is True
    lifts = " and ".join(f"buyer.unfreeze({one!r})" for one in stops.frozen)
    assert not stops.frozen or f"{lifts} lift{'s' if len(stops.frozen) == 1 else ''} that" in found.todo
    presented = found.case in PRESENTS
    assert ("Then: " in found.todo) is presented
    assert ("the same request is refused" in found.todo) is not presented
    assert ("one endpoint alone gives nothing back" in found.todo) is (
        bool(stops.frozen) and found.case in ("expired", "just expired")
    )
    if name not in PRESENTS:
        assert found.todo.startswith(free.todo[:20]), "what comes next stands first"


@pytest.mark.parametrize("stops", STOPS)
@pytest.mark.parametrize("name", [name for name in CASES if name not in NOTHING])
def test_a_model_asks_a_person_under_any_stop(name: str, stops: Stops) -> None:
    hold, expired, _ = CASES[name]
    told = next_for(hold, stops, expired)
    assert told == ("ask a person" if not stops.is_free else next_for(hold, expired=expired))
