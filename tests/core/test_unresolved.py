"""A quote names the payment that the same request would present again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.terms import entry
from x402_client import Limit, Policy, Quote
from x402_client.core import asks
from x402_client.core.call import Call
from x402_client.core.drive import run
from x402_client.core.flow import inspect
from x402_client.core.unresolved import with_unresolved
from x402_client.errors import BodyNotReplayable, LedgerUnavailable, PaymentOutcomeUnknown
from x402_client.model.holds import Hold

from .scripted_flow import Ground, asking, called, paid


def quoted(ground: Ground, call: Call | None = None, *entries: Any) -> Quote:
    call = call or called()
    quote = run(inspect(call, asking(*entries), ground.rules), ground.answer)
    assert quote is not None
    return run(with_unresolved(call, quote, ground.rules), ground.answer)


def unresolved(ground: Ground) -> Hold:
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(called(), Send=TimeoutError())
    [hold] = ground.ledger.holds()
    return hold


def test_a_quote_names_the_payment_that_the_same_request_presents_again() -> None:
    ground = Ground()
    assert quoted(ground).unresolved == ""
    hold = unresolved(ground)
    quote = quoted(ground)
    assert quote.unresolved == hold.id
    assert quote.choice is not None
    assert f"payment {hold.id} is unresolved and would be presented again" in repr(quote)
    assert quoted(ground, called("GET /other")).unresolved == ""
    sent = ground.all(asks.Send)
    ground.pay(called(), Send=paid())
    assert ground.all(asks.SignTyped) == []
    assert len(sent) == 1
    assert quoted(ground).unresolved == ""


def test_the_payment_is_named_where_no_offer_is_acceptable_any_more() -> None:
    ground = Ground()
    hold = unresolved(ground)
    quote = quoted(ground, None, entry(amount="9" * 9))
    assert (quote.choice, quote.unresolved) == (None, hold.id)


def test_looking_claims_nothing() -> None:
    ground = Ground()
    hold = unresolved(ground)
    call = called()
    assert quoted(ground, call).unresolved == hold.id
    assert [one.tries for one in ground.ledger.holds()] == [hold.tries]
    assert {name for name in ground.names if name in ("Claim", "Reserve")} == {"Reserve"}  # of the payment itself


def test_a_payment_in_flight_or_of_another_wallet_is_not_presented() -> None:
    ground = Ground()
    hold = unresolved(ground)
    for other in (hold.but(in_flight=True), hold.but(state="reserved"), hold.but(payer="0x" + "ab" * 20)):
        ground.scripted[asks.Holds] = lambda ask, other=other: (other,)
        assert quoted(ground).unresolved == ""


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        (asks.Digest, BodyNotReplayable("it was read")),
        (asks.Digest, OSError("gone")),
        (asks.Holds, LedgerUnavailable("it is full")),
    ],
)
def test_a_quote_is_given_also_where_this_cannot_be_told(kind: type[Any], failure: Exception) -> None:
    ground = Ground()
    unresolved(ground)
    ground.scripted[kind] = failure
    quote = quoted(ground)
    assert (quote.unresolved, quote.choice is None) == ("", False)


def test_at_a_place_that_is_not_paid_nothing_is_presented() -> None:
    ground = Ground()
    unresolved(ground)
    denied = Ground(Policy(per_day="1", hosts={"api.example.com": "deny", "b.example": Limit()}), ground.ledger)
    assert quoted(denied).unresolved == ""
