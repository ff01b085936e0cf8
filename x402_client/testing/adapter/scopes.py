"""Tests of scopes and quotes: the caller's terms for one purchase hold through every client."""

from __future__ import annotations

from ...errors import AlreadyPaid, PaymentRefused
from .base import CONTENT, PATH, AdapterTestCase, needs
from .spoiling import drop_after_settling


class Scopes(AdapterTestCase):
    """Tests of ``buyer.purchase(...)`` around a call."""

    def test_a_key_is_paid_once(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        for turn in range(3):
            with buyer.purchase(key="order-42"):
                if turn == 0:
                    assert self.get(client).body == CONTENT
                else:
                    assert isinstance(self.fails(client), AlreadyPaid)
        assert len(self.gate.payments) == 1
        self.assert_delivered(buyer)

    def test_another_request_under_a_key_is_refused(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        with buyer.purchase(key="order-42"):
            self.get(client)
        with buyer.purchase(key="order-42"):
            assert isinstance(self.fails(client, self.sell("/other")), PaymentRefused)
        self.assert_delivered(buyer)

    def test_a_key_without_an_answer_presents_the_same_payment(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        self.gate.spoil(drop_after_settling)
        with buyer.purchase(key="order-42"):
            self.fails(client)
        with buyer.purchase(key="order-42"):
            self.assert_same_again(client, buyer)

    def test_keys_make_two_purchases_of_the_same_request(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        self.gate.spoil(drop_after_settling)
        with buyer.purchase(key="order-42"):
            self.fails(client)
        with buyer.purchase(key="order-43"):
            assert self.get(client).body == CONTENT
        assert self.different_payments == 2

    def test_a_cap_of_a_scope_refuses_what_is_above_it(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        with buyer.purchase(per_request="0.009"):
            assert isinstance(self.fails(client), PaymentRefused)
        self.assert_untouched(buyer)
        with buyer.purchase(per_request="0.01"):
            assert self.get(client).body == CONTENT
        self.assert_delivered(buyer)

    def test_a_scope_of_another_buyer_is_not_passed_over(self) -> None:
        buyer, other = self.buyer(), self.buyer()
        client = self.paying(buyer)
        with other.purchase(per_request="0.001"):
            self.fails(client)
            with buyer.purchase():  # its own scope is the nearer one
                assert self.get(client).body == CONTENT
        self.assert_delivered(buyer)

    def test_a_scope_ends_with_its_block(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        for _ in range(2):
            with buyer.purchase(per_request="0.001"):
                self.fails(client)
            assert self.get(client).body == CONTENT
        self.assert_delivered(buyer, 2)


class Quotes(AdapterTestCase):
    """Tests of quotes: a quote asks, and never pays."""

    @needs("quotes")
    def test_a_quote_tells_the_price_and_never_pays(self) -> None:
        buyer = self.buyer()
        quote = self.wait(self.quote(self.paying(buyer), "GET", self.url))
        assert [offer.price and offer.price.units for offer in quote.offers] == [10_000]
        assert quote.choice == quote.offers[0]
        self.assert_untouched(buyer)

    @needs("quotes")
    def test_a_quote_of_what_is_free_has_no_offers(self) -> None:
        self.sandbox.free("/gift", b"a gift")
        buyer = self.buyer()
        quote = self.wait(self.quote(self.paying(buyer), "GET", self.gate.url + "/gift"))
        assert (quote.free, quote.offers, quote.choice) == (True, (), None)
        self.assert_untouched(buyer)

    @needs("quotes")
    def test_frozen_terms_are_paid_and_dearer_ones_are_not(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        quote = self.wait(self.quote(client, "GET", self.url))
        self.sell(PATH, "0.02")
        with buyer.purchase(quote=quote):
            assert isinstance(self.fails(client), PaymentRefused)
        self.assert_untouched(buyer)
        self.sell(PATH)
        with buyer.purchase(quote=quote):
            assert self.get(client).body == CONTENT
        self.assert_delivered(buyer)
