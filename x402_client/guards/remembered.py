"""A cache that is bounded by the bytes that its answers stand for, and not by their number."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

from .forks import in_each_child

P = ParamSpec("P")
T = TypeVar("T")


class Remembered(Generic[P, T]):
    """A function whose answers are kept. Those that were asked for longest ago are dropped first.

    Args:
        work: The function. It always answers the same to the same arguments.
        most: The bytes of all answers that are kept. One answer may take a quarter of them.
    """

    def __init__(self, work: Callable[P, T], most: int) -> None:
        self._work, self._most = work, most
        in_each_child(self, Remembered._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[object, ...], tuple[T, int]] = {}
        self._size = 0

    def __call__(self, size: int, *args: P.args, **none: P.kwargs) -> T:
        """Return the answer to these arguments.

        Args:
            size: The bytes that the answer stands for.
            args: The arguments.
            none: No keywords.
        """
        with self._lock:
            found = self._kept.pop(args, None)
            if found is not None:
                self._kept[args] = found  # the latest is the last
                return found[0]
        answer = self._work(*args, **none)
        with self._lock:
            if 4 * size <= self._most and args not in self._kept:
                self._kept[args] = (answer, size)
                self._size += size
                while self._size > self._most:
                    self._size -= self._kept.pop(next(iter(self._kept)))[1]
        return answer
