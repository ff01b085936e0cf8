"""The ledger's clock: it follows a clock that cannot be set, and never goes back.

Within one boot of the machine it advances exactly as the steady clock does, so setting the wall clock frees no
budget. After a restart of the machine it takes the wall clock's time, but none before the last payment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ...guards.steady_clock import steady


class Stamp(NamedTuple):
    """Reading of two clocks: the ledger's time ``at`` when the steady clock of ``boot`` showed ``steady``.

    The latest is kept in the ledger.
    """

    boot: str
    steady: float
    at: float


@cache
def boot() -> str:
    """Return an id of this boot of the machine; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().decode().strip()
    except (OSError, ValueError):
        return ""


class LedgerClock:
    """Clock of a ledger. It computes the time from the last stamp. Tests replace its readings."""

    __slots__ = ("_boot", "_steady", "drift", "wall")
    wall: Callable[[], float]

    def __init__(
        self,
        wall: Callable[[], float] = lambda: time.time(),
        steady: Callable[[], float] = steady,
        boot: Callable[[], str] = boot,
    ) -> None:
        self.wall, self._steady, self._boot = wall, steady, boot
        #: Seconds by which the ledger's time was ahead of the wall clock at the last reading.
        self.drift: float = 0.0

    def now(self, last: Stamp | None) -> Stamp:
        """Return the present moment, given the last one that was kept."""
        stamp = self._now(last)
        self.drift = stamp.at - self.wall()
        return stamp

    def _now(self, last: Stamp | None) -> Stamp:
        boot, steady = self._boot(), self._steady()
        if last is None:
            return Stamp(boot, steady, self.wall())
        if last.boot == boot and (boot or steady >= last.steady):
            # The clocks of two processors may differ a little.
            later = max(steady, last.steady)
            return Stamp(boot, later, last.at + (later - last.steady))
        return Stamp(boot, steady, max(self.wall(), last.at))
