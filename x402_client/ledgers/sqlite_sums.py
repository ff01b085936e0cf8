"""Rolling sums in a ledger file: sixty-one buckets per window, used in turn, so that nothing has to be cleared away."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from functools import cache

from ..limits import WINDOWS
from .windows import BUCKETS

#: One more than a window has, because the oldest counts until all of it has rolled away.
_SLOTS = BUCKETS + 1
_SPANS = {name: (span, length, (length or BUCKETS) // BUCKETS) for span, (name, length) in enumerate(WINDOWS.items())}
_ADD = """
    INSERT INTO buckets (account, span, slot, number, units, payments) VALUES {}
    ON CONFLICT (account, span, slot) DO UPDATE SET
        units = CASE number WHEN excluded.number THEN units ELSE 0 END + excluded.units,
        payments = CASE number WHEN excluded.number THEN payments ELSE 0 END + 1,
        number = excluded.number
"""
_GIVE_BACK = """
    UPDATE buckets SET units = units - ?, payments = payments - 1
    WHERE account = ? AND span = ? AND slot = ? AND number = ?
"""
_ACCOUNT = "SELECT id FROM accounts WHERE purse = ? AND name = ? AND currency = ?"
_UNITS = "SELECT sum(units) FROM buckets WHERE account = ? AND span = ? AND number >= ?"
#: Payments count in whatever currency they are.
_LIVE = """
    SELECT b.number, sum(b.units), sum(b.payments) FROM accounts a JOIN buckets b ON b.account = a.id
    WHERE a.purse = ? AND a.name = ? AND (? IS NULL OR a.currency = ?) AND b.span = ? AND b.number >= ?
    GROUP BY b.number ORDER BY b.number
"""


def accounts(db: sqlite3.Connection, purse: str, names: Iterable[str], currency: str) -> list[int]:
    """The numbers of the accounts of these names; those that a payment meets first are made."""
    return [_account(db, (purse, name, currency)) for name in names]


def _account(db: sqlite3.Connection, key: tuple[str, str, str]) -> int:
    found = db.execute(_ACCOUNT, key).fetchone()
    if found is None:
        found = (db.execute("INSERT INTO accounts (purse, name, currency) VALUES (?, ?, ?)", key).lastrowid,)
    return int(found[0])


def add(db: sqlite3.Connection, numbers: list[int], units: int, at: float) -> None:
    """Count one payment in every window of some accounts."""
    slots = _slots(at)
    values = [value for account in numbers for slot in slots for value in (account, *slot, units)]
    db.execute(_adding(len(numbers) * len(slots)), values)


def give_back(db: sqlite3.Connection, numbers: Iterable[int], units: int, at: float) -> None:
    """Undo what ``add`` did at that moment, where it still counts."""
    slots = _slots(at)
    db.executemany(_GIVE_BACK, [(units, account, *slot) for account in numbers for slot in slots])


def counted(db: sqlite3.Connection, purse: str, name: str, currency: str | None, window: str, now: float) -> int:
    """The sum of one window: units of a currency, or payments if it is None."""
    if currency is None:
        return sum(amount for _, amount in live(db, purse, name, None, window, now))
    span, length, width = _SPANS[window]
    account = db.execute(_ACCOUNT, (purse, name, currency)).fetchone()
    if account is None:
        return 0
    return db.execute(_UNITS, (account[0], span, _oldest(length, width, now))).fetchone()[0] or 0


def live(
    db: sqlite3.Connection, purse: str, name: str, currency: str | None, window: str, now: float
) -> list[tuple[int, int]]:
    """The buckets of a window that count, oldest first."""
    span, length, width = _SPANS[window]
    rows = db.execute(_LIVE, (purse, name, currency, currency, span, _oldest(length, width, now)))
    return [(number, payments if currency is None else units) for number, units, payments in rows]


def fits_at(buckets: list[tuple[int, int]], window: str, over: int) -> float | None:
    """When at least ``over`` will have rolled away; None: never."""
    _, length, width = _SPANS[window]
    if length is None:
        return None
    for number, amount in buckets:
        over -= amount
        if over <= 0:
            return float((number + 1) * width + length)
    return None


def _slots(at: float) -> list[tuple[int, int, int]]:
    """Span, slot and number of the bucket of each window."""
    numbers = [(span, 0 if length is None else int(at // width)) for span, length, width in _SPANS.values()]
    return [(span, number % _SLOTS, number) for span, number in numbers]


def _oldest(length: int | None, width: int, now: float) -> int:
    return 0 if length is None else int((now - length) // width)


@cache
def _adding(rows: int) -> str:
    return _ADD.format(", ".join(["(?, ?, ?, ?, ?, 1)"] * rows))
