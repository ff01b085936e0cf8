"""Mark by which a lost write-ahead log is noticed: one word, which the main file and the log say differently.

Strategy: the word is in the table ``meta``. First "needed" is written, and a checkpoint moves it into the main file.
Then "back" is written to the log, and the next payment writes "here". A main file without its log shows "needed", and
is refused. When the log is folded into the main file (by recovery after a kill, another program or a backup), the file
shows "here". The main file changes only when a log is moved into it. So its time of change tells when the mark has to
be set again.

Between "needed" and "back" nothing can be lost, because nothing is paid. A small file beside the ledger says so; the
word has its name. It is removed before any transaction writes "here". So a kill in between leads to no refusal either.
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
from .rights import locks_directory, make_locks_directory

#: The log is there, and is needed. Payments are made only under this word.
HERE = "here"
#: A program saw more than is in this file: an older copy is in its place (see ``lineage``).
OLDER = "older"
#: Both are followed by a token, which is new each time that the mark is set.
_NEEDED, _BACK = "needed", "back"
_READ = "SELECT log FROM meta"
_WRITE = "UPDATE meta SET log = ?"
#: Other programs may write between the two steps of setting the mark. Then both are tried again, up to this often.
_TRIES = 4
#: Seconds until the next try, if a reader of another program keeps the log from being moved.
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

    __slots__ = ("_directory", "_known", "_path", "_retry_at")

    def __init__(self, path: Path) -> None:
        self._path, self._directory = path, locks_directory(path)
        #: The time of the main file's latest change at which it was seen to say "needed".
        self._known = -1
        self._retry_at = 0.0

    def due(self, changed: int) -> bool:
        """Return True if the mark has to be set before the next write. ``changed`` tells when the main file changed.

        The rule: "Each checkpoint of ours sets both anew, in this order, before the next payment".
        """
        if changed == self._known:
            return False
        if self._in_main_file().startswith(_NEEDED):
            self._known = changed
            return False
        return time.monotonic() >= self._retry_at

    def set(self, patience: float = 0.0) -> None:
        """Write "needed" and move the log into the main file up to there. Then write "back" to the log.

        This program makes no other checkpoint, so the main file says "needed" while the program runs.
        ``patience`` is the seconds that each step waits for other writers. After that, SQLite's busy error is raised.
        """
        if not any(self._set_once(patience) for _ in range(_TRIES)):
            self._retry_at = time.monotonic() + _PAUSE

    def allows(self, db: sqlite3.Connection, word: str, writing: bool, doubted: str) -> bool:
        """Return True if a transaction that read this word may go on. False: it is over, and has to begin again.

        A reader may look between two steps of another program. So it believes in a loss only when it reads the same
        word twice. ``doubted`` is the word that it read before.
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
        """Go on without what was lost: the log, or what an older copy lacks. Return False if nothing was lost.

        If the log was lost, no other program may have the file open. It could still have the deleted log, and would
        write that over later payments.
        """
        face, _, token = db.execute(_READ).fetchone()[0].partition(" ")
        if face == OLDER:
            lineage.accept(db)
            db.execute(_WRITE, (HERE,))
            return True
        if face != _NEEDED or self._marker(token).exists():
            return False
        db.execute("PRAGMA journal_mode = DELETE")  # fails if another program has the file open
        lineage.accept(db)
        db.execute(_WRITE, (HERE,))
        db.execute("PRAGMA journal_mode = WAL")
        return True

    def older(self) -> LedgerUnavailable:
        """Build the error for an older copy in the file's place."""
        return unavailable(self._path, _AGED)

    def age(self, db: sqlite3.Connection) -> None:
        """Write that the file is older than a program has seen, and commit."""
        db.execute(_WRITE, (OLDER,))
        db.execute("COMMIT")

    def _in_main_file(self) -> str:
        """Return the word in the main file alone. SQLite reads it: opening the file otherwise would end its locks."""
        try:
            with closing(sqlite3.connect(f"{self._path.as_uri()}?immutable=1", uri=True)) as db:
                return str(db.execute(_READ).fetchone()[0])
        except (sqlite3.Error, TypeError):  # the tables of a new file are still in the log
            return ""

    def _set_once(self, patience: float) -> bool:
        """Set the mark once. Return False if another program wrote in between, or a reader kept the log in place."""
        token = secrets.token_hex(8)
        needed = f"{_NEEDED} {token}"
        with closing(self._connect(patience)) as db, closing(self._connect(patience)) as mover:
            db.execute("BEGIN IMMEDIATE")
            word = db.execute(_READ).fetchone()[0]
            if word == OLDER or word.startswith(_NEEDED):  # another program is setting the mark, or died while it did
                return self.allows(db, word, True, "")
            make_locks_directory(self._path)
            self._marker(token).touch(0o600)
            self._forget(word.partition(" ")[2])
            db.execute(_WRITE, (needed,))
            db.execute("COMMIT")
            db.execute("BEGIN IMMEDIATE")
            if db.execute(_READ).fetchone()[0] != needed:
                return False
            # Under the writer's lock. Else another program could pay now, and the move would put its "here" into the
            # main file: then the loss of a later payment would not show.
            _, written, moved = mover.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            db.execute("ROLLBACK")
            db.execute("BEGIN IMMEDIATE")  # again: only a transaction that begins after the move restarts the log
            if db.execute(_READ).fetchone()[0] == needed:
                db.execute(_WRITE, (f"{_BACK} {token}",))
            db.execute("COMMIT")
        self._forget(token)
        return bool(written == moved)

    def _connect(self, patience: float) -> sqlite3.Connection:
        """Open a connection that moves the log only when it is told to, and waits for the disk at each step."""
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
