"""A fair lock: threads get it in the order in which they asked, so that none waits for ever."""

from __future__ import annotations

import threading
from collections import deque


class FairLock:
    """Lock that one thread has at a time, or as many as there are places.

    A thread that releases it gets it again only after those that wait for it.
    """

    __slots__ = ("_free", "_mutex", "_waiting")

    def __init__(self, places: int = 1) -> None:
        self._mutex = threading.Lock()
        self._free = places
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self, timeout: float = -1) -> bool:
        """Wait for the lock. Return False on time-out. With timeout=0, take it only if free and none waits."""
        with self._mutex:
            if self._free and not self._waiting:
                self._free -= 1
                return True
            if timeout == 0:
                return False
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        try:
            came = turn.acquire(timeout=timeout)
        except BaseException:
            if not self._leave(turn):
                self.release()
            raise
        return came or not self._leave(turn)

    def release(self) -> None:
        """Hand the lock to the thread that waits for longest, or free a place."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1

    def _leave(self, turn: threading.Lock) -> bool:
        """Leave the queue. Return False if the lock was handed over meanwhile."""
        with self._mutex:
            if turn not in self._waiting:
                return False
            self._waiting.remove(turn)
            return True
