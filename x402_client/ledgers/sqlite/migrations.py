"""Migrations of a ledger file: from older layouts, and to further windows. The caller has the write lock."""

from __future__ import annotations

import math
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ...model.budgets import BUDGET_WINDOWS, BudgetWindow
from ..windows import BUCKETS
from . import seeds
from .errors import unavailable
from .schema import (
    ALLOWANCE,
    CLAIMS,
    LAST,
    LOG,
    OPENINGS,
    OWED,
    PATH,
    PLACE,
    SIGNED,
    TREE,
    VERSION,
    WINDOWS,
    WITHOUT_ALLOWANCES,
    WITHOUT_CLAIMS,
    WITHOUT_LAST,
    WITHOUT_WINDOWS,
)

#: The windows of every file whose layout does not list them.
_BEFORE = (("minute", 0, 60), ("hour", 1, 3_600), ("day", 2, 86_400), ("month", 3, 2_592_000), ("total", 4, None))
#: ``payer_name`` in SQL, for rows that were signed before a hold had a column for its payer.
_WALLET = "wallet = CASE WHEN payer LIKE '0x%' THEN lower(payer) ELSE payer END"
_KIND = """kind = CASE WHEN name = '' THEN 'purse'
    WHEN name LIKE '*.%' OR name LIKE '[%' OR (name LIKE '%:%' AND name NOT LIKE '%:%:%')
    THEN 'pattern' ELSE 'host' END"""
_KEEP = "INSERT INTO windows (name, number, seconds) VALUES (?, ?, ?)"
_ACCOUNTS = "SELECT id, units, payments, latest FROM accounts"
_STARTS = "SELECT span, number, units, payments FROM starts WHERE account = ?"
_START = "INSERT INTO starts (account, span, number, units, payments) VALUES (?, ?, ?, ?, ?)"
_PAYMENTS = ("holds", "past", "keyed")
#: A moment, with the units and payments that an account had counted by then.
_Point = tuple[float, int, int]
#: The number of a bucket, with the units and payments that were counted before it began.
_Start = tuple[int, int, int]


def is_current(db: sqlite3.Connection, version: int) -> bool:
    """Return True if the file has the present layout and counts exactly this version's windows."""
    return version == VERSION and _kept(db) == set(BUDGET_WINDOWS)


def migrate(db: sqlite3.Connection, version: int, path: Path) -> None:
    """Bring a file to the present layout and windows, in the write transaction of the caller.

    The file gets a new identity. It stops programs that have the file open, because they know only its old windows.
    """
    if version not in range(WITHOUT_WINDOWS, VERSION + 1):
        raise unavailable(
            path,
            f"has the layout {version}, and this version of x402-buyer knows only layouts {WITHOUT_WINDOWS} to "
            f"{VERSION}. Use the version that wrote it, or name another path",
        )
    if version == WITHOUT_WINDOWS:
        db.execute(WINDOWS)
        db.executemany(_KEEP, _BEFORE)
    kept = _kept(db)
    _check(kept, path)
    if version < WITHOUT_LAST:
        _add_wallets(db)
    if version < WITHOUT_ALLOWANCES:
        _add(db, dict.fromkeys(_PAYMENTS, (LAST,)))
    if version < WITHOUT_CLAIMS:
        _add(db, {"accounts": ALLOWANCE, **dict.fromkeys(_PAYMENTS, (PATH,))})
    if version < VERSION:
        for statement in CLAIMS:
            db.execute(statement)
        db.execute("INSERT INTO owners SELECT DISTINCT owner FROM holds WHERE owner IS NOT NULL")
    for window in sorted(set(BUDGET_WINDOWS) - kept, key=lambda new: new.number):
        _seed(db, window, kept)
        db.execute(_KEEP, window)
    db.execute("UPDATE meta SET identity = ?", (secrets.token_hex(16),))
    db.execute(f"PRAGMA user_version = {VERSION}")


def _add(db: sqlite3.Connection, tables: Mapping[str, Iterable[str]]) -> None:
    for table, columns in tables.items():
        for column in columns:
            db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")


def _add_wallets(db: sqlite3.Connection) -> None:
    """Add what layout 4 knows besides. Old rows keep their names: purchases are looked for under those too."""
    _add(db, {"meta": (LOG, *PLACE), "accounts": TREE, **dict.fromkeys(_PAYMENTS, SIGNED)})
    for table in _PAYMENTS:
        db.execute(f"UPDATE {table} SET {_WALLET} WHERE payer IS NOT NULL")  # noqa: S608 - every part is a constant
    db.execute(f"UPDATE accounts SET {_KIND}")  # noqa: S608
    db.execute(OWED)
    db.execute(OPENINGS)
    seeds.start_patterns_again(db)


def keep_windows(db: sqlite3.Connection) -> None:
    """List this version's windows in a new file."""
    db.executemany(_KEEP, BUDGET_WINDOWS)


def _kept(db: sqlite3.Connection) -> set[BudgetWindow]:
    return {BudgetWindow(*row) for row in db.execute("SELECT name, number, seconds FROM windows")}


def _check(kept: set[BudgetWindow], path: Path) -> None:
    unknown = sorted(window.name for window in kept - set(BUDGET_WINDOWS))
    if unknown:
        raise unavailable(
            path,
            f"counts windows that this version of x402-buyer does not know ({', '.join(unknown)}). "
            "Use the version that wrote it, or name another path",
        )


def _seed(db: sqlite3.Connection, window: BudgetWindow, kept: Iterable[BudgetWindow]) -> None:
    """Start a new window from the older windows. It may count too much at first, never too little."""
    if window.seconds is None:
        return
    widths = {known.number: known.seconds // BUCKETS for known in kept if known.seconds}
    for account, units, payments, latest in db.execute(_ACCOUNTS).fetchall():
        found = db.execute(_STARTS, (account,)).fetchall()
        points = [(float(number * widths[span]), *sums) for span, number, *sums in found if span in widths]
        points.append((math.nextafter(latest, math.inf), units, payments))
        starts = _starts(window.seconds // BUCKETS, sorted(points), latest)
        db.executemany(_START, [(account, window.number, *start) for start in starts])


def _starts(width: int, points: list[_Point], latest: float) -> Iterator[_Start]:
    """Yield the buckets up to ``latest``, each with the sums that are known to have been counted before it began.

    Of several buckets with equal sums the last one is enough: a window counts from its first bucket.
    """
    last, known, passed = int(latest // width), (0, 0), 0
    for number in range(last - BUCKETS, last + 1):
        before = known
        while passed < len(points) and points[passed][0] <= number * width:
            known, passed = points[passed][1:], passed + 1
        if known != before:
            yield number - 1, *before
    yield last, *known
