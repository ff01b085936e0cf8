"""What a person should hear about a ledger: that it began with nothing spent, and that the machine's clock was set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..events import ClockJumped, Event, LedgerStarted

#: Seconds by which clocks drift apart, or are corrected, without anybody having set them.
_TOLERATED = 60.0


class Notices:
    """One buyer's; looks at what a ledger tells of itself. A ledger that tells nothing makes no news."""

    __slots__ = ("_drift", "_ledger", "_started")

    def __init__(self, ledger: Any) -> None:
        self._ledger, self._started, self._drift = ledger, False, 0.0

    def news(self) -> Iterator[Event]:
        """What happened since the last time."""
        if not self._started and getattr(self._ledger, "fresh", False):
            self._started = True
            yield LedgerStarted("", str(self._ledger.name))
        drift = getattr(self._ledger, "drift", 0.0)
        if abs(drift - self._drift) > _TOLERATED:
            jumped, self._drift = self._drift - drift, drift
            yield ClockJumped("", "", jumped)
