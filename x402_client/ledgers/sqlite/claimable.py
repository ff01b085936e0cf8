"""Open holds that nothing presents, so that an attempt may claim them.

Strategy: an owner that dies writes nothing, so no column can say that a hold is free. But what is in flight has few
owners: one for each process. So each owner is looked at once, by seeks in an index, and only the holds of those that
ended are read. What lives costs nothing, however much of it there is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...model.holds import Purchase
from . import holds
from .holds import Row
from .process_locks import ended_claims

_OF_PURCHASE, _UNSIGNED = "purchase = ?", "state = 'reserved'"
_NEXT_OWNER = "SELECT owner FROM holds WHERE {} AND owner > ? ORDER BY owner LIMIT 1"
_OLDEST = "purchase = ? AND owner IS ?{} ORDER BY created, id LIMIT 1"


def oldest(db: sqlite3.Connection, purchase: Purchase, directory: Path) -> Row | None:
    """Return the oldest unresolved hold of a purchase that this wallet may present.

    Unsigned holds of ended attempts that are met on the way are given back.
    """
    while True:
        found = [row for name in purchase.names for row in _oldest_of_each(db, name, purchase, directory)]
        row = min(found, key=lambda row: (row.hold.created, row.number), default=None)
        if row is None or row.hold.state != "reserved":
            return row
        holds.drop(db, row)


def drop_unsigned(db: sqlite3.Connection, directory: Path) -> bool:
    """Give back the unsigned holds of all ended attempts. Return True if there was one."""
    over: list[Row] = []
    for owner in list(_owners(db, _UNSIGNED)):
        ended = ended_claims(directory, owner)
        if ended is None:
            over += holds.select(db, f"{_UNSIGNED} AND owner = ?", owner)
        else:
            over += [row for row in _numbered(db, ended, owner) if row.hold.state == "reserved"]
    for row in over:
        holds.drop(db, row)
    return bool(over)


def _oldest_of_each(db: sqlite3.Connection, name: str, purchase: Purchase, directory: Path) -> Iterator[Row]:
    """Yield the oldest hold without an owner, the oldest one of each owner that ended, and all of ended attempts."""
    payers = purchase.payers
    # "An unresolved hold is claimed only if its payer is one of this wallet's addresses"; "" was never noted.
    among = f" AND (state = 'reserved' OR wallet IN ('', {', '.join('?' * len(payers))}))" if payers else ""
    query = _OLDEST.format(among)
    yield from holds.select(db, query, name, None, *payers)
    for owner in list(_owners(db, _OF_PURCHASE, name)):
        ended = ended_claims(directory, owner)
        if ended is None:
            yield from holds.select(db, query, name, owner, *payers)
        for row in _numbered(db, ended or (), owner):
            paid = row.hold.state == "reserved" or purchase.is_paid_by(row.hold.payer)
            if row.hold.purchase.id == name and paid:
                yield row


def _owners(db: sqlite3.Connection, scope: str, *values: object) -> Iterator[str]:
    """Yield each owner in a scope once, by one seek each."""
    query, last = _NEXT_OWNER.format(scope), ""
    while (found := db.execute(query, (*values, last)).fetchone()) is not None:
        [last] = found
        yield last


def _numbered(db: sqlite3.Connection, numbers: Iterable[int], owner: str) -> Iterator[Row]:
    """Yield these holds of an owner. There are few: its process records ended attempts at once."""
    found = (holds.find_number(db, number) for number in numbers)
    return (row for row in found if row is not None and row.owner == owner)
