"""Tests of allowances: a client may be given one in a buyer's place, and a scope of one holds through every client."""

from __future__ import annotations

from ...errors import AllowanceEnded, HostNotAllowed, OverLimit, PaymentRefused
from .base import CONTENT, AdapterTestCase
from .spoiling import drop_after_settling


class Allowances(AdapterTestCase):
    """Tests of ``buyer.allowance(...)``, given to a client and around a call."""

    def test_a_client_pays_under_the_allowance_that_it_was_given(self) -> None:
        buyer = self.buyer()
        run = buyer.allowance("0.025")
        step = run.allowance("0.015")
        client = self.paying(step)
        assert self.outcome_of(self.get(client)).hold.allowance == step.name
        assert isinstance(self.fails(client), OverLimit)
        assert self.get(self.paying(run)).body == CONTENT
        assert isinstance(self.fails(self.paying(run)), OverLimit)
        assert (run.spent.units, step.spent.units, run.remaining.units) == (20_000, 10_000, 5_000)
        assert self.get(self.paying(buyer)).body == CONTENT
        self.assert_delivered(buyer, 3)

    def test_every_allowance_around_a_call_counts(self) -> None:
        buyer = self.buyer()
        own, around, inside = buyer.allowance("1"), buyer.allowance("1"), buyer.allowance("0.01")
        client = self.paying(own)
        with around, inside:
            assert self.get(client).body == CONTENT
            assert isinstance(self.fails(client), OverLimit)
        with around:
            assert self.get(client).body == CONTENT
        assert self.get(client).body == CONTENT
        assert [one.spent.units for one in (own, around, inside)] == [30_000, 20_000, 10_000]
        self.assert_delivered(buyer, 3)

    def test_a_purchase_inside_an_allowance_has_its_own_terms(self) -> None:
        buyer = self.buyer()
        run = buyer.allowance("1")
        client = self.paying(buyer)
        with run.purchase(key="order-42"):
            assert self.outcome_of(self.get(client)).hold.purchase.keyed
        with run, buyer.purchase(per_request="0.009"):
            assert isinstance(self.fails(client), PaymentRefused)
        assert run.spent.units == 10_000
        self.assert_delivered(buyer)

    def test_its_hosts_and_its_limit_per_request_only_narrow(self) -> None:
        buyer = self.buyer()
        elsewhere = buyer.allowance("1", hosts=["elsewhere.example"])
        assert isinstance(self.fails(self.paying(elsewhere)), HostNotAllowed)
        here = elsewhere.allowance("1", hosts=["127.0.0.1"])
        assert isinstance(self.fails(self.paying(here)), HostNotAllowed)
        assert isinstance(self.fails(self.paying(buyer.allowance("1", per_request="0.009"))), PaymentRefused)
        self.assert_untouched(buyer)
        assert self.get(self.paying(buyer.allowance("1", hosts=["127.0.0.1"], per_request="0.01"))).body == CONTENT
        self.assert_delivered(buyer)

    def test_an_unresolved_payment_is_presented_when_its_allowance_is_closed(self) -> None:
        buyer = self.buyer()
        run = buyer.allowance("0.01")
        client = self.paying(run)
        self.gate.spoil(drop_after_settling)
        self.fails(client)
        assert [hold.allowance for hold in run.holds()] == [run.name]
        run.close()
        self.assert_same_again(client, buyer)
        assert [hold.allowance for hold in run.history()] == [run.name]
        assert isinstance(self.fails(client), AllowanceEnded)
        assert run.spent.units == 10_000
