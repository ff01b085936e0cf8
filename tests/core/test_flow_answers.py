"""From the answer on: what is handed over, what is raised, and what the same request does the next time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.terms import SELLER, document, entry
from x402_client import Limit, Policy, events
from x402_client.core import asks
from x402_client.core.delivery import deliver
from x402_client.core.digests import body_digest
from x402_client.core.drive import run
from x402_client.core.flow import inspect, pay
from x402_client.errors import (
    AlreadyPaid,
    Frozen,
    LedgerUnavailable,
    MalformedQuote,
    OverLimit,
    PaymentOutcomeUnknown,
    PaymentRefused,
    PaymentRejected,
)

from .scripted_flow import PAID, Ground, asking, called, paid, reply

PRICE = 10_000
BEFORE = ["Peek", "Digest", "Reserve"]


@pytest.mark.parametrize(
    ("answer", "money"),
    [
        (paid(200), "spent"),
        (reply(200), "unknown"),
        (paid(200, success=False), "unknown"),
        (paid(200, payer=SELLER), "unknown"),
        (paid(500), "spent"),
        (reply(500), "unknown"),
        (reply(400), "held"),
        (reply(412), "held"),
        (reply(302, location="/elsewhere"), "unknown"),
    ],
)  # fmt: skip
def test_whatever_is_answered_but_402_is_the_answer(answer: asks.Reply, money: str) -> None:
    ground, call = Ground(), called()
    assert ground.pay(call, Send=answer) is answer
    assert answer.outcome is not None
    assert answer.outcome.money == money
    assert answer.outcome.hold.authorization is not None
    assert answer.outcome.hold.authorization.header == ("", "")
    assert call.attempt.alive is (answer.status == 200)
    assert ground.spent == PRICE


@pytest.mark.parametrize("on_refusal", ["raise", "return"])
@pytest.mark.parametrize(
    ("again", "said"),
    [
        (asking(entry(), error="try\nharder"), 'It says: "try harder"'),
        (paid(402, success=False, errorReason="no\nfunds"), 'It says: "no funds"'),
        (
            reply(402, document(entry(), error="pay"), payment_response=PAID | {"errorReason": "no funds"}),
            'It says: "no funds"',
        ),
        (paid(402, success=False), "was presented. The payment can settle"),
        (reply(402, {"x402Version": 2}), "was presented. The payment can settle"),
        (reply(402), "was presented. The payment can settle"),
    ],
)
def test_a_402_after_a_payment_is_a_rejection(again: asks.Reply, said: str, on_refusal: str) -> None:
    ground, call = Ground(on_refusal=on_refusal), called()
    with pytest.raises(PaymentRejected) as caught:
        ground.pay(call, Send=again)
    assert said in str(caught.value)
    assert caught.value.money == "held"
    assert caught.value.response is again.native
    assert caught.value.hold.authorization.header == ("", "")
    assert ground.spent == PRICE
    assert not call.attempt.alive


def test_a_rejection_whose_body_breaks_off() -> None:
    ground = Ground()
    bodies: list[Any] = [asking().native, OSError("reset")]
    with pytest.raises(PaymentRejected):
        ground.pay(called(), Send=reply(402), Peek=bodies)


@pytest.mark.parametrize("on_refusal", ["raise", "return"])
@pytest.mark.parametrize("failure", [TimeoutError("secret detail"), OSError(), Frozen("odd"), MalformedQuote("odd")])
def test_no_answer_means_nobody_knows(failure: Exception, on_refusal: str) -> None:
    ground, call = Ground(on_refusal=on_refusal), called()
    with pytest.raises(PaymentOutcomeUnknown) as caught:
        ground.pay(call, Send=failure)
    error = caught.value
    assert (error.money, error.__cause__) == ("unknown", failure)
    assert type(failure).__name__ in str(error)
    assert error.wait_until is not None
    assert error.wait_until.timestamp() == error.hold.authorization.expires
    assert error.hold.authorization.header == ("", "")
    assert [type(event) for event in ground.told] == [events.Presented, events.Unknown]
    assert ground.spent == PRICE


# --- the same request again


def test_the_same_request_presents_the_same_payment() -> None:
    ground = Ground()
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(called(), Send=TimeoutError())
    [first] = ground.all(asks.Send)
    dearer = asking(entry(amount="40000", payTo="0x" + "ab" * 20))
    answer = ground.pay(called(), dearer, Send=paid())
    [second] = ground.all(asks.Send)
    assert second.header == first.header
    assert ground.names == [*BEFORE, "Settlement", "Send"]
    assert [event.again for event in ground.told if isinstance(event, events.Presented)] == [True]
    assert ground.spent == PRICE
    assert answer.outcome is not None
    assert answer.outcome.hold.tries == 1


@pytest.mark.parametrize(
    "first", [reply(402, {"x402Version": 2}), asking(entry(network="base")), asking(entry(amount="9" * 9))]
)
def test_an_unresolved_payment_outweighs_terms_that_cannot_be_paid(first: asks.Reply) -> None:
    ground = Ground()
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(called(), Send=TimeoutError())
    [sent] = ground.all(asks.Send)
    ground.pay(called(), first, Send=paid())
    assert ground.names == ["Peek", "Digest", "Claim", "Settlement", "Send"]
    assert ground.all(asks.Send)[0].header == sent.header


def test_another_request_is_another_purchase() -> None:
    ground = Ground()
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(called(), Send=TimeoutError())
    ground.pay(called("GET /other"), Send=paid())
    assert "SignTyped" in ground.names
    ground.pay(called(), Send=paid(), Digest=body_digest(b"another body"))
    assert "SignTyped" in ground.names
    assert ground.spent == 3 * PRICE


def test_a_delivered_purchase_is_bought_again() -> None:
    ground = Ground()
    for bought in (1, 2):
        call = called()
        answer = ground.pay(call)
        assert answer.outcome is not None
        run(deliver(call, answer.outcome), ground.answer)
        assert ground.spent == bought * PRICE


def test_a_key_pays_once_whatever_the_caller_does() -> None:
    ground = Ground()
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(called(key="order-42"), Send=TimeoutError())
    [first] = ground.all(asks.Send)
    call = called(key="order-42")
    answer = ground.pay(call, Send=paid())
    assert ground.all(asks.Send)[0].header == first.header
    assert answer.outcome is not None
    run(deliver(call, answer.outcome), ground.answer)
    with pytest.raises(AlreadyPaid) as caught:
        ground.pay(called(key="order-42"))
    assert caught.value.money == "spent"
    assert caught.value.receipt.transaction == "0xfeed"
    with pytest.raises(PaymentRefused, match="another request"):
        ground.pay(called("GET /other", key="order-42"))
    ground.pay(called(key="order-43"))
    assert ground.spent == 2 * PRICE


def test_a_key_waits_for_the_other_attempt_and_then_presents_its_payment() -> None:
    ground, other = Ground(), called(key="k")
    ground.pay(other)
    [first] = ground.all(asks.Send)
    waits: list[float] = []

    def pause(ask: asks.Pause) -> None:
        waits.append(ask.seconds)
        if len(waits) == 3:
            other.attempt.end()

    ground.pay(called(key="k"), Pause=pause)
    assert ground.all(asks.Send)[0].header == first.header
    assert waits == [0.05, 0.05, 0.05]


@pytest.mark.parametrize("ends_at", [28, None])
def test_patience_under_a_key_ends(ends_at: int | None) -> None:
    ground, other = Ground(), called(key="k")
    ground.pay(other)
    waits: list[float] = []

    def pause(ask: asks.Pause) -> None:
        waits.append(ask.seconds)
        if len(waits) == ends_at:
            other.attempt.end()

    if ends_at:
        ground.pay(called(key="k"), Pause=pause)
        assert len(ground.all(asks.Send)) == 1
    else:
        with pytest.raises(PaymentOutcomeUnknown, match="still be running") as caught:
            ground.pay(called(key="k"), Pause=pause)
        assert caught.value.hold.authorization.header == ("", "")
        assert caught.value.wait_until is not None
        assert ground.all(asks.Send) == []
    assert len(waits) == 28
    assert 4 < sum(waits) < 6


def test_waiting_for_an_attempt_that_has_not_signed() -> None:
    ground, other = Ground(), called(key="k")
    flow = pay(other, asking(), ground.rules)
    ask = next(flow)
    while not isinstance(ask, asks.SignTyped):
        ask = flow.send(ground.answer(ask))
    with pytest.raises(PaymentOutcomeUnknown) as caught:
        ground.pay(called(key="k"))
    assert caught.value.wait_until is None
    flow.close()
    ground.pay(called(key="k"))
    assert ground.spent == PRICE


def test_requests_without_a_key_do_not_wait_for_each_other() -> None:
    ground = Ground()
    calls = [called() for _ in range(5)]
    for call in calls:
        ground.pay(call)
        assert "SignTyped" in ground.names
    assert ground.spent == 5 * PRICE
    with pytest.raises(OverLimit):
        ground.pay(called())


@pytest.mark.parametrize("one", [("a", "b\0c"), ("a", 'b", "c')])
def test_purses_and_keys_do_not_run_into_each_other(one: tuple[str, str]) -> None:
    ledger = Ground().ledger
    names = set()
    for purse, key in [one, ("a\0b", "c"), ('a", "b', "c")]:
        ground = Ground(ledger=ledger, purse=purse)
        ground.pay(called(key=key))
        names.add(ground.all(asks.Reserve)[0].order.purchase.id)
    assert len(names) == 3


# --- one call pays at most once


def test_a_later_hop_of_a_call_that_paid_is_refused() -> None:
    ground = Ground()
    call = called()
    ground.pay(call, Send=reply(302))
    for first in (asking(), reply(402, {"x402Version": 2})):
        for settled in (False, True):
            hop = called("GET /hop", paid=call.paid)
            with pytest.raises(PaymentRejected, match="one call pays at most once") as caught:
                ground.pay(hop, first, LookNow=asks.Seen(settled))
            assert caught.value.hold.authorization.header == ("", "")
            assert caught.value.money == ("spent" if settled else "held")
            assert ("The chain shows that it was paid" in str(caught.value)) is settled
            assert ("The payment can settle until " in str(caught.value)) is not settled
            assert ("after that time it asks the chain" in str(caught.value)) is not settled
            assert ground.names == ["Peek", "LookNow", "Freezes"]
        assert not hop.attempt.alive
    other = reply(402, {"error": "quota"})
    assert ground.pay(called("GET /hop", paid=call.paid), other) is other
    assert ground.spent == PRICE


# --- delivery and inquiries


def test_a_ledger_that_fails_at_the_end_never_loses_the_answer() -> None:
    ground, call = Ground(), called()
    answer = ground.pay(call)
    assert answer.outcome is not None
    ground.scripted[asks.Close] = LedgerUnavailable("disk")
    run(deliver(call, answer.outcome), ground.answer)
    assert [type(event) for event in ground.told[-2:]] == [events.Delivered, events.Warned]
    assert call.attempt.alive, "until it is written, no other call may take the hold over"


def test_an_interrupt_at_the_end_gives_the_claim_up() -> None:
    ground, call = Ground(), called()
    answer = ground.pay(call)
    assert answer.outcome is not None
    ground.scripted[asks.Close] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(deliver(call, answer.outcome), ground.answer)
    assert not call.attempt.alive


def test_an_inquiry_reserves_nothing() -> None:
    ground = Ground()
    quote = run(inspect(called(), asking(entry(amount="9" * 9), entry()), ground.rules), ground.answer)
    assert quote is not None
    assert quote.choice is quote.offers[1]
    assert ground.names == ["Peek"]
    assert run(inspect(called(), reply(402), ground.rules), ground.answer) is None
    with pytest.raises(MalformedQuote):
        run(inspect(called(), reply(402, {"x402Version": 1}), ground.rules), ground.answer)


def test_an_inquiry_at_a_place_that_is_not_paid_names_the_place() -> None:
    ground = Ground(Policy(per_day="1", hosts={"api.example.com": "deny", "b.example": Limit()}))
    quote = run(inspect(called(), asking(entry(), entry()), ground.rules), ground.answer)
    assert quote is not None
    assert quote.choice is None
    assert len(quote.reasons) == 2
    assert all("is denied" in reason for reason in quote.reasons)
