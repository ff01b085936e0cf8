"""Presenting a payment: once more within a call where that is safe, and how an unresolved one ends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.terms import decoded, entry
from x402_client import Policy, events
from x402_client.core import asks
from x402_client.core.delivery import deliver
from x402_client.core.drive import run
from x402_client.errors import (
    Frozen,
    LedgerUnavailable,
    MalformedQuote,
    OverLimit,
    PaidNotDelivered,
    PaymentNotSent,
    PaymentOutcomeUnknown,
    PaymentRefused,
    PaymentRejected,
    X402Error,
)
from x402_client.model.holds import MARGIN

from .scripted_flow import Ground, asking, called, paid, reply

PRICE = 10_000
DROP = OSError("reset")
GET = {"repeat": ("GET",)}


class ReadTimeout(TimeoutError):
    """As an HTTP library raises it."""


# --- once more within one call


@pytest.mark.parametrize(
    ("answers", "sends", "end"),
    [
        # the last of the answers is given for ever
        ([paid()], 1, 200),
        ([DROP, paid()], 2, 200),
        ([DROP, DROP, paid()], 3, 200),
        ([DROP], 3, PaymentOutcomeUnknown),
        ([ReadTimeout(), paid()], 1, PaymentOutcomeUnknown),
        ([TimeoutError(), paid()], 1, PaymentOutcomeUnknown),
        ([DROP, ReadTimeout(), paid()], 2, PaymentOutcomeUnknown),
        ([asking(), paid()], 2, 200),
        ([asking()], 2, PaymentRejected),
        ([asking(), DROP, paid()], 3, 200),
        ([asking(), DROP], 3, PaymentOutcomeUnknown),
        ([DROP, asking()], 2, PaymentOutcomeUnknown),
        ([reply(503, b""), paid()], 2, 200),
        ([reply(503, b"busy"), reply(503, b"busy"), paid()], 3, 200),
        ([reply(503, b"busy")], 3, 503),
        ([reply(503, b"busy"), asking()], 2, 503),
        ([reply(503, b"busy"), DROP], 3, 503),
        ([reply(404, b"no"), paid()], 2, 200),
        ([reply(404, b"no")], 2, 404),
        ([paid(500)], 1, 500),  # proven: nothing is asked twice
        ([reply(303, location="/")], 1, 303),
    ],
)
def test_an_ambiguous_answer_is_asked_for_once_more(answers: list[Any], sends: int, end: Any) -> None:
    ground, call = Ground(**GET), called()
    if isinstance(end, int):
        answer = ground.pay(call, Send=list(answers))
        assert answer.status == end
        assert call.attempt.alive is (end == 200)
    else:
        with pytest.raises(end) as caught:
            ground.pay(call, Send=list(answers))
        assert caught.value.hold.id
        assert not call.attempt.alive
    presented = ground.all(asks.Send)
    assert len(presented) == sends
    assert len({send.header for send in presented}) == len(ground.all(asks.SignTyped)) == 1
    assert sum(pause.seconds for pause in ground.all(asks.Pause)) < 2
    assert [event.again for event in ground.told if isinstance(event, events.Presented)] == [False, True, True][:sends]
    assert ground.spent == PRICE


def test_a_later_silence_leaves_nobody_knowing() -> None:
    for answers in ([reply(404, b"no"), DROP], [DROP, reply(404, b"no")]):
        answer = Ground(**GET).pay(called(), Send=answers)
        assert answer.outcome is not None
        assert answer.outcome.money == "unknown"
    error = _failed(Ground(**GET), Send=[DROP, asking()])
    assert isinstance(error, PaymentOutcomeUnknown)
    assert "no answer came (OSError). After that the seller answered 402 and asked for payment again." in str(error)
    assert error.response is not None
    error = _failed(Ground(**GET), Send=[asking(), DROP])
    assert "no answer came (OSError). Before that the seller answered 402 and asked for payment again." in str(error)


def test_an_answer_that_brings_no_content_is_told_with_what_the_chain_showed() -> None:
    for seen, money in ((False, "held"), (True, "spent")):
        ground = Ground()
        ground.pay(called(), Send=reply(404, b"no"), LookNow=asks.Seen(seen))
        assert [type(event) for event in ground.told] == [events.Presented, events.Answered, events.NotDelivered]
        told = str(ground.told[-1])
        assert told.startswith("not delivered GET https://api.example.com/")
        [hold] = ground.ledger.holds()
        assert (
            f" 404 after 0.01 USD (test) was presented: money={money} hold={hold.id}; the same request presents" in told
        )
        assert told.endswith(f"x402 ledger show {hold.id}")


def test_it_is_told_once_however_often_it_was_presented() -> None:
    ground = Ground(**GET)
    ground.pay(called(), Send=[reply(503, b"busy")])
    assert [type(event) for event in ground.told][-2:] == [events.Answered, events.NotDelivered]
    assert sum(isinstance(event, events.NotDelivered) for event in ground.told) == 1


@pytest.mark.parametrize("status", [401, 407, 303])
def test_an_answer_that_the_library_goes_on_from_is_not_told_as_its_end(status: int) -> None:
    ground = Ground()
    ground.pay(called(), Send=reply(status, b""))
    assert [type(event) for event in ground.told] == [events.Presented, events.Answered]


def test_an_answer_too_large_to_keep_is_the_answer() -> None:
    ground = Ground(**GET)
    large = reply(503)
    assert ground.pay(called(), Send=large) is large
    assert len(ground.all(asks.Send)) == 1


def test_an_answer_that_breaks_off_while_it_is_kept() -> None:
    ground = Ground(**GET)
    bodies: list[Any] = [asking().native, MalformedQuote("slow"), b"kept"]
    answer = ground.pay(called(), Send=[reply(503), paid()], Peek=bodies)
    assert answer.status == 200
    bodies = [asking().native, MalformedQuote("slow")]
    error = _failed(Ground(**GET), Send=[reply(503), DROP], Peek=bodies)
    assert isinstance(error, PaymentOutcomeUnknown)


def test_a_post_is_presented_once() -> None:
    ground, call = Ground(**GET), called()
    call.method = "POST"
    assert isinstance(_failed(ground, call, Send=[DROP, paid()]), PaymentOutcomeUnknown)
    assert len(ground.all(asks.Send)) == 1


def test_a_post_is_presented_again_where_the_caller_says_so() -> None:
    ground, call = Ground(repeat=("POST",)), called()
    call.method = "POST"
    assert ground.pay(call, Send=[DROP, paid()]).status == 200


# --- payment-identifier

DECLARED = {"payment-identifier": {"info": {"required": True}, "schema": {"type": "object"}}, "other": [1]}


def test_a_seller_that_takes_an_id_gets_the_same_one_with_every_try() -> None:
    ground, call = Ground(), called()
    call.method = "POST"
    answer = ground.pay(call, asking(extensions=DECLARED), Send=[DROP, paid()])
    assert answer.status == 200
    first, second = ground.all(asks.Send)
    assert first.header == second.header
    echoed = decoded(first.header[1])["extensions"]
    payment_id = echoed["payment-identifier"]["info"].pop("id")
    assert echoed == DECLARED
    assert 16 <= len(payment_id) <= 128
    assert payment_id.replace("_", "").isalnum()
    assert answer.outcome is not None
    assert answer.outcome.hold.authorization is not None
    assert answer.outcome.hold.authorization.evidence["payment_id"] == payment_id
    assert answer.outcome.hold.id not in payment_id


def test_another_purchase_has_another_id() -> None:
    ground, ids = Ground(), set()
    for identity in "ab":
        ground.pay(called(identity), asking(extensions=DECLARED))
        ids.add(decoded(ground.all(asks.Send)[0].header[1])["extensions"]["payment-identifier"]["info"]["id"])
    assert len(ids) == 2


@pytest.mark.parametrize(
    "declared", [{}, {"payment-identifier": True}, {"payment-identifier": {"info": {"id": "theirs"}}}, None]
)
def test_a_seller_that_takes_none_gets_none(declared: Any) -> None:
    ground, call = Ground(), called()
    call.method = "POST"
    error = _failed(ground, call, first=asking(extensions=declared), Send=[DROP, paid()])
    assert isinstance(error, PaymentOutcomeUnknown)
    [send] = ground.all(asks.Send)
    assert decoded(send.header[1]).get("extensions", {}) == (declared or {})


# --- who else may present it meanwhile


@pytest.mark.parametrize("trouble", [Frozen("stop"), LedgerUnavailable("disk")])
def test_what_is_frozen_meanwhile_is_not_presented_again(trouble: X402Error) -> None:
    ground = Ground(**GET)
    error = _failed(ground, Send=[DROP, paid()], Claim=trouble)
    assert isinstance(error, PaymentOutcomeUnknown)
    assert len(ground.all(asks.Send)) == 1
    assert any(isinstance(event, events.Warned) and str(trouble) in event.problem for event in ground.told)


def test_what_somebody_else_took_over_is_left_to_him() -> None:
    ground = Ground(**GET)
    other = called()

    def taken(pause: asks.Pause) -> None:
        [hold] = ground.ledger.holds()
        call.attempt.end()
        assert ground.ledger.claim(hold.purchase, other.attempt)

    call = called()
    error = _failed(ground, call, Send=[DROP, paid()], Pause=taken)
    assert isinstance(error, PaymentOutcomeUnknown)
    assert len(ground.all(asks.Send)) == 1
    assert other.attempt.alive


@pytest.mark.parametrize("answer", [DROP, asking()], ids=["no answer", "402"])
def test_time_that_is_up_in_a_pause_ends_the_call_as_unknown(answer: Any) -> None:
    ground, late = Ground(**GET), ReadTimeout()
    error = _failed(ground, Send=[answer, paid()], Pause=late)
    assert isinstance(error, PaymentOutcomeUnknown)
    assert error.__cause__ is late
    assert len(ground.all(asks.Send)) == 1


def test_a_time_out_says_how_long_an_answer_may_take() -> None:
    error = _failed(Ground(settle_timeout=60, **GET), Send=ReadTimeout())
    assert "no answer came (ReadTimeout). An answer may take 60 seconds: Buyer(settle_timeout=...). " in str(error)
    assert "An answer may take" not in str(_failed(Ground(settle_timeout=None, **GET), Send=ReadTimeout()))
    assert "An answer may take" not in str(_failed(Ground(settle_timeout=60, **GET), Send=DROP))


# --- ends of what was presented before


def test_what_the_chain_proves_unused_makes_room_for_a_new_purchase() -> None:
    ground = _unresolved()
    [old] = ground.ledger.holds()
    answer = ground.pay(called(), Send=paid(), Settlement="not_settled")
    assert ground.names == [
        "Peek", "Digest", "Reserve", "Settlement", "Conclude", "Reserve", "LeftAlone", "SignTyped", "Record", "Send",
    ]  # fmt: skip
    assert answer.outcome is not None
    assert answer.outcome.hold.id != old.id
    [told] = [event for event in ground.told if isinstance(event, events.Concluded)]
    assert (told.hold.id, told.settled) == (old.id, False)
    assert ground.spent == PRICE


def test_what_is_proven_unused_is_given_back_even_where_nothing_can_be_bought() -> None:
    ground = _unresolved()
    with pytest.raises(MalformedQuote):
        ground.pay(called(), reply(402, {"x402Version": 2}), Settlement="not_settled")
    assert ground.ledger.holds() == ()
    assert ground.spent == 0


def test_many_dead_payments_of_one_purchase_are_cleared_at_once() -> None:
    ground, parallel = Ground(Policy(per_day="1")), [called() for _ in range(20)]
    for call in parallel:
        ground.pay(call, Send=reply(200))  # handed over, and not read yet: each is a purchase of its own
    for call in parallel:
        call.attempt.end()
    assert ground.spent == 20 * PRICE
    ground.pay(called(), Send=paid(), Settlement="not_settled")
    assert ground.spent == PRICE


def test_a_ledger_that_gives_nothing_back_is_not_asked_for_ever() -> None:
    ground = _unresolved()
    error = _failed(ground, Settlement="not_settled", Conclude=None)
    assert isinstance(error, LedgerUnavailable)


@pytest.mark.parametrize("again", [asking(), reply(410), DROP, reply(500)])
def test_settled_and_not_delivered(again: Any) -> None:
    ground = _unresolved(**GET)
    for _ in range(3):
        error = _failed(ground, Send=again, Settlement="settled")
        assert isinstance(error, PaidNotDelivered)
        assert error.money == "spent"
        assert "write_off" in str(error)
        assert error.hold.authorization.header == ("", "")
        assert error.response is getattr(again, "native", None)
        assert len(ground.all(asks.Send)) == 1
        assert ground.all(asks.SignTyped) == []
    [hold] = ground.ledger.holds()
    assert hold.money == "spent"
    assert "Settlement" not in ground.names  # what is known is not asked for again
    assert ground.spent == PRICE


def test_settled_and_delivered_after_all() -> None:
    ground, call = _unresolved(), called()
    answer = ground.pay(call, Send=reply(200), Settlement="settled")
    assert answer.outcome is not None
    assert answer.outcome.money == "spent"
    run(deliver(call, answer.outcome), ground.answer)
    assert ground.ledger.history(1)[0].money == "spent"


@pytest.mark.parametrize("again", [asking(), reply(410), DROP, reply(500), paid(402)])
def test_expired_and_nobody_can_tell(again: Any) -> None:
    ground = _unresolved(**GET)
    for _ in range(3):
        error = _failed(ground, Send=again, Settlement="unknown")
        assert isinstance(error, PaymentOutcomeUnknown)
        assert error.wait_until is None
        assert "rpc=" in str(error)
        assert len(ground.all(asks.Send)) == 1
        assert ground.all(asks.SignTyped) == []
    assert ground.spent == PRICE


def test_it_may_still_bring_the_content() -> None:
    ground = _unresolved()
    assert ground.pay(called(), Send=paid(), Settlement="unknown").status == 200


# --- accept_loss


@pytest.mark.parametrize("fate", ["settled", "unknown"])
def test_an_accepted_loss_is_written_off_and_bought_again_in_the_same_call(fate: str) -> None:
    ground, call = _unresolved(accept_loss="0.01"), called()
    answer = ground.pay(call, Send=[asking(), paid()], Settlement=fate)
    assert answer.status == 200
    old, new = (send.header for send in ground.all(asks.Send))
    assert old != new
    assert call.paid is not None
    assert answer.outcome is not None
    assert call.paid.id == answer.outcome.hold.id
    assert call.attempt.alive
    [written] = [event for event in ground.told if isinstance(event, events.WrittenOff)]
    assert written.hold.id != call.paid.id
    assert ground.ledger.history(1)[0].state == "written_off"
    assert ground.spent == 2 * PRICE


@pytest.mark.parametrize("again", [reply(503), reply(410), DROP, reply(402, {"a": 1})])
@pytest.mark.parametrize("fate", ["settled", "unknown"])
def test_only_a_seller_that_asks_for_money_again_makes_a_loss(again: Any, fate: str) -> None:
    """One that is down for a minute may deliver yet."""
    ground = _unresolved(accept_loss="0.01")
    error = _failed(ground, Send=again, Settlement=fate)
    assert isinstance(error, (PaymentOutcomeUnknown, PaidNotDelivered))
    assert "gives it up by itself, as accept_loss allows, once the seller asks for payment again" in str(error)
    assert "Policy(accept_loss=...)" not in str(error)
    assert ground.ledger.history(1) == ()
    assert len(ground.ledger.holds()) == 1


def test_what_expired_just_now_is_not_lost_yet() -> None:
    ground = _unresolved(accept_loss="0.01")
    error = _failed(ground, Send=asking(), Settlement="early")
    assert isinstance(error, PaymentOutcomeUnknown)
    assert error.wait_until is not None
    assert error.wait_until.timestamp() == error.hold.authorization.expires + MARGIN
    later = f"{error.wait_until:%Y-%m-%d %H:%M:%S} UTC"
    assert f"the same request gives it up after {later}, as accept_loss allows" in str(error)
    assert "Policy(accept_loss=...)" not in str(error)
    assert ground.ledger.history(1) == ()


def test_one_loss_in_a_call() -> None:
    """Twenty parallel calls that all broke are not given up by one that follows."""
    ground, parallel = Ground(Policy(per_day="1", accept_loss="0.01")), [called() for _ in range(20)]
    for call in parallel:
        ground.pay(call, Send=reply(200))
    for call in parallel:
        call.attempt.end()
    error = _failed(ground, Send=asking(), Settlement="unknown")
    assert isinstance(error, PaymentOutcomeUnknown)
    assert len(ground.ledger.history(99)) == 1
    assert len(ground.all(asks.Send)) == 2


def test_terms_that_make_no_sense_after_an_accepted_loss() -> None:
    ground = _unresolved(accept_loss="0.01")
    error = _failed(ground, Send=reply(402, {"x402Version": 2}), Settlement="unknown")
    assert isinstance(error, MalformedQuote)


@pytest.mark.parametrize("on_refusal", ["raise", "return"])
def test_after_an_accepted_loss_every_refusal_is_raised(on_refusal: str) -> None:
    ground = _unresolved(accept_loss="0.01", on_refusal=on_refusal)
    error = _failed(ground, Send=asking(entry(amount="90000")), Settlement="unknown")
    assert isinstance(error, OverLimit)
    assert isinstance(error.__cause__, PaymentOutcomeUnknown)
    assert error.hold.id == ground.ledger.history(1)[0].id


@pytest.mark.parametrize("trouble", [{"SignTyped": OSError()}, {"Record": LedgerUnavailable("disk")}])
def test_a_failure_after_an_accepted_loss_tells_of_the_payment_that_was_given_up(trouble: dict[str, Any]) -> None:
    """The reservation of the new purchase is given back. The loss is what happened to the money."""
    ground = _unresolved(accept_loss="0.01")
    error = _failed(ground, Send=asking(), Settlement="unknown", **trouble)
    [lost] = ground.ledger.history(9)
    assert (error.hold.id, error.hold.state, error.money) == (lost.id, "written_off", "unknown")
    assert "write_off" not in str(error)
    assert "was given up in this call before that, as accept_loss allows" in str(error)


def test_a_loss_that_no_policy_accepts_names_the_policy_that_would() -> None:
    error = _failed(_unresolved(), Send=asking(), Settlement="unknown")
    assert "Policy(accept_loss=...) gives small amounts up by itself." in str(error)
    assert "as accept_loss allows" not in str(error)


def test_a_loss_above_the_accepted_one_is_not_written_off() -> None:
    ground = _unresolved(accept_loss="0.009999")
    assert isinstance(_failed(ground, Send=asking(), Settlement="settled"), PaidNotDelivered)
    assert ground.ledger.history(1) == ()


def test_a_payment_that_can_still_settle_is_never_written_off() -> None:
    ground = _unresolved(accept_loss="1")
    assert isinstance(_failed(ground, Send=asking(), Settlement="open"), PaymentRejected)
    assert len(ground.ledger.holds()) == 1


@pytest.mark.parametrize("ask", ["WriteOff", "Conclude"])
@pytest.mark.parametrize("trouble", [LedgerUnavailable("disk"), PaymentRefused("claimed meanwhile")])
def test_a_ledger_that_cannot_take_the_end(ask: str, trouble: X402Error) -> None:
    ground = _unresolved(accept_loss="1" if ask == "WriteOff" else "0")
    error = _failed(ground, Send=asking(), Settlement="settled", **{ask: trouble})
    assert isinstance(error, PaidNotDelivered)
    assert any(isinstance(event, events.Warned) for event in ground.told)


# --- over the limit, while expired payments are counted


def test_over_the_limit_the_chain_is_asked_once() -> None:
    ground = Ground(Policy(per_day="0.01"))
    _failed(ground, called("other"), Send=DROP)

    def gone(ask: asks.Expired) -> list[Any]:
        return [(hold, "not_settled") for hold in ground.ledger.holds()]

    ground.pay(called(), Send=paid(), Expired=gone)
    assert ground.names[2:6] == ["Reserve", "Expired", "Conclude", "Reserve"]
    error = _failed(ground, called("third"), Expired=lambda ask: [])
    assert isinstance(error, OverLimit)
    assert ground.names == ["Peek", "Digest", "Reserve", "Expired", "Holds"]


def _unresolved(accept_loss: str = "0", **buyer: Any) -> Ground:
    """One payment whose answer never came."""
    ground = Ground(Policy(per_request="0.05", per_day="1", accept_loss=accept_loss), **buyer)
    assert isinstance(_failed(ground, Send=TimeoutError()), PaymentOutcomeUnknown)
    return ground


def _failed(ground: Ground, call: Any = None, first: asks.Reply | None = None, **scripted: Any) -> X402Error:
    with pytest.raises(X402Error) as caught:
        ground.pay(call or called(), first, **scripted)
    return caught.value


def test_what_never_left_is_given_back_unless_another_call_took_it_meanwhile() -> None:
    ground, call = Ground(), called()
    with pytest.raises(PaymentNotSent) as caught:
        ground.pay(call, Send=DROP, Failed="not_sent")
    assert (caught.value.money, ground.spent, ground.ledger.holds()) == ("untouched", 0, ())
    ground = Ground()
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(called(), Send=DROP, Failed="not_sent", Conclude=False)
    assert (ground.spent, len(ground.ledger.holds())) == (PRICE, 1)


def test_a_second_402_that_breaks_off_is_a_rejection() -> None:
    ground, second = Ground(), reply(402, b"")
    with pytest.raises(PaymentRejected):
        ground.pay(called(), Send=second, Peek=lambda ask: _broken() if ask.reply is second else ask.reply.native)
    assert ground.spent == PRICE


def _broken() -> None:
    raise OSError("gone")


def test_words_that_are_our_own_payment_are_not_repeated() -> None:
    ground = Ground()
    with pytest.raises(PaymentRejected) as caught:
        ground.pay(called(), Send=lambda ask: asking(error=ask.header[1]))
    [sent] = ground.all(asks.Send)
    assert sent.header[1] not in str(caught.value)


@pytest.mark.parametrize("settled", [True, False])
def test_a_payment_that_is_refused_time_and_again_is_one_to_ask_the_seller_about_if_it_settled(settled: bool) -> None:
    ground = Ground(**GET)
    said = []
    for _ in range(3):
        with pytest.raises(PaymentRejected) as caught:
            ground.pay(called(), Send=asking(), LookNow=asks.Seen(settled))
        said.append(str(caught.value.args[0]))
    assert ["Make the same request again:" in one for one in said] == [True, False, False]
    assert "It was presented 4 times" in said[1]
    assert ("many sellers answer a payment once. Ask the seller" in said[1]) is settled
    assert ("Make the same request again after that time: it asks the chain first" in said[1]) is not settled
    assert ("The chain has not shown that the money was taken" in said[1]) is not settled
    assert "buyer.write_off(error.hold) gives the purchase up" in said[1]
    assert ("but it may still settle: then both are paid" in said[1]) is not settled


@pytest.mark.parametrize("named", ["0x" + "ab" * 32, ""])
def test_a_transaction_that_an_earlier_answer_named_is_told_when_nothing_was_delivered(named: str) -> None:
    ground = Ground(**GET)
    with pytest.raises(PaymentRejected) as caught:
        ground.pay(called(), Send=paid(402, success=False, transaction=named))
    assert caught.value.hold is not None
    assert caught.value.hold.last is not None
    assert caught.value.hold.last.transaction == named
    with pytest.raises(PaidNotDelivered) as lost:
        ground.pay(called(), Send=asking(), Settlement="settled")
    assert (f"The seller named the transaction {named}. " in lost.value.args[0]) is bool(named)
    assert lost.value.hold is not None
    assert lost.value.hold.last is not None
    assert lost.value.hold.last.transaction == named


@pytest.mark.parametrize("status", [500, 409])
def test_a_transaction_in_an_answer_that_delivers_nothing_is_kept(status: int) -> None:
    ground = Ground()
    ground.pay(called(), Send=paid(status, transaction="0x" + "cd" * 32))
    [kept] = ground.ledger.holds()
    assert kept.last is not None
    assert kept.last.transaction == "0x" + "cd" * 32
