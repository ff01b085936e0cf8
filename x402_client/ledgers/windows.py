"""Rolling windows: sums of the last minute, hour, day, month, and in all.

A window has sixty buckets. The rule: "a window may count a payment up to 1/60 of its length longer, never shorter; the
cost of a check does not grow with history".

A signal handler may raise where a function begins, after a call and where a loop goes on, and nowhere else. So what
belongs together is written without a call between, and where that cannot be, a sum may count too much.
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
        """Return a window that counts everything that the others count."""
        units: defaultdict[int, int] = defaultdict(int)
        for other in others:
            for number, counted in other._buckets:
                units[number] += counted
        made = cls(length)
        made._buckets = [[number, units[number]] for number in sorted(units)]
        made.total = sum(units.values())
        return made

    def roll(self, now: float) -> int:
        """Drop the buckets that are older than the window. Return the sum of the others."""
        if self._length is not None:
            while self._buckets and (self._buckets[0][0] + 1) * self._width + self._length <= now:
                units = self._buckets[0][1]
                del self._buckets[0]
                self.total -= units
        return self.total

    def add(self, units: int, at: float) -> None:
        """Count ``units``. A negative number gives back what was counted at the same moment."""
        number = int(at // self._width) if self._length is not None else 0
        if self._buckets and self._buckets[-1][0] == number:  # the common case: most windows have wide buckets
            self._buckets[-1][1] += units
            self.total += units
            return
        if units > 0:
            self.roll(at)  # a window that no limit uses must not grow for ever
        for bucket in reversed(self._buckets):
            if bucket[0] == number:
                bucket[1] += units
                self.total += units
                return
            if bucket[0] < number:
                break
        if units > 0:  # else the bucket has rolled away, and there is nothing to give back
            self._buckets += [[number, units]]  # "append" is a call
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
    """Sum in all its windows. Payments of one second are added up first, because no bucket is finer than a second."""

    __slots__ = ("_pending", "_second", "_windows")

    def __init__(self) -> None:
        #: Windows in which something counts, or counted until the last ``prune``.
        self._windows: dict[str, Window] = {}
        #: The latest second, and the units counted in it that are in no window yet.
        self._second = self._pending = 0

    @classmethod
    def sum_of(cls, others: Iterable[Account]) -> Self:
        """Return an account that counts everything that the others count, each payment at its own time."""
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
                return self._add_to_windows(units, at)
            self._add_pending()
            self._second = int(at)
        self._pending += units
        return None

    def roll(self, window: str, now: float) -> int:
        """Drop what is older than one window. Return the sum of the rest."""
        if int(now) != self._second:
            self._add_pending()
        found = self._windows.get(window)
        return self._pending if found is None else found.roll(now) + self._pending

    def window(self, name: str) -> Window:
        """Return one window, with the payments of the latest second included."""
        self._add_pending()
        return self._windows.get(name) or Window(WINDOWS[name])

    def prune(self, now: float) -> None:
        """Drop what has rolled out of each window. The total stays."""
        self._add_pending()
        for window in self._windows.values():
            window.roll(now)
        self._windows = {name: window for name, window in self._windows.items() if not window.is_empty}

    @property
    def is_idle(self) -> bool:
        """Return True if nothing counts but in the window that never rolls. Ask after ``prune``."""
        return all(WINDOWS[name] is None for name in self._windows)

    def _add_pending(self) -> None:
        pending = self._pending
        if pending > 0:
            self._add_to_windows(pending, self._second)
            self._pending = 0
        elif pending:
            self._pending = 0
            self._add_to_windows(pending, self._second)

    def _add_to_windows(self, units: int, at: float) -> None:
        if len(self._windows) < len(WINDOWS):
            self._windows = {name: self._windows.get(name) or Window(length) for name, length in WINDOWS.items()}
        for window in self._windows.values():
            window.add(units, at)
