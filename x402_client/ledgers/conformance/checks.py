"""Tests of ``check``: it tells a quote what ``reserve`` would refuse. A ledger without it passes too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import X402Error
from ...model.allowances import AllowanceTerms, allowance_account
from ...model.budgets import WINDOWS, Cap, request_account
from ...model.holds import Attempt, Busy, Order
from ..extras import can_check, check_order
from .fixtures import OTHER_PAYER, LedgerTestCase, cap, order, purchase

#: Does to a ledger what makes it refuse the order that it returns, in a purse of its own.
_Make = Callable[["Checks", str], Order]
_RUN = allowance_account("run-42")
_PLACES = ("", "api.example.com", "a.example.com", "*.example.com", "api.example.com:443")


def _over(*caps: Cap, price: str = "0.01") -> _Make:
    """Return what exceeds budgets after two payments, to two hosts."""

    def make(test: Checks, purse: str) -> Order:
        for host in ("a.example.com", "api.example.com"):
            test.delivered(order(purchase(host, host=host, purse=purse)))
        return order(purchase("more", purse=purse), *caps, price=price)

    return make


def _same_request(test: Checks, purse: str) -> Order:
    bought = purchase(purse=purse)
    asked = order(bought, cap(1, "hour", request_account(bought.request), None))
    test.delivered(asked)
    return asked


def _paid_key(test: Checks, purse: str) -> Order:
    asked = order(purchase(key="k", purse=purse))
    test.delivered(asked)
    return asked


def _other_request(test: Checks, purse: str) -> Order:
    test.delivered(order(purchase("there", key="k", purse=purse)))
    return order(purchase("here", key="k", purse=purse))


def _other_open_request(test: Checks, purse: str) -> Order:
    test.unresolved(order(purchase("there", key="k", purse=purse)))
    return order(purchase("here", key="k", purse=purse))


def _written_off_elsewhere(test: Checks, purse: str) -> Order:
    test.answer(test.ledger.write_off(test.unresolved(order(purchase("there", key="k", purse=purse)))))
    return order(purchase("here", key="k", purse=purse))


def _other_wallet(test: Checks, purse: str) -> Order:
    test.unresolved(order(purchase(key="k", purse=purse, payers=(OTHER_PAYER,)), payer=OTHER_PAYER))
    return order(purchase(key="k", purse=purse))


def _in_flight(test: Checks, purse: str) -> Order:
    asked = order(purchase(key="k", purse=purse))
    test.presented(asked, test.attempt())
    return asked


def _reserved(test: Checks, purse: str) -> Order:
    asked = order(purchase(key="k", purse=purse))
    test.reserve(asked, test.attempt())
    return asked


def _closed(test: Checks, purse: str) -> Order:
    test.answer(test.ledger.open_allowance(AllowanceTerms(purse, _RUN, ("1 USD",))))
    test.answer(test.ledger.mark_allowance(purse, _RUN, "closed"))
    return order(purchase(purse=purse), path=(_RUN,))


def _unknown(test: Checks, purse: str) -> Order:
    return order(purchase(purse=purse), path=(_RUN,))


def _spent_allowance(test: Checks, purse: str) -> Order:
    test.answer(test.ledger.open_allowance(AllowanceTerms(purse, _RUN, ("0.015 USD",))))
    most = cap(15_000, "total", _RUN)
    test.delivered(order(purchase("a", purse=purse), most, path=(_RUN,)))
    return order(purchase("b", purse=purse), most, path=(_RUN,))


def _frozen(test: Checks, purse: str) -> Order:
    test.answer(test.ledger.freeze("frozen.example"))
    return order(purchase(host="frozen.example", purse=purse))


_REFUSED: dict[str, _Make] = {
    **{f"an amount per {window}": _over(cap(29_999, window)) for window in WINDOWS},
    **{f"a number per {window}": _over(cap(2, window, currency=None)) for window in WINDOWS},
    "an amount of a host": _over(cap(19_999, account="api.example.com")),
    "a number of a host": _over(cap(1, account="api.example.com", currency=None)),
    "an amount of a new pattern": _over(cap(29_999, account="*.example.com")),
    "a number of a new pattern": _over(cap(2, account="*.example.com", currency=None)),
    "an amount of a new port": _over(cap(19_999, account="api.example.com:443")),
    "two budgets": _over(cap(29_999, "hour"), cap(29_999, "month"), cap(10**9, "day")),
    "a price above all": _over(cap(29_999), price="1"),
    "the same request": _same_request,
    "a key that was paid": _paid_key,
    "a key of another request": _other_request,
    "a key of another request that is open": _other_open_request,
    "a key of another request that was written off": _written_off_elsewhere,
    "a key of another wallet": _other_wallet,
    "a key in flight": _in_flight,
    "a key that is reserved": _reserved,
    "an allowance that was closed": _closed,
    "an allowance that is not known": _unknown,
    "an allowance that is used up": _spent_allowance,
    "a freeze": _frozen,
}


class Checks(LedgerTestCase):
    """Tests of looks at orders: each says what a payment would meet, and leaves everything as it was."""

    def test_a_look_refuses_what_a_payment_would_and_changes_nothing(self) -> None:
        if not self._checks:
            return
        for number, (name, make) in enumerate(_REFUSED.items()):
            purse = f"purse {number}"
            asked = make(self, purse)
            before = self._all(purse)
            told = self._told(lambda asked=asked: check_order(self.ledger, asked))  # type: ignore[misc]
            assert self._all(purse) == before, name
            meant = self._told(lambda asked=asked: self.ledger.reserve(asked, self.attempt()))  # type: ignore[misc]
            assert told == meant, name
            assert told != (type(None),), name

    def test_what_fits_passes_to_the_last_millionth(self) -> None:
        if not self._checks:
            return
        for number, caps in enumerate(
            ((), (cap(30_000), cap(3, currency=None)), (cap(20_000, account="*.example.com"),), (cap(10_000, "hour"),))
        ):
            purse = f"purse {number}"
            if number != 3:
                self.delivered(order(purchase("a", host="a.example.com", purse=purse)))
            if number == 1:
                self.delivered(order(purchase("b", host="a.example.com", purse=purse)))
            asked = order(purchase("c", purse=purse), *caps)
            assert self._told(lambda asked=asked: check_order(self.ledger, asked)) == (type(None),)  # type: ignore[misc]
            assert self.reserve(asked, self.attempt()).state == "reserved"

    def test_a_look_starts_no_account(self) -> None:
        if not self._checks:
            return
        asked = order(purchase("c"), cap(10**9, account="*.example.com"), cap(9, account="*.com", currency=None))
        for host in ("a.example.com", "b.example.com"):
            self.answer(check_order(self.ledger, asked))
            self.delivered(order(purchase(host, host=host)))
        assert self.spent("*.example.com") == self.spent("*.com") == 20_000
        self.reserve(asked, self.attempt())
        assert self.spent("*.example.com") == self.spent("*.com") == 30_000

    def test_an_unresolved_purchase_of_this_request_is_no_obstacle(self) -> None:
        if not self._checks:
            return
        for key in (None, "k"):
            asked = order(purchase(key=key, purse=f"purse of {key}"))
            self.unresolved(asked)
            assert self._told(lambda asked=asked: check_order(self.ledger, asked)) == (type(None),)  # type: ignore[misc]

    def test_a_reservation_whose_attempt_ended_does_not_keep_its_key(self) -> None:
        if not self._checks:
            return
        attempt, asked = Attempt(), order(purchase(key="k"))
        self.reserve(asked, attempt)
        attempt.end()
        assert self._told(lambda: check_order(self.ledger, asked)) == (type(None),)

    def test_a_reservation_whose_attempt_ended_takes_no_budget(self) -> None:
        if not self._checks:
            return
        attempt, asked = Attempt(), order(purchase("b"), cap(10_000))
        self.reserve(order(), attempt)
        assert self._told(lambda: check_order(self.ledger, asked)) == self._told(
            lambda: self.ledger.reserve(asked, self.attempt())
        )
        attempt.end()
        assert self._told(lambda: check_order(self.ledger, asked)) == (type(None),)

    @property
    def _checks(self) -> bool:
        return can_check(self.ledger)

    def _told(self, question: Callable[[], Any]) -> tuple[Any, ...]:
        """Return an answer or a refusal as facts: its class, and what it says of amounts, times and holds."""
        try:
            found = self.answer(question())
        except X402Error as refusal:
            said = str(refusal.args[0]).partition(". It fits again")[0]
            names = ("limit", "spent", "asked", "resets_at", "host", "window")
            facts = (getattr(refusal, name, None) for name in names)
            return (type(refusal), said, *facts, refusal.hold and refusal.hold.id)
        return (type(found), found.hold.id) if isinstance(found, Busy) else (type(found),)

    def _all(self, purse: str) -> tuple[Any, ...]:
        sums = [self.spent(place, window, purse=purse) for place in _PLACES for window in WINDOWS]
        return (sums, self.holds(purse), self.history(purse=purse), self.answer(self.ledger.allowances(purse)))
