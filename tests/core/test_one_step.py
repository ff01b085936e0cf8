"""With a key in this process a payment is signed first, and counted and recorded in one step."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.wire.terms import entry
from x402_client import Policy
from x402_client.core import asks
from x402_client.errors import (
    AlreadyPaid,
    Frozen,
    HostNotAllowed,
    LedgerUnavailable,
    OverLimit,
    PaymentOutcomeUnknown,
    SigningError,
)
from x402_client.ledgers.memory import MemoryLedger

from .scripted_flow import Ground, asking, called, paid, reply, signature
from .test_paying_ahead import ahead, learnt

SHORT = ["Peek", "Digest", "LeftAlone", "SignTyped", "Reserve", "Send"]
LONG = ["Peek", "Digest", "Reserve", "LeftAlone", "SignTyped", "Record", "Send"]


class TwoStepLedger(MemoryLedger):
    """Ledger of a third party: it knows of no order that is signed already."""

    def reserve(self, order: Any, attempt: Any) -> Any:
        return super().reserve(order._replace(signed=None), attempt)


def test_all_that_is_asked() -> None:
    ground = Ground(one_step=True)
    answer = ground.pay(called())
    assert ground.names == SHORT
    assert answer.outcome is not None
    assert (answer.outcome.hold.state, answer.outcome.hold.tries) == ("signed", 0)
    assert ground.all(asks.Send)[0].header == ground.all(asks.Reserve)[0].order.signed.header
    assert [hold.state for hold in ground.ledger.holds()] == ["signed"]
    assert ground.spent == 10_000


def test_paying_ahead_does_so_too() -> None:
    ground = Ground(one_step=True)
    memory = learnt(ground)
    answer = ahead(ground, memory, called(memory=memory))
    assert ground.names == ["LeftAlone", "Digest", "LeftAlone", "SignTyped", "Reserve", "Send"]
    assert answer is not None
    assert ground.spent == 20_000


def test_paying_ahead_leaves_an_earlier_payment_to_the_ordinary_way() -> None:
    ground = Ground(one_step=True)
    memory = learnt(ground)
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(called(), Send=OSError())
    call = called(memory=memory)
    assert ahead(ground, memory, call) is None
    assert not call.attempt.alive
    assert ground.all(asks.Send) == []
    assert ground.spent == 20_000


def test_a_ledger_that_does_not_know_of_it_is_asked_to_record() -> None:
    ground = Ground(ledger=TwoStepLedger(), one_step=True)
    assert ground.pay(called()).status == 200
    assert ground.names == [*SHORT[:-1], "Record", "Send"]
    assert [hold.state for hold in ground.ledger.holds()] == ["signed"]


@pytest.mark.parametrize("trouble", [LedgerUnavailable("gone", wrote_nothing=True), Frozen("stop")])
def test_what_it_does_not_record_is_given_back(trouble: Exception) -> None:
    ground = Ground(ledger=TwoStepLedger(), one_step=True)
    with pytest.raises(type(trouble)) as caught:
        ground.pay(called(), Record=trouble)
    assert caught.value.money == "untouched"  # type: ignore[attr-defined]
    assert ground.names == [*SHORT[:-1], "Record", "Release"]
    assert ground.spent == 0


class Forgetful(TwoStepLedger):
    """Ledger of a third party: what it writes it writes, and the answer is lost on its way."""

    def record(self, hold: Any, authorization: Any) -> Any:
        super().record(hold, authorization)
        raise LedgerUnavailable("no answer")


def test_what_may_be_recorded_without_an_answer_is_held_and_the_same_request_presents_it() -> None:
    ground = Ground(ledger=Forgetful(), one_step=True)
    with pytest.raises(LedgerUnavailable, match=r"no answer\. It was told to count 0\.01 USD") as caught:
        ground.pay(called())
    assert ground.names == [*SHORT[:-1], "Record", "Release"]
    first = ground.all(asks.Record)[0].authorization.header
    assert caught.value.hold is not None
    assert (caught.value.money, caught.value.hold.money, caught.value.hold.state) == ("held", "held", "signed")
    assert (ground.spent, [hold.nonce for hold in ground.ledger.holds()]) == (10_000, [caught.value.hold.nonce])
    assert ground.pay(called(), Send=paid()).status == 200
    assert [send.header for send in ground.all(asks.Send)] == [first]
    assert ground.spent == 10_000


@pytest.mark.parametrize(
    ("trouble", "money"), [(LedgerUnavailable("x"), "held"), (LedgerUnavailable("x", wrote_nothing=True), "untouched")]
)
@pytest.mark.parametrize("one_step", [True, False])
def test_a_reservation_without_an_answer_is_held_if_it_was_signed(
    trouble: LedgerUnavailable, money: str, one_step: bool
) -> None:
    ground = Ground(one_step=one_step)
    again = LedgerUnavailable(*trouble.args, wrote_nothing=trouble.wrote_nothing)
    with pytest.raises(LedgerUnavailable) as caught:
        ground.pay(called(), Reserve=again)
    assert caught.value.money == (money if one_step else "untouched")
    assert ("may be counted" in str(caught.value)) == (caught.value.money == "held")


def test_an_earlier_payment_of_the_same_request_is_presented_and_the_new_signature_dropped() -> None:
    ground = Ground(one_step=True)
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(called(), Send=OSError())
    first = ground.all(asks.Send)[0].header
    call = called()
    answer = ground.pay(call, Send=paid())
    assert ground.names == ["Peek", "Digest", "LeftAlone", "SignTyped", "Reserve", "Settlement", "Send"]
    assert ground.all(asks.Send)[0].header == first
    assert answer.outcome is not None
    assert answer.outcome.hold.tries == 1
    assert ground.spent == 10_000
    assert call.terms is None, "nothing was bought under the new terms"


@pytest.mark.parametrize("refusal", [OverLimit("full"), Frozen("stop"), AlreadyPaid("before"), LedgerUnavailable("x")])
def test_a_refusal_by_the_ledger_leaves_nothing(refusal: Exception) -> None:
    ground = Ground(one_step=True)
    with pytest.raises(type(refusal)):
        ground.pay(called(), Reserve=refusal)
    assert ground.all(asks.Send) == []
    assert ground.spent == 0


def test_a_refusal_hands_back_the_402_where_the_user_wants_it() -> None:
    ground = Ground(Policy(per_request="0.10", per_day="0.005"), one_step=True, on_refusal="return")
    first = asking()
    assert ground.pay(called(), first) is first
    assert isinstance(first.refusal, OverLimit)
    assert ground.spent == 0


@pytest.mark.parametrize(
    "more",
    [
        {"policy": Policy(per_request="0.10", per_day="1", approve_above="0.001")},
        {"approve": lambda approval: True},
    ],
    ids=["above the threshold", "each payment"],
)
def test_where_somebody_has_to_be_asked_the_price_is_counted_first(more: dict[str, Any]) -> None:
    if "policy" in more:
        more = {**more, "approve": lambda approval: True}
    ground = Ground(one_step=True, **more)
    ground.pay(called())
    assert ground.names.index("Reserve") < ground.names.index("SignTyped") < ground.names.index("Record")


def test_a_pause_of_the_seller_refuses_what_is_new_and_presents_what_was_paid() -> None:
    ground = Ground(one_step=True)
    paused = datetime(2030, 1, 1, tzinfo=UTC)
    with pytest.raises(HostNotAllowed):
        ground.pay(called(), LeftAlone=paused)
    assert (ground.all(asks.SignTyped), ground.spent) == ([], 0)
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(called(), LeftAlone=None, Send=OSError())
    assert ground.pay(called(), LeftAlone=paused, Send=paid()).status == 200
    assert ground.names == ["Peek", "Digest", "LeftAlone", "Reserve", "Settlement", "Send"]


def test_a_key_that_fails_does_not_stop_what_was_paid_before() -> None:
    ground = Ground(one_step=True)
    with pytest.raises(SigningError):
        ground.pay(called(), SignTyped=OSError())
    assert (ground.names[-1], ground.spent) == ("Release", 0)
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(called(), SignTyped=signature, Send=OSError())
    assert ground.pay(called(), SignTyped=OSError(), Send=paid()).status == 200
    assert ground.spent == 10_000


def test_over_the_limit_it_is_signed_anew_once_the_chain_gave_something_back() -> None:
    ground = Ground(Policy(per_request="0.10", per_day="0.015"), one_step=True)
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(called("GET /other"), Send=OSError())
    expired = ground.ledger.holds()[0]
    answer = ground.pay(called(), Send=paid(), Expired=lambda ask: [(expired, "not_settled")])
    assert answer.status == 200
    asked = [order.order.signed for order in ground.all(asks.Reserve)]
    assert (asked[0] is None, asked[1]) == (False, None)
    assert ground.names[-4:] == ["LeftAlone", "SignTyped", "Record", "Send"]
    assert ground.spent == 10_000


def test_the_same_request_too_often_asks_before_it_signs() -> None:
    policy = Policy(per_request="0.10", per_day="1", same_request="1/hour", approve_above="1")
    ground = Ground(policy, one_step=True, approve=lambda approval: True)
    learnt_call = called()
    answer = ground.pay(learnt_call)
    assert answer.outcome is not None
    ground.ledger.close(answer.outcome.hold, "spent", None)
    ground.pay(called())
    assert ground.names == [*SHORT[:-1], "Reserve", "LeftAlone", "Approve", "SignTyped", "Record", "Send"]


def test_one_name_for_each_payment_that_the_seller_promises_to_recognise() -> None:
    ground = Ground(one_step=True, repeat=("GET",))
    terms = {"payment-identifier": {"info": {"required": True}, "schema": {}}}
    ground.pay(called(), asking(entry(), extensions=terms), Send=[reply(503), reply(503), paid()])
    assert len({send.header for send in ground.all(asks.Send)}) == 1
    assert "payment_id" in ground.all(asks.Reserve)[0].order.signed.evidence
