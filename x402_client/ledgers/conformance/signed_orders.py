"""Tests of orders that are signed already, as those of a key in the program are: one step reserves and records."""

from __future__ import annotations

from ...errors import AlreadyPaid, Frozen, OverLimit, PaymentRefused
from ...model.holds import Attempt, Busy, Hold, Order
from .fixtures import RECEIPT, SECRET, LedgerTestCase, at_once, cap, expect, order, purchase, signed


class SignedOrders(LedgerTestCase):
    """Tests of signed orders. A ledger may leave what they bring to ``record``; then these tests do so too."""

    def admitted(self, asked: Order, attempt: Attempt, nonce: str = "0x01") -> Hold:
        """Return the hold of an order that brings its signature, recorded at the latest when this returns."""
        made = signed(nonce, f"{SECRET}{nonce}")
        hold = self.reserve(asked._replace(signed=made), attempt)
        if isinstance(hold, Hold) and hold.authorization is None:
            hold = self.answer(self.ledger.record(hold, made))
        return hold  # type: ignore[no-any-return]

    def test_it_is_recorded_whole_and_counts(self) -> None:
        hold = self.admitted(order(), self.attempt())
        made = hold.authorization
        assert made is not None
        assert (hold.state, hold.tries, made.nonce) == ("signed", 0, "0x01")
        assert made.header == ("PAYMENT-SIGNATURE", f"{SECRET}0x01")
        assert dict(made.evidence) == {"height": 7}
        assert [listed.nonce for listed in self.holds()] == ["0x01"]
        assert self.spent() == 10_000

    def test_it_is_presented_again_by_the_header_that_was_recorded_first(self) -> None:
        attempt = Attempt()
        first = self.admitted(order(), attempt)
        attempt.end()
        again = self.admitted(order(), self.attempt(), "0x02")
        assert (again.id, again.tries) == (first.id, 1)
        assert again.authorization == first.authorization
        assert again.authorization is not None
        assert again.authorization.header == ("PAYMENT-SIGNATURE", f"{SECRET}0x01")
        assert self.spent() == 10_000

    def test_what_is_in_flight_is_another_purchase(self) -> None:
        one, other = (self.admitted(order(), self.attempt(), nonce) for nonce in ("0x01", "0x02"))
        assert one.id != other.id
        assert {hold.nonce for hold in self.holds()} == {"0x01", "0x02"}
        assert self.spent() == 20_000

    def test_it_is_not_given_back(self) -> None:
        hold = self.admitted(order(), self.attempt())
        self.answer(self.ledger.release(hold))
        assert self.spent() == 10_000
        assert [listed.state for listed in self.holds()] == ["signed"]

    def test_it_ends_as_any_other(self) -> None:
        delivered, attempt = self.admitted(order(), self.attempt()), Attempt()
        self.answer(self.ledger.close(delivered, "spent", RECEIPT))
        unused = self.admitted(order(purchase("b")), attempt, "0x02")
        attempt.end()
        assert self.answer(self.ledger.conclude(unused, False))
        assert [(hold.id, hold.state) for hold in self.history()] == [(delivered.id, "delivered")]
        assert (self.holds(), self.spent()) == ((), 10_000)

    def test_a_refusal_keeps_nothing_of_it(self) -> None:
        expect(OverLimit, lambda: self.admitted(order(None, cap(9_999)), self.attempt()))
        self.answer(self.ledger.freeze("api.example.com"))
        expect(Frozen, lambda: self.admitted(order(), self.attempt()))
        assert (self.holds(), self.spent()) == ((), 0)
        assert SECRET not in repr((self.holds(), self.history()))

    def test_a_key_names_one_payment(self) -> None:
        attempt, keyed = self.attempt(), order(purchase(key="order-42"))
        first = self.admitted(keyed, attempt)
        assert isinstance(self.admitted(keyed, self.attempt(), "0x02"), Busy)
        expect(PaymentRefused, lambda: self.admitted(order(purchase("b", key="order-42")), self.attempt(), "0x03"))
        self.answer(self.ledger.close(first, "spent", RECEIPT))
        attempt.end()
        expect(AlreadyPaid, lambda: self.admitted(keyed, self.attempt(), "0x04"))
        assert self.spent() == 10_000

    def test_threads_spend_a_budget_exactly(self) -> None:
        attempts = [self.attempt() for _ in range(24)]

        def one(number: int) -> bool:
            asked = order(purchase(str(number)), cap(70_000))
            try:
                return self.admitted(asked, attempts[number], f"0x{number:02x}").state == "signed"
            except OverLimit:
                return False

        assert sum(at_once(len(attempts), one)) == 7
        assert self.spent() == 70_000
        assert len({hold.nonce for hold in self.holds()}) == 7
