"""A lock that is given in the order in which it was asked for: of many threads, none waits for ever."""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """As ``threading.Lock``, but whoever lets go of it does not get it again before those who wait."""

    __slots__ = ("_mutex", "_taken", "_waiting")

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self, timeout: float = -1) -> bool:
        """Whether our turn came in time; with a timeout of zero, whether nobody else has it or waits for it."""
        with self._mutex:
            if not (self._taken or self._waiting):
                self._taken = True
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
        """The next one's turn."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False

    def _leave(self, turn: threading.Lock) -> bool:
        """Whether it was still waiting; if not, its turn came meanwhile."""
        with self._mutex:
            if turn not in self._waiting:
                return False
            self._waiting.remove(turn)
            return True
