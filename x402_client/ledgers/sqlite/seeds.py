"""New accounts of allowances and of host patterns. A pattern starts from the sums of its hosts, bucket by bucket.

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
#: Orders whose account names are cached, at most.
_CACHED = 1_024
_PATTERNS = "SELECT id, purse, name, currency FROM accounts WHERE kind = 'pattern'"
_AGAIN = "UPDATE accounts SET units = ?, payments = ?, latest = ? WHERE id = ?"
_START = "INSERT INTO starts (account, span, number, units, payments) VALUES (?, ?, ?, ?, ?)"
_IN_CURRENCY = "SELECT 1 FROM accounts WHERE purse = ? AND name = ? AND currency = ?"
_HOSTS = "SELECT {} FROM accounts WHERE purse = ? AND kind = 'host' AND substr(name, ?) = ?"
_NAMES = _HOSTS.format("DISTINCT name")
_SUMS = f"{_HOSTS.format('currency, sum(units), sum(payments), max(latest)')} GROUP BY currency"
#: The sums of these hosts in each bucket, newest first. A host's bucket lasts until its next start, or until now.
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


class AccountNames:
    """Names of the accounts in which orders count. Cached until any process opens an account."""

    __slots__ = ("_db", "_known", "_latest")

    def __init__(self) -> None:
        self._db: sqlite3.Connection | None = None
        self._latest = 0
        self._known: dict[tuple[str, int, tuple[str, ...]], tuple[str, ...]] = {}

    def of(self, db: sqlite3.Connection, order: Order) -> tuple[str, ...]:
        """Return the accounts in which an order counts. Call it before the transaction opens one: it may roll back."""
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


def open_missing(db: sqlite3.Connection, order: Order, missing: Iterable[str], now: float) -> bool:
    """Open the missing accounts of patterns and allowances. Return False if there are none."""
    purse, origin = order.purchase.purse, order.purchase.origin
    found = [name for name in missing if name not in (OVERALL, origin.host)]
    for name in found:
        kind = "allowance" if name in order.path else "request" if is_request_account(name) else "pattern"
        if kind == "pattern":
            _start_from_hosts(db, purse, name, now)
        db.execute(_OPEN, (purse, name, order.price.currency, 0, 0, _NEVER, kind))
    return bool(found)


def counted_by(db: sqlite3.Connection, question: Spending) -> list[str]:
    """Return the accounts whose sums answer a question: the one it names, or those of the hosts that match."""
    purse, name, currency = question.purse, question.account, question.currency
    if db.execute(_IN_CURRENCY, (purse, name, currency)).fetchone() is not None:
        return [name]
    return hosts_of(db, purse, name)


def hosts_of(db: sqlite3.Connection, purse: str, name: str) -> list[str]:
    """Return the hosts from whose sums the account of a pattern would start."""
    hosts = hosts_in(name)
    if hosts is None or not hosts.startswith("*."):
        return [] if hosts in (None, name) else [str(hosts)]
    return [host for (host,) in db.execute(_NAMES, _host_values(purse, name))]


def start_patterns_again(db: sqlite3.Connection) -> None:
    """Start every pattern again from all of its hosts. Older versions left out hosts with an entry of their own."""
    (now,) = db.execute("SELECT at FROM meta").fetchone()
    for number, purse, name, currency in db.execute(_PATTERNS).fetchall():
        hosts = _host_values(purse, name)
        for found, units, payments, latest in db.execute(_SUMS, hosts).fetchall():
            if found == currency:
                db.execute(_AGAIN, (units, payments, latest, number))
                db.execute("DELETE FROM starts WHERE account = ?", (number,))
                _write_starts(db, number, (*hosts, currency), (units, payments), now)


def _start_from_hosts(db: sqlite3.Connection, purse: str, name: str, now: float) -> None:
    """Open the account of a pattern in each currency of its hosts.

    The sums of hosts are kept without ports. So a pattern with a port starts from too much, never from too little.
    """
    hosts = _host_values(purse, name)
    for currency, units, payments, latest in db.execute(_SUMS, hosts).fetchall():
        opened = db.execute(_OPEN, (purse, name, currency, units, payments, latest, "pattern"))
        if opened.rowcount == 1:  # else it has one in this currency
            _write_starts(db, opened.lastrowid or 0, (*hosts, currency), (units, payments), now)


def _host_values(purse: str, name: str) -> tuple[str, int, str]:
    """Return the values for ``_HOSTS``: the purse, a position in a host's name, and the text that must be there."""
    hosts = hosts_in(name) or name
    ending = hosts.removeprefix("*")  # "a wildcard covers any depth, but not the name itself"
    return (purse, 1, hosts) if ending == hosts else (purse, -len(ending), ending)


def _write_starts(
    db: sqlite3.Connection, account: int, hosts: tuple[object, ...], sums: tuple[int, int], now: float
) -> None:
    """Write the sums of an account at the start of each bucket, in each window."""
    for span, length, width in _SPANS.values():
        counted = db.execute(_BUCKETS, (*hosts, span, int((now - length) // width)))
        db.executemany(_START, [(account, span, *start) for start in _starts(counted, *sums)])


def _starts(counted: Iterable[tuple[int, int, int]], units: int, payments: int) -> Iterator[tuple[int, int, int]]:
    """Yield the sums at the start of each bucket, going back from the present sums."""
    for number, more, times in counted:
        units, payments = units - more, payments - times
        yield number, units, payments
