"""Rolling sums in a ledger file. An account has its total, and the total that it had at the start of each bucket.

So the sum of a window is a difference of two numbers. A payment changes one row of an account, not one per window.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ...model.budgets import BUDGET_WINDOWS, Cap
from ...model.holds import Order
from .. import refusals
from ..windows import BUCKETS

#: Number, length and bucket width of the windows that roll. The oldest bucket counts until all of it has rolled away.
#: Every file has the number in its column ``span``, so it must never change.
_SPANS = {w.name: (w.number, w.seconds, w.seconds // BUCKETS) for w in BUDGET_WINDOWS if w.seconds}
#: The ``latest`` of an account that has counted nothing yet.
_NEVER = -1.0
#: One name in each query: for a list of names SQLite would build a table.
_ACCOUNTS = "SELECT id, name, currency, units, payments, latest FROM accounts WHERE purse = ? AND name = ?"
_OPEN = "INSERT INTO accounts (purse, name, currency, units, payments, latest, kind) VALUES (?, ?, ?, 0, 0, ?, ?)"
_COUNT = "UPDATE accounts SET units = units + ?, payments = payments + 1, latest = ? WHERE id = ?"
_BEGIN = "INSERT OR IGNORE INTO starts (account, span, number, units, payments) VALUES {}"
_FORGET = "DELETE FROM starts WHERE account = ? AND span = ? AND number < ?"
_START = "SELECT units, payments FROM starts WHERE account = ? AND span = ? AND number >= ? ORDER BY number LIMIT 1"
_STARTS = "SELECT number, units, payments FROM starts WHERE account = ? AND span = ? AND number >= ? ORDER BY number"
_TAKE_BACK = "UPDATE accounts SET units = units - ?, payments = payments - 1 WHERE id = ?"
#: Buckets that began after the payment have it in their sums.
_TAKE_BACK_SINCE = """
    UPDATE starts SET units = units - ?, payments = payments - 1 WHERE account = ? AND span = ? AND number > ?
"""
#: Accounts that one turn of ``prune`` looks at: more than can be new since the turn before.
PRUNED = 2_048
#: The golden ratio: its multiples are spread evenly between whole numbers.
_SPREAD = (5**0.5 - 1) / 2
_NTH = "SELECT id FROM accounts WHERE id >= ? ORDER BY id LIMIT 1 OFFSET ?"
_IDLE = """
    DELETE FROM starts WHERE span = ? AND account IN (SELECT id FROM accounts WHERE id BETWEEN ? AND ? AND latest < ?)
"""


class Account(NamedTuple):
    """Sums of one purse, account name and currency, as the file keeps them."""

    number: int
    name: str
    currency: str
    units: int
    payments: int
    latest: float


class Sums:
    """Sums of some accounts of a purse, at one moment."""

    __slots__ = ("_accounts", "_db", "_now", "_starts")

    def __init__(self, db: sqlite3.Connection, purse: str, names: Iterable[str], now: float) -> None:
        self._db, self._now = db, now
        self._accounts = [Account(*row) for name in names for row in db.execute(_ACCOUNTS, (purse, name))]
        self._starts: dict[tuple[int, str], tuple[int, int] | None] = {}

    def counted(self, name: str, currency: str | None, window: str) -> int:
        """Return the sum of one window: units of a currency, or payments of all currencies if it is None."""
        return sum(self._counted(account, currency is None, window) for account in self._of(name, currency))

    def fits_at(self, name: str, currency: str | None, window: str, over: int) -> float | None:
        """Return when at least ``over`` will have rolled away; None: never."""
        if window not in _SPANS:
            return None
        _, length, width = _SPANS[window]
        buckets = [each for account in self._of(name, currency) for each in self._buckets(account, window)]
        for number, *amounts in sorted(buckets):
            over -= amounts[currency is None]
            if over <= 0:
                return float((number + 1) * width + length)
        return None

    def without_account(self, names: Iterable[str], currency: str) -> list[str]:
        """Return those names that have no account in a currency yet."""
        known = {account.name for account in self._accounts if account.currency == currency}
        return [name for name in names if name not in known]

    def has_account(self, name: str) -> bool:
        """Return True if this name has an account in any currency."""
        return any(account.name == name for account in self._accounts)

    def start_from(self, purse: str, name: str, hosts: Iterable[str]) -> None:
        """Let a name that has no account yet stand for the sums of these hosts. Nothing is written."""
        rows = [row for host in hosts for row in self._db.execute(_ACCOUNTS, (purse, host))]
        self._accounts += [Account(*row)._replace(name=name) for row in rows]

    def add(self, purse: str, names: Iterable[str], currency: str, units: int) -> tuple[int, ...]:
        """Count one payment in the accounts of these names. Make those that are missing."""
        known = {account.name: account for account in self._accounts if account.currency == currency}
        counting = [known.get(name) or self._open(purse, name, currency) for name in names]
        self._begin_buckets(counting)
        for account in counting:
            self._db.execute(_COUNT, (units, self._now, account.number))
        return tuple(account.number for account in counting)

    def _of(self, name: str, currency: str | None) -> list[Account]:
        return [each for each in self._accounts if each.name == name and currency in (None, each.currency)]

    def _open(self, purse: str, name: str, currency: str) -> Account:
        kind = "host" if name else "purse"  # ``seeds`` opens accounts of other kinds
        number = self._db.execute(_OPEN, (purse, name, currency, _NEVER, kind)).lastrowid or 0
        return Account(number, name, currency, 0, 0, _NEVER)

    def _begin_buckets(self, counting: Iterable[Account]) -> None:
        """Write the sums of accounts for each window in which a new bucket begins."""
        begun = [start for account in counting for start in self._new_buckets(account)]
        if begun:
            rows = ", ".join(["(?, ?, ?, ?, ?)"] * len(begun))
            self._db.execute(_BEGIN.format(rows), [value for start in begun for value in start])

    def _new_buckets(self, account: Account) -> Iterator[tuple[int, ...]]:
        if int(account.latest) == int(self._now):  # no bucket is finer than a second
            return
        for span, length, width in _SPANS.values():
            number = int(self._now // width)
            if account.latest < number * width:
                yield account.number, span, number, account.units, account.payments
                if account.latest != _NEVER:
                    self._db.execute(_FORGET, (account.number, span, int((self._now - length) // width)))

    def _counted(self, account: Account, payments: bool, window: str) -> int:
        total = account.payments if payments else account.units
        if window not in _SPANS:
            return total
        key = (account.number, window)
        if key not in self._starts:
            self._starts[key] = self._db.execute(_START, self._since(*key)).fetchone()
        start = self._starts[key]
        return 0 if start is None else total - start[payments]

    def _since(self, account: int, window: str) -> tuple[int, int, int]:
        span, length, width = _SPANS[window]
        return account, span, int((self._now - length) // width)

    def _buckets(self, account: Account, window: str) -> list[tuple[int, int, int]]:
        """Return number, units and payments of the buckets that count, oldest first."""
        starts = self._db.execute(_STARTS, self._since(account.number, window)).fetchall()
        ends = [*starts, (0, account.units, account.payments)][1:]
        return [(a[0], b[1] - a[1], b[2] - a[2]) for a, b in zip(starts, ends, strict=True)]


def give_back(db: sqlite3.Connection, numbers: Iterable[int], units: int, at: float) -> None:
    """Undo what ``Sums.add`` did at that moment, where it still counts."""
    for account in numbers:
        db.execute(_TAKE_BACK, (units, account))
        for span, _, width in _SPANS.values():
            db.execute(_TAKE_BACK_SINCE, (units, account, span, int(at // width)))


def count_less(db: sqlite3.Connection, numbers: Iterable[int], units: int, at: float) -> None:
    """Take units off a payment of that moment, where it still counts. It stays one payment."""
    for account in numbers if units else ():
        db.execute("UPDATE accounts SET units = units - ? WHERE id = ?", (units, account))
        for span, _, width in _SPANS.values():
            since = (units, account, span, int(at // width))
            db.execute("UPDATE starts SET units = units - ? WHERE account = ? AND span = ? AND number > ?", since)


def prune(db: sqlite3.Connection, turn: int) -> None:
    """Delete the buckets of idle accounts that have rolled away. Each turn looks at some of the accounts.

    The totals stay: a new account of a pattern starts from them.
    """
    (now,) = db.execute("SELECT at FROM meta").fetchone()
    for first, last in looked_at(db, turn):
        for span, length, width in _SPANS.values():
            db.execute(_IDLE, (span, first, last, now - length - width))


def looked_at(db: sqlite3.Connection, turn: int) -> list[tuple[int, int]]:
    """Return the numbers of the accounts that a turn looks at, as spans: as many as there are, up to ``PRUNED``.

    Turns begin everywhere among the numbers. So those that were given to accounts that are gone cost no turn.
    """
    most = db.execute("SELECT max(id) FROM accounts").fetchone()[0] or 0
    first = int(turn * _SPREAD % 1 * (most + 1))
    end = db.execute(_NTH, (first, PRUNED - 1)).fetchone()
    if end is not None:
        return [(first, end[0])]
    (after,) = db.execute("SELECT count(*) FROM accounts WHERE id >= ?", (first,)).fetchone()
    end = db.execute(_NTH, (0, PRUNED - after - 1)).fetchone()
    return [(first, most), (0, first - 1 if end is None else min(end[0], first - 1))]


def exceeded_by(counts: Sums, cap: Cap, order: Order) -> refusals.Exceeded | None:
    """Return the budget if the order exceeds it, else None."""
    asked = 1 if cap.currency is None else order.price.units
    counted = counts.counted(cap.account, cap.currency, cap.window)
    over = counted + asked - cap.most
    if over <= 0:
        return None
    return refusals.Exceeded(cap, counted, counts.fits_at(cap.account, cap.currency, cap.window, over))
