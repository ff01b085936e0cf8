"""Tests of redirects: one call pays at most once, and the payment stays with the seller that asked for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ...errors import PaymentRefused, PaymentRejected, X402Error
from ...policy.limits import Limit
from ...policy.policy import Policy
from .base import CONTENT, POLICY, AdapterTestCase, needs
from .gate import Exchange, Seen
from .spoiling import drop_after_settling, redirect, redirect_after_settling


class Redirects(AdapterTestCase):
    """Tests of a seller that redirects, before paying and after."""

    @pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
    def test_a_redirect_after_paying_never_carries_the_payment(self, elsewhere: bool) -> None:
        where = self.another_gate() if elsewhere else self.gate
        goods = where.page("/delivered", lambda exchange: exchange.answer(200, CONTENT))
        buyer = self.buyer()
        self.gate.spoil(redirect_after_settling(goods))
        answer = self.get(self.paying(buyer))
        assert answer.status == (200 if self.follows_redirects else 303)
        assert len(where.at("/delivered")) == self.follows_redirects
        assert_carries_none(where.at("/delivered"), self.gate.payments[0])
        assert len(self.gate.payments) == self.settled == 1
        assert self.outcome_of(answer).money == "spent"

    @needs("follows_redirects")
    def test_a_settlement_that_is_proven_is_delivered_where_it_leads(self) -> None:
        goods = self.gate.page("/delivered", lambda exchange: exchange.answer(200, CONTENT))
        buyer = self.buyer()
        self.gate.spoil(redirect_after_settling(goods))
        assert self.get(self.paying(buyer)).body == CONTENT
        self.assert_delivered(buyer)

    @needs("follows_redirects")
    @pytest.mark.parametrize("status", [302, 307])
    def test_a_402_behind_a_redirect_is_paid_once(self, status: int) -> None:
        start, buyer = self.gate.page("/start", redirect(self.url, status)), self.buyer()
        answer = self.get(self.paying(buyer), start, "POST", body=b"an order")
        assert answer.body == CONTENT
        bodies = [seen.body for seen in self.gate.at("/goods")]
        assert bodies == [b"an order" if status == 307 else b""] * 2
        self.assert_delivered(buyer)

    @needs("follows_redirects")
    def test_another_origin_is_not_paid_unasked(self) -> None:
        other, buyer = self.another_gate(), self.buyer()
        start = self.gate.page("/start", redirect(other.url + "/goods"))
        client = self.paying(buyer)
        assert isinstance(self.fails(client, start), PaymentRefused)
        assert other.payments == []
        self.assert_untouched(buyer)
        assert self.get(client, other.url + "/goods").body == CONTENT, "asked for by the caller it is paid"

    @needs("follows_redirects")
    def test_another_origin_that_the_policy_lists_is_paid(self) -> None:
        other = self.another_gate()
        listed = other.url.removeprefix("http://")
        buyer = self.buyer(Policy(per_request="0.05", hosts={listed: Limit(per_day="1")}))
        assert self.get(self.paying(buyer), self.gate.page("/start", redirect(other.url + "/goods"))).body == CONTENT
        assert (len(other.payments), self.gate.payments) == (1, [])
        self.assert_delivered(buyer)

    @needs("follows_redirects")
    def test_one_call_pays_at_most_once(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        self.gate.spoil(redirect_after_settling(self.sell("/more")))
        failure = self.fails(client)
        assert isinstance(failure, PaymentRejected)
        assert [seen.path for seen in self.gate.requests if seen.payment] == ["/goods"]
        assert failure.hold is not None
        assert failure.hold.nonce == self.assert_unresolved(buyer).nonce
        assert self.settled == 1

    @needs("follows_redirects")
    def test_a_loop_of_402s_pays_once_however_often_it_is_called(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        more = self.sell("/more")
        self.gate.spoil(*[redirect_after_settling(more)] * 3)
        for _ in range(3):
            assert isinstance(self.fails(client), PaymentRejected)
        assert self.different_payments == self.settled == 1

    @needs("follows_redirects")
    def test_the_next_call_is_a_call_of_its_own(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        start = self.gate.page("/start", redirect(self.url))
        for _ in range(2):
            assert self.get(client, start).body == CONTENT
        self.assert_delivered(buyer, 2)


class RedirectsBeforePaying(AdapterTestCase):
    """Tests of a seller that redirects before the 402. The rule: "A purchase is what the caller asked for"."""

    @needs("follows_redirects")
    def test_two_calls_that_are_led_to_one_address_are_two_purchases(self) -> None:
        one, other = (self.gate.page(path, redirect(self.url)) for path in ("/one", "/other"))
        buyer = self.buyer()
        client = self.paying(buyer)
        self.gate.spoil(drop_after_settling)
        self.fails(client, one)
        assert self.get(client, other).body == CONTENT
        assert self.different_payments == 2
        assert len(buyer.holds()) == 1
        assert self.get(client, one).body == CONTENT
        assert self.different_payments == 2
        self.assert_delivered(buyer, 2)

    @needs("follows_redirects")
    def test_one_call_that_is_led_to_a_new_address_each_time_is_one_purchase(self) -> None:
        start = self.gate.page("/start", redirecting(lambda turn: f"{self.url}?turn={turn}"))
        buyer = self.buyer()
        client = self.paying(buyer)
        self.gate.spoil(drop_after_settling, drop_after_settling)
        for _ in range(2):
            self.fails(client, start)
        self.assert_same_again(client, buyer, start)

    @needs("follows_redirects")
    def test_a_body_belongs_to_the_purchase_where_a_redirect_drops_it(self) -> None:
        start = self.gate.page("/start", redirect(self.url, 303))
        buyer = self.buyer()
        client = self.paying(buyer)
        self.gate.spoil(drop_after_settling)
        self.fails(client, start, method="POST", body=b"one")
        assert self.get(client, start, "POST", body=b"other").body == CONTENT
        assert self.different_payments == 2

    @needs("follows_redirects")
    def test_a_payment_is_presented_to_the_origin_that_asked_and_to_no_other(self) -> None:
        other = self.another_gate()
        places = [self.url, other.url + "/goods"]
        start = self.gate.page("/start", redirecting(lambda turn: places[min(turn, 1)]))
        policy = POLICY.but(hosts={other.url.removeprefix("http://"): Limit(per_day="1")})
        buyer = self.buyer(policy)
        client = self.paying(buyer)
        self.gate.spoil(drop_after_settling)
        self.fails(client, start)
        assert isinstance(self.fails(client, start), X402Error)
        assert_carries_none(other.requests, self.gate.payments[0])
        assert other.payments == [], "nothing is signed for another origin while the first payment is open"
        self.assert_unresolved(buyer)


def redirecting(where: Callable[[int], str]) -> Callable[[Exchange], None]:
    """Return a script that redirects to another place each time."""
    turns = iter(range(1_000))

    def script(exchange: Exchange) -> None:
        exchange.answer(302, b"", [("Location", where(next(turns)))])

    return script


def assert_carries_none(requests: list[Seen], payment: str) -> None:
    """Check that no request carries a payment, under any name."""
    for seen in requests:
        assert seen.payment is None
        assert payment.encode() not in seen.head + seen.body
