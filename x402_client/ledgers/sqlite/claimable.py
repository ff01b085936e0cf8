"""Open holds that nothing presents, so that an attempt may claim them.

Strategy: such a hold has no owner, and an index has only those. An owner that dies writes nothing. So the table
``owners`` has the name of each process that has claims, and a claim first takes the holds of dead ones away from them.
A hold that is in flight is in no index and is not looked at, however many of the same purchase there are.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from ...errors import LedgerUnavailable
from ...model.holds import Purchase
from ..live_attempts import Entry
from . import holds
from .file import LedgerFile
from .holds import Row
from .process_locks import Claims, ended_here, is_own, living

_ANY = "SELECT 1 FROM holds WHERE purchase IN (?, ?) AND owner IS NULL LIMIT 1"
_OLDEST = "purchase = ? AND owner IS NULL{} ORDER BY created, id LIMIT 1"


def register(db: sqlite3.Connection, owner: str, directory: Path) -> None:
    """List a process that is about to have a claim. The first time, those that ended are taken off the list.

    It is asked each time: an older copy of the file, which the user accepted, may not list it.
    """
    if db.execute("INSERT OR IGNORE INTO owners VALUES (?)", (owner,)).rowcount == 1:
        free_ended(db, directory)


def oldest(db: sqlite3.Connection, purchase: Purchase, directory: Path) -> Row | None:
    """Return the oldest unresolved hold of a purchase that this wallet may present."""
    if not holds.is_open(db, purchase):
        return None
    free_ended(db, directory)
    payers, names = purchase.payers, purchase.names
    if db.execute(_ANY, (names[0], names[-1])).fetchone() is None:
        return None  # a short query: see ``is_open``
    # "An unresolved hold is claimed only if its payer is one of this wallet's addresses"; "" was never noted.
    query = _OLDEST.format(f" AND wallet IN ('', {', '.join('?' * len(payers))})" if payers else "")
    found = [row for name in names for row in holds.select(db, query, name, *payers)]
    return min(found, key=lambda row: (row.hold.created, row.number), default=None)


def give_back_ended(file: LedgerFile, directory: Path, patience: float) -> None:
    """Give back what ended programs had reserved, as ``reserve`` does.

    A file that may only be read, or stays busy, stays as it is.
    """
    with contextlib.suppress(LedgerUnavailable):
        if file.read(lambda db, meta: _some_ended(db, directory), patience):
            file.write(lambda db, meta: free_ended(db, directory), patience)


def _some_ended(db: sqlite3.Connection, directory: Path) -> bool:
    owners = [owner for (owner,) in db.execute("SELECT name FROM owners")]
    try:
        return bool(ended_here()) or any(not is_own(owner) and living(directory, owner) != set() for owner in owners)
    except OSError:  # the locks of another user
        return False


def free_ended(db: sqlite3.Connection, directory: Path) -> bool:
    """End the claims of all ended attempts. Return True if that gave back what an unsigned hold counted."""
    owners = [owner for (owner,) in db.execute("SELECT name FROM owners")]
    over = [
        row
        for number, owner in ended_here()
        if (row := holds.find_number(db, number)) is not None and row.owner == owner
    ]
    for owner in owners:
        if is_own(owner):
            continue
        marked = living(directory, owner)  # None: it is dead
        if marked is None:
            over += holds.select(db, "owner = ?", owner)
            db.execute("DELETE FROM owners WHERE name = ?", (owner,))
        else:
            found = (holds.find_number(db, number) for number in marked)
            over += [row for row in found if row is not None and row.owner == owner]
    for row in over:
        holds.give_up(db, row)
    return any(row.hold.state == "reserved" for row in over)


def give_up(db: sqlite3.Connection, claims: Claims) -> dict[int, Entry[int]]:
    """End the claims of this process's ended attempts. Return them."""
    owner, ended = claims.existing_lock, claims.ended()
    for number in ended:
        row = holds.find_number(db, number)
        if owner is not None and row is not None and row.owner == owner.name:
            holds.give_up(db, row)
    return ended


def leave(db: sqlite3.Connection, claims: Claims) -> None:
    """End the claims of this process, and take it off the list; unless an attempt goes on. Here none can begin."""
    owner = claims.existing_lock
    if owner is None or claims.some_live:
        return
    for row in holds.select(db, "owner = ?", owner.name):
        holds.give_up(db, row)
    db.execute("DELETE FROM owners WHERE name = ?", (owner.name,))
    claims.close()
