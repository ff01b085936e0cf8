"""SQLite's errors, in our words: what happened and what to do."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable
from pathlib import Path

from ...errors import LedgerUnavailable
from ...model.counts import counted
from .rights import refusal_of

_ADVICE = {
    sqlite3.SQLITE_CORRUPT: "is damaged. Restore it from a backup, or move it away and accept that its budgets and "
    "unresolved payments are forgotten",
    sqlite3.SQLITE_NOTADB: "is not a ledger. Name another path, or move that file away",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full. Free some space",
    sqlite3.SQLITE_READONLY: "cannot be written. Make the file and its directory writable for this user",
    sqlite3.SQLITE_PERM: "cannot be opened. Make the file and its directory readable and writable for this user",
    sqlite3.SQLITE_AUTH: "cannot be opened. Make the file and its directory readable and writable for this user",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened. Make the file and its directory readable and writable for this user",
    sqlite3.SQLITE_BUSY: "is locked by another program. See who holds it open, and try again",
    sqlite3.SQLITE_LOCKED: "is locked by another program. See who holds it open, and try again",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk failed or is full, or the file's log "
    "(-wal) was taken away from programs that use it. End them, and look at the system's log",
}

#: Faults for which SQLite's own error says no more than our message.
_SAID = frozenset(
    (
        sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
    )
)  # fmt: skip

#: Faults whose cause may be a file or directory that this user may not use.
_OF_RIGHTS = frozenset(
    (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)
)

_SYSTEM = {
    errno.EACCES: sqlite3.SQLITE_PERM,
    errno.EPERM: sqlite3.SQLITE_PERM,
    errno.EROFS: sqlite3.SQLITE_READONLY,
    errno.ENOSPC: sqlite3.SQLITE_FULL,
    getattr(errno, "EDQUOT", errno.ENOSPC): sqlite3.SQLITE_FULL,
}


def code_of(failure: BaseException) -> int:
    """Return SQLite's primary result code, or the one nearest to a system error. 0 if there is none."""
    if isinstance(failure, OSError):
        return _SYSTEM.get(failure.errno or 0, 0)
    code: int = getattr(failure, "sqlite_errorcode", 0)
    return code & 0xFF


def busy(failure: sqlite3.Error) -> bool:
    """Return True if another program holds a lock, so that waiting may help."""
    return code_of(failure) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def cause_of(failure: BaseException) -> BaseException | None:
    """Return the failure if it says more than our message. A system error, for example, names its file."""
    return None if isinstance(failure, sqlite3.Error) and code_of(failure) in _SAID else failure


def explained(failure: BaseException, path: Path, committing: bool) -> LedgerUnavailable:
    """Build LedgerUnavailable for a failure, in our words. ``committing``: it failed as it wrote the log out."""
    code = code_of(failure)
    advice = _ADVICE.get(code, f"failed ({type(failure).__name__}: {failure}). Look at the file")
    # What a failing disk took of the log may be found there after a crash, and count.
    wrote_nothing = not committing or code in _SAID
    return unavailable(path, (refusal_of(path) if code in _OF_RIGHTS else "") or advice, wrote_nothing)


def unavailable(path: Path, trouble: str, wrote_nothing: bool = True) -> LedgerUnavailable:
    """Build LedgerUnavailable. ``trouble`` follows the path in the message, and says what to do."""
    return LedgerUnavailable(f"The ledger {path} {trouble}. Nothing is paid without it.", wrote_nothing=wrote_nothing)


def missing(path: Path) -> LedgerUnavailable:
    """Build the error for a ledger that has to be there, and is not."""
    return unavailable(
        path,
        "is not there, or is empty, and none is made. That is by must_exist=True (or X402_MUST_EXIST=1). Check the "
        "path, and that its directory is mounted. For the very first use, leave that out",
    )


def without_log(path: Path, log: str) -> LedgerUnavailable:
    """Build the error for a file whose log was taken away while a program has both open."""
    return unavailable(
        path,
        f"lost its log {log} while it was in use. End the programs that use it: they write their payments back as they "
        "end. Then start them again",
    )


def damaged(path: Path) -> LedgerUnavailable:
    """Build the error for a file in which SQLite finds a fault."""
    return unavailable(path, _ADVICE[sqlite3.SQLITE_CORRUPT])


def locked(path: Path, patience: float) -> LedgerUnavailable:
    """Build the error for a lock that another program held too long."""
    return unavailable(
        path, f"was locked by another program for {counted(patience, 'second')}. See who holds it open, and try again"
    )


def still_used(path: Path) -> LedgerUnavailable:
    """Build the error for a ledger that cannot be accepted, because programs still know more than the file."""
    return unavailable(
        path,
        "is still used by other programs. End them first. As they end, they write the payments that they remember back",
    )


def crowded(path: Path, seconds: float) -> Callable[[], LedgerUnavailable]:
    """Return what builds the error for a lock that threads of this program held too long."""
    told = f"was kept busy by other threads of this program for {counted(seconds, 'second')}. Make fewer calls at once"
    return lambda: unavailable(path, told)
