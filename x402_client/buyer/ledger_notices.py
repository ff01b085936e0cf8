"""News of a ledger that a person should hear: it or a purse began with nothing spent, or the clock was set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ..core.ports import Ledger
from ..errors import X402Error
from ..events import ClockJumped, Event, LedgerStarted, Warned
from ..ledgers.extras import at_once, beside_new, drift_of, is_fresh, meant_purse, name_of, other_purses, purses_of
from ..model.offers import words

#: Seconds by which clocks drift apart, or are corrected, without having been set.
_TOLERATED = 60.0


class Notices:
    """News for one buyer, from the optional attributes of its ledger."""

    __slots__ = ("_drift", "_ledger", "_purse", "_started")

    def __init__(self, ledger: Ledger, purse: str) -> None:
        self._ledger, self._purse, self._started, self._drift = ledger, purse, False, 0.0

    def first(self) -> Iterator[Warned]:
        """Give what is told once, when the buyer is built: its purse is new beside others.

        A mistyped purse begins with nothing spent. A server tells by itself that a purse is new.
        """
        if at_once(self._ledger) is None or name_of(self._ledger) == ":memory:" or is_fresh(self._ledger):
            return
        known: Any = ()
        with suppress(X402Error):  # a ledger that cannot be read refuses payments, and says so there
            known = purses_of(self._ledger)
        if isinstance(known, tuple):
            yield from self._new_purse(known)

    def _new_purse(self, known: tuple[str, ...]) -> Iterator[Warned]:
        said = new_purse(name_of(self._ledger), self._purse, known)
        if said:
            yield Warned("", "", said)

    @property
    def begins_purses(self) -> bool:
        """Return True if the ledger tells by itself that a purse is new: it is a server, asked when first used."""
        return at_once(self._ledger) is None

    def news(self) -> Iterator[Event]:
        """Give what happened since the last time."""
        if not self._started and is_fresh(self._ledger):
            self._started = True
            purse = f", purse {words(self._purse, 60)!r}" if self.begins_purses else ""
            beside = list(self._new_purse(beside_new(self._ledger)))
            yield LedgerStarted("", name_of(self._ledger) + purse, is_purse=bool(beside))
            yield from beside
        drift = drift_of(self._ledger)
        if abs(drift - self._drift) > _TOLERATED:
            jumped, self._drift = self._drift - drift, drift
            yield ClockJumped("", "", jumped)


def new_purse(ledger: str, purse: str, known: tuple[str, ...]) -> str:
    """Return the warning about a purse that is new beside those that are ``known``; "" if it is none."""
    others = "" if purse in known else other_purses(known, purse)
    if not others:
        return ""
    return (
        f"Purse {words(purse, 60)!r} is new in the ledger {ledger}: its budgets begin at zero. "
        f"{meant_purse(known, purse)}Used before there: {others}. A mistyped name begins a new purse, too; "
        "must_exist=True refuses one."
    )
