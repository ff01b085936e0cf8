"""The ledger in memory: right between threads and tasks, gone with the process."""

from __future__ import annotations

import secrets
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import MoneyState
from ..limits import Cap
from ..ports import Attempt, Authorization, Busy, Hold, Order, Purchase, Spending
from ..wire.models import Receipt
from . import refusals
from .windows import Account

#: Resolved purchases that are remembered for ``history``; budgets and keys remember all.
_HISTORY = 1_000


@dataclass(slots=True)
class _Row:
    hold: Hold
    accounts: tuple[tuple[str, str | None], ...]
    attempt: weakref.ref[Attempt]

    @property
    def in_flight(self) -> bool:
        """Whether the attempt that claimed the hold is still alive. One that was dropped, unclosed, is not."""
        attempt = self.attempt()
        return attempt is not None and attempt.alive


class MemoryLedger:
    """Budgets, holds and keys of one process."""

    is_async = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Wall-clock time that only the monotonic clock advances: setting the clock opens no budget.
        self._epoch = time.time() - time.monotonic()
        self._rows: dict[str, _Row] = {}
        self._purchases: dict[str, list[_Row]] = {}
        self._keys: dict[str, Hold] = {}
        self._accounts: dict[tuple[str, str, str | None], Account] = {}
        self._frozen: set[str] = set()
        self._history: deque[Hold] = deque(maxlen=_HISTORY)

    def reserve(self, order: Order, attempt: Attempt) -> Hold | Busy:
        with self._lock:
            found = self._claim(order.purchase, attempt)
            if found is not None:
                return found
            return self._reserve(order, attempt)

    def claim(self, purchase: Purchase, attempt: Attempt) -> Hold | Busy | None:
        with self._lock:
            return self._claim(purchase, attempt)

    def record(self, hold: Hold, authorization: Authorization) -> Hold:
        with self._lock:
            row = self._rows.get(hold.id)
            if row is None or row.hold.state != "reserved":
                raise refusals.hold_is_gone()
            refusals.check_frozen(self._frozen, hold.purchase)
            row.hold = hold.but(authorization=authorization, state="signed")
            return row.hold

    def release(self, hold: Hold) -> None:
        with self._lock:
            row = self._rows.get(hold.id)
            if row is not None and row.hold.state == "reserved":
                self._drop(row)

    def close(self, hold: Hold, money: MoneyState, receipt: Receipt | None) -> None:
        with self._lock:
            row = self._rows.get(hold.id)
            if row is not None:
                self._resolve(row, row.hold.shown_as(state="delivered", money=money, receipt=receipt))

    def write_off(self, hold: Hold) -> Hold:
        with self._lock:
            row = self._rows.get(hold.id)
            if row is None or row.hold.state != "signed" or row.in_flight:
                raise refusals.nothing_to_write_off(hold)
            return self._resolve(row, row.hold.shown_as(state="written_off", money="spent"))

    def conclude(self, hold: Hold, settled: bool) -> bool:
        with self._lock:
            row = self._rows.get(hold.id)
            if row is None or row.hold.state != "signed" or row.in_flight:
                return False
            if settled:
                row.hold = row.hold.but(money="spent")
            else:
                self._drop(row)
            return True

    @property
    def drift(self) -> float:
        """By how many seconds its time is ahead of the machine's clock."""
        return self._now() - time.time()

    def spent(self, question: Spending) -> int:
        with self._lock:
            account = self._accounts.get((question.purse, question.account, question.currency))
            return account.roll(question.window, self._now()) if account else 0

    def holds(self, purse: str = "default") -> tuple[Hold, ...]:
        with self._lock:
            return tuple(row.hold.shown for row in self._rows.values() if row.hold.purchase.purse == purse)

    def history(self, limit: int, purse: str = "default") -> tuple[Hold, ...]:
        with self._lock:
            return tuple(hold for hold in reversed(self._history) if hold.purchase.purse == purse)[:limit]

    def freeze(self, pattern: str) -> None:
        with self._lock:
            self._frozen.add(pattern)

    def unfreeze(self, pattern: str) -> None:
        with self._lock:
            self._frozen.discard(pattern)

    def _now(self) -> float:
        return self._epoch + time.monotonic()

    def _claim(self, purchase: Purchase, attempt: Attempt) -> Hold | Busy | None:
        refusals.check_frozen(self._frozen, purchase)
        self._reap(self._purchases.get(purchase.id, ()))
        self._check_key(purchase)
        for row in self._purchases.get(purchase.id, ()):
            if row.in_flight:
                if purchase.keyed:
                    return Busy(row.hold)
            else:
                row.attempt = weakref.ref(attempt)
                row.hold = row.hold.but(tries=row.hold.tries + 1)
                return row.hold
        return None

    def _reserve(self, order: Order, attempt: Attempt) -> Hold:
        now = self._now()
        accounts = _accounts(order)
        if self._over(order, now):
            self._reap(self._rows.values())
            exceeded = [self._exceeded(cap, order, over) for cap, over in self._over(order, now)]
            if exceeded:
                raise refusals.over_limit(order, exceeded)
        hold = Hold(secrets.token_hex(8), order.purchase, order.offer, order.price, now)
        row = _Row(hold, accounts, weakref.ref(attempt))
        self._count(row, +1)
        self._rows[hold.id] = row
        self._purchases.setdefault(order.purchase.id, []).append(row)
        return hold

    def _count(self, row: _Row, sign: int) -> None:
        hold = row.hold
        for account, currency in row.accounts:
            units = 1 if currency is None else hold.price.units
            key = (hold.purchase.purse, account, currency)
            counted = self._accounts.get(key)
            if counted is None:
                counted = self._accounts[key] = Account()
            counted.add(sign * units, hold.created)

    def _account(self, cap: Cap, order: Order) -> Account | None:
        return self._accounts.get((order.purchase.purse, cap.account, cap.currency))

    def _over(self, order: Order, now: float) -> list[tuple[Cap, int]]:
        """The budgets that the order does not fit, and by how much."""
        found = []
        for cap in order.caps:
            asked = 1 if cap.currency is None else order.price.units
            account = self._account(cap, order)
            over = (account.roll(cap.window, now) if account else 0) + asked - cap.most
            if over > 0:
                found.append((cap, over))
        return found

    def _exceeded(self, cap: Cap, order: Order, over: int) -> refusals.Exceeded:
        account = self._account(cap, order)
        if account is None:
            return refusals.Exceeded(cap, 0, None)
        window = account.window(cap.window)
        return refusals.Exceeded(cap, window.total, window.fits_at(over))

    def _reap(self, rows: Iterable[_Row]) -> None:
        """Give back what was reserved by attempts that ended before they signed."""
        for row in tuple(rows):
            if row.hold.state == "reserved" and not row.in_flight:
                self._drop(row)

    def _drop(self, row: _Row) -> None:
        self._count(row, -1)
        self._forget(row)

    def _resolve(self, row: _Row, hold: Hold) -> Hold:
        self._forget(row)
        self._history.append(hold)
        if hold.purchase.keyed and hold.state == "delivered":
            self._keys[hold.purchase.id] = hold
        return hold

    def _forget(self, row: _Row) -> None:
        self._rows.pop(row.hold.id, None)
        rows = self._purchases.get(row.hold.purchase.id, [])
        rows.remove(row)
        if not rows:
            del self._purchases[row.hold.purchase.id]

    def _check_key(self, purchase: Purchase) -> None:
        if not purchase.keyed:
            return
        paid = self._keys.get(purchase.id)
        rows = self._purchases.get(purchase.id, ())
        known = paid or next((row.hold for row in rows), None)
        if known is not None:
            refusals.check_key(known, purchase)
        if paid is not None:
            raise refusals.already_paid(paid)


def _accounts(order: Order) -> tuple[tuple[str, str | None], ...]:
    """Whose sums a payment enters: the purse, its host, and the patterns that some budget names."""
    names = {"", order.purchase.origin.host, *(cap.account for cap in order.caps)}
    return tuple((name, currency) for name in names for currency in (order.price.currency, None))
