"""Process locks: each process locks a file of its own, and the lock ends with the process.

So other processes see which claims are alive. Within one process, each attempt itself tells whether it is alive. An end
that the ledger file did not take yet, because it is busy or cannot be written, is marked in the process's own file.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue

from ...model.holds import Attempt
from ..live_attempts import Entry, LiveAttempts
from .rights import give_to_owner, locks_directory, make_locks_directory

#: Seconds. A younger lock file without a lock may belong to a process that is just about to lock it.
_STALE = 3_600
#: The bytes of a mark, which is the number of a hold. The first place is left empty: on Windows it is locked to others.
_MARK = 8
#: The most bytes of marks that are read.
_MARKS = 1024 * 1024

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int, wait: bool) -> None:
        msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int, wait: bool) -> None:
        # A shared lock: two processes that look at the same time must not take each other for the owner.
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_SH | fcntl.LOCK_NB)


class ProcessLock:
    """Locked file beside the ledger file at ``ledger``: the proof that its process lives."""

    __slots__ = ("__weakref__", "_guard", "_handle", "_marks", "_path", "attempts", "name")

    def __init__(self, ledger: Path, wake: Callable[[], object]) -> None:
        make_locks_directory(ledger)
        self.name: str = secrets.token_hex(8)
        self.attempts: LiveAttempts[int] = LiveAttempts(wake)
        self._path = locks_directory(ledger) / self.name
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        give_to_owner(self._handle, ledger)
        _lock(self._handle, wait=True)
        self._guard = threading.Lock()
        #: The place of each mark, by the number of its hold.
        self._marks: dict[int, int] = {}
        _OWN_LOCKS[self.name] = self

    def mark(self, number: int) -> None:
        """Show other processes that the attempt which presents a hold has ended."""
        with self._guard:
            if self._handle < 0:
                return
            taken = set(self._marks.values())
            place = self._marks.get(number) or next(free for free in range(1, len(taken) + 2) if free not in taken)
            _write_at(self._handle, place * _MARK, number.to_bytes(_MARK, "little"))
            self._marks[number] = place

    def unmark(self, number: int) -> None:
        """Take a mark back: the end is in the ledger, or another attempt presents the hold."""
        if number not in self._marks or self._handle < 0:  # hot path
            return
        with self._guard:
            place = self._marks.get(number)
            if place is not None and self._handle >= 0:
                _write_at(self._handle, place * _MARK, bytes(_MARK))
                self._marks.pop(number, None)

    def close(self) -> None:
        """Release the lock and remove its file."""
        if _OWN_LOCKS.pop(self.name, None) is not None:
            with self._guard:
                handle, self._handle = self._handle, -1  # its number may soon be that of another file
                os.close(handle)
            self._path.unlink(missing_ok=True)

    def close_in_child(self) -> None:
        """Close the handle in a forked child. The lock is the parent's, and must end with it."""
        handle, self._handle = self._handle, -1
        os.close(handle)


def _write_at(handle: int, place: int, data: bytes) -> None:
    if hasattr(os, "pwrite"):
        os.pwrite(handle, data, place)
    else:
        os.lseek(handle, place, os.SEEK_SET)
        os.write(handle, data)


#: The locks of this process, by name. One per ledger object.
_OWN_LOCKS: dict[str, ProcessLock] = {}


def in_flight(directory: Path, owner: str | None, number: int) -> bool:
    """Return True while a living attempt presents a hold, here or in another process."""
    if owner is None:
        return False
    own = _OWN_LOCKS.get(owner)
    if own is not None:
        return own.attempts.lives(number)
    over = living(directory, owner)
    return over is not None and number not in over


def is_own(owner: str) -> bool:
    """Return True if an owner is a ledger object of this process."""
    return owner in _OWN_LOCKS


def ended_here() -> list[tuple[int, str]]:
    """Return the holds of this process's ended attempts, with their owners. There are few: they are soon recorded."""
    # A copy first: the garbage collector may close a ledger in the middle of what makes a tuple.
    locks = [own for own in _OWN_LOCKS.copy().values() if own.attempts.some_ended]
    return [(number, own.name) for own in locks for number in own.attempts.ended()]


def alive(directory: Path, owner: str) -> bool:
    """Return True while the process behind an owner's name runs."""
    return living(directory, owner) is not None


def living(directory: Path, owner: str) -> set[int] | None:
    """Return the holds whose attempts ended in a process, and of which the ledger file does not know it yet.

    Return None if the process itself has ended.
    """
    try:
        handle = os.open(directory / owner, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        _lock(handle, wait=False)
    except OSError:
        os.lseek(handle, _MARK, os.SEEK_SET)
        return set(_numbers(os.read(handle, _MARKS)))
    finally:
        os.close(handle)
    return None


def _numbers(data: bytes) -> Iterator[int]:
    for place in range(0, len(data) - _MARK + 1, _MARK):
        number = int.from_bytes(data[place : place + _MARK], "little")
        if number:
            yield number


def others_alive(directory: Path) -> bool:
    """Return True if another process has a lock here."""
    names = [found.name for found in directory.iterdir()] if directory.is_dir() else []
    return any(name not in _OWN_LOCKS and alive(directory, name) for name in names)


def sweep(directory: Path) -> None:
    """Remove the lock files of dead processes. A file that cannot be removed does no harm."""
    try:
        old = [found for found in directory.iterdir() if found.stat().st_mtime < time.time() - _STALE]
        for found in old:
            if found.name not in _OWN_LOCKS and not alive(directory, found.name):
                found.unlink(missing_ok=True)
    except OSError:
        pass


class Claims:
    """Claims of this process's attempts, and the ended ones that are not yet recorded in the ledger.

    ``listen`` is called with a queue, which gets an item each time that an attempt ends.
    """

    __slots__ = ("__weakref__", "_ends", "_ledger", "_listen", "_process_lock", "left")

    def __init__(self, ledger: Path, listen: Callable[[SimpleQueue[bool]], object]) -> None:
        self._ledger, self._listen = ledger, listen
        self._process_lock: ProcessLock | None = None
        self._ends: SimpleQueue[bool] = SimpleQueue()
        #: True from a close of the ledger to the next claim.
        self.left: bool = False

    @property
    def existing_lock(self) -> ProcessLock | None:
        """Return the lock, if a claim of this process needed one."""
        return self._process_lock if self._process_lock is not None and self._process_lock.name in _OWN_LOCKS else None

    @property
    def process_lock(self) -> ProcessLock:
        """Return this process's lock. The first claim makes it."""
        if self.existing_lock is None:
            sweep(locks_directory(self._ledger))
            ends: SimpleQueue[bool] = SimpleQueue()
            self._process_lock, self._ends = ProcessLock(self._ledger, lambda: ends.put(True)), ends
            self._listen(ends)
        assert self._process_lock is not None
        return self._process_lock

    @property
    def some_ended(self) -> bool:
        """Return True if an attempt ended, so that ``ended`` may find something."""
        owner = self.existing_lock
        return owner is not None and owner.attempts.some_ended

    @property
    def some_live(self) -> bool:
        """Return True if an attempt of this process presents a hold."""
        owner = self.existing_lock
        return owner is not None and owner.attempts.some_live

    def take(self, number: int, attempt: Attempt) -> None:
        """Record a claim: an attempt now presents a hold."""
        self.left = False
        owner = self.process_lock
        owner.attempts.take(number, attempt)
        owner.unmark(number)

    def drop(self, number: int) -> None:
        """Forget the claim of a hold that is resolved."""
        if self._process_lock is not None:
            self._process_lock.attempts.drop(number)
            self._process_lock.unmark(number)
            if self.left:
                self._ends.put(True)

    def ended(self) -> dict[int, Entry[int]]:
        """Return the claims of ended attempts, by their holds. Call ``drop_all`` once they are recorded."""
        owner = self.existing_lock
        return {} if owner is None else owner.attempts.ended()

    def drop_all(self, recorded: Mapping[int, Entry[int]]) -> None:
        """Forget claims that were recorded as ended."""
        if self._process_lock is not None:
            self._process_lock.attempts.drop_all(recorded)
            for number in recorded:
                self._process_lock.unmark(number)

    def mark_ended(self) -> None:
        """Show other processes which attempts ended, without the ledger file. Where that fails, it stays as it is."""
        owner = self.existing_lock
        if owner is None:
            return
        for number in owner.attempts.ended():
            with contextlib.suppress(OSError):  # the disk is full, say
                owner.mark(number)
                if owner.attempts.lives(number):  # claimed anew in another thread, between the look and the mark
                    owner.unmark(number)

    def close(self) -> None:
        """Give up every claim."""
        if self._process_lock is not None:
            self._process_lock.close()
        self._ends.put(False)
        self._process_lock = None


def _forget_parent() -> None:
    for owner in _OWN_LOCKS.copy().values():
        owner.close_in_child()
    _OWN_LOCKS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
