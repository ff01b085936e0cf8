"""Clocks that are stepped instead of waited for: this machine's, which may be wrong, and the chain's."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from unittest import mock

_time, _monotonic, _gettime = time.time, time.monotonic, time.clock_gettime


class Clock:
    """The time of one script. Steady clocks are never set back, also not between scripts."""

    def __init__(self) -> None:
        self.passed = self.skew = self.steady = 0.0

    def reset(self) -> None:
        """Begin a script."""
        self.passed = self.skew = 0.0

    def step(self, seconds: float) -> None:
        """Let time pass on every clock."""
        self.passed += seconds
        self.steady += seconds

    def chain(self) -> float:
        """Return the true time."""
        return _time() + self.passed

    def wall(self) -> float:
        """Return the time of this machine."""
        return _time() + self.passed + self.skew

    @contextlib.contextmanager
    def installed(self) -> Iterator[Clock]:
        """Have the modules that ask for the time get it from here."""
        with (
            mock.patch.object(time, "time", self.wall),
            mock.patch.object(time, "monotonic", self._steadily),
            mock.patch.object(time, "clock_gettime", self._read),
        ):
            yield self

    def _steadily(self) -> float:
        return _monotonic() + self.steady

    def _read(self, which: int) -> float:
        return _gettime(which) + self.steady


def real() -> float:
    """Return seconds that nothing steps."""
    return _monotonic()
