"""A fair lock: threads get it in the order in which they asked, so that none waits for ever."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds after which a thread that waits looks by itself: an interrupt may have stopped the one that was to wake it.
_LOOK_AGAIN = 1.0


class Turn:
    """Turn of one thread at a lock. The thread makes it before it asks."""

    __slots__ = ("bell",)

    def __init__(self) -> None:
        #: Locked until the turn has come, if its thread waits for it.
        self.bell: threading.Lock | None = None


class FairLock:
    """Lock that one thread has at a time, or as many as there are places.

    A thread that gives it back gets it again only after those that wait for it.

    Strategy: a signal handler may raise after any call, and then a thread does not know if it got the lock. So what a
    thread has is told by its turn alone, and any turn can be given back, at any time and more than once. See ``run``.
    """

    __slots__ = ("_places", "_turns", "give_back")

    def __init__(self, places: int = 1) -> None:
        self._places = places
        #: The turns in the order of asking. The first ones have the places. Each step on it is one call in C, and needs
        #: no lock of its own: the garbage collector may come here in the middle of any other.
        self._turns: dict[Turn, None] = {}
        #: Gives back a turn, whether it has a place, waits for one, or is gone. A signal cannot divide a call in C.
        self.give_back: Callable[[Turn, None], None] = self._turns.pop

    def run(self, work: Callable[[], T], timeout: float, late: Callable[[], Exception]) -> T:
        """Run ``work`` with the lock. Raise what ``late`` returns on time-out."""
        turn = Turn()
        try:
            if not self.acquire(turn, timeout):
                raise late()
            done = work()
        finally:
            self.give_back(turn, None)
            self.wake_next()
        return done

    def acquire(self, turn: Turn, timeout: float = -1) -> bool:
        """Wait for a place. Return False on time-out. With timeout=0, take one only if it is free and none waits."""
        if timeout == 0 and len(self._turns) >= self._places:
            return False
        self._turns[turn] = None
        if self._has_place(turn) or (timeout and self._wait(turn, timeout)):
            return True
        self.give_back(turn, None)
        self.wake_next()  # the place may have come after the last look
        return False

    def wake_next(self) -> None:
        """Wake those that wait and have a place now."""
        if self._turns:
            for turn in list(self._turns)[: self._places]:
                if turn.bell is not None:
                    with contextlib.suppress(RuntimeError):  # another thread woke it
                        turn.bell.release()

    def _has_place(self, turn: Turn) -> bool:
        return len(self._turns) <= self._places or turn in list(self._turns)[: self._places]

    def _wait(self, turn: Turn, timeout: float) -> bool:
        turn.bell = bell = threading.Lock()
        bell.acquire()
        until = time.monotonic() + timeout if timeout > 0 else float("inf")
        while not self._has_place(turn):
            left = until - time.monotonic()
            if left <= 0:
                return False
            bell.acquire(timeout=min(left, _LOOK_AGAIN))
        return True
