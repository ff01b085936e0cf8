"""The mark by which a lost write-ahead log is noticed. It has two faces: one in the main file, one in the log.

Strategy: one word in the table of facts. "needed" is written and moved into the main file; then the log says that it is
back, and each payment's transaction says "here". A main file without its log shows "needed", and is refused. All that
folds the log into the file (recovery after a kill, another program, a backup) shows "here". The main file changes when
somebody moves the log, so a look at its time of change tells when the mark has to be set anew.

Between "needed" and "back" nothing can be lost, because nothing is paid: a small file beside the ledger, named in the
word, says so. It is gone before any transaction says "here". So a kill in between leads to no refusal either.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from ...errors import LedgerUnavailable
from . import lineage
from .errors import unavailable

#: The log is there, and is needed: what every transaction of a payment says.
HERE = "here"
#: A program saw more than is in this file: an older copy is in its place (see ``lineage``).
OLDER = "older"
#: Each followed by the token of one setting of the mark.
_NEEDED, _BACK = "needed", "back"
_READ = "SELECT log FROM meta"
_WRITE = "UPDATE meta SET log = ?"
#: Other programs may write between the two steps; then both are taken again.
_TRIES = 4
#: Seconds until the next try, where a reader of another program keeps the log from being moved.
_PAUSE = 1.0
_LOST = (
    "has lost its log, the file beside it whose name ends in -wal, and with it the latest payments. Stop the programs "
    "that use it: those that still run write their part back as they end. Put the log back if you have it, or run "
    "`x402 ledger accept` to go on with what is left"
)
_AGED = (
    "is older than a program has seen: a copy of it was put in its place, without the latest payments. Stop the "
    "programs that use it. Put the right file back, with its log if it has one; or run `x402 ledger accept` to go on "
    "with what is left"
)


class LogMark:
    """Mark of one ledger file, as one process knows it."""

    __slots__ = ("_again", "_directory", "_known", "_path")

    def __init__(self, path: Path, directory: Path) -> None:
        self._path, self._directory = path, directory
        #: When the main file had changed last as its face was seen to be "needed".
        self._known = -1
        self._again = 0.0

    def due(self, changed: int) -> bool:
        """Return True if the mark has to be set before the next write. ``changed`` tells when the main file changed.

        The rule: "Each checkpoint of ours sets both anew, in this order, before the next payment".
        """
        if changed == self._known:
            return False
        if self._in_main_file().startswith(_NEEDED):
            self._known = changed
            return False
        return time.monotonic() >= self._again

    def set(self, patience: float = 0.0) -> None:
        """Move the log into the file, up to a mark that says that the log is needed; then say that it is there.

        No other checkpoint of ours moves more: the main file of a program that runs always says "needed".

        ``patience`` is how long each step waits for other writers; then SQLite's error says that it is busy.
        """
        if not any(self._set_once(patience) for _ in range(_TRIES)):
            self._again = time.monotonic() + _PAUSE

    def allows(self, db: sqlite3.Connection, word: str, writing: bool, doubted: str) -> bool:
        """Return True if a transaction that read this word may go on. After False it is over, and begins again.

        A reader may look between two steps of others, so only the same word, ``doubted``, is believed to be a loss.
        """
        face, _, token = word.partition(" ")
        if face == OLDER:
            raise self.older()
        if face == _BACK:
            if writing:
                self._forget(token)
                db.execute(_WRITE, (HERE,))
            return True
        if not self._marker(token).exists():
            if writing or word == doubted:
                raise self._lost()
        elif not writing:
            return True
        else:
            db.execute(_WRITE, (f"{_BACK} {token}",))
        db.execute("COMMIT")
        return False

    def accept(self, db: sqlite3.Connection) -> bool:
        """Go on without what was lost: the log, or what an older copy lacks. Return False if nothing was.

        Without a log it works only for the one program that has the file open: another may have the deleted log in its
        hands, and would write it over what follows.
        """
        face, _, token = db.execute(_READ).fetchone()[0].partition(" ")
        if face == OLDER:
            lineage.accept(db)
            db.execute(_WRITE, (HERE,))
            return True
        if face != _NEEDED or self._marker(token).exists():
            return False
        db.execute("PRAGMA journal_mode = DELETE")  # needs the whole file for itself
        lineage.accept(db)
        db.execute(_WRITE, (HERE,))
        db.execute("PRAGMA journal_mode = WAL")
        return True

    def older(self) -> LedgerUnavailable:
        """Build the error for an older copy in the file's place."""
        return unavailable(self._path, _AGED)

    def age(self, db: sqlite3.Connection) -> None:
        """Say in the file, in a transaction that ends with it, that it is older than a program has seen."""
        db.execute(_WRITE, (OLDER,))
        db.execute("COMMIT")

    def _in_main_file(self) -> str:
        """Return the word in the main file alone. SQLite reads it, so that it keeps its locks on the file."""
        try:
            with closing(sqlite3.connect(f"{self._path.as_uri()}?immutable=1", uri=True)) as db:
                return str(db.execute(_READ).fetchone()[0])
        except (sqlite3.Error, TypeError):  # a new file has its tables in the log
            return ""

    def _set_once(self, patience: float) -> bool:
        """Set the mark once. Return False if another program came between, or a reader kept the log where it is."""
        token = secrets.token_hex(8)
        needed = f"{_NEEDED} {token}"
        with closing(self._connect(patience)) as db, closing(self._connect(patience)) as mover:
            db.execute("BEGIN IMMEDIATE")
            word = db.execute(_READ).fetchone()[0]
            if word == OLDER or word.startswith(_NEEDED):  # by another, which sets the mark now or died as it did
                return self.allows(db, word, True, "")
            self._directory.mkdir(mode=0o700, exist_ok=True)
            self._marker(token).touch(0o600)
            self._forget(word.partition(" ")[2])
            db.execute(_WRITE, (needed,))
            db.execute("COMMIT")
            db.execute("BEGIN IMMEDIATE")
            if db.execute(_READ).fetchone()[0] != needed:
                return False
            # Under the lock of a writer, so that nothing is paid that the file then lacks while its log says "here".
            _, written, moved = mover.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            db.execute("ROLLBACK")
            db.execute("BEGIN IMMEDIATE")  # anew, because only who begins after the move begins the log anew
            if db.execute(_READ).fetchone()[0] == needed:
                db.execute(_WRITE, (f"{_BACK} {token}",))
            db.execute("COMMIT")
        self._forget(token)
        return bool(written == moved)

    def _connect(self, patience: float) -> sqlite3.Connection:
        """Connect so that nothing moves the log but when it is told to, and each step waits for the disk."""
        db = sqlite3.connect(f"{self._path.as_uri()}?mode=rw", uri=True, timeout=patience, isolation_level=None)
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("PRAGMA synchronous = FULL")
        return db

    def _marker(self, token: str) -> Path:
        return self._directory / f"marking-{token}"

    def _forget(self, token: str) -> None:
        if token:
            self._marker(token).unlink(missing_ok=True)

    def _lost(self) -> LedgerUnavailable:
        return unavailable(self._path, _LOST)
