"""New accounts of a tree or of a host pattern. A pattern starts from what its hosts have counted, bucket by bucket.

The rule: "An account seen for the first time starts from the sums of the hosts it matches."
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from ...model.budgets import is_request_account
from ...model.holds import Order, Spending
from ..accounts import OVERALL, accounts_of, counting_accounts, hosts_in
from .sums import _NEVER, _SPANS

_OPEN = """
    INSERT OR IGNORE INTO accounts (purse, name, currency, units, payments, latest, kind) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_KNOWN = "SELECT 1 FROM accounts WHERE purse = ? AND name = ? AND kind = 'pattern' LIMIT 1"
_LATEST = "SELECT max(id) FROM accounts"
#: Orders whose names are cached.
_CACHED = 1_024
_PATTERNS = "SELECT id, purse, name, currency FROM accounts WHERE kind = 'pattern'"
_AGAIN = "UPDATE accounts SET units = ?, payments = ?, latest = ? WHERE id = ?"
_START = "INSERT INTO starts (account, span, number, units, payments) VALUES (?, ?, ?, ?, ?)"
_IN_CURRENCY = "SELECT 1 FROM accounts WHERE purse = ? AND name = ? AND currency = ?"
_HOSTS = "SELECT {} FROM accounts WHERE purse = ? AND kind = 'host' AND substr(name, ?) = ?"
_NAMES = f"{_HOSTS.format('name')} AND currency = ?"
_SUMS = f"{_HOSTS.format('currency, sum(units), sum(payments), max(latest)')} GROUP BY currency"
#: Of each bucket, newest first, what all of these hosts counted in it: to the next start of each, or to its end.
_BUCKETS = f"""
    WITH hosts AS ({_HOSTS.format("id, units, payments")} AND currency = ?), counted AS (
        SELECT number,
            lead(starts.units, 1, hosts.units) OVER later - starts.units AS units,
            lead(starts.payments, 1, hosts.payments) OVER later - starts.payments AS payments
        FROM hosts JOIN starts ON starts.account = hosts.id WHERE span = ? AND number >= ?
        WINDOW later AS (PARTITION BY hosts.id ORDER BY number)
    )
    SELECT number, sum(units), sum(payments) FROM counted GROUP BY number ORDER BY number DESC
"""  # noqa: S608 - every part is a constant


class Counting:
    """Names of the accounts that orders count in. Cached until an account is opened, in any process."""

    __slots__ = ("_db", "_known", "_latest")

    def __init__(self) -> None:
        self._db: sqlite3.Connection | None = None
        self._latest = 0
        self._known: dict[tuple[str, int, tuple[str, ...]], tuple[str, ...]] = {}

    def names(self, db: sqlite3.Connection, order: Order) -> tuple[str, ...]:
        """Return the accounts that an order counts in. Asked before the transaction opens one: it may be undone."""
        purse = order.purchase.purse
        (latest,) = db.execute(_LATEST).fetchone()
        if latest != self._latest or db is not self._db or len(self._known) >= _CACHED:
            self._db, self._latest, self._known = db, latest, {}
        place = (purse, order.purchase.origin.port, accounts_of(order))
        found = self._known.get(place)
        if found is None:
            found = counting_accounts(order, lambda name: db.execute(_KNOWN, (purse, name)).fetchone() is not None)
            self._known[place] = found
        return found


def begin(db: sqlite3.Connection, order: Order, missing: Iterable[str], now: float) -> bool:
    """Open those of the missing accounts that are neither the purse's nor a host's. Return False if there is none."""
    purse, origin = order.purchase.purse, order.purchase.origin
    found = [name for name in missing if name not in (OVERALL, origin.host)]
    for name in found:
        kind = "allowance" if name in order.path else "request" if is_request_account(name) else "pattern"
        if kind == "pattern":
            _start_from_hosts(db, purse, name, now)
        db.execute(_OPEN, (purse, name, order.price.currency, 0, 0, _NEVER, kind))
    return bool(found)


def counted_by(db: sqlite3.Connection, question: Spending) -> list[str]:
    """Return the accounts whose sums answer a question: that of its name, or those of the hosts that it would match."""
    purse, name, currency = question.purse, question.account, question.currency
    if db.execute(_IN_CURRENCY, (purse, name, currency)).fetchone() is not None:
        return [name]
    return [host for (host,) in db.execute(_NAMES, (*_asked(purse, name), currency))]


def start_patterns_again(db: sqlite3.Connection) -> None:
    """Let every pattern count all of its hosts, where older versions left out those with an entry of their own."""
    (now,) = db.execute("SELECT at FROM meta").fetchone()
    for number, purse, name, currency in db.execute(_PATTERNS).fetchall():
        asked = _asked(purse, name)
        for found, units, payments, latest in db.execute(_SUMS, asked).fetchall():
            if found == currency:
                db.execute(_AGAIN, (units, payments, latest, number))
                db.execute("DELETE FROM starts WHERE account = ?", (number,))
                _fill(db, number, (*asked, currency), (units, payments), now)


def _start_from_hosts(db: sqlite3.Connection, purse: str, name: str, now: float) -> None:
    """Open the account of a pattern in each currency of its hosts.

    Sums of hosts know no ports: a pattern with one starts from too much, never from too little.
    """
    asked = _asked(purse, name)
    for currency, units, payments, latest in db.execute(_SUMS, asked).fetchall():
        opened = db.execute(_OPEN, (purse, name, currency, units, payments, latest, "pattern"))
        if opened.rowcount == 1:  # else it has one in this currency
            _fill(db, opened.lastrowid or 0, (*asked, currency), (units, payments), now)


def _asked(purse: str, name: str) -> tuple[str, int, str]:
    """Return the values for ``_HOSTS``: where a host's name has to be what."""
    hosts = hosts_in(name) or name
    ending = hosts.removeprefix("*")  # "a wildcard covers any depth, but not the name itself"
    return (purse, 1, hosts) if ending == hosts else (purse, -len(ending), ending)


def _fill(db: sqlite3.Connection, account: int, asked: tuple[object, ...], sums: tuple[int, int], now: float) -> None:
    """Write what an account had counted as each bucket began, in each window."""
    for span, length, width in _SPANS.values():
        counted = db.execute(_BUCKETS, (*asked, span, int((now - length) // width)))
        db.executemany(_START, [(account, span, *start) for start in _starts(counted, *sums)])


def _starts(counted: Iterable[tuple[int, int, int]], units: int, payments: int) -> Iterator[tuple[int, int, int]]:
    """Give what was counted as each bucket began, going back from what is counted now."""
    for number, more, times in counted:
        units, payments = units - more, payments - times
        yield number, units, payments
