"""A quote names the payment that the same request would present again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.wire.terms import entry
from x402_client import Limit, Policy, Quote
from x402_client.buyer.fitting import with_refusal
from x402_client.core import asks
from x402_client.core.call import Call
from x402_client.core.drive import run
from x402_client.core.flow import inspect
from x402_client.core.ledger_reads import CheckOrder, Freezes
from x402_client.core.stops import stops_at
from x402_client.core.unresolved import with_unresolved
from x402_client.errors import (
    BodyNotReplayable,
    Frozen,
    HostNotAllowed,
    LedgerUnavailable,
    PaymentOutcomeUnknown,
    PaymentRefused,
)
from x402_client.model.allowances import AllowanceTerms
from x402_client.model.holds import Hold
from x402_client.model.hosts import Origin
from x402_client.policy.allowances import AllowanceRules
from x402_client.policy.choice import Mandate

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


@pytest.mark.parametrize("failing", [0, 1])
def test_a_quote_is_given_also_where_it_cannot_be_told_if_an_approver_is_asked(failing: int) -> None:
    ground = Ground(Policy(per_day="1", same_request="1/day", approve_above="0.05"), approve=lambda asked: True)
    answers: list[Any] = [None, None]
    answers[failing] = LedgerUnavailable("it is full")
    ground.scripted[CheckOrder] = answers
    quote = run(with_refusal(called(), quoted(ground), ground.rules), ground.answer)
    assert (quote.choice is None, quote.refusal, quote.asks_approval) == (False, None, False)


def test_a_quote_of_a_place_that_is_not_paid_names_what_was_paid_before() -> None:
    ground = Ground()
    hold = unresolved(ground)
    denied = Ground(Policy(per_day="1", hosts={"api.example.com": "deny", "b.example": Limit()}), ground.ledger)
    quote = quoted(denied)
    assert (quote.unresolved, quote.choice) == (hold.id, None)


# --- a refusal presents nothing, and tells of it


DENIED = Policy(per_day="1", hosts={"api.example.com": "deny"})


@pytest.mark.parametrize("told", ["held", "spent", "unknown"])
@pytest.mark.parametrize("kind", [HostNotAllowed, Frozen])
def test_a_refusal_tells_of_the_unresolved_payment_of_the_same_request(kind: type[Any], told: Any) -> None:
    before = Ground()
    hold = unresolved(before)
    last = None if hold.last is None else hold.last._replace(money=told)
    ground = Ground(DENIED if kind is HostNotAllowed else None, before.ledger)
    ground.scripted[asks.Holds] = lambda ask: (hold.but(last=last),)
    if kind is Frozen:
        ground.ledger.freeze("*")
    with pytest.raises(kind) as caught:
        ground.pay(called())
    error = caught.value
    assert (error.money, error.hold and error.hold.id, error.offer) == (told, hold.id, hold.offer)
    assert "Nothing was" not in error.args[0]
    assert f"presented 0.01 USD (test) to api.example.com, and brought nothing yet (money {told})" in error.args[0]
    assert ("it asks the chain first: one that was not used is given back" in error.args[0]) is (told != "spent")
    assert ground.all(asks.Send) == ground.all(asks.SignTyped) == []
    assert [one.tries for one in ground.ledger.holds()] == [hold.tries]


@pytest.mark.parametrize("accepted", ["0", "0.01"])
def test_a_refusal_promises_one_payment_alone_where_no_loss_is_accepted(accepted: str) -> None:
    ground = Ground(Policy(per_day="1", accept_loss=accepted))
    unresolved(ground)
    ground.ledger.freeze("*")
    with pytest.raises(Frozen) as caught:
        ground.pay(called())
    assert ("never pays a second one" in str(caught.value)) is (accepted == "0")
    assert ("brings nothing is given up, as accept_loss allows, and it buys anew" in str(caught.value)) is (
        accepted != "0"
    )


#: What is frozen, and whether the policy denies the host.
STOPS = [
    (frozen, denied)
    for frozen in ((), ("*",), ("api.example.com",), ("*.example.com",), ("api.example.com", "*"), ("other.example",))
    for denied in (False, True)
]


@pytest.mark.parametrize("on_refusal", ["raise", "return"])
@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize(("frozen", "denied"), STOPS)
def test_a_refusal_names_all_that_stops_a_payment_and_once_that_is_lifted_the_same_request_presents_it(
    frozen: tuple[str, ...], denied: bool, is_open: bool, on_refusal: str
) -> None:
    before = Ground()
    hold = unresolved(before) if is_open else None
    ground = Ground(DENIED if denied else None, before.ledger, on_refusal=on_refusal)
    for pattern in frozen:
        ground.ledger.freeze(pattern)
    stopping = [pattern for pattern in frozen if pattern != "other.example"]
    said = ""
    if stopping or denied:
        error = _refused(ground)
        said = str(error.args[0])
        assert type(error) is (Frozen if stopping else HostNotAllowed)
        assert (error.hold and error.hold.id) == (hold and hold.id)
        assert ("Once this is allowed again, the same request presents it" in said) is is_open
        assert [reason for reason in _reasons(ground, is_open) if said.startswith(reason)], "a quote says the same"
    lifts = [pattern for pattern in ground.ledger.freezes() if f"buyer.unfreeze({pattern!r})" in said]
    assert ("is denied by the policy's hosts entry" in said) is denied
    for pattern in lifts:  # what the message names is lifted, and the policy changed if it names that
        ground.ledger.unfreeze(pattern)
    free = Ground(None, ground.ledger)
    outcome = free.pay(called(), Send=paid()).outcome
    assert outcome is not None
    assert (outcome.hold.id == (hold and hold.id)) is is_open


def _refused(ground: Ground) -> PaymentRefused:
    if ground.rules.on_refusal == "return":
        error = ground.pay(called()).refusal
        assert isinstance(error, PaymentRefused)
        return error
    with pytest.raises(PaymentRefused) as caught:
        ground.pay(called())
    assert caught.value.__cause__ is None
    return caught.value


def _reasons(ground: Ground, is_open: bool) -> list[str]:
    """Return what a quote says against a payment: of a new one by its offers, or by the error that paying raises."""
    call = called()
    quote = run(with_refusal(call, quoted(ground, call), ground.rules), ground.answer)
    assert (quote.unresolved != "") is is_open
    told = [] if quote.refusal is None else [str(quote.refusal.args[0])]
    return [*(str(one.reason).removesuffix(" Nothing was paid.").removesuffix(" Nothing was sent.") for one in
              quote.offers if one.reason), *told]  # fmt: skip


@pytest.mark.parametrize(("frozen", "denied"), STOPS)
def test_lists_read_what_stops_a_payment_as_a_call_would_meet_it(frozen: tuple[str, ...], denied: bool) -> None:
    policy = DENIED if denied else Policy(per_day="1")
    found = stops_at(Origin("https", "api.example.com", 443), frozen, policy)
    stopping = {pattern for pattern in frozen if pattern != "other.example"}
    assert (set(found.frozen), bool(found.denied)) == (stopping, denied)
    assert found.frozen[:1] == ("*",) or "*" not in stopping
    assert "Nothing was" not in found.denied
    assert found.is_free is (not stopping and not denied)
    assert stops_at(Origin("https", "api.example.com", 443), frozen) == (found.frozen, "")


@pytest.mark.parametrize("failure", [LedgerUnavailable("full"), OSError("gone")])
def test_a_policy_that_denies_stands_where_freezes_cannot_be_read(failure: Exception) -> None:
    ground = Ground(DENIED)
    ground.ledger.freeze("*")
    ground.scripted[Freezes] = failure
    with pytest.raises(HostNotAllowed, match="is denied"):
        ground.pay(called())


def test_a_freeze_that_a_ledger_finds_amid_a_call_names_the_policy_that_denies_the_place_it_was_led_to() -> None:
    ground = Ground(Policy(per_day="1", hosts={"b.example": "deny"}))
    hold = unresolved(Ground(None, ground.ledger))
    ground.ledger.freeze("*")
    call = called(origin=Origin("https", "b.example", 443), came_from=hold.purchase.origin)
    with pytest.raises(Frozen, match="All payments are frozen") as caught:
        ground.pay(call)
    assert "b.example is denied by the policy's hosts entry" in str(caught.value)


def test_a_pause_is_told_as_it_is() -> None:
    ground = Ground()
    ground.scripted[asks.LeftAlone] = lambda ask: datetime(2030, 1, 1, tzinfo=UTC)
    with pytest.raises(HostNotAllowed, match="are paused until"):
        ground.pay(called())
    assert ground.all(Freezes) == []


def test_a_refusal_that_cannot_look_says_what_it_said() -> None:
    before = Ground()
    unresolved(before)
    for kind, failure in ((asks.Holds, LedgerUnavailable("full")), (asks.Digest, BodyNotReplayable("gone"))):
        ground = Ground(DENIED, before.ledger)
        ground.scripted[kind] = failure
        with pytest.raises(HostNotAllowed, match=r"Nothing was paid\.") as caught:
            ground.pay(called())
        assert (caught.value.money, caught.value.hold) == ("untouched", None)


def under(*hosts: str, **more: Any) -> Call:
    call = called(**more)
    allowance = AllowanceRules.of(AllowanceTerms("default", "allowance run", ("1 USD",), hosts=hosts))
    call.mandate = Mandate(allowances=(allowance,))
    return call


def test_an_unresolved_payment_is_presented_under_an_allowance_that_leaves_its_host_out() -> None:
    ground = Ground()
    hold = unresolved(ground)
    outcome = ground.pay(under("other.example"), Send=paid()).outcome
    assert outcome is not None
    assert outcome.hold.id == hold.id
    assert len(ground.all(asks.Send)) == 1
    assert ground.all(asks.SignTyped) == ground.all(asks.Reserve) == []
    with pytest.raises(HostNotAllowed, match=r"other\.example") as caught:
        ground.pay(under("other.example", identity="GET /other"))
    assert (caught.value.money, caught.value.hold) == ("untouched", None)


def test_led_away_under_an_allowance_it_is_shown_to_its_payee_alone() -> None:
    ground = Ground(Policy(per_day="1", hosts={"b.example": Limit()}))
    hold = unresolved(ground)
    call = under("other.example", origin=Origin("https", "b.example", 443), came_from=hold.purchase.origin)
    with pytest.raises(PaymentOutcomeUnknown, match="led to"):
        ground.pay(call)
    assert ground.all(asks.Send) == []
