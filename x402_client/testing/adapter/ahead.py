"""Tests of paying ahead: the second call of an address is one request, and paid once.

The policy is ``Policy(pay_ahead=True)``.
"""

from __future__ import annotations

from . import spoiling
from .base import CONTENT, PATH, POLICY, AdapterTestCase, needs

AHEAD = POLICY.but(pay_ahead=True)


class PayingAhead(AdapterTestCase):
    """Tests of terms that are kept from the last delivery."""

    @needs("pays_ahead")
    def test_the_second_call_is_one_request_and_paid_once(self) -> None:
        buyer = self.buyer(AHEAD)
        client = self.paying(buyer)
        for requests in (2, 3, 4):
            assert self.get(client).body == CONTENT
            assert len(self.gate.requests) == requests
        assert self.different_payments == len(self.gate.payments) == 3
        self.assert_delivered(buyer, 3)

    @needs("pays_ahead")
    def test_a_payment_ahead_without_an_answer_is_presented_again(self) -> None:
        buyer = self.buyer(AHEAD)
        client = self.paying(buyer)
        self.get(client)
        self.gate.spoil(spoiling.drop_after_settling)
        self.fails(client)
        assert self.get(client).body == CONTENT
        assert self.different_payments == 2
        self.assert_delivered(buyer, 2)

    @needs("pays_ahead")
    def test_a_scope_is_never_paid_ahead_above_its_cap(self) -> None:
        buyer = self.buyer(AHEAD)
        client = self.paying(buyer)
        self.get(client)
        with buyer.purchase(per_request="0.001"):
            self.fails(client)
        self.assert_delivered(buyer)

    @needs("pays_ahead", "quotes")
    def test_a_quote_is_never_paid_ahead(self) -> None:
        buyer = self.buyer(AHEAD)
        client = self.paying(buyer)
        self.get(client)
        assert self.wait(self.quote(client, "GET", self.url)).choice is not None
        self.assert_delivered(buyer)

    @needs("pays_ahead")
    def test_terms_that_changed_are_asked_for(self) -> None:
        buyer = self.buyer(AHEAD)
        client = self.paying(buyer)
        self.get(client)
        self.sell(PATH, "0.02")
        self.fails(client)
        assert self.settled == 1
        assert len(buyer.holds()) == 1

    @needs("pays_ahead")
    def test_another_body_is_asked_for_its_terms(self) -> None:
        buyer = self.buyer(AHEAD)
        client = self.paying(buyer)
        for body, requests in ((b"one", 2), (b"one", 3), (b"two", 5), (b"one", 6)):
            assert self.get(client, method="POST", body=body).body == CONTENT
            assert len(self.gate.requests) == requests
        self.assert_delivered(buyer, 4)

    def test_without_it_every_call_asks_first(self) -> None:
        client = self.paying(self.buyer())
        for _ in range(2):
            self.get(client)
        assert [seen.payment is None for seen in self.gate.requests] == [True, False, True, False]
