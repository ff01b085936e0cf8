"""A call that meets an overdue one: it waits, and reserves, asks and signs nothing meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.terms import entry
from x402_client import Policy, events
from x402_client.core import asks
from x402_client.core.call import Call
from x402_client.core.delivery import deliver
from x402_client.core.drive import run
from x402_client.core.known_terms import Memory
from x402_client.core.paying_ahead import pay_ahead
from x402_client.errors import AlreadyPaid, BodyNotReplayable, NoAcceptableOffer, PaymentOutcomeUnknown, TooExpensive
from x402_client.model.holds import Attempt, Hold, Outcome
from x402_client.model.hosts import Origin

from .scripted_flow import Ground, asking, called, paid, reply

WAITING = ["Peek", "Digest", "Join"]


class Record:
    """A record that remembers what it was told."""

    def __init__(self, hold: Hold | None = None) -> None:
        self.hold, self.told = hold, list[str]()

    def delivered(self, outcome: Outcome) -> None:
        self.told.append("delivered")

    def flow_ended(self, attempt: Attempt) -> None:
        self.told.append("answered" if attempt.alive else "ended")

    def end(self) -> None:
        self.told.append("left")
        self.hold = None


def kept(ground: Ground, **call: Any) -> tuple[Hold, Outcome]:
    """The hold of a delivered call with its header, and its outcome."""
    answer = ground.pay(called(**call), Send=paid())
    assert answer.outcome is not None
    [record] = ground.all(asks.Record)
    return answer.outcome.hold.but(authorization=record.authorization), answer.outcome


def answers(*given: asks.Joined) -> Any:
    """Give these answers, one after the other, to one and the same call."""
    left: Iterator[asks.Joined] = iter(given)
    return lambda ask: next(left)


def names(ground: Ground) -> list[str]:
    return [type(ask).__name__ for ask in ground.asked if not isinstance(ask, asks.Tell)]


def test_a_call_that_waits_looks_again_until_its_time_is_over() -> None:
    ground, record, call = Ground(), Record(), called()
    looks = [asks.Joined(record, "running", seconds=seconds) for seconds in (0.05, 0.01, 0.0)]
    with pytest.raises(
        PaymentOutcomeUnknown, match=r"sent and signed nothing\. Make the same request again, at once"
    ) as caught:
        ground.pay(call, Join=answers(*looks))
    assert names(ground) == [*WAITING, "Pause", "Join", "Pause", "Join"]
    assert [ask.seconds for ask in ground.all(asks.Pause)] == [0.02, 0.01]
    assert [ask.running for ask in ground.all(asks.Join)] == [None, record, record]
    assert (caught.value.hold, caught.value.wait_until, caught.value.money) == (None, None, "unknown")
    assert record.told == ["ended"]
    assert not call.attempt.alive
    assert ground.spent == 0
    assert [str(event) for event in ground.told if "is overdue in another thread" in str(event)] != []
    assert len(ground.told) == 1


def test_the_error_names_the_payment_that_is_waited_for() -> None:
    ground = Ground()
    hold, _ = kept(ground)
    with pytest.raises(PaymentOutcomeUnknown) as caught:
        ground.pay(called("GET /else"), Join=asks.Joined(Record(), "running", hold.shown))
    assert caught.value.hold is not None
    assert caught.value.hold.id == hold.id
    assert caught.value.offer is hold.offer
    assert caught.value.wait_until is not None


def test_what_was_overdue_failed_so_the_call_goes_on() -> None:
    ground, record, call = Ground(), Record(), called()
    looks = [asks.Joined(record, "running", seconds=9), *[asks.Joined(record)] * 2]
    answer = ground.pay(call, Join=answers(*looks), Send=paid())
    assert answer.status == 200
    assert names(ground)[:7] == [*WAITING, "Pause", "Join", "Claim", "Join"]
    assert names(ground)[7:] == ["Reserve", "LeftAlone", "SignTyped", "Record", "Send"]
    assert record.told == ["answered"]
    assert answer.outcome is not None
    run(deliver(call, answer.outcome), ground.answer)
    assert record.told == ["answered", "delivered"]
    assert record.hold is not None
    assert record.hold.authorization is not None
    assert record.hold.authorization.header[1]


def test_the_payment_that_it_left_is_presented() -> None:
    ground, record = Ground(), Record()
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(called(), Send=OSError())
    looks = [asks.Joined(record, "running", seconds=9), asks.Joined(record)]
    answer = ground.pay(called(), Join=answers(*looks), Send=paid())
    assert answer.status == 200
    assert names(ground) == [*WAITING, "Pause", "Join", "Claim", "Settlement", "Send"]


def test_what_it_left_is_taken_so_the_next_one_is_waited_for() -> None:
    ground, record = Ground(), Record()
    waits = asks.Joined(record, "running", seconds=9)
    looks = [waits, asks.Joined(record), waits, asks.Joined(record, "running")]
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(called(), Join=answers(*looks))
    assert names(ground) == [*WAITING, "Pause", "Join", "Claim", "Join", "Pause", "Join"]
    assert ground.spent == 0


def test_terms_that_became_old_while_it_waited_are_looked_at_again() -> None:
    ground, record = Ground(terms_age=0.03), Record()
    looks = [asks.Joined(record, "running", seconds=9)] * 2 + [asks.Joined(record)] * 2
    answer = ground.pay(called(), Join=answers(*looks), LookAgain=asking(), Send=paid())
    assert answer.status == 200
    assert names(ground)[-6:] == ["LeftAlone", "LookAgain", "Peek", "SignTyped", "Record", "Send"]


def test_terms_that_rose_while_it_waited_are_not_paid_and_no_quote_is_blamed() -> None:
    ground, record = Ground(terms_age=0.03), Record()
    looks = [asks.Joined(record, "running", seconds=9)] * 2 + [asks.Joined(record)] * 2
    with pytest.raises(NoAcceptableOffer) as refused:
        ground.pay(called(), Join=answers(*looks), LookAgain=asking(entry(amount="20000")))
    assert "was chosen before this call waited for another one, and the seller changed its terms" in str(refused.value)


def test_a_delivered_payment_is_presented_once_and_is_no_purchase() -> None:
    ground = Ground()
    hold, outcome = kept(ground)
    spent, record, call = ground.spent, Record(hold), called("GET /joined")
    answer = ground.pay(call, Join=asks.Joined(record, "delivered", hold.shown, outcome), Send=reply(200))
    assert hold.authorization is not None
    assert [ask.header for ask in ground.all(asks.Send)] == [hold.authorization.header]
    assert answer.outcome is not None
    assert answer.outcome.money == "spent"  # as the first answer proved
    assert call.resolved
    assert call.paid is not None
    assert call.paid.authorization is not None
    assert call.paid.authorization.header == ("", "")
    assert record.told == ["left", "delivered", "ended"]
    assert ground.spent == spent
    assert names(ground) == [*WAITING, "Send"]
    assert [type(event) for event in ground.told] == [events.Presented, events.Answered]


def test_a_second_answer_without_a_receipt_proves_nothing() -> None:
    ground = Ground()
    hold, outcome = kept(ground)
    unproven = Outcome("unknown", outcome.hold, outcome.offer)
    answer = ground.pay(called(), Join=asks.Joined(Record(hold), "delivered", hold.shown, unproven), Send=reply(200))
    assert answer.outcome is not None
    assert answer.outcome.money == "unknown"


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (reply(500), "an answer of 500"),
        (reply(302), "an answer of 302"),
        (asking(), "an answer of 402"),
        (TimeoutError(), r"no answer \(TimeoutError\)"),
        (OSError(), r"no answer \(OSError\)"),
    ],
)
def test_all_else_is_already_paid(then: Any, said: str) -> None:
    ground = Ground()
    hold, outcome = kept(ground)
    record, call = Record(hold), called()
    with pytest.raises(AlreadyPaid, match=said) as caught:
        ground.pay(call, Join=asks.Joined(record, "delivered", hold.shown, outcome), Send=then)
    assert caught.value.receipt is outcome.receipt
    assert caught.value.hold == hold.shown
    assert caught.value.response is getattr(then, "native", None)
    assert record.told == ["left", "ended"]
    assert record.hold is None
    assert len(ground.all(asks.Send)) == 1
    assert not call.attempt.alive


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_payment_is_presented_to_its_payee_alone(elsewhere: bool) -> None:
    ground = Ground()
    hold, outcome = kept(ground)
    record = Record(hold if elsewhere else None)
    origin = Origin("https", "else.example", 443) if elsewhere else called().origin
    with pytest.raises(AlreadyPaid, match="Nothing was sent by this call"):
        ground.pay(called(origin=origin), Join=asks.Joined(record, "delivered", hold.shown, outcome))
    assert ground.all(asks.Send) == []


def test_a_call_whose_repeat_was_delivered_signs_nothing() -> None:
    ground = Ground()
    hold, outcome = kept(ground)
    spent, record, call = ground.spent, Record(), called()
    with pytest.raises(AlreadyPaid, match=r"to a later call of this request\. .* Nothing was sent by it\.") as caught:
        ground.pay(call, Join=asks.Joined(record, "replaced", hold.shown, outcome, -1.0))
    assert caught.value.hold == hold.shown
    assert caught.value.receipt is outcome.receipt
    assert names(ground) == WAITING
    assert (record.told, call.attempt.alive, ground.spent) == (["ended"], False, spent)


def test_its_turn_does_not_come_in_time() -> None:
    ground = Ground()
    hold, outcome = kept(ground)
    looks = [asks.Joined(Record(), "queued", hold.shown, outcome, seconds) for seconds in (1.0, 0.0)]
    with pytest.raises(AlreadyPaid, match="Another call presents its payment at this moment"):
        ground.pay(called(), Join=answers(*looks))
    with pytest.raises(AlreadyPaid):
        ground.pay(called(), Join=asks.Joined(Record(), "queued"))


def test_a_request_that_is_refused_now_joins_as_well() -> None:
    ground = Ground(Policy(per_request="0.01"))
    hold, outcome = kept(ground)
    joined = asks.Joined(Record(hold), "delivered", hold.shown, outcome)
    assert ground.pay(called(), asking(entry(amount="99000")), Join=joined, Send=paid()).status == 200
    with pytest.raises(TooExpensive):
        ground.pay(called(), asking(entry(amount="99000")), Digest=BodyNotReplayable("gone"), Join=joined)


def test_whoever_pays_ahead_asks_first() -> None:
    ground, memory = Ground(), Memory()
    call = called(memory=memory)
    answer = ground.pay(call, Send=paid())
    assert answer.outcome is not None
    memory.learn(call.place, call.product, call.terms)

    def ahead(joined: asks.Joined) -> tuple[asks.Reply | None, Call]:
        ground.asked.clear()
        ground.scripted[asks.Join] = joined
        again = called("GET /again", memory=memory)
        return run(pay_ahead(again, ground.rules), ground.answer), again

    waits, free = Record(), Record()
    found, call = ahead(asks.Joined(waits, "running", seconds=9))
    assert found is None
    assert not call.attempt.alive
    assert waits.told == ["ended"]
    assert names(ground) == ["LeftAlone", "Digest", "Join"]
    found, call = ahead(asks.Joined(free))
    assert found is not None
    assert free.told == ["answered"]
    assert call.attempt.alive
