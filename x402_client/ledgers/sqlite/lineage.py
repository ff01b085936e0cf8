"""The lineage of a ledger file: by it a program that lives notices that an older copy was put in the file's place.

Strategy: each transaction that changes something is a step, and each connection writes down, with its first step, at
which step it began, under a number that is random in part. To put a copy back, its programs have to close the file:
each that goes on from the copy does so under a number of its own. A program remembers the number and the step that it
saw last: that step is still there if the next number began no earlier. What others wrote since does not hide a loss.

A delivery is no step, so that it writes no more than it must: what its loss brings back is an unresolved payment, which
counts, and is presented again as it is. The program that delivered looks whether it is back.
"""

from __future__ import annotations

import secrets
import sqlite3
import time

#: Bits of an opening's number that are random; those above them count.
_DRAWN = 32
#: Openings that are remembered. A program that slept through more of them cannot tell any more.
_KEPT = 10_000
_NEXT = "SELECT number, step FROM openings WHERE number >= ? ORDER BY number LIMIT 2"


class Lineage:
    """The latest place of one file that a process saw: a step, and the opening under which it was written."""

    __slots__ = ("_accepted", "_opening", "_step", "delivered")
    delivered: int

    def __init__(self) -> None:
        self._step, self._opening = 0, 0
        #: When the loss was accepted that was seen last.
        self._accepted = 0.0
        #: The hold that this process delivered last.
        self.delivered = 0

    def reached(self, step: int, opening: int) -> None:
        """Remember a place."""
        self._step, self._opening = step, opening

    def goes_on(self, db: sqlite3.Connection, step: int, opening: int, wrote: bool) -> bool:
        """Return True, and remember where the file is now, if it has all that it had at the place known so far.

        ``wrote`` tells that the connection wrote already: what it opened is in place still.
        """
        fine = step >= self._step
        if opening != self._opening:
            fine = self._sees_acceptance(db) or self._has_known(db)
        if not wrote and self.delivered:
            fine = fine and self._has_delivered(db)
        if fine:
            self._step, self._opening = step, opening
        return fine

    def _sees_acceptance(self, db: sqlite3.Connection) -> bool:
        """Return True if a loss was accepted since the known place: what was known before does not count any more."""
        (accepted,) = db.execute("SELECT accepted FROM meta").fetchone()
        if accepted <= self._accepted:
            return False
        self._accepted, self.delivered = accepted, 0
        return True

    def _has_known(self, db: sqlite3.Connection) -> bool:
        if self._opening == 0:  # nothing was written then
            return True
        found = db.execute(_NEXT, (self._opening,)).fetchall()
        if found and found[0][0] == self._opening:
            return len(found) > 1 and bool(found[1][1] >= self._step)
        (oldest,) = db.execute("SELECT min(number) FROM openings").fetchone()
        return bool(oldest) and oldest >> _DRAWN > self._opening >> _DRAWN

    def _has_delivered(self, db: sqlite3.Connection) -> bool:
        return db.execute("SELECT 1 FROM holds WHERE id = ?", (self.delivered,)).fetchone() is None


def accept(db: sqlite3.Connection) -> None:
    """Go on from what is here. The opening is a new one, so that each program sees it."""
    open_anew(db, *db.execute("SELECT step, opening FROM meta").fetchone())
    db.execute("UPDATE meta SET accepted = max(?, accepted + 0.000001)", (time.time(),))


def open_anew(db: sqlite3.Connection, step: int, opening: int) -> int:
    """Write down that a connection goes on from a place. Return the number of its opening."""
    count = (opening >> _DRAWN) + 1
    number = (count << _DRAWN) + secrets.randbits(_DRAWN)
    db.execute("INSERT INTO openings VALUES (?, ?)", (number, step))
    db.execute("DELETE FROM openings WHERE number < ?", ((count - _KEPT) << _DRAWN,))
    db.execute("UPDATE meta SET opening = ?", (number,))
    return number
