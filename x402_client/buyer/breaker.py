"""Leaves a seller alone for a while after several payments in a row brought nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from .. import events
from ..guards.forks import in_each_child
from ..model.holds import Hold, moment
from ..model.hosts import Origin

#: The most sellers that are remembered. Beyond that, the one with the oldest failure is forgotten.
_SELLERS = 1_000
#: Failures before anything reached the seller, as the HTTP libraries name them.
_OURS = frozenset({
    "PoolTimeout", "ConnectTimeout", "ConnectError",
    "ClientConnectorError", "ClientConnectorDNSError", "ClientConnectorSSLError", "ClientConnectorCertificateError",
    "ClientProxyConnectionError", "ClientHttpProxyError", "ConnectionTimeoutError", "ServerFingerprintMismatch",
})  # fmt: skip


@dataclass(slots=True, eq=False, repr=False)
class _Record:
    holds: set[str] = field(default_factory=set)
    until: float = 0.0


class Breaker:
    """A counter of payments without content, per seller and in a row.

    A payment that is presented again counts once.
    """

    def __init__(self, after: int | None, rest: float, clock: Callable[[], float] = lambda: time.time()) -> None:
        self._after, self._rest, self._clock = after, rest, clock
        in_each_child(self, Breaker._start_anew)
        self._sellers: dict[str, _Record] = {}

    def _start_anew(self) -> None:
        self._lock = threading.Lock()

    def note(self, event: events.Event) -> None:
        """Learn from an event of a payment."""
        if isinstance(event, events.Delivered):
            if not self._sellers:
                return
            with self._lock:
                self._sellers.pop(str(event.hold.purchase.origin), None)
        elif isinstance(event, events.Unknown) and event.problem not in _OURS:
            self._failed(event.hold)
        elif isinstance(event, events.Answered) and event.status >= 400 and event.outcome.money != "spent":
            self._failed(event.outcome.hold)

    def until(self, origin: Origin) -> datetime | None:
        """Return the time until which this seller gets no new payment, or None if it may have one."""
        if not self._sellers:
            return None
        with self._lock:
            record = self._sellers.get(str(origin))
            return moment(record.until) if record is not None and record.until > self._clock() else None

    def paused(self) -> dict[str, datetime]:
        """Return the sellers that get no new payment at this moment, each with the time until which."""
        with self._lock:
            now = self._clock()
            found = {seller: moment(one.until) for seller, one in self._sellers.items() if one.until > now}
        return {seller: until for seller, until in found.items() if until is not None}

    def _failed(self, hold: Hold) -> None:
        if self._after is None:
            return
        with self._lock:
            seller = str(hold.purchase.origin)
            record = self._sellers.pop(seller, None) or _Record()
            self._sellers[seller] = record  # the last one to fail is the last one to be forgotten
            if hold.id not in record.holds:
                record.holds.add(hold.id)
                if len(record.holds) >= self._after:
                    record.until = self._clock() + self._rest
            while len(record.holds) > self._after:
                record.holds.pop()
            while len(self._sellers) > _SELLERS:
                del self._sellers[next(iter(self._sellers))]
