"""Allowances in a ledger file. Each has a row without a currency in ``accounts``, and one for each currency it spent.

Every function here runs inside a transaction of its caller. The newest row of the table is never deleted: caches know
by its number whether an account was opened, and no number may be given twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from ...model.allowances import UNNAMED, AllowanceMark, AllowanceRecord, AllowanceTerms, allowance_account
from ...model.budgets import WINDOWS
from ...model.holds import Order
from .. import refusals
from ..allowances import marked, state_at, terms_of, terms_text
from . import sums

_OPEN = """
    INSERT OR IGNORE INTO accounts
    (purse, name, currency, units, payments, latest, kind, parent, caps, until, opened, state)
    VALUES (?, ?, '', 0, 0, -1.0, 'allowance', ?, ?, ?, ?, 'open')
"""
_EACH = """
    SELECT name, caps, until, opened, state FROM accounts WHERE purse = ? AND kind = 'allowance' AND currency = ''
"""
_SUMS = "SELECT name, currency, units FROM accounts WHERE purse = ? AND kind = 'allowance' AND currency != ''"
_MARK = "UPDATE accounts SET state = ? WHERE purse = ? AND name = ? AND currency = ''"
_ROWS = "SELECT id FROM accounts WHERE purse = ? AND name = ?"
_LEAVE = "UPDATE accounts SET kind = 'forgotten' WHERE purse = ? AND name = ?"
_DELETE = "DELETE FROM accounts WHERE id = ? AND id < (SELECT max(id) FROM accounts)"
#: Accounts of one request each count nothing any more once their longest window has rolled away.
_IDLE = """
    DELETE FROM accounts WHERE id BETWEEN ? AND ? AND id < ?
    AND (kind = 'forgotten' OR (kind = 'request' AND latest < ?))
"""
_OVER = """
    SELECT purse, name FROM accounts WHERE id BETWEEN ? AND ? AND kind = 'allowance' AND until < ? AND name GLOB ?
"""
_UNNAMED = allowance_account(UNNAMED) + "*"
_LONGEST = max(seconds for seconds in WINDOWS.values() if seconds) * 61 / 60


def open_allowance(db: sqlite3.Connection, terms: AllowanceTerms, now: float) -> AllowanceRecord:
    """Return the allowance of these terms' name. It is made if there is none."""
    until = None if terms.seconds is None else now + terms.seconds
    db.execute(_OPEN, (terms.purse, terms.account, terms.parent, terms_text(terms), until, now))
    [found] = listed(db, terms.purse, (terms.account,), now)
    return found


def find(db: sqlite3.Connection, purse: str, account: str, now: float) -> AllowanceRecord | None:
    """Return an allowance, with its state at this moment."""
    row = db.execute(f"{_EACH} AND name = ?", (purse, account)).fetchone()
    return None if row is None else _record(purse, row, now)


def listed(db: sqlite3.Connection, purse: str, accounts: Iterable[str], now: float) -> list[AllowanceRecord]:
    """Return the allowances of a purse, or those of these accounts, the oldest first, with what they count."""
    names = tuple(accounts)
    among = f" AND name IN ({', '.join('?' * len(names))})" if names else ""
    counted: dict[str, list[tuple[str, int]]] = {}
    for name, currency, units in db.execute(f"{_SUMS}{among}", (purse, *names)):
        counted.setdefault(name, []).append((currency, units))
    rows = db.execute(f"{_EACH}{among} ORDER BY id", (purse, *names))
    return [_record(purse, row, now).with_sums(counted.get(row[0], ())) for row in rows]


def check(db: sqlite3.Connection, purse: str, path: Iterable[str], now: float) -> None:
    """Raise if an allowance in a path is not open."""
    refusals.check_allowances(path, lambda account: find(db, purse, account, now))


def used(counts: sums.Sums, order: Order) -> tuple[int, ...]:
    """Return what each allowance of an order counts, with this one."""
    currency, units = order.price.currency, order.price.units
    return tuple(counts.counted(account, currency, "total") + units for account in order.path)


def mark(db: sqlite3.Connection, purse: str, account: str, how: AllowanceMark, now: float) -> bool:
    """Set the state of an allowance. Return False if there is none."""
    found = find(db, purse, account, now)
    if found is None:
        return False
    if how == "forgotten" and not found.terms.lasts:
        _forget(db, purse, account)
    else:
        db.execute(_MARK, (marked(found.state, how), purse, account))
    return True


def prune(db: sqlite3.Connection, turn: int) -> None:
    """Let go of what none asks for any more: each turn looks at some accounts, as ``sums.prune`` does.

    The rule: "an ended or closed name stays taken as long as keys do". So only those without a name of the user's go.
    """
    now, most = db.execute("SELECT at, (SELECT max(id) FROM accounts) FROM meta").fetchone()
    for span in sums.looked_at(db, turn):
        for purse, account in db.execute(_OVER, (*span, now - _LONGEST, _UNNAMED)).fetchall():
            _forget(db, purse, account)
        db.execute(_IDLE, (*span, most, now - _LONGEST))


def _forget(db: sqlite3.Connection, purse: str, account: str) -> None:
    numbers = db.execute(_ROWS, (purse, account)).fetchall()
    db.execute(_LEAVE, (purse, account))
    for number in numbers:
        db.execute("DELETE FROM starts WHERE account = ?", number)
        db.execute(_DELETE, number)


def _record(purse: str, row: tuple[str, str, float | None, float, str], now: float) -> AllowanceRecord:
    name, caps, until, opened, kept = row
    state = state_at("frozen" if kept == "frozen" else "closed" if kept == "closed" else "open", until, now)
    return AllowanceRecord(terms_of(purse, name, caps), opened, until, state)
