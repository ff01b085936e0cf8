"""News of a ledger that a person should hear: it began with nothing spent, or the machine's clock was set."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.ports import Ledger
from ..events import ClockJumped, Event, LedgerStarted
from ..ledgers.extras import drift_of, is_fresh, name_of

#: Seconds by which clocks drift apart, or are corrected, without having been set.
_TOLERATED = 60.0


class Notices:
    """News for one buyer, from the optional attributes of its ledger."""

    __slots__ = ("_drift", "_ledger", "_started")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._started, self._drift = ledger, False, 0.0

    def news(self) -> Iterator[Event]:
        """Give what happened since the last time."""
        if not self._started and is_fresh(self._ledger):
            self._started = True
            yield LedgerStarted("", name_of(self._ledger))
        drift = drift_of(self._ledger)
        if abs(drift - self._drift) > _TOLERATED:
            jumped, self._drift = self._drift - drift, drift
            yield ClockJumped("", "", jumped)
