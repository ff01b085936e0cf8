"""The ledger keeps how a payment ended that brought no content, and errors, their holds and lists say one thing."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from x402_client import errors
from x402_client.core import asks
from x402_client.core.delivery import Delivery
from x402_client.core.drive import run
from x402_client.core.last_answer import is_by_receipt, is_known_paid, money_after, with_last
from x402_client.core.next_step import next_step
from x402_client.core.reclaim import reclaim
from x402_client.errors import LedgerUnavailable
from x402_client.model.holds import Authorization, Hold, LastAnswer, Outcome
from x402_client.model.offers import Receipt

from .scripted_flow import Ground, asking, called, paid, reply
from .test_delivery import HOLD

SIGNED = Authorization("0x1", "0x2", 2**33, ("", ""))


def listed(ground: Ground) -> list[tuple[str, LastAnswer | None]]:
    return [(hold.told.money, hold.last) for hold in ground.ledger.holds()]


@pytest.mark.parametrize(
    ("answer", "seen", "money", "last"),
    [
        (OSError("gone"), False, "unknown", LastAnswer("unknown", None, "OSError")),
        (TimeoutError(), True, "spent", LastAnswer("spent", None, "TimeoutError", by_chain=True)),
        (asking(), False, "held", LastAnswer("held", 402, "payment required")),
        (reply(402, {"x402Version": 2, "error": 'no "funds"', "accepts": []}), False, "held", None),
    ],
)
def test_an_error_its_hold_and_the_ledger_agree(answer: Any, seen: bool, money: str, last: LastAnswer | None) -> None:
    ground = Ground()
    send = answer if isinstance(answer, Exception) else (lambda ask: answer)
    with pytest.raises(errors.X402Error) as caught:
        ground.pay(called(), Send=send, LookNow=asks.Seen(seen))
    hold = caught.value.hold
    assert hold is not None
    assert (caught.value.money, hold.money) == (money, money)
    [(told, kept)] = listed(ground)
    assert (told, kept) == (money, hold.last)
    if last is not None and last.status is None:
        assert kept == last
    elif last is not None:
        assert kept is not None
        assert (kept.money, kept.status) == (last.money, last.status)
    assert hold.authorization is not None
    assert hold.authorization.header == ("", "")


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [([OSError("gone"), asking()], 402, "payment required"), ([asking(), OSError("gone")], None, "OSError")],
)
def test_what_came_last_is_noted_where_both_came(answers: list[Any], status: int | None, said: str) -> None:
    ground = Ground(repeat=("GET",))
    with pytest.raises(errors.PaymentOutcomeUnknown) as caught:
        ground.pay(called(), Send=answers)
    hold = caught.value.hold
    assert hold is not None
    assert hold.last is not None
    assert (hold.last.money, hold.last.status) == ("unknown", status)
    assert hold.last.said.lower() == said.lower()


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("answers", [*product((500, 404, 402, None), repeat=3)])
def test_the_last_word_is_noted_where_an_earlier_answer_is_handed_over(answers: Any, seen: bool) -> None:
    ground, came = Ground(repeat=("GET",)), []

    def send(ask: Any) -> asks.Reply:
        came.append(answers[len(came)])
        if came[-1] is None:
            raise OSError("gone")
        return asking() if came[-1] == 402 else reply(came[-1], {"error": "no"})

    try:
        answer = ground.pay(called(), Send=send, LookNow=asks.Seen(seen))
    except errors.X402Error:
        assert not {500, 404} & set(came), "an answer with a body is handed over"
        return
    assert answer.status in came
    assert answer.outcome is not None
    last, words = answer.outcome.hold.last, [one for one in came if one is not None]
    assert last is not None
    assert (last.status, last.said) == (words[-1], "payment required" if words[-1] == 402 else "")
    assert listed(ground) == [("spent" if seen else answer.outcome.money, last)]


def test_an_answer_that_is_handed_over_is_noted_too() -> None:
    ground = Ground()
    answer = ground.pay(called(), Send=lambda ask: paid(503))
    assert answer.outcome is not None
    assert (answer.status, answer.outcome.money, answer.outcome.hold.money) == (503, "spent", "spent")
    assert listed(ground) == [("spent", LastAnswer("spent", 503, "", "0xfeed"))]
    refused = Ground()
    refused.pay(called(), Send=lambda ask: reply(404))
    assert listed(refused) == [("held", LastAnswer("held", 404))]


@pytest.mark.parametrize(
    ("location", "kept"),
    [
        ("/thanks", "/thanks"),
        ("thanks", "/thanks"),
        ("/thanks?secret=1#part", "/thanks?..."),
        ("//other.example/a b?q", "https://other.example/a%20b?..."),
        ("https://user:word@x.example", "https://x.example/"),
        ("https://api.example.com/b", "/b"),
        ("http://[", ""),
        ("", ""),
    ],
)
def test_where_an_answer_leads_is_kept_without_query_and_password(location: str, kept: str) -> None:
    ground = Ground()
    answer = ground.pay(called(), Send=lambda ask: _led(location))
    assert answer.outcome is not None
    [(_, last)] = listed(ground)
    assert last is not None
    assert (last.status, last.leads_to) == (303, kept)
    assert answer.outcome.hold.last == last
    with pytest.raises(errors.PaymentRejected) as caught:  # a later answer does not make it forgotten
        ground.pay(called(), Send=lambda ask: asking())
    assert caught.value.hold is not None
    assert caught.value.hold.last is not None
    assert (caught.value.hold.last.status, caught.value.hold.last.leads_to) == (402, kept)
    place = f"https://api.example.com{kept}" if kept.startswith("/") else kept
    assert (f"The seller's answer led to {place}" in str(caught.value)) is bool(kept)


def test_a_place_that_repeats_the_payment_is_not_kept() -> None:
    ground = Ground()
    ground.pay(called(), Send=lambda ask: _led(f"/{ask.header[1]}"))
    [(_, last)] = listed(ground)
    assert last is not None
    assert last.leads_to == ""


def _led(location: str) -> asks.Reply:
    answer = reply(303)
    inner = answer.header
    answer.header = lambda name: location if name.lower() == "location" else inner(name)
    return answer


@pytest.mark.parametrize("known", [None, "held", "spent"])
@pytest.mark.parametrize("by_chain", [False, True])
def test_who_shows_that_it_was_paid(known: Any, by_chain: bool) -> None:
    """The chain, where a reader looked or concluded it, also after a receipt; else the receipt alone says so."""
    last = None if known is None else LastAnswer(known, 502, "", "0xfeed", by_chain=by_chain)
    hold = HOLD.but(state="signed", authorization=SIGNED, last=last)
    assert is_by_receipt(hold) is (known == "spent" and not by_chain)
    told = str(next_step(hold.but(money="spent")))
    assert ("The chain shows" in told) is not is_by_receipt(hold)
    assert ("The seller's receipt says that it was paid, in transaction 0xfeed" in told) is is_by_receipt(hold)


@pytest.mark.parametrize(
    "reason",
    ["invalid_exact_evm_payload_authorization_valid_before", "payment_expired", "validBefore", "deadline passed"],
)
def test_a_seller_that_refuses_what_expired_is_not_said_to_answer_once(reason: str) -> None:
    hold = HOLD.but(state="signed", authorization=SIGNED, money="spent", last=LastAnswer("spent", 402, reason))
    said = next_step(hold, expired=True)
    assert said.case == "denied"
    assert said.todo.startswith("The seller refuses it because it has expired, so another time will not help. Ask the")
    other = hold.but(last=LastAnswer("spent", 402, "nonce_already_used"))
    assert "many sellers answer a payment once" in next_step(other, expired=True).todo


def test_a_chain_that_concludes_what_a_receipt_said_is_named_from_then_on() -> None:
    last = LastAnswer("spent", 502, "", "0xfeed")
    noted: list[asks.Note] = []
    for fate in ("settled", "not_settled", "live", "unknown"):
        answer = lambda ask: noted.append(ask) if isinstance(ask, asks.Note) else True  # noqa: E731
        run(reclaim(HOLD.but(state="signed", authorization=SIGNED, last=last), fate), answer)
    [note] = noted
    assert note.last == last._replace(by_chain=True)


def test_a_ledger_that_cannot_note_changes_no_end() -> None:
    ground = Ground()
    with pytest.raises(errors.PaymentRejected) as caught:
        ground.pay(called(), Send=lambda ask: asking(), Note=LedgerUnavailable("full"))
    assert caught.value.hold is not None
    assert caught.value.hold.money == "held"
    assert listed(ground) == [("unknown", None)]


def test_a_payment_that_never_left_says_so_in_its_hold() -> None:
    ground = Ground()
    with pytest.raises(errors.PaymentNotSent) as caught:
        ground.pay(called(), Send=OSError("refused"), Failed="not_sent")
    assert caught.value.hold is not None
    assert (caught.value.money, caught.value.hold.money) == ("untouched", "untouched")
    assert ground.ledger.holds() == ()


def test_an_answer_that_breaks_off_is_noted_without_waiting() -> None:
    noted: list[asks.Note] = []
    found = Outcome("spent", HOLD.but(authorization=SIGNED), HOLD.offer, Receipt(True, "0xfeed"))
    delivery = Delivery(called(), found, lambda ask: noted.append(ask))
    delivery.broke(ConnectionError("cut"))
    [note] = noted
    assert (note.last, note.now) == (
        LastAnswer("spent", None, "the answer broke off (ConnectionError)", "0xfeed"),
        True,
    )
    only_tells = Delivery(called(), found, lambda ask: noted.append(ask)).that_only_tells()
    only_tells.broke(ConnectionError("cut"))
    assert noted == [note]


def test_what_is_signed_and_silent_is_unknown_to_those_who_look() -> None:
    signed = HOLD.but(authorization=SIGNED)
    assert signed.told.money == "unknown"
    assert signed.but(last=LastAnswer("held", 402)).told.money == "held"
    assert signed.but(money="spent", last=LastAnswer("held", 402)).told.money == "spent"
    for state in ("reserved", "delivered", "written_off"):
        other: Hold = signed.but(state=state)
        assert other.told is other


@pytest.mark.parametrize("expired", [False, True])
@pytest.mark.parametrize("second", [402, 404, 409, 500, 503, 303, OSError("gone"), TimeoutError()])
@pytest.mark.parametrize("by_chain", [False, True])
def test_no_later_answer_takes_back_that_it_was_paid(by_chain: bool, second: Any, expired: bool) -> None:
    ground, fate = Ground(), "unknown" if expired else "open"

    def first(ask: Any) -> asks.Reply:
        if by_chain:
            raise OSError("gone")
        return paid(503)

    def then(ask: Any) -> asks.Reply:
        if isinstance(second, Exception):
            raise second
        return asking() if second == 402 else reply(second)

    assert _end(ground, Send=first, LookNow=asks.Seen(by_chain)).money == "spent"
    for _ in range(2):
        ended = _end(ground, Send=then, LookNow=asks.Seen(False), Settlement=lambda ask: fate)
        if isinstance(ended, errors.X402Error):
            lost = isinstance(ended, errors.PaidNotDelivered)
            assert lost is (expired and by_chain)
            assert ("The chain shows" in str(ended)) is (by_chain and not lost)
            assert ("showed before that" in str(ended) and "could not tell now" in str(ended)) is lost
            assert "shows that" not in str(ended).replace("The chain shows that", "")
        assert (ended.money, ended.hold.money) == ("spent", "spent")
        [(told, last)] = listed(ground)
        assert last is not None
        assert (told, last.money, last.by_chain) == ("spent", "spent", by_chain)
        assert [hold.money for hold in ground.ledger.holds()] == ["held"], "the chain is still to be asked"


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("second", [402, 404, 500, OSError("gone")])
def test_what_was_paid_and_lost_is_told_as_the_chain_tells_it_now_or_told_it_before(second: Any, answers: bool) -> None:
    ground = Ground()

    def then(ask: Any) -> asks.Reply:
        if isinstance(second, Exception):
            raise second
        return asking() if second == 402 else reply(second)

    assert _end(ground, Send=OSError("gone"), LookNow=asks.Seen(True)).money == "spent"
    fate = "settled" if answers else "unknown"
    ended = _end(ground, Send=then, LookNow=asks.Seen(False), Settlement=lambda ask: fate)
    assert isinstance(ended, errors.PaidNotDelivered)
    assert ("shows that 0.01 USD (test) was paid" in str(ended)) is answers
    assert ("showed before that 0.01 USD (test) was paid" in str(ended)) is not answers


def _end(ground: Ground, **scripted: Any) -> Any:
    """Return the error or the outcome of a call."""
    try:
        return ground.pay(called(), **scripted).outcome
    except errors.X402Error as error:
        return error


def test_a_later_hop_knows_what_the_receipt_before_it_said() -> None:
    ground, call = Ground(), called()
    ground.pay(call, Send=lambda ask: _led_and_paid())
    assert [told for told, _ in listed(ground)] == ["spent"]
    with pytest.raises(errors.PaymentRejected) as caught:
        ground.pay(call, LookNow=asks.Seen(False))
    assert caught.value.money == "spent"
    assert "The seller's receipt says that it was paid" in str(caught.value)
    [(told, last)] = listed(ground)
    assert last is not None
    assert (told, last.by_chain) == ("spent", False)


def _led_and_paid() -> asks.Reply:
    answer, receipt = _led("/thanks"), paid(303)
    inner = answer.header
    answer.header = lambda name: inner(name) or receipt.header(name)
    return answer


def test_the_chains_own_later_word_takes_back_what_a_receipt_said() -> None:
    """Of a ceiling the chain may show that nothing was taken, after a receipt said "paid"."""
    paid_before = HOLD.but(last=LastAnswer("spent", 500))
    nothing = paid_before.but(money="untouched")
    assert (is_known_paid(paid_before), is_known_paid(nothing)) == (True, False)
    assert with_last(paid_before, "held", 500).told.money == "spent"
    assert money_after(nothing, "held") == "held"
