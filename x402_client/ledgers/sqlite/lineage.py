"""Lineage of a ledger file. By it a running program notices that an older copy was put in the file's place.

Strategy: each transaction that changes something is a step, and steps are counted. Each connection records an *opening*
with its first step. That is the step at which it began, under a number that is partly random. Before a copy can be put
in place, programs have to close the file. So each program that goes on from the copy records an opening of its own. A
program remembers the opening and the step that it saw last. The file still has that step if the next opening began no
earlier. So what others wrote since then cannot hide a loss.

A ledger object that closes its file leaves its place behind, for the next object of the same file in this process.
It is kept by the file's path and identity: a new file under an old name has nothing to lack.

A delivery is not a step, so that it writes as little as possible. If a delivery is lost, an unresolved payment comes
back, which counts and is presented again as it is. The program that delivered it checks whether it came back.
"""

from __future__ import annotations

import secrets
import sqlite3
import time

#: Low bits of an opening's number, which are random. The bits above them count the openings.
_RANDOM_BITS = 32
#: Openings that are kept. A program that missed more of them can no longer notice an older copy.
_KEPT = 10_000
#: The most paths whose last place this process remembers after the file was closed.
_MOST_LEFT = 1_000
_NEXT = "SELECT number, step FROM openings WHERE number >= ? ORDER BY number LIMIT 2"


class Lineage:
    """Latest place in one file that a process saw: a step, and the opening under which it was written."""

    __slots__ = ("_accepted", "_opening", "_step", "delivered")
    delivered: int

    def __init__(self) -> None:
        self._step, self._opening = 0, 0
        #: The time of the latest acceptance of a loss that this process saw.
        self._accepted = 0.0
        #: The number of the hold that this process delivered last.
        self.delivered = 0

    def reached(self, step: int, opening: int) -> None:
        """Remember a place as the latest."""
        self._step, self._opening = step, opening

    @property
    def place(self) -> tuple[float, int, int, int]:
        """Return what it remembers, in a form that compares: a later acceptance counts before more steps."""
        return self._accepted, self._step, self._opening, self.delivered

    def begin_at(self, place: tuple[float, int, int, int] | None) -> None:
        """Begin at a place that this process has seen before. None: it has seen none."""
        if place is not None:
            self._accepted, self._step, self._opening, self.delivered = place

    def goes_on(self, db: sqlite3.Connection, step: int, opening: int, wrote: bool) -> bool:
        """Return True if the file has everything that it had at the known place. Then remember its present place.

        ``wrote`` is True if this connection wrote before. Then the file that it opened is still in place, with the last
        delivery.
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
        """Return True if a loss was accepted since the known place. Then earlier places do not count any more."""
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
        return bool(oldest) and oldest >> _RANDOM_BITS > self._opening >> _RANDOM_BITS

    def _has_delivered(self, db: sqlite3.Connection) -> bool:
        return db.execute("SELECT 1 FROM holds WHERE id = ?", (self.delivered,)).fetchone() is None


Places = dict[str, tuple[float, int, int, int]]
#: The last place of each closed file, by its path and then by its identity. Entries are replaced, never changed, so
#: that each thread, and each forked child, reads whole ones.
_left: dict[str, Places] = {}


def leave(path: str, identity: str | None, lineage: Lineage) -> None:
    """Remember where this process left a file. None as its identity: it never saw one."""
    if identity is None:
        return
    if len(_left) > _MOST_LEFT:
        _left.clear()
    known = _left.get(path, {})
    _left[path] = {**known, identity: max(lineage.place, known.get(identity, lineage.place))}


def left_at(path: str) -> Places:
    """Return the places at which this process left the files of a path. Ask before a transaction begins."""
    return _left.get(path, {})


def accept(db: sqlite3.Connection) -> None:
    """Record that the user goes on with what is here. A new opening makes every program look at it."""
    record_opening(db, *db.execute("SELECT step, opening FROM meta").fetchone())
    db.execute("UPDATE meta SET accepted = max(?, accepted + 0.000001)", (time.time(),))


def record_opening(db: sqlite3.Connection, step: int, opening: int) -> int:
    """Record that a connection goes on from a place. Return the number of its opening."""
    count = (opening >> _RANDOM_BITS) + 1
    number = (count << _RANDOM_BITS) + secrets.randbits(_RANDOM_BITS)
    db.execute("INSERT INTO openings VALUES (?, ?)", (number, step))
    db.execute("DELETE FROM openings WHERE number < ?", ((count - _KEPT) << _RANDOM_BITS,))
    db.execute("UPDATE meta SET opening = ?", (number,))
    return number
