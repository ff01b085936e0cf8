"""Open amounts in a ledger file, and the chain's answers about payments. The functions run inside a transaction."""

from __future__ import annotations

import sqlite3

from ...model.holds import CEILING, CHARGED, Hold
from .. import owed
from ..rows import number_of
from . import holds, sums

_KEEP = """
    INSERT INTO owed (id, purse, wallet, network, kind, ceiling, proof, nonce, expires, evidence, currency, units,
                      created, accounts)
    SELECT id, purse, wallet, ?, kind, ceiling, proof, nonce, expires, evidence, currency, units, created, accounts
    FROM holds WHERE id = ? AND kind = ?
"""
#: The condition is that of the index ``ceilings``: the table has no other one by id.
_OF = f"{holds.PAST} WHERE purse = ? AND kind = 'ceiling' AND id IN (SELECT id FROM owed WHERE purse = ?)"  # noqa: S608
_PLACE = "SELECT number FROM past WHERE kind = 'ceiling' AND id = ? ORDER BY number DESC LIMIT 1"


def keep(db: sqlite3.Connection, number: int, network: str) -> None:
    """Keep what a ceiling can still take. Call this before its hold is resolved."""
    db.execute(_KEEP, (network, number, CEILING))


def of(db: sqlite3.Connection, purse: str) -> tuple[Hold, ...]:
    """Return the open amounts of a purse, oldest first."""
    if db.execute("SELECT 1 FROM owed WHERE purse = ? LIMIT 1", (purse,)).fetchone() is None:
        return ()
    return tuple(map(holds.past_hold, db.execute(f"{_OF} ORDER BY number", (purse, purse))))


def conclude(db: sqlite3.Connection, row: holds.Row | None, told: Hold, settled: bool) -> bool:
    """Apply the chain's answer to an unresolved hold, or to an open amount. Return False if nothing changes."""
    if row is None:
        return _conclude_owed(db, told, settled)
    if not settled:
        holds.drop(db, row)
        return True
    db.execute("UPDATE holds SET money = 'spent' WHERE id = ?", (row.number,))
    units = owed.still_counted(told, True, row.hold.price.units)
    if row.hold.is_open_ceiling and units is not None:
        sums.count_less(db, row.accounts, row.hold.price.units - units, row.hold.created)
        db.execute("UPDATE holds SET units = ?, kind = ? WHERE id = ?", (units, CHARGED, row.number))
    return True


def _conclude_owed(db: sqlite3.Connection, told: Hold, settled: bool) -> bool:
    number = number_of(told.id)
    found = db.execute("SELECT units, created, accounts FROM owed WHERE id = ?", (number,)).fetchone()
    if found is None:
        return False
    counted, created, accounts = found
    units = owed.still_counted(told, settled, counted)
    if units is None:
        return False
    sums.count_less(db, map(int, accounts.split()), counted - units, created)
    db.execute("DELETE FROM owed WHERE id = ?", (number,))
    place = db.execute(_PLACE, (number,)).fetchone()
    if place is not None:
        money = "spent" if units else "untouched"
        changed = (units, money, CHARGED, place[0])
        db.execute("UPDATE past SET units = ?, money = ?, kind = ? WHERE number = ?", changed)
    return True
