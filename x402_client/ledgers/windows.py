"""Rolling windows: sums of the last minute, hour, day, month, and in all.

A window is kept in sixty buckets, so a check does not cost more as history grows; a payment may count up to one
bucket longer than its window, never shorter.
"""

from __future__ import annotations

from collections import deque

from ..model.budgets import WINDOWS

BUCKETS = 60


class Window:
    """Rolling sum; ``length`` in seconds, None for one that never rolls."""

    __slots__ = ("_buckets", "_length", "_width", "total")

    def __init__(self, length: int | None) -> None:
        self._length = length
        self._width = (length or BUCKETS) // BUCKETS
        self._buckets: deque[list[int]] = deque()
        self.total = 0

    def roll(self, now: float) -> int:
        """Forget what is older than the window. Return what is left."""
        if self._length is not None:
            while self._buckets and (self._buckets[0][0] + 1) * self._width + self._length <= now:
                self.total -= self._buckets.popleft()[1]
        return self.total

    def add(self, units: int, at: float) -> None:
        """Count, or with a negative number give back what was counted at the same moment."""
        if units > 0:
            self.roll(at)  # a window that is never asked about must not grow for ever
        number = int(at // self._width) if self._length is not None else 0
        for bucket in reversed(self._buckets):
            if bucket[0] == number:
                bucket[1] += units
                self.total += units
                return
            if bucket[0] < number:
                break
        if units > 0:  # what was given back after its bucket rolled away is not counted any more
            self._buckets.append([number, units])
            self.total += units

    def fits_at(self, over: int) -> float | None:
        """Return when at least ``over`` units will have rolled away; None: never."""
        if self._length is None:
            return None
        for number, units in self._buckets:
            over -= units
            if over <= 0:
                return float((number + 1) * self._width + self._length)
        return None


class Account:
    """Sum with all its windows. The running second is kept aside: no bucket is finer than that."""

    __slots__ = ("_latest", "_second", "_windows")

    def __init__(self) -> None:
        self._windows = {name: Window(length) for name, length in WINDOWS.items()}
        self._second = self._latest = 0

    def add(self, units: int, at: float) -> None:
        """Count in every window, as ``Window.add`` does."""
        if int(at) != self._second:
            if units < 0:
                return self._pass_on(units, at)
            self._settle()
            self._second = int(at)
        self._latest += units
        return None

    def roll(self, window: str, now: float) -> int:
        """Forget what is older than one window, as ``Window.roll`` does."""
        if int(now) != self._second:
            self._settle()
        return self._windows[window].roll(now) + self._latest

    def window(self, name: str) -> Window:
        """Return one window, with all that is counted."""
        self._settle()
        return self._windows[name]

    def _settle(self) -> None:
        latest, self._latest = self._latest, 0
        if latest:
            self._pass_on(latest, self._second)

    def _pass_on(self, units: int, at: float) -> None:
        for window in self._windows.values():
            window.add(units, at)
