"""When a paid answer counts as delivered, where its end is not a plain one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pickle
import weakref
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import anyio
import httpx
import pytest
import requests

from tests.adapters.cash_register import Till
from tests.adapters.checks import new_buyer
from tests.adapters.scripted_server import Server
from x402_client.adapters.httpx_bodies import Library
from x402_client.adapters.requests_adapter import PaymentAdapter
from x402_client.core import asks, interruptions
from x402_client.core.delivery import Delivery, Resolution, as_answered, delivers
from x402_client.core.drive import run
from x402_client.core.known_terms import Memory, Terms
from x402_client.core.last_answer import is_by_receipt
from x402_client.core.next_step import next_step
from x402_client.errors import LedgerUnavailable
from x402_client.guards.forks import generation
from x402_client.ledgers.conformance.ledger import order, purchase
from x402_client.model.holds import Attempt, Busy, Hold, LastAnswer, Outcome
from x402_client.model.offers import Quote, Receipt
from x402_client.receipts import outcome as told_of
from x402_client.wire.tool_answers import MOST_BYTES, ToolAnswer

from .scripted_flow import called

ORDER = order(purchase("a"))
HOLD = Hold("1", ORDER.purchase, ORDER.offer, ORDER.price, 0.0, "signed")
LIBRARY = Library(httpx, __name__)


def outcome(money: Any = "spent", receipt: Receipt | None = None, mismatches: tuple[str, ...] = ()) -> Outcome:
    return Outcome(money, HOLD, HOLD.offer, receipt, mismatches)


@pytest.mark.parametrize(
    ("status", "found", "leads_on", "yes"),
    [
        (101, outcome("unknown"), False, True),
        (200, outcome("unknown"), False, True),
        (206, outcome("unknown"), False, True),
        (302, outcome("spent", Receipt(True, "0xfeed")), True, True),
        (302, outcome("spent", Receipt(True, "0xfeed")), False, False),
        (300, outcome("spent", Receipt(True, "0xfeed")), False, False),
        (302, outcome("spent"), True, False),  # the chain's proof is not the seller's: this may lead to a login
        (302, outcome("spent", Receipt(False, "0xfeed")), True, False),
        (302, outcome("spent", Receipt(True, "0xfeed"), ("another payer",)), True, False),
        (302, outcome("unknown", Receipt(True, "0xfeed")), True, False),
        (404, outcome("spent", Receipt(True, "0xfeed")), False, False),
    ],
)
def test_what_can_be_the_content(status: int, found: Outcome, leads_on: bool, yes: bool) -> None:
    assert delivers(status, found, leads_on) is yes


class _Stubborn:
    """A body whose closing fails, or is cancelled."""

    def __init__(self, failure: BaseException) -> None:
        self.failure = failure

    def __iter__(self) -> Iterator[bytes]:
        yield b"some"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"some"

    def close(self) -> None:
        raise self.failure

    async def aclose(self) -> None:
        raise self.failure


@pytest.mark.parametrize("failure", [OSError("reset"), KeyboardInterrupt(), asyncio.CancelledError()])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_close_that_fails_ends_the_attempt_and_delivers_nothing(failure: BaseException, is_async: bool) -> None:
    """Else its claim would live on, and the same request would sign a second payment."""
    call = called()
    made = LIBRARY.awatched if is_async else LIBRARY.watched
    body = made(_Stubborn(failure), Delivery(call, outcome(), Scripted()), httpx.Response(200))
    with pytest.raises(type(failure)):
        if is_async:
            anyio.run(body.aclose)
        else:
            body.close()
    assert not call.attempt.alive


def test_where_a_redirect_leads_the_delivery_is_its_own_buyers() -> None:
    """Another buyer may be mounted there."""
    with contextlib.closing(Server()) as seller, contextlib.closing(Server()) as store:
        till, buyers = Till(), [new_buyer(ledger=":memory:"), new_buyer(ledger=":memory:")]
        store.on("/goods", lambda ex: ex.answer(200, b"the goods"))
        leads = [till.receipt(), ("Location", store.url("/goods"))]
        url = seller.on("/paid", till.sells(lambda ex, till: ex.answer(303, b"", leads)))
        with requests.Session() as session:
            for server, buyer in zip((seller, store), buyers, strict=True):
                session.mount(server.url(), PaymentAdapter(buyer))
            assert session.get(url).content == b"the goods"
        assert [(len(buyer.holds()), len(buyer.history())) for buyer in buyers] == [(0, 1), (0, 0)]


class Scripted:
    """Answers the asks of a delivery, and keeps them."""

    def __init__(self, claimed: Any = None) -> None:
        self.claimed, self.asked = claimed, list[Any]()

    def __call__(self, ask: asks.Ask[Any]) -> Any:
        self.asked.append(ask)
        if isinstance(ask, asks.Claim) and isinstance(self.claimed, Exception):
            raise self.claimed
        if isinstance(ask, asks.Close):
            ask.attempt.end()
        return self.claimed if isinstance(ask, asks.Claim) else None

    @property
    def kinds(self) -> list[type[Any]]:
        return [type(ask) for ask in self.asked]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("claimed", "alive"),
    [(HOLD, True), (None, False), (Busy(HOLD), False), (HOLD.but(id="2"), False), (LedgerUnavailable("gone"), False)],
)
def test_content_that_a_redirect_led_to_is_watched_under_a_claim_of_its_own(
    claimed: Any, alive: bool, is_async: bool
) -> None:
    call, answers = called(), Scripted(claimed)
    call.attempt.end()
    delivery = Delivery(call, outcome(), answers)
    asyncio.run(delivery.aarrived()) if is_async else delivery.arrived()
    assert call.attempt.alive is alive
    assert answers.kinds == [asks.Claim]
    delivery.done()
    assert not call.attempt.alive
    assert answers.kinds == [asks.Claim, asks.Tell, asks.Close]


def test_what_was_rejected_claims_nothing_where_it_arrives() -> None:
    call, answers = called(), Scripted(HOLD)
    delivery = Delivery(call, outcome(), answers)
    assert delivery.outcome.reject()
    delivery.arrived()
    delivery.done()
    assert (answers.asked, call.attempt.alive) == ([], False)


def test_it_is_resolved_once() -> None:
    answers = Scripted()
    delivery = Delivery(called(), outcome(), answers)
    delivery.done()
    run(delivery.resolved(), answers)
    delivery.closed()
    delivery.broke(OSError("too late"))
    assert delivery.outcome.accept()
    assert not delivery.outcome.reject()
    assert answers.kinds == [asks.Tell, asks.Close]


@pytest.mark.parametrize("word", ["read", "accepted", "rejected", "told before"])
def test_the_error_of_a_tool_is_a_delivery_by_the_callers_word_alone(word: str) -> None:
    call, answers = called(), Scripted()
    delivery = Delivery(call, outcome(), answers)
    delivery.answer = ToolAnswer(1)
    body = b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -32603}}'
    if word == "told before":
        delivery.that_only_tells()
        delivery.done(body)
        assert answers.kinds == []
        return
    delivery.done(body)
    delivery.closed()
    assert (answers.kinds, call.attempt.alive) == ([asks.Note], False)
    if word == "accepted":
        assert delivery.outcome.accept()
        assert answers.kinds == [asks.Note, asks.Tell, asks.Close]
    elif word == "rejected":
        assert delivery.outcome.reject()
        assert answers.kinds == [asks.Note]


def test_the_content_of_a_tool_is_a_delivery() -> None:
    answers = Scripted()
    delivery = Delivery(called(), outcome(), answers)
    delivery.answer = ToolAnswer(1)
    delivery.answer.add(b'{"jsonrpc": "2.0", "id": 1, "result": {"content": []}}')
    delivery.done()
    assert answers.kinds == [asks.Tell, asks.Close]


def test_what_a_session_above_decides_is_a_delivery_by_its_word_alone() -> None:
    call, answers = called(), Scripted()
    delivery = Delivery(call, outcome(), answers)
    delivery.left = True
    delivery.done()
    assert (answers.kinds, call.attempt.alive) == ([], True)
    assert delivery.outcome.accept()
    assert answers.kinds == [asks.Tell, asks.Close]


@pytest.mark.parametrize("failure", [None, TimeoutError()])
def test_what_a_session_above_did_not_hand_on_is_open_from_that_moment(failure: Exception | None) -> None:
    call, answers = called(), Scripted()
    delivery = Delivery(call, outcome(), answers)
    delivery.left, delivery.answer = True, ToolAnswer(1)
    delivery.done()
    delivery.not_taken(failure)
    assert (answers.kinds, call.attempt.alive, delivery.over) == ([asks.Note], False, True)
    assert failure is None or getattr(failure, "outcome", None) is not None


def test_a_whole_result_that_a_session_above_did_not_hand_on_is_open_too() -> None:
    """Its caller gave up: what arrived then is no delivery, and no error of the tool's is noted."""
    asked: list[Any] = []
    delivery = Delivery(called(), outcome(), asked.append)
    delivery.answer, delivery.left = ToolAnswer(7), True
    delivery.answer.add(b'{"jsonrpc":"2.0","id":7,"result":{"content":[]}}')
    delivery.answer.closed = True
    delivery.not_taken()
    assert (delivery.over, delivery.call.attempt.alive, asked) == (True, False, [])


def test_what_is_in_flight_is_waited_for_and_counted_in_a_quote() -> None:
    flying = HOLD.but(state="reserved")
    assert next_step(flying).step == next_step(flying, expired=True).step == "wait"
    assert "has expired meanwhile: if that program hangs, end it." in next_step(flying, expired=True).todo
    quote = Quote("https://api.example.com/a")
    assert "in flight" not in repr(quote)
    assert "in flight for the same request: 2>" in repr(replace(quote, in_flight=("1", "2")))


@pytest.mark.parametrize("cause", [None, KeyboardInterrupt(), OSError("slow")])
def test_an_answer_that_is_closed_after_a_read_was_stopped_is_open(cause: BaseException | None) -> None:
    """What stopped the read may be swallowed before the close, so that nothing is under way then."""
    call, answers = called(), Scripted()
    delivery = Delivery(call, outcome(), answers)
    try:
        if cause is not None:
            raise cause
        delivery.cut_off()
    except (KeyboardInterrupt, OSError):
        delivery.cut_off()
    assert cause is None or told_of(cause) is not None
    assert (asks.Close in answers.kinds, call.attempt.alive, delivery.over) == (False, False, True)


def test_a_large_answer_to_a_tool_call_is_delivered_where_it_was_read_to_its_end() -> None:
    for way, kinds in (Delivery.done, [asks.Tell, asks.Close]), (Delivery.closed, [asks.Note]):
        delivery = Delivery(called(), outcome(), answers := Scripted())
        delivery.answer = ToolAnswer(1)
        delivery.answer.add(b'{"jsonrpc": "2.0", "id": 1, "result": {"content": [' + b" " * MOST_BYTES)
        way(delivery)
        assert answers.kinds == kinds


# --- what is under way at a close


def closed_amid(failure: BaseException, before: bool) -> tuple[Scripted, Attempt]:
    """Close an answer while this is handled, handed over before or after that began."""
    answers, call = Scripted(), called()
    delivery = Delivery(call, outcome(), answers)
    try:
        raise failure
    except BaseException:
        if before:
            delivery = Delivery(call, outcome(), answers)
        delivery.closed()
    return answers, call.attempt


@pytest.mark.parametrize("failure", [TimeoutError(), KeyboardInterrupt(), asyncio.CancelledError(), Exception()])
def test_only_what_was_raised_since_the_hand_over_counts(failure: BaseException) -> None:
    for _ in range(2):  # the second time it is the same object, and none of what was handled before
        answers, attempt = closed_amid(failure, before=False)
        noted = [asks.Note] if isinstance(failure, Exception) else []  # a cancellation ends without any I/O
        assert (answers.kinds, attempt.alive) == (noted, False)
    answers, _ = closed_amid(failure, before=True)
    assert asks.Close in answers.kinds


def test_leaving_a_loop_is_nothing_under_way_but_what_made_a_generator_close_is() -> None:
    answers, _ = closed_amid(GeneratorExit(), before=False)
    assert asks.Close in answers.kinds
    failure = GeneratorExit()
    failure.__context__ = TimeoutError()
    answers, _ = closed_amid(failure, before=False)
    assert asks.Close not in answers.kinds


def test_a_chain_of_exceptions_without_end_is_followed_for_a_while() -> None:
    one, other = GeneratorExit(), GeneratorExit()
    one.__context__, other.__context__ = other, one
    delivery = Delivery(called(), outcome(), answers := Scripted())
    try:
        raise one
    except GeneratorExit:
        one.__context__ = other
        delivery.closed()
    assert asks.Close in answers.kinds


def test_an_exception_that_was_handled_is_pickled_as_ever() -> None:
    failure = ValueError("mine")
    closed_amid(failure, before=True)
    again = pickle.loads(pickle.dumps(failure))
    assert (type(again), again.args) == (ValueError, ("mine",))
    answers, _ = closed_amid(again, before=False)
    assert answers.kinds == [asks.Note]


# --- the caller's own word


def test_an_outcome_that_is_kept_keeps_no_claim() -> None:
    call, answers = called(), Scripted()
    delivery = Delivery(call, outcome(), answers)
    told, attempt = delivery.outcome, weakref.ref(call.attempt)
    del call, delivery
    gc.collect()
    assert attempt() is None
    assert told.reject()
    assert told.accept()
    assert told.accept()
    assert not told.reject()
    assert answers.kinds == [asks.Tell, asks.Close]


def test_accepted_after_its_answer_is_gone_it_teaches_the_terms_all_the_same() -> None:
    call = called()
    memory = call.memory = Memory()
    call.product = "weather"
    terms = call.terms = Terms(Quote(url=call.url), outcome().offer)
    place, told = call.place, Delivery(call, outcome(), Scripted()).outcome
    del call
    gc.collect()
    assert memory.recall(place, "weather") is None
    assert told.accept()
    assert memory.recall(place, "weather") is terms


def test_a_copy_from_another_process_says_nothing() -> None:
    told = Delivery(called(), outcome(), Scripted()).outcome
    again = pickle.loads(pickle.dumps(told))
    assert again == told
    assert repr(again) == repr(told)
    assert (again.accept(), again.reject()) == (False, False)


def test_any_paid_answer_may_be_accepted() -> None:
    """A 404 that was paid for is no delivery by itself."""
    answers = Scripted()
    told = Resolution(called(), outcome(), answers).told
    assert told.reject()
    assert told.accept()
    assert answers.kinds == [asks.Tell, asks.Close]


def test_the_latest_interruptions_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruptions, "_MOST", 2)
    monkeypatch.setattr(interruptions, "_interrupted", OrderedDict())
    holds = [HOLD.but(id=f"interrupted {number}") for number in range(3)]
    for hold in holds:
        interruptions.note(hold, TimeoutError())
    assert [bool(interruptions.remark(hold)) for hold in holds] == [False, True, True]
    interruptions.forget(holds[1])
    assert "TimeoutError" in interruptions.remark(holds[2])
    assert "accept()" in interruptions.remark(holds[2])
    assert interruptions.remark(holds[1]) == ""


@pytest.mark.parametrize("in_ledger", ["held", "spent"])
@pytest.mark.parametrize("told", [None, "unknown", "held", "spent"])
@pytest.mark.parametrize("answered", ["unknown", "held", "spent"])
def test_an_open_hold_says_of_the_money_what_its_outcome_says_unless_more_is_known(
    in_ledger: Any, told: Any, answered: Any
) -> None:
    last = None if told is None else LastAnswer(told, 402, "no")
    hold = HOLD.but(id="answered", money=in_ledger, last=last)
    resolution = Resolution(called(), Outcome(answered, HOLD.but(id="answered"), HOLD.offer), Scripted())
    shown = as_answered(hold).money
    if in_ledger == "spent" or "spent" in (told, answered):
        assert shown == "spent"
    else:
        assert shown == (answered if told is None else told)
    assert (answered, in_ledger) != ("spent", "held") or told == "spent" or is_by_receipt(as_answered(hold))
    del resolution
    gc.collect()
    assert as_answered(hold) == hold.told


@pytest.mark.parametrize("failure", [None, OSError("reset"), KeyboardInterrupt(), asyncio.CancelledError()])
def test_a_client_that_is_closed_ends_the_attempt_and_a_cancellation_writes_nothing(
    failure: BaseException | None,
) -> None:
    """The rule: "Cancelling ends a claim without any I/O"."""
    call, answer = called(), Scripted()
    delivery = Delivery(call, outcome(), answer)
    try:
        if failure is not None:
            raise failure
        delivery.client_closed()
    except BaseException:
        delivery.client_closed()
    assert not call.attempt.alive
    written = [type(ask) for ask in answer.asked]
    assert written == ([] if failure is not None and not isinstance(failure, Exception) else [asks.Note])
    assert "its client was closed" in interruptions.remark(HOLD) or type(failure).__name__ in interruptions.remark(HOLD)
    delivery.client_closed()
    assert len(answer.asked) == len(written), "once"
    delivery.done()
    assert asks.Close in map(type, answer.asked), "what is in memory can be read"


@pytest.mark.parametrize("gone", ["told", "seen"])
def test_a_close_after_the_client_was_closed_delivers_nothing(gone: str) -> None:
    call, answer = called(), Scripted()
    delivery = Delivery(call, outcome(), answer)
    if gone == "told":
        delivery.client_closed()
    else:
        call.attempt.is_stranded = lambda: True
    assert delivery.has_let_go
    delivery.closed()
    delivery.done()
    assert asks.Close not in map(type, answer.asked)
    assert not delivery.has_let_go


@pytest.mark.parametrize("end", ["done", "closed"])
@pytest.mark.parametrize("word_first", [True, False])
def test_a_word_at_the_very_moment_of_the_end_is_true_or_too_late(
    end: str, word_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may come between any two steps. One of them is first, and what ``reject`` says is what holds."""
    closed: list[asks.Ask[Any]] = []
    said: list[bool] = []
    delivery = Delivery(called(), outcome(), lambda ask: closed.append(ask) if isinstance(ask, asks.Close) else None)
    told, ends = delivery.outcome, Resolution.ends

    def between(self: Resolution, how: str) -> bool:
        if how == "delivered" and not said:
            said.append(False)
            before = [told.reject()] if word_first else []
            first = ends(self, how)
            said[:] = before or [told.reject()]
            return first
        return ends(self, how)

    monkeypatch.setattr(Resolution, "ends", between)
    getattr(delivery, end)()
    assert said == [word_first]
    assert (len(closed) == 1) is not word_first


def test_two_ends_at_one_moment_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[asks.Ask[Any]] = []
    delivery = Delivery(called(), outcome(), lambda ask: closed.append(ask) if isinstance(ask, asks.Close) else None)
    told, by, inner = delivery.outcome, Resolution.by, []

    def between(self: Resolution, call: Any) -> Any:
        if not inner:
            inner.append(False)
            inner[:] = [told.accept()]
        return by(self, call)

    monkeypatch.setattr(Resolution, "by", between)
    delivery.done()
    assert inner == [True]
    assert len(closed) == 1


@pytest.mark.parametrize("word", ["accept", "reject"])
def test_a_copy_in_a_forked_child_has_no_word(word: str) -> None:
    """The purchase is its parent's, which may read or reject the answer yet."""
    closed: list[asks.Ask[Any]] = []
    delivery = Delivery(called(), outcome(), lambda ask: closed.append(ask) if isinstance(ask, asks.Close) else None)
    told = delivery.outcome
    child = os.fork()
    if not child:
        os._exit(int(getattr(told, word)()) + 2 * len(closed))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert getattr(told, word)()


@pytest.mark.parametrize("word", ["accept", "reject"])
def test_a_word_after_a_fork_changes_nothing_here_either(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Scripted()
    told = Delivery(called(), outcome(), answers).outcome
    monkeypatch.setattr("x402_client.core.delivery.generation", lambda: generation() + 1)
    assert not getattr(told, word)()
    assert answers.kinds == []
