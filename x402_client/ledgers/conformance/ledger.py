"""The ledger's contract as tests: subclass ``LedgerConformance``, give it ``make()``, and run it with pytest.

For a ledger with async methods, override ``answer`` too: it has to wait for the result.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

from ...errors import LedgerUnavailable, OverLimit
from ...model.budgets import WINDOWS
from ...model.holds import Attempt, Hold
from ...model.money import Money
from ..accounts import accounts_of
from .allowances import Allowances
from .checks import Checks
from .extras import Extras
from .fixtures import RECEIPT, SECRET, LedgerTestCase, at_once, cap, expect, order, purchase, signed
from .open_amounts import OpenAmounts
from .patterns import Patterns
from .purchases import Claims, Ends, Evidence, Freezing, Keys
from .signed_orders import SignedOrders

__all__ = ["RECEIPT", "SECRET", "LedgerConformance", "at_once", "cap", "expect", "order", "purchase", "signed"]


class Counting(LedgerTestCase):
    """Tests of counting: all budgets or none, to the last millionth, under concurrency."""

    def test_a_hold_counts_from_the_start_in_every_window(self) -> None:
        attempt = self.attempt()
        hold = self.reserve(order(), attempt)
        assert (hold.state, hold.money, hold.tries, hold.authorization) == ("reserved", "held", 0, None)
        for window in WINDOWS:
            assert self.spent(window=window) == self.spent("api.example.com", window) == 10_000
        assert self.spent("other.example.com") == self.spent(currency="EUR") == 0

    def test_a_payment_counts_in_each_of_its_accounts_and_in_no_other(self) -> None:
        caps = (
            cap(10**9, "day", "*.example.com"),
            cap(5, "hour", "api.example.com", None),
            cap(9, "day", "*.com", None),
        )
        asked = order(None, *caps)
        hold = self.reserve(asked, self.attempt())
        names = {*accounts_of(asked), "*.example.org", "other.example.com"}
        assert {name: self.spent(name) for name in names} == {
            name: 10_000 if name in accounts_of(asked) else 0 for name in names
        }
        self.answer(self.ledger.release(hold))
        assert {self.spent(name) for name in names} == {0}

    def test_a_budget_is_spent_to_the_last_millionth_and_not_beyond(self) -> None:
        attempt = self.attempt()
        for name in "abc":
            self.reserve(order(purchase(name), cap(30_000)), attempt)
        refused = expect(OverLimit, lambda: self.reserve(order(purchase("d"), cap(30_000)), attempt))
        assert (refused.limit, refused.asked, refused.spent) == (Money("0.03"), Money("0.01"), Money("0.03"))
        assert refused.offer == order().offer
        assert self.spent() == 30_000

    def test_a_budget_that_is_a_millionth_too_small_refuses_in_every_window(self) -> None:
        attempt = self.attempt()
        self.reserve(order(purchase("a")), attempt)
        for window in WINDOWS:
            expect(OverLimit, partial(self.reserve, order(purchase("b"), cap(19_999, window)), attempt))
        assert isinstance(self.reserve(order(purchase("b"), *(cap(20_000, name) for name in WINDOWS)), attempt), Hold)

    def test_a_refusal_says_when_it_fits_again(self) -> None:
        attempt = self.attempt()
        self.reserve(order(), attempt)
        refused = expect(OverLimit, lambda: self.reserve(order(purchase("b"), cap(10_000, "hour")), attempt))
        assert refused.resets_at is not None
        now = datetime.now(UTC)
        assert now + timedelta(minutes=59) < refused.resets_at < now + timedelta(minutes=62)
        refused = expect(OverLimit, lambda: self.reserve(order(purchase("b"), cap(10_000, "total")), attempt))
        assert refused.resets_at is None

    def test_a_refusal_names_the_host_and_the_window_of_its_limit(self) -> None:
        attempt = self.attempt()
        self.reserve(order(None, cap(90_000, "day", "*.example.com"), cap(1, "hour", currency=None)), attempt)
        hosts = {cap(10_000, "day", "*.example.com"): "*.example.com", cap(10_000, "total"): None}
        hosts[cap(1, "hour", currency=None)] = None
        for full, host in hosts.items():
            refused = expect(OverLimit, partial(self.reserve, order(purchase("b"), full), attempt))
            assert (refused.host, refused.window, refused.allowance) == (host, full.window, None)

    def test_a_refusal_names_the_budget_that_blocks_for_longest(self) -> None:
        attempt = self.attempt()
        self.reserve(order(), attempt)
        caps = (cap(10_000, "minute"), cap(12_000, "day"), cap(11_000, "hour"))
        refused = expect(OverLimit, lambda: self.reserve(order(purchase("b"), *caps), attempt))
        assert refused.limit == Money("0.012")

    def test_what_can_never_fit_is_refused_on_an_empty_ledger(self) -> None:
        refused = expect(OverLimit, lambda: self.reserve(order(None, cap(9_999)), self.attempt()))
        assert (refused.spent, refused.resets_at) == (Money(0), None)

    def test_all_budgets_or_none(self) -> None:
        attempt, narrow = self.attempt(), cap(5_000, "day", "*.example.com")
        expect(OverLimit, lambda: self.reserve(order(None, cap(10_000), narrow), attempt))
        assert self.spent() == self.spent("*.example.com") == 0
        assert self.holds() == ()

    def test_payments_of_all_currencies_are_counted_too(self) -> None:
        attempt, two = self.attempt(), cap(2, "hour", currency=None)
        self.reserve(order(purchase("a"), two), attempt)
        self.reserve(order(purchase("b"), two, price="1 EUR"), attempt)
        refused = expect(OverLimit, lambda: self.reserve(order(purchase("c"), two), attempt))
        assert (refused.limit, refused.asked, refused.spent) == (2, 1, 2)

    def test_currencies_and_patterns_have_budgets_of_their_own(self) -> None:
        attempt, narrow = self.attempt(), cap(10_000, "day", "*.example.com")
        self.reserve(order(purchase("a"), narrow), attempt)
        euros = cap(10**9, "day", "*.example.com", "EUR")
        self.reserve(order(purchase("b"), euros, price="1 EUR", amount=1), attempt)
        # Another policy of the purse: it has no entry for the pattern, so it is counted there and not refused.
        self.reserve(order(purchase("c")), attempt)
        self.reserve(order(purchase("d"), price="1 EUR", amount=1), attempt)
        spent = {name: (self.spent(name), self.spent(name, currency="EUR")) for name in ("", "*.example.com")}
        assert spent == dict.fromkeys(spent, (20_000, 2_000_000))
        expect(OverLimit, lambda: self.reserve(order(purchase("e"), narrow), attempt))

    def test_purses_are_apart(self) -> None:
        attempt = self.attempt()
        self.reserve(order(purchase(purse="a"), cap(10_000)), attempt)
        self.reserve(order(purchase(purse="b"), cap(10_000)), attempt)
        assert [self.spent(purse=purse) for purse in ("a", "b", "default")] == [10_000, 10_000, 0]
        assert [len(self.holds(purse)) for purse in ("a", "b", "default")] == [1, 1, 0]
        self.delivered(order(purchase("x", purse="a")))
        assert [len(self.history(purse=purse)) for purse in ("a", "b", "default")] == [1, 0, 0]

    def test_threads_spend_a_budget_exactly(self) -> None:
        attempts = [self.attempt() for _ in range(8)]

        def buy(number: int) -> int:
            bought = 0
            for turn in range(8):
                try:
                    self.reserve(order(purchase(f"{number} {turn}"), cap(370_000)), attempts[number])
                    bought += 1
                except OverLimit:
                    pass
            return bought

        assert sum(at_once(8, buy)) == 37
        assert self.spent() == 370_000

    def test_threads_spend_a_number_of_payments_exactly(self) -> None:
        attempts = [self.attempt() for _ in range(8)]

        def buy(number: int) -> bool:
            try:
                asked = order(purchase(f"{number}"), cap(5, "minute", currency=None))
                return isinstance(self.reserve(asked, attempts[number]), Hold)
            except OverLimit:
                return False

        assert sum(at_once(8, buy)) == 5

    def test_threads_that_give_back_and_spend_leave_what_was_spent(self) -> None:
        def buy(number: int) -> None:
            for turn in range(5):
                attempt, asked = Attempt(), order(purchase(f"{number} {turn}"))
                if turn % 2:
                    self.answer(self.ledger.release(self.reserve(asked, attempt)))
                else:
                    self.answer(self.ledger.close(self.presented(asked, attempt), "spent", None))

        at_once(6, buy)
        assert self.spent() == self.spent("api.example.com", "total") == 6 * 3 * 10_000
        assert (len(self.holds()), len(self.history())) == (0, 18)


class Unsigned(LedgerTestCase):
    """Tests of unsigned holds: they are given back."""

    def test_what_was_not_sent_is_given_back(self) -> None:
        attempt = self.attempt()
        hold = self.reserve(order(), attempt)
        self.answer(self.ledger.release(hold))
        self.answer(self.ledger.release(hold))
        assert (self.spent(), self.holds()) == (0, ())
        gone = expect(LedgerUnavailable, lambda: self.answer(self.ledger.record(hold, signed())))
        assert gone.money == "untouched"

    def test_what_was_signed_is_not_given_back(self) -> None:
        attempt = self.attempt()
        self.answer(self.ledger.release(self.presented(order(), attempt)))
        assert self.spent() == 10_000

    def test_a_hold_is_signed_once(self) -> None:
        attempt = self.attempt()
        hold = self.reserve(order(), attempt)
        self.answer(self.ledger.record(hold, signed()))
        expect(LedgerUnavailable, lambda: self.answer(self.ledger.record(hold, signed("0x02"))))

    def test_an_attempt_that_ended_before_it_signed_leaves_nothing(self) -> None:
        attempt = self.attempt()
        first = self.reserve(order(None, cap(10_000)), attempt)
        attempt.end()
        second = self.reserve(order(None, cap(10_000)), self.attempt())
        assert second.id != first.id
        assert second.tries == 0
        assert self.spent() == 10_000

    def test_its_budget_is_free_for_other_purchases(self) -> None:
        attempt = self.attempt()
        self.reserve(order(None, cap(10_000)), attempt)
        expect(OverLimit, lambda: self.reserve(order(purchase("b"), cap(10_000)), attempt))
        attempt.end()
        later = self.attempt()
        assert isinstance(self.reserve(order(purchase("b"), cap(10_000)), later), Hold)
        assert self.spent() == 10_000


class Secrecy(LedgerTestCase):
    """Tests of exactness and secrecy: amounts are exact, and lists carry no payment header."""

    def test_lists_do_not_carry_what_is_worth_money(self) -> None:
        self.unresolved(order(purchase("a")))
        self.delivered(order(purchase("b")))
        self.answer(self.ledger.write_off(self.unresolved(order(purchase("c")))))
        listed = (*self.holds(), *self.history())
        assert [hold.authorization.header for hold in listed if hold.authorization] == [("", "")] * 3
        assert SECRET not in repr(listed)

    def test_amounts_are_exact(self) -> None:
        attempt = self.attempt()
        huge = order(purchase("huge"), price="123456789.123457", amount=10**40 + 1)
        self.presented(huge, attempt)
        self.presented(order(purchase("tiny"), price="0.000001", amount=1), attempt)
        assert self.spent() == 123_456_789_123_458
        assert {hold.offer.amount for hold in self.holds()} == {10**40 + 1, 1}


class LedgerConformance(
    Counting,
    Patterns,
    Unsigned,
    SignedOrders,
    Claims,
    Ends,
    Evidence,
    Keys,
    Freezing,
    Allowances,
    OpenAmounts,
    Checks,
    Secrecy,
    Extras,
):
    """Contract of ``core.ports.Ledger``, and of those optional attributes that a ledger has."""
