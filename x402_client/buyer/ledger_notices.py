"""Notices about a ledger for a person: it began with nothing spent, or the machine's clock was set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..events import ClockJumped, Event, LedgerStarted

#: Seconds of drift or correction that are normal. A larger jump means that the clock was set.
_TOLERATED = 60.0


class Notices:
    """The notices of one buyer, from what its ledger tells of itself. A ledger that tells nothing gives none."""

    __slots__ = ("_drift", "_ledger", "_started")

    def __init__(self, ledger: Any) -> None:
        self._ledger, self._started, self._drift = ledger, False, 0.0

    def news(self) -> Iterator[Event]:
        """Yield the events since the last time."""
        if not self._started and getattr(self._ledger, "fresh", False):
            self._started = True
            yield LedgerStarted("", str(self._ledger.name))
        drift = getattr(self._ledger, "drift", 0.0)
        if abs(drift - self._drift) > _TOLERATED:
            jumped, self._drift = self._drift - drift, drift
            yield ClockJumped("", "", jumped)
