"""Rolling windows: sums of the last minute, hour, day, month, and in all.

A window is kept in sixty buckets, so a check does not cost more as history grows; a payment may count up to one
bucket longer than its window, never shorter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Self

from ..model.budgets import WINDOWS

BUCKETS = 60


class Window:
    """Rolling sum; ``length`` in seconds, None for one that never rolls."""

    __slots__ = ("_buckets", "_length", "_width", "total")

    def __init__(self, length: int | None) -> None:
        self._length = length
        self._width = (length or BUCKETS) // BUCKETS
        #: Number and units of each bucket, oldest first. A list, because an empty deque takes ten times its memory.
        self._buckets: list[list[int]] = []
        self.total: int = 0

    @classmethod
    def sum_of(cls, length: int | None, others: Iterable[Window]) -> Self:
        """Return a window that has counted what the others did."""
        units: defaultdict[int, int] = defaultdict(int)
        for other in others:
            for number, counted in other._buckets:
                units[number] += counted
        made = cls(length)
        made._buckets = [[number, units[number]] for number in sorted(units)]
        made.total = sum(units.values())
        return made

    def roll(self, now: float) -> int:
        """Forget what is older than the window. Return what is left."""
        if self._length is not None:
            while self._buckets and (self._buckets[0][0] + 1) * self._width + self._length <= now:
                self.total -= self._buckets.pop(0)[1]
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

    @property
    def is_empty(self) -> bool:
        """Return True if nothing counts here any more."""
        return not self._buckets


class Account:
    """Sum with all its windows. The running second is kept aside: no bucket is finer than that."""

    __slots__ = ("_latest", "_second", "_windows")

    def __init__(self) -> None:
        #: Only those windows in which something counts, or did until lately.
        self._windows: dict[str, Window] = {}
        self._second = self._latest = 0

    @classmethod
    def sum_of(cls, others: Iterable[Account]) -> Self:
        """Return an account that has counted what the others did, each payment at its time."""
        made, counted = cls(), list(others)
        for name, length in WINDOWS.items():
            windows = [other.window(name) for other in counted]
            if any(not window.is_empty for window in windows):
                made._windows[name] = Window.sum_of(length, windows)
        return made

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
        found = self._windows.get(window)
        return self._latest if found is None else found.roll(now) + self._latest

    def window(self, name: str) -> Window:
        """Return one window, with all that is counted."""
        self._settle()
        return self._windows.get(name) or Window(WINDOWS[name])

    def prune(self, now: float) -> None:
        """Let go of what has rolled out of each window. What counts for ever stays."""
        self._settle()
        for window in self._windows.values():
            window.roll(now)
        self._windows = {name: window for name, window in self._windows.items() if not window.is_empty}

    @property
    def is_idle(self) -> bool:
        """Return True if nothing counts but in the window that never rolls. Ask after ``prune``."""
        return all(WINDOWS[name] is None for name in self._windows)

    def _settle(self) -> None:
        latest, self._latest = self._latest, 0
        if latest:
            self._pass_on(latest, self._second)

    def _pass_on(self, units: int, at: float) -> None:
        if len(self._windows) < len(WINDOWS):
            self._windows = {name: self._windows.get(name) or Window(length) for name, length in WINDOWS.items()}
        for window in self._windows.values():
            window.add(units, at)
