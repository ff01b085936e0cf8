"""One ledger file: readable by its user only, recognised when opened again, and locked by one thread at a time."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ...errors import LedgerUnavailable
from ...guards.threads import is_ending
from ...model.holds import LedgerBusy
from ..fair_lock import FairLock, Turn
from . import migrations
from .checkpoints import Checkpoints
from .clock import Stamp
from .errors import busy, cause_of, crowded, damaged, explained, locked, missing, still_used, unavailable, without_log
from .lineage import Lineage, Places, leave, left_at, record_opening
from .log_mark import HERE, LogMark
from .place import Numbers, check_not_lost, check_not_mounted, in_place, make_private, need_directory
from .schema import APPLICATION, SCHEMA, marks_of

T = TypeVar("T")
_WRITING = "BEGIN IMMEDIATE"
_META = "SELECT identity, frozen, log, boot, steady, at, step, opening FROM meta"
_STEP = "UPDATE meta SET step = step + 1"
_STAMP = f"{_STEP}, boot = ?, steady = ?, at = ?"
#: Pauses between two tries to get a lock. Another process mostly holds it for tens of microseconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.00002, 0.005
#: Seconds that a thread waits for others of its process. Each of them is quick, but there may be hundreds.
_QUEUE_PATIENCE = 60.0
#: Seconds. If two tries are further apart, the file may have been free between them.
_GAP = 1.0
#: Seconds that a fork waits for a transaction of another thread, and ``close`` for a checkpoint.
_FORK_PATIENCE = 10.0
#: KiB of SQLite's page cache, at most. Payments write few pages, but each purse has its own.
_CACHE = 4_096
_FILES: weakref.WeakSet[LedgerFile] = weakref.WeakSet()


@dataclass(slots=True)
class Meta:
    """Facts that every transaction reads first."""

    frozen: str
    #: The moment of the last reservation. A transaction that reserves sets it.
    stamp: Stamp | None
    #: The file's place in its lineage before the transaction.
    step: int
    opening: int
    #: The hold that the transaction delivers, if it does nothing else. Else 0.
    delivered: int = 0


class LedgerFile:
    """Ledger file with one connection, which the threads of a process use in turn. No connection crosses a fork."""

    durable: bool

    def __init__(self, path: Path, durable: bool, must_exist: bool) -> None:
        self.path = path
        self._name, self._log = str(path), f"{path}-wal"
        self.durable: bool = durable
        self.must_exist: bool = must_exist
        self.fresh: bool = False  # True if opening the file made it
        self._identity: str | None = None
        self._lineage = Lineage()
        self._left: Places = {}  # where this process left files of this path before
        #: True once the connection wrote. Then its opening is recorded: see ``lineage``.
        self._wrote = False
        self._committing = False
        self._connection: sqlite3.Connection | None = None
        #: The numbers of the file and its log when they were opened.
        self._opened: Numbers = ((), ())
        #: When the main file changed last. Writes to its log do not count.
        self._changed = 0
        self._lock = FairLock()
        #: The first and the last time of an unbroken series of tries that found another program's lock.
        self._locked = (-_GAP, -_GAP)
        self._mark = LogMark(path)
        self._checkpoints = Checkpoints(self._mark.set)
        self._process = os.getpid()
        _FILES.add(self)

    def read(self, work: Callable[[sqlite3.Connection, Meta], T], patience: float) -> T:
        """Run ``work`` in a read transaction."""
        return self._run("BEGIN", work, patience)

    def write(self, work: Callable[[sqlite3.Connection, Meta], T], patience: float) -> T:
        """Run ``work`` in a write transaction: all of its changes happen, or none."""
        return self._run(_WRITING, work, patience)

    def close(self, patience: float = -1) -> None:
        """Close the file, unless its lock is taken for longer. The next use opens it again, if it is still the same."""
        with contextlib.suppress(LedgerBusy):
            self._lock.run(self._shut, patience, LedgerBusy)

    def _shut(self) -> None:
        self._disconnect()
        self._checkpoints.wait(_FORK_PATIENCE)

    def accept(self, patience: float) -> bool:
        """Go on with what is in the file although payments were lost. Return False if none were."""
        return self._with_lock(lambda: self._patiently(self._accept, patience), patience)

    def _accept(self) -> bool:
        db = self._connected()
        if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise damaged(self.path)
        try:
            return self._mark.accept(db)
        except sqlite3.Error as failure:
            if busy(failure):
                raise still_used(self.path) from cause_of(failure)
            raise
        finally:
            self._disconnect()  # the log may be a new file now

    def _run(self, begin: str, work: Callable[[sqlite3.Connection, Meta], T], patience: float) -> T:
        return self._with_lock(lambda: self._transact(begin, work, patience), patience)

    def _with_lock(self, step: Callable[[], T], patience: float) -> T:
        def explaining() -> T:
            try:
                return step()
            except (sqlite3.Error, OverflowError, OSError) as failure:
                self._disconnect()  # the next use opens the file again: the trouble may be over
                raise explained(failure, self.path, self._committing) from cause_of(failure)
            finally:
                self._committing = False

        # While the interpreter ends, the threads that were before us are gone and give nothing back.
        timeout = _QUEUE_PATIENCE if patience and not is_ending() else 0
        return self._lock.run(explaining, timeout, crowded(self.path, _QUEUE_PATIENCE) if patience else LedgerBusy)

    def _transact(self, begin: str, work: Callable[[sqlite3.Connection, Meta], T], patience: float) -> T:
        db, meta = self._patiently(lambda: self._begin(begin, patience), patience)
        try:
            before, stamp = db.total_changes, meta.stamp
            result = work(db, meta)
            stepped = db.total_changes != before and not meta.delivered
            if stepped:
                self._step(db, meta, meta.stamp is not stamp)
            self._committing = True
            db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise
        if stepped:
            self._wrote = True
            self._lineage.reached(meta.step + 1, meta.opening)
        elif meta.delivered:
            self._lineage.delivered = meta.delivered
        if begin == _WRITING:
            self._checkpoints.count_write(self._unchanged)
        return result

    def _step(self, db: sqlite3.Connection, meta: Meta, reserved: bool) -> None:
        """Record that a transaction changed something. The first one of a connection records its opening too."""
        if not self._wrote:
            meta.opening = record_opening(db, meta.step, meta.opening)
        if reserved and meta.stamp:
            db.execute(_STAMP, meta.stamp)
        else:
            db.execute(_STEP)

    def _begin(self, begin: str, patience: float, doubted: str = "") -> tuple[sqlite3.Connection, Meta]:
        db = self._connected()
        try:
            if db.in_transaction:  # a signal handler raised as one was taken back
                db.execute("ROLLBACK")
            if begin == _WRITING and self._mark.due(self._changed):
                if not patience:
                    raise LedgerBusy
                self._mark.set()
            db.execute(begin)
            found = db.execute(_META).fetchone()
            if found is None:
                raise self._replaced()
            identity, frozen, log, boot, steady, at, step, opening = found
            if log == HERE or self._mark.allows(db, log, begin == _WRITING, doubted):
                self._check_same(db, identity, step, opening)
                return db, Meta(frozen, Stamp(boot, steady, at) if at else None, step, opening)
        except LedgerUnavailable:
            self._disconnect()  # only the last program that has a file open folds its log into it
            raise
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                if db.in_transaction:
                    db.execute("ROLLBACK")
            raise
        return self._begin(begin, patience, log)

    def _patiently(self, step: Callable[[], T], patience: float) -> T:
        """Repeat ``step`` while another program has the lock. All threads share one time of waiting."""
        pause = _FIRST_PAUSE
        while True:
            try:
                result = step()
            except sqlite3.Error as failure:
                if not busy(failure):
                    raise
                if self._locked_for() >= patience:
                    raise (locked(self.path, patience) if patience else LedgerBusy()) from cause_of(failure)
            else:
                self._locked = (-_GAP, -_GAP)
                return result
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _locked_for(self) -> float:
        now, (first, last) = time.monotonic(), self._locked
        self._locked = (now if now - last >= _GAP else first, now)
        return now - self._locked[0]

    def _connected(self) -> sqlite3.Connection:
        if self._process != os.getpid():
            raise unavailable(self.path, "was open while the process was forked. Open it anew after the fork")
        if self._connection is not None and self._is_in_place():
            return self._connection
        self._left = left_at(self._name)
        self._connection, self._wrote = self._open(), False
        self._opened = self._in_place()
        return self._connection

    def _is_in_place(self) -> bool:
        """Return True if the open file is still in place. Close one that is not: what lies there is judged anew."""
        here = self._in_place()
        if here == self._opened:
            return True
        leave(self._name, self._identity, self._lineage)
        # Closed in neither case: what this program wrote last is in the log that it has open.
        if here[0] == self._opened[0]:
            raise without_log(self.path, self._log)
        if here[1] == self._opened[1]:  # SQLite would lay this log over another file
            raise self._replaced()
        self._disconnect()
        return False

    def _in_place(self) -> Numbers:
        """Return the numbers of the file and its log that are in place now, to compare with those opened."""
        here, self._changed = in_place(self._name, self._log)
        return here

    def _unchanged(self) -> bool:
        try:
            return self._in_place() == self._opened
        except (LedgerUnavailable, OSError):
            return False

    def _check_same(self, db: sqlite3.Connection, identity: str, step: int, opening: int) -> None:
        """Refuse another ledger in the file's place, and an older copy of the file: it lacks payments."""
        if identity != (self._identity or identity):
            raise self._replaced()
        if self._identity is None:
            self._lineage.begin_at(self._left.get(identity))
        if not self._lineage.goes_on(db, step, opening, self._wrote):
            with contextlib.suppress(sqlite3.Error):  # where it cannot be written now, the next use writes it
                self._mark.age(db)
            raise self._mark.older()
        self._identity = identity

    def _replaced(self) -> LedgerUnavailable:
        return unavailable(
            self.path,
            "was replaced by another file while it was in use. Put the right one back; or restart the program, and "
            "accept that the budgets and unresolved payments of the other one count now",
        )

    def _disconnect(self) -> None:
        db, self._connection = self._connection, None
        leave(self._name, self._identity, self._lineage)
        if db is not None and self._process == os.getpid():
            with contextlib.suppress(sqlite3.Error):
                db.close()

    def _open(self) -> sqlite3.Connection:
        self._make_file()
        db = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            self._recognize(db)
            # Only now: a file of another program keeps its mode.
            make_private(self.path, self._log, f"{self.path}-shm")
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        return db

    def _make_file(self) -> None:
        """Make an empty file that only this user can read, if there is none and there was none before."""
        if self.path.is_dir():
            raise unavailable(self.path, "is a directory. Name a file in it")
        if self._identity is not None:
            self._in_place()
        check_not_lost(self.path, self._log)
        if self.must_exist and not self.path.exists():
            raise missing(self.path)
        if self._identity is None and not self.must_exist:
            need_directory(self.path)
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        check_not_mounted(self.path)

    def _recognize(self, db: sqlite3.Connection) -> None:
        """Recognise the file before anything is changed: another program may own it."""
        db.execute("BEGIN")  # else another process could create the ledger between two reads
        application, version, empty = marks_of(db)
        current = application == APPLICATION and migrations.is_current(db, version)
        db.execute("COMMIT")
        if application == 0 and version == 0 and empty:
            if self._identity is not None:
                raise self._replaced()
            if self.must_exist:
                raise missing(self.path)
            self._create(db)
        elif application != APPLICATION:
            raise unavailable(self.path, "is a database of another program. Name another path")
        elif not current:
            self._migrate(db)

    def _migrate(self, db: sqlite3.Connection) -> None:
        if self._identity is not None:
            raise self._replaced()
        self._write_ahead(db)
        db.execute("BEGIN IMMEDIATE")
        version = marks_of(db)[1]
        if not migrations.is_current(db, version):  # else another process was faster
            migrations.migrate(db, version, self.path)
        db.execute("COMMIT")

    def _create(self, db: sqlite3.Connection) -> None:
        self._write_ahead(db)
        db.execute("BEGIN IMMEDIATE")
        if marks_of(db) == (0, 0, True):  # else another process was faster
            for statement in SCHEMA:
                db.execute(statement)
            migrations.keep_windows(db)
            db.execute(
                "INSERT INTO meta VALUES (1, ?, '[]', '', 0.0, 0.0, ?, 0, 0, 0.0)", (secrets.token_hex(16), HERE)
            )
            self.fresh = True
        db.execute("COMMIT")

    def _prepare(self, db: sqlite3.Connection) -> None:
        self._write_ahead(db)
        db.execute(f"PRAGMA synchronous = {'FULL' if self.durable else 'NORMAL'}")
        db.execute("PRAGMA wal_autocheckpoint = 0")  # an automatic checkpoint would move the log past the mark
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute(f"PRAGMA cache_size = -{_CACHE}")
        db.execute(_META).fetchone()

    def _write_ahead(self, db: sqlite3.Connection) -> None:
        if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise unavailable(
                self.path, "is on a disk that several processes cannot share. Name a path on a local disk"
            )


def _forking() -> None:
    """Close every file before a fork: SQLite's locks belong to the process, and its memory does not know of a fork."""
    locked = _LOCKED_FOR_FORK.setdefault(threading.get_ident(), [])
    for file in list(_FILES):
        turn = Turn()
        if file._lock.acquire(turn, _FORK_PATIENCE):
            file._shut()
            locked.append((file, turn))


def _forked_parent() -> None:
    for file, turn in _LOCKED_FOR_FORK.pop(threading.get_ident(), ()):
        file._lock.give_back(turn, None)
        file._lock.wake_next()


def _forked_child() -> None:
    for file, _ in _LOCKED_FOR_FORK.pop(threading.get_ident(), ()):
        file._lock = FairLock()
        file._checkpoints = Checkpoints(file._mark.set)
        file._process = os.getpid()
    _LOCKED_FOR_FORK.clear()


#: Files that are locked during a fork, by the thread that forks.
_LOCKED_FOR_FORK: dict[int, list[tuple[LedgerFile, Turn]]] = {}

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_forking, after_in_parent=_forked_parent, after_in_child=_forked_child)
