"""Tests of paying: once, exactly, and only if payment is asked for. Free requests stay as they are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ...errors import OverLimit, PaymentRefused
from ...model.holds import Outcome
from ...policy.policy import Policy
from .base import CONTENT, AdapterTestCase, needs
from .gate import PAYMENT, Exchange, Seen
from .marks import marks
from .spoiling import empty, redirect

_HEADERS = [("X-Mine", "one"), ("User-Agent", "somebody's/1.0"), ("Range", "bytes=0-9")]


class Paying(AdapterTestCase):
    """Tests of a paid call, seen from both sides."""

    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    def test_what_asks_for_payment_is_paid_once_and_delivered(self, method: str) -> None:
        buyer = self.buyer()
        answer = self.get(self.paying(buyer), method=method)
        assert (answer.status, answer.body) == (200, CONTENT)
        assert len(self.gate.requests) == 2
        assert len(self.gate.payments) == 1
        self.assert_delivered(buyer)
        assert self.sandbox.settled(buyer.history()[0]) is not None

    def test_the_outcome_is_on_the_answer(self) -> None:
        outcome = self.outcome_of(self.get(self.paying(self.buyer())))
        assert isinstance(outcome, Outcome)
        assert outcome.money == "spent"
        assert outcome.receipt is not None
        assert outcome.receipt.success
        assert self.sandbox.settled(outcome.hold) is not None
        assert outcome.hold.authorization is not None
        assert outcome.hold.authorization.header == ("", "")

    def test_the_paid_request_is_the_first_one_with_one_header_more(self) -> None:
        self.get(self.paying(self.buyer()), method="POST", body=b"an order", headers=_HEADERS)
        assert len(self.gate.requests) == 2, "the question and the payment"
        first, paid = self.gate.requests
        assert without_payment(first) == without_payment(paid)
        assert len(paid.lines) == len(first.lines) + 1
        assert first.body == paid.body == b"an order"

    def test_the_first_request_is_as_the_bare_client_sends_it(self) -> None:
        for buyer in (None, self.buyer()):
            self.get(self.paying(buyer), method="POST", body=b"an order", headers=_HEADERS)
        assert len(self.gate.requests) == 3, "one request of the bare client, and two of ours"
        bare, first, _ = self.gate.requests
        assert (first.head, first.body) == (bare.head, bare.body)

    def test_an_answer_without_a_body_is_delivered(self) -> None:
        buyer = self.buyer()
        self.gate.spoil(empty)
        answer = self.get(self.paying(buyer))
        assert (answer.status, answer.body) == (204, b"")
        self.assert_delivered(buyer)

    def test_what_was_delivered_is_bought_again(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        for _ in range(3):
            assert self.get(client).body == CONTENT
        assert self.different_payments == 3
        self.assert_delivered(buyer, 3)

    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
    def test_a_question_is_not_paid(self, method: str) -> None:
        buyer = self.buyer()
        assert self.get(self.paying(buyer), method=method).status == 402
        assert len(self.gate.requests) == 1, "the caller's own request"
        self.assert_untouched(buyer)

    @pytest.mark.parametrize("name", ["PAYMENT-SIGNATURE", "X-PAYMENT"])
    def test_a_caller_who_pays_by_hand_is_left_alone(self, name: str) -> None:
        buyer = self.buyer()
        assert self.get(self.paying(buyer), headers=[(name, "by hand")]).status == 402
        assert self.gate.payments == ["by hand"]
        assert (buyer.holds(), buyer.history()) == ((), ())

    def test_two_clients_share_the_budget_of_one_buyer(self) -> None:
        buyer = self.buyer(Policy(per_day="0.01"))
        one, other = self.paying(buyer), self.paying(buyer)
        assert self.get(one).body == CONTENT
        assert isinstance(self.fails(other), OverLimit)
        self.assert_delivered(buyer)

    @needs("pools")
    def test_a_pool_of_one_connection_is_enough(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer, connections=1)

        def call() -> Any:
            return self.fetch(client, "GET", self.url, read_timeout=2)

        for _ in range(3):
            (answer,) = self.at_once(1, call)
            assert answer.body == CONTENT
        self.assert_delivered(buyer, 3)

    @needs("keeps_cookies")
    def test_a_cookie_of_the_402_goes_with_the_payment_and_reaches_the_callers_jar(self) -> None:
        self.sandbox.free("/gift", b"a gift")
        client = self.paying(self.buyer())
        assert self.get(client, self.gate.page("/goods", ask_with_cookie)).body == CONTENT
        self.get(client, self.gate.url + "/gift")
        assert [seen.header("cookie") for seen in self.gate.requests] == [None, "session=abc", "session=abc"]


class Untouched(AdapterTestCase):
    """Tests of free requests, of refusals, and of answers that have nothing to do with x402."""

    def test_a_free_request_is_as_the_bare_client_sends_it(self) -> None:
        self.sandbox.free("/gift", b"a gift")
        buyer = self.buyer()
        answers = [
            self.get(self.paying(payer), self.gate.url + "/gift?a=1&a=%7e", "POST", body=b"x", headers=_HEADERS)
            for payer in (None, buyer)
        ]
        assert len(self.gate.requests) == 2, "one request of each client"
        bare, ours = self.gate.requests
        assert (ours.head, ours.body) == (bare.head, bare.body)
        assert (answers[0].status, answers[0].headers, answers[0].body) == (200, answers[1].headers, answers[1].body)
        assert self.outcome(answers[1].native) is None
        self.assert_untouched(buyer)

    def test_a_free_answer_shows_no_mark_of_ours(self) -> None:
        self.sandbox.free("/gift", b"a gift")
        answer = self.get(self.paying(self.buyer()), self.gate.url + "/gift")
        assert marks(answer.native) == []

    @needs("follows_redirects")
    def test_a_free_answer_behind_a_redirect_shows_no_mark_of_ours(self) -> None:
        self.sandbox.free("/gift", b"a gift")
        start = self.gate.page("/start", redirect(self.gate.url + "/gift"))
        assert marks(self.get(self.paying(self.buyer()), start).native) == []

    @pytest.mark.parametrize("headers", [[], [("Content-Type", "text/html"), ("WWW-Authenticate", 'L402 a="b"')]])
    @pytest.mark.parametrize("body", [b"", b"Pay your bill.", b"x" * 300_000], ids=["empty", "small", "large"])
    def test_a_402_that_is_not_x402_comes_back_untouched(self, body: bytes, headers: list[tuple[str, str]]) -> None:
        url = self.gate.page("/bill", lambda exchange: exchange.answer(402, body, headers))
        buyer = self.buyer()
        bare, ours = (self.get(self.paying(payer), url) for payer in (None, buyer))
        assert (ours.status, ours.headers, ours.body) == (402, bare.headers, body)
        assert len(self.gate.requests) == 2
        self.assert_untouched(buyer)

    def test_a_refusal_of_the_policy_is_raised_and_nothing_is_signed(self) -> None:
        buyer = self.buyer(Policy(per_request="0.001"))
        failure = self.fails(self.paying(buyer))
        assert isinstance(failure, PaymentRefused)
        assert failure.money == "untouched"
        assert len(self.gate.requests) == 1
        self.assert_untouched(buyer)

    @needs("pools")
    def test_what_is_not_paid_gives_its_connection_back(self) -> None:
        large = self.gate.page("/bill", lambda exchange: exchange.answer(402, b"x" * 300_000))
        dear = self.sell("/dear", "3")
        buyer = self.buyer()
        client = self.paying(buyer, connections=1)
        for _ in range(3):
            assert isinstance(self.fails(client, dear), PaymentRefused)
            assert self.get(client, dear, "HEAD").status == 402
            assert len(self.get(client, large).body) == 300_000
        assert self.get(client).body == CONTENT
        self.assert_delivered(buyer)

    @needs("streams")
    def test_a_refusal_can_be_handed_back_as_a_stream(self) -> None:
        buyer = self.buyer(Policy(per_request="0.001"), on_refusal="return")
        ours = self.opened(self.paying(buyer))
        assert b"one payment may cost" in self.read(ours, 400)
        self.wait(ours.close())
        self.assert_untouched(buyer)

    def test_a_refusal_can_be_handed_back_as_a_readable_402(self) -> None:
        buyer = self.buyer(Policy(per_request="0.001"), on_refusal="return")
        ours = self.get(self.paying(buyer))
        assert ours.status == 402
        assert ours.header("PAYMENT-REQUIRED")
        assert "one payment may cost" in json.loads(ours.body)["error"]["message"], "the body says why"
        self.assert_untouched(buyer)


def ask_with_cookie(exchange: Exchange) -> None:
    """Set a cookie with the 402."""
    said = exchange.forward()
    cookie = [("Set-Cookie", "session=abc; Path=/")] if said.status == 402 else []
    exchange.answer(said.status, said.body, [*said.headers, *cookie])


def without_payment(seen: Seen) -> list[tuple[str, str]]:
    """Return the header lines of a request, except the payment."""
    return [line for line in seen.lines if line[0].lower() not in PAYMENT]
