"""Tests of failures: the library's own errors pass, and the same call presents the same payment."""

from __future__ import annotations

import pickle
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from ...errors import PaymentOutcomeUnknown, PaymentRejected, QuoteError, X402Error
from . import spoiling
from .base import CONTENT, SHORT, TIMEOUT, AdapterTestCase, needs
from .gate import Exchange

BROKEN = {
    "cut": spoiling.cut_body,
    "cut chunks": spoiling.cut_chunks,
    "reset": spoiling.reset_body,
    "silent": spoiling.hang_body,
}
LOST = {
    "dropped unsettled": spoiling.drop_before_settling,
    "dropped": spoiling.drop_after_settling,
    "reset": spoiling.reset_after_settling,
    "silent": spoiling.hang_after_settling,
}


class Failures(AdapterTestCase):
    """Tests of trouble in every part of a call: nothing is paid twice."""

    @pytest.mark.parametrize("way", BROKEN)
    def test_a_paid_body_that_breaks_is_the_librarys_own_error(self, way: str) -> None:
        buyer = self.buyer(settle_timeout=SHORT)
        client = self.paying(buyer)
        self.gate.spoil(BROKEN[way])
        failure = self.fails_paid(client)
        assert isinstance(failure, self.own_errors)
        assert not isinstance(failure, X402Error)
        self.assert_unresolved(buyer)
        self.assert_same_again(client, buyer)

    def test_four_calls_whose_paid_body_breaks_settle_once(self) -> None:
        buyer = self.buyer(settle_timeout=SHORT)
        client = self.paying(buyer)
        self.gate.spoil(*BROKEN.values())
        failures = [self.fails_paid(client) for _ in BROKEN]
        assert all(isinstance(failure, self.own_errors) for failure in failures)
        assert self.settled == 1
        self.assert_unresolved(buyer)
        self.assert_same_again(client, buyer)
        del failures  # kept until here, as some programs keep errors

    @pytest.mark.parametrize("way", LOST)
    def test_an_answer_that_got_lost_is_asked_for_with_the_same_payment(self, way: str) -> None:
        buyer = self.buyer(settle_timeout=SHORT)
        client = self.paying(buyer)
        self.gate.spoil(LOST[way])
        failure = self.fails_paid(client)
        assert isinstance(failure, PaymentOutcomeUnknown)
        self.assert_unresolved(buyer)
        self.assert_same_again(client, buyer)

    def test_silence_says_until_when_and_for_which_payment(self) -> None:
        buyer = self.buyer()
        self.gate.spoil(spoiling.drop_after_settling)
        failure = self.fails(self.paying(buyer))
        assert isinstance(failure, PaymentOutcomeUnknown)
        assert failure.money in ("unknown", "spent")
        assert failure.wait_until is not None
        assert failure.wait_until > datetime.now(UTC)
        assert failure.hold is not None
        assert failure.hold.nonce == self.assert_unresolved(buyer).nonce
        assert self.sandbox.settled(failure.hold) is not None

    @needs("joins_errors")
    @pytest.mark.parametrize("way", LOST)
    def test_silence_is_raised_as_the_librarys_own_error_too(self, way: str) -> None:
        client = self.paying(self.buyer(settle_timeout=SHORT))
        self.gate.spoil(LOST[way])
        failure = self.fails_paid(client)
        assert isinstance(failure, PaymentOutcomeUnknown)
        assert isinstance(failure, self.own_errors)
        again = pickle.loads(pickle.dumps(failure))  # noqa: S301 - our own words
        assert (type(again), str(again)) == (type(failure), str(failure))

    @needs("joins_errors")
    @pytest.mark.parametrize("way", BROKEN)
    def test_a_broken_body_says_what_became_of_the_money(self, way: str) -> None:
        buyer = self.buyer(settle_timeout=SHORT)
        self.gate.spoil(BROKEN[way])
        failure = self.fails_paid(self.paying(buyer))
        outcome = self.outcome(failure)
        assert outcome is not None
        assert outcome.hold.nonce == self.assert_unresolved(buyer).nonce
        assert getattr(failure, "__notes__", []), "a note says what became of the money"

    def test_an_error_page_after_settling_comes_back_and_is_asked_again_with_the_same_payment(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        self.gate.spoil(spoiling.fail_after_settling)
        answer = self.get(client)
        assert (answer.status, answer.body) == (500, b"Something failed.")
        assert self.outcome_of(answer).money in ("unknown", "spent")
        self.assert_unresolved(buyer)
        self.assert_same_again(client, buyer)

    def test_a_second_402_is_a_rejection_and_nothing_more_is_signed(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        self.gate.spoil(spoiling.ask_again, spoiling.ask_again)
        for _ in range(2):
            failure = self.fails(client)
            assert isinstance(failure, PaymentRejected)
            assert failure.hold is not None
            assert self.assert_unresolved(buyer).nonce == failure.hold.nonce
        assert self.different_payments == 1
        assert self.settled == 0
        self.assert_same_again(client, buyer)

    def test_another_client_of_the_buyer_presents_the_same_payment(self) -> None:
        buyer = self.buyer()
        self.gate.spoil(spoiling.drop_after_settling)
        self.fails(self.paying(buyer))
        self.assert_same_again(self.paying(buyer), buyer)

    @pytest.mark.parametrize("way", ["dropped", "reset", "cut"])
    def test_trouble_before_paying_is_the_librarys_own_error(self, way: str) -> None:
        def before(exchange: Exchange) -> None:
            if way == "cut":
                exchange.head(402, [], 1000)
            exchange.reset() if way == "reset" else exchange.leave()

        url, buyer = self.gate.page("/before", before), self.buyer()
        bare, ours = (self.fails(self.paying(payer), url) for payer in (None, buyer))
        assert isinstance(ours, self.own_errors)
        assert type(ours) is type(bare)
        self.assert_untouched(buyer)

    def test_a_402_that_breaks_off_pays_nothing(self) -> None:
        def cut(exchange: Exchange) -> None:
            said = exchange.forward()
            exchange.head(said.status, said.headers, 1000)
            exchange.send(b"{")
            exchange.leave()

        buyer = self.buyer()
        client = self.paying(buyer)
        failure = self.fails(client, self.gate.page("/goods", cut))
        assert isinstance(failure, self.own_errors)
        assert not isinstance(failure, X402Error)
        self.assert_untouched(buyer)

    def test_a_seller_that_is_gone_before_the_payment_is_paid_nothing(self) -> None:
        other = self.another_gate()

        def last_words(exchange: Exchange) -> None:
            said = exchange.forward()
            other.stop_listening()
            exchange.answer(said.status, said.body, [*said.headers, ("Connection", "close")])
            exchange.leave()

        buyer = self.buyer()
        failure: Any = self.fails(self.paying(buyer), other.page("/goods", last_words))
        assert isinstance(failure, X402Error)
        assert failure.money in ("untouched", "unknown")
        assert other.payments == []
        assert self.settled == 0

    def test_silence_before_paying_lasts_as_long_as_the_caller_said(self) -> None:
        url, buyer = self.gate.page("/before", Exchange.wait), self.buyer(settle_timeout=60)
        started = time.monotonic()
        bare, ours = (self.fails(self.paying(payer), url, read_timeout=SHORT) for payer in (None, buyer))
        assert time.monotonic() - started < TIMEOUT
        assert isinstance(ours, self.own_errors)
        assert type(ours) is type(bare)
        self.assert_untouched(buyer)

    def test_a_payment_has_the_time_that_settling_takes(self) -> None:
        buyer = self.buyer(settle_timeout=60)
        client = self.paying(buyer)
        self.gate.spoil(spoiling.late(4 * SHORT))
        for _ in range(10):  # on a busy machine the caller's time is over before it paid
            try:
                assert self.get(client, read_timeout=2 * SHORT).body == CONTENT
                break
            except self.own_errors:
                assert self.gate.payments == [], "the payment's answer was not waited for"
        assert len(self.gate.payments) == 1
        self.assert_delivered(buyer)

    def test_a_402_without_end_is_given_up(self) -> None:
        def endless(exchange: Exchange) -> None:
            exchange.head(402, exchange.forward().headers, 2**40)
            while not self.gate.over.is_set():
                exchange.send(b" " * 65536)

        buyer = self.buyer()
        failure = self.fails(self.paying(buyer), self.gate.page("/goods", endless))
        assert isinstance(failure, QuoteError)
        self.assert_untouched(buyer)

    def test_what_was_broken_leaves_the_client_usable(self) -> None:
        buyer = self.buyer(settle_timeout=SHORT)
        client = self.paying(buyer, connections=1 if self.pools else None)
        self.gate.spoil(*BROKEN.values(), *LOST.values(), spoiling.fail_after_settling)
        for _ in range(len(BROKEN) + len(LOST)):
            self.fails_paid(client)
        assert self.get(client).status == 500
        assert self.get(client).body == CONTENT
        assert self.different_payments == 1
        self.assert_delivered(buyer)
