"""Who claims a hold, told between processes: each keeps a lock on a file of its own, which ends as it ends.

Within the process an attempt of the application tells by itself whether it lives.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import SimpleQueue

from ...model.holds import Attempt

#: Owner files of dead processes younger than this may be just about to be locked.
_STALE = 3_600

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int, wait: bool) -> None:
        msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int, wait: bool) -> None:
        # Asking does not take the lock from others who ask.
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_SH | fcntl.LOCK_NB)


class Owner:
    """One process's proof of life beside one ledger file."""

    __slots__ = ("__weakref__", "_handle", "_path", "attempts", "name")

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self.name = secrets.token_hex(8)
        self.attempts: dict[int, weakref.ref[Attempt]] = {}
        self._path = directory / self.name
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        _lock(self._handle, wait=True)
        _OURS[self.name] = self

    def close(self) -> None:
        """Not alive any more, on purpose."""
        if _OURS.pop(self.name, None) is not None:
            os.close(self._handle)
            self._path.unlink(missing_ok=True)

    def left_behind(self) -> None:
        """In a forked child: the lock is the parent's, and must end with it."""
        os.close(self._handle)

    def lives(self, number: int) -> bool:
        """Whether the attempt that claimed a hold is still at it."""
        reference = self.attempts.get(number)
        attempt = reference() if reference is not None else None
        return attempt is not None and attempt.alive


#: The owners of this process, by name. One per ledger object.
_OURS: dict[str, Owner] = {}


def in_flight(directory: Path, owner: str | None, number: int) -> bool:
    """Whether somebody who lives presents a hold, here or in another process."""
    if owner is None:
        return False
    ours = _OURS.get(owner)
    return ours.lives(number) if ours is not None else alive(directory, owner)


def alive(directory: Path, owner: str) -> bool:
    """Whether the process behind an owner's name still runs."""
    try:
        handle = os.open(directory / owner, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        _lock(handle, wait=False)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def sweep(directory: Path) -> None:
    """Remove what processes that died left behind. What cannot be removed does no harm."""
    try:
        old = [found for found in directory.iterdir() if found.stat().st_mtime < time.time() - _STALE]
        for found in old:
            if found.name not in _OURS and not alive(directory, found.name):
                found.unlink(missing_ok=True)
    except OSError:
        pass


class Claims:
    """Which attempts of this process hold which claims, and which of those ended without a word to the ledger.

    ``listen`` is called with a queue that gets an item whenever an attempt ended. Taking, dropping and ``ended``
    happen under the ledger's lock; the end of an attempt does not.
    """

    __slots__ = ("__weakref__", "_dead", "_directory", "_ends", "_listen", "_owner", "_silent", "_stirred")

    def __init__(self, directory: Path, listen: Callable[[SimpleQueue[bool]], object]) -> None:
        self._directory, self._listen = directory, listen
        self._owner: Owner | None = None
        self._ends: SimpleQueue[bool] = SimpleQueue()
        self._stirred = False
        #: Claims of attempts that do not call back when they end.
        self._silent: set[int] = set()
        self._dead: set[int] = set()

    @property
    def known(self) -> Owner | None:
        """The owner, if there was any need of one in this process."""
        return self._owner if self._owner is not None and self._owner.name in _OURS else None

    @property
    def owner(self) -> Owner:
        """This process's owner, made when the first claim needs one."""
        if self.known is None:
            sweep(self._directory)
            self._owner = Owner(self._directory)
            self._silent.clear()
            self._dead.clear()
            self._ends = SimpleQueue()
            self._listen(self._ends)
        assert self._owner is not None
        return self._owner

    @property
    def stirred(self) -> bool:
        """Whether an attempt ended, so that ``ended`` may find something."""
        if self._stirred:
            return True
        owner = self.known
        return owner is not None and any(not owner.lives(number) for number in tuple(self._silent))

    def take(self, number: int, attempt: Attempt) -> None:
        """An attempt claimed a hold."""
        gone = self._listener(number)
        self.owner.attempts[number] = weakref.ref(attempt, gone)
        watch: Callable[[Callable[[], object]], object] | None = getattr(attempt, "watch", None)
        if watch is None:
            self._silent.add(number)
            return
        watch(gone)
        if not attempt.alive:
            gone()

    def drop(self, number: int) -> None:
        """The hold is resolved; nobody claims it any more."""
        self._silent.discard(number)
        if self._owner is not None:
            self._owner.attempts.pop(number, None)

    def ended(self) -> set[int]:
        """Holds whose attempts ended, each given once; ``again`` if that could not be written."""
        self._stirred = False
        owner, (dead, self._dead) = self.known, (self._dead, set())
        for number in [] if owner is None else [n for n in tuple(owner.attempts) if not owner.lives(n)]:
            self.drop(number)
            dead.add(number)
        return dead

    def again(self, numbers: Iterable[int]) -> None:
        """What ended could not be written."""
        self._dead.update(numbers)
        self._stirred = True

    def close(self) -> None:
        """Give every claim up."""
        if self._owner is not None:
            self._owner.close()
        self._ends.put(False)
        self._owner = None

    def _listener(self, number: int) -> Callable[..., None]:
        claims = weakref.ref(self)

        def gone(_: object = None) -> None:
            # Runs wherever an attempt ends, in a cancellation or in the garbage collector: no lock, no I/O.
            mine = claims()
            if mine is not None and mine._owner is not None and number in mine._owner.attempts:
                mine._stirred = True
                mine._ends.put(True)

        return gone


def _forget_parent() -> None:
    for owner in _OURS.values():
        owner.left_behind()
    _OURS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
