"""Holds in a ledger file. Every function here runs inside a transaction of its caller."""

from __future__ import annotations

import secrets
import sqlite3
from binascii import crc32
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from ...errors import MoneyState
from ...model.holds import Authorization, Hold, HoldState, LastAnswer, Order, Purchase
from ...model.hosts import Origin
from ...model.offers import Receipt
from .. import refusals
from ..rows import (
    COLUMNS,
    UNSIGNED,
    authorization_row,
    hold_of,
    last_of,
    last_text,
    name_of,
    new_hold,
    number_of,
    offer_text,
    path_text,
    receipt_text,
    reserved_row,
    shortened,
)
from . import allowances, sums

#: Resolved purchases that ``history`` can show. Budgets and keys remember all of them.
HISTORY = 100_000
#: Older ones are deleted each time that this many more were resolved.
_HISTORY_STEP = 256

#: A hold's number begins with bits of its purchase's id, so that the table needs no index. The other bits are random.
_RANDOM_BITS = 43
_LAST = (1 << _RANDOM_BITS) - 1
_PREFIXES = 1 << (63 - _RANDOM_BITS)

_LIST = ", ".join(COLUMNS)
_OPEN = f"SELECT {_LIST}, id, header, accounts, owner, wallet, last, path FROM holds"  # noqa: S608 - all constants
_OF_PURCHASE = "id BETWEEN ? AND ? AND purchase = ?"
_OF_BOTH = f"({_OF_PURCHASE}) OR ({_OF_PURCHASE})"
_WIDTH = len(COLUMNS)
_NEW = ", ".join((*COLUMNS[:UNSIGNED], "id", "accounts", "owner", "wallet", "path"))
_RESERVE = f"INSERT INTO holds ({_NEW}) VALUES ({'?, ' * UNSIGNED}?, ?, ?, ?, ?)"  # noqa: S608
_SIGNED = f"{_NEW}, {', '.join(COLUMNS[UNSIGNED:])}, header"
_ADMIT = f"INSERT INTO holds ({_SIGNED}) VALUES ({'?, ' * len(COLUMNS)}?, ?, ?, ?, ?, ?)"  # noqa: S608
_RECORD = """
    UPDATE holds SET state = 'signed', nonce = ?, payer = ?, expires = ?, evidence = ?,
    kind = ?, ceiling = ?, proof = ?, header = ?, offer = ? WHERE id = ? AND state = 'reserved'
"""
_MOVED = ", ".join({"state": "?", "money": "?"}.get(name, name) for name in COLUMNS)
_RESOLVE = f"""
    INSERT INTO past (id, wallet, last, path, {_LIST}, receipt)
    SELECT id, wallet, last, path, {_MOVED}, ? FROM holds WHERE id = ?
"""  # noqa: S608
_REMEMBER = f"""
    INSERT OR REPLACE INTO keyed (key, id, wallet, path, {_LIST}, receipt)
    SELECT purchase, id, wallet, path, {_LIST}, receipt FROM past
    WHERE number = ?
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Row:
    """Open hold, with the facts that only the ledger needs."""

    number: int
    hold: Hold
    accounts: tuple[int, ...]
    owner: str | None

    @classmethod
    def of(cls, values: tuple[Any, ...]) -> Row:
        """Read the columns of ``_OPEN``."""
        number, header, accounts, owner, wallet, last, path = values[_WIDTH:]
        hold = hold_of(number, values[:_WIDTH], header, payer=wallet, last=last, path=path)
        return cls(number, hold, tuple(map(int, accounts.split())), owner)


def find(db: sqlite3.Connection, name: str) -> Row | None:
    """Return the open hold of this id."""
    return find_number(db, number_of(name))


def find_number(db: sqlite3.Connection, number: int) -> Row | None:
    """Return the open hold of this number."""
    return next(iter(select(db, "id = ?", number)), None)


def of_purchase(db: sqlite3.Connection, purchase: Purchase) -> list[Row]:
    """Return the open holds of one purchase under all of its names, oldest first."""
    if not is_open(db, purchase):
        return []
    return select(db, *_where(purchase))


def is_open(db: sqlite3.Connection, purchase: Purchase) -> bool:
    """Return True if a purchase has an open hold. Hot path: mostly there is none, and this is the short query."""
    where, *values = _where(purchase)
    return db.execute(_exists_query(where), values).fetchone() is not None


def _where(purchase: Purchase) -> tuple[str, *tuple[object, ...]]:
    values = [value for name in purchase.names for value in _span(name)]
    return (_OF_PURCHASE if len(values) == 3 else _OF_BOTH, *values)


@cache
def _exists_query(where: str) -> str:
    return f"SELECT 1 FROM holds WHERE {where} LIMIT 1"  # noqa: S608 - one of two constants


def select(db: sqlite3.Connection, where: str, *values: object) -> list[Row]:
    """Return the open holds of which ``where`` is true, oldest first."""
    found = [Row.of(row) for row in db.execute(_select_query(where), values)]
    found.sort(key=lambda row: (row.hold.created, row.number))
    return found


@cache
def _select_query(where: str) -> str:
    return f"{_OPEN} WHERE {where}"


def insert(db: sqlite3.Connection, order: Order, now: float, accounts: tuple[int, ...], owner: str) -> Hold:
    """Insert a new hold, signed if its order is. Its price is already counted in these accounts."""
    number = _first(order.purchase.id) + secrets.randbits(_RANDOM_BITS)
    row = (*reserved_row(order, now), number, " ".join(map(str, accounts)), owner, order.payer, path_text(order.path))
    if order.signed is None:
        db.execute(_RESERVE, row)
    else:  # as in ``record``, no variable has the header
        db.execute(_ADMIT, (*row, *authorization_row(order.signed)))
    return new_hold(order, name_of(number), now)


def _first(purchase: str) -> int:
    """Return the least number that a hold of a purchase can have."""
    return (crc32(purchase.encode()) % _PREFIXES) << _RANDOM_BITS


def _span(purchase: str) -> tuple[int, int, str]:
    """Return the least and the greatest number that a hold of a purchase can have, and its name."""
    first = _first(purchase)
    return first, first + _LAST, purchase


def record(db: sqlite3.Connection, hold: Hold, authorization: Authorization) -> Hold:
    """Write the authorization, with the terms that were signed."""
    # The values are not kept in a variable: tools that print a traceback's variables would show the payment header.
    offer, number = offer_text(hold.offer), number_of(hold.id)
    if db.execute(_RECORD, (*authorization_row(authorization), offer, number)).rowcount != 1:
        raise refusals.hold_is_gone()
    return hold.but(authorization=authorization, state="signed")


def claim(db: sqlite3.Connection, row: Row, owner: str) -> Hold:
    """Give an unresolved hold to another attempt."""
    db.execute("UPDATE holds SET owner = ?, tries = tries + 1 WHERE id = ?", (owner, row.number))
    return row.hold.but(tries=row.hold.tries + 1)


def note(db: sqlite3.Connection, number: int, last: LastAnswer) -> None:
    """Keep the last answer to an open payment, with what an earlier one showed."""
    kept = db.execute("SELECT last FROM holds WHERE id = ?", (number,)).fetchone()
    if kept is not None:
        db.execute("UPDATE holds SET last = ? WHERE id = ?", (last_text(last.after(last_of(kept[0]))), number))


def give_up(db: sqlite3.Connection, row: Row) -> None:
    """End a claim. A signed hold becomes unresolved, an unsigned one is given back."""
    if row.hold.state == "reserved":
        drop(db, row)
    else:
        db.execute("UPDATE holds SET owner = NULL WHERE id = ?", (row.number,))


def drop(db: sqlite3.Connection, row: Row) -> None:
    """Delete a hold, and give its price back."""
    sums.give_back(db, row.accounts, row.hold.price.units, row.hold.created)
    db.execute("DELETE FROM holds WHERE id = ?", (row.number,))


class Delivery(NamedTuple):
    """Delivery of one hold, to be written."""

    number: int
    keyed: bool
    money: MoneyState
    receipt: Receipt | None


def deliver(db: sqlite3.Connection, found: Delivery) -> None:
    """Move a hold to the table ``past``. A delivery under a key is kept for ever."""
    latest = resolve(db, found.number, "delivered", found.money, found.receipt)
    if found.keyed and latest is not None:
        db.execute(_REMEMBER, (latest,))


def give_up_for_good(db: sqlite3.Connection, row: Row) -> None:
    """Write off a hold. Its key goes on naming this request alone, which may buy anew."""
    latest = resolve(db, row.number, "written_off", "spent", None)
    if row.hold.purchase.keyed:
        db.execute(_REMEMBER, (latest,))


def resolve(
    db: sqlite3.Connection, number: int, state: HoldState, money: MoneyState, receipt: Receipt | None
) -> int | None:
    """Move a hold to the table ``past``, without its header. Return its number there; None if it is not open."""
    moved = db.execute(_RESOLVE, (state, money, receipt_text(receipt), number))
    if moved.rowcount != 1:
        return None
    latest = moved.lastrowid or 0
    db.execute("DELETE FROM holds WHERE id = ?", (number,))
    if latest % _HISTORY_STEP == 0:
        db.execute("DELETE FROM past WHERE number <= ?", (latest - HISTORY,))
        sums.prune(db, latest // _HISTORY_STEP)
        allowances.prune(db, latest // _HISTORY_STEP)
    return latest


def ended_under(db: sqlite3.Connection, purchase: Purchase) -> Hold | None:
    """Return the purchase that was delivered or written off last under a key, by any of its names."""
    query = f"SELECT {_LIST}, id, receipt, wallet, NULL, path FROM keyed WHERE key IN (?, ?)"  # noqa: S608
    names = purchase.names
    return next((past_hold(row) for row in db.execute(query, (names[0], names[-1]))), None)


def check_key(db: sqlite3.Connection, purchase: Purchase, found: list[Row]) -> None:
    """Refuse a key that was paid, or that names another request."""
    ended = ended_under(db, purchase)
    known = ended or next((row.hold for row in found), None)
    if known is not None:
        refusals.check_key(known, purchase)
    if ended is not None and ended.state == "delivered":
        raise refusals.already_paid(ended)


#: Reads resolved purchases, for ``past_hold``.
PAST = f"SELECT {_LIST}, id, receipt, wallet, last, path FROM past"  # noqa: S608 - all constants


def history(db: sqlite3.Connection, purse: str, limit: int) -> tuple[Hold, ...]:
    """Return the latest resolved purchases of a purse, newest first."""
    found = db.execute(f"{PAST} WHERE purse = ? ORDER BY number DESC LIMIT ?", (purse, max(0, limit)))
    return tuple(map(past_hold, found))


def bought(db: sqlite3.Connection, purse: str, origin: Origin, url: str, payers: tuple[str, ...]) -> Hold | None:
    """Return the latest delivered purchase at an origin by one of these accounts, one at this URL first."""
    query = f"""
        {PAST} WHERE purse = ? AND state = 'delivered'
        AND scheme = ? AND host = ? AND port = ? AND wallet IN ({", ".join("?" * len(payers))})
    """
    where, latest = (purse, origin.scheme, origin.host, origin.port, *payers), " ORDER BY number DESC LIMIT 1"
    found = db.execute(f"{query} AND url = ?{latest}", (*where, shortened(url))).fetchone()
    found = found or db.execute(query + latest, where).fetchone()
    return None if found is None else past_hold(found)


def past_hold(values: tuple[Any, ...]) -> Hold:
    """Read the columns of ``PAST``."""
    number, receipt, wallet, last, path = values[_WIDTH:]
    return hold_of(number, values[:_WIDTH], None, receipt, wallet, last, path)
