"""Looks in the background at what was taken of ceilings, so that the rest of them counts no longer.

The rule: "where a receipt names a transaction the reader is asked in the background, one look for many". One thread of
a buyer asks about all of them, also about those whose answer was lost a moment ago. What it does not learn,
``reconcile`` and the look before an ``OverLimit`` do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..core.asks import Ask
from ..core.drive import run
from ..core.reclaim import reclaim
from ..errors import X402Error
from ..events import Concluded, Event
from ..guards.forks import in_each_child
from ..guards.threads import start
from ..model.holds import MARGIN, Charge, Hold, Outcome
from ..policy.policy import Policy
from .settlement_reader import can_look, learn, log

#: Seconds between the looks at a payment whose receipt names a transaction.
_SOON = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
#: Seconds after the expiry at which it is looked at again.
_AFTER_EXPIRY = (MARGIN, 5 * MARGIN)


@dataclass(slots=True, eq=False, repr=False)
class _Watched:
    hold: Hold
    charge: Charge
    tell: Callable[[Event], object]
    #: When it is looked at: the next time, and the times after that.
    at: float
    later: Iterator[float]


class OpenAmounts:
    """The open amounts that one buyer looks at. A forked child starts without those of its parent."""

    def __init__(self, answer: Callable[[Ask[Any]], Any], reader: Any, policy: Policy) -> None:
        self._answer, self._reader, self._policy = answer, reader, policy
        in_each_child(self, OpenAmounts._start_anew)

    def _start_anew(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._watched: list[_Watched] = []
        #: The one that is looked at now. None: there is none, or it was forgotten meanwhile.
        self._looked_at: _Watched | None = None
        self._thread: threading.Thread | None = None

    def watch(self, outcome: Outcome, tell: Callable[[Event], object], unresolved: bool = False) -> None:
        """Look at a ceiling, as soon as the chain can tell. Waits for nothing. ``tell`` hears the finding.

        ``unresolved``: its answer was lost. It is looked at soon, as one whose receipt names a transaction; after its
        expiry the same request asks.
        """
        hold, charge = outcome.hold, outcome.looked
        if charge is None or hold.authorization is None or not can_look(self._reader, hold):
            return
        named = outcome.receipt is not None and bool(outcome.receipt.transaction)
        times = _soon() if unresolved else _times(hold.authorization.expires, soon=named)
        with self._changed:
            self._watched = [one for one in self._watched if one.hold.id != hold.id]
            if self._looked_at is not None and self._looked_at.hold.id == hold.id:
                self._looked_at = None
            self._watched.append(_Watched(hold.but(receipt=outcome.receipt), charge, tell, next(times), times))
            self._changed.notify_all()
        self._start()

    def close(self) -> None:
        """Forget what is watched. The ledger keeps it: ``reconcile`` asks about it."""
        with self._changed:
            self._watched.clear()
            self._looked_at = None
            self._changed.notify_all()

    def _start(self) -> None:
        with self._changed:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, name="x402-open-amounts", daemon=True)
            try:
                start(self._thread)
            except RuntimeError:  # the interpreter is ending, and starts none
                self._thread = None

    def _run(self) -> None:
        while (watched := self._next()) is not None:
            if self._look(watched):
                continue
            watched.at = next(watched.later, 0.0)
            with self._changed:
                if watched.at and self._looked_at is watched:
                    self._watched.append(watched)

    def _next(self) -> _Watched | None:
        """Wait for the next one whose time has come. None: there are no more, and the thread ends."""
        with self._changed:
            while self._watched:
                first = min(self._watched, key=lambda one: one.at)
                rest = first.at - time.time()
                if rest <= 0:
                    self._watched.remove(first)
                    self._looked_at = first
                    return first
                self._changed.wait(rest)
            self._thread = None
            return None

    def _look(self, watched: _Watched) -> bool:
        """Ask the chain once. Return True if nothing is left to be learnt."""
        try:
            told, fate = learn(self._reader, watched.hold)
            if told.charge is not None:
                watched.charge.on_chain = told.charge
            if fate in ("open", "unknown", "early", "live") or (fate == "settled" and told.charge is None):
                return False
            if run(reclaim(told, fate, self._policy), self._answer) == "unknown":
                return False
        except X402Error:  # the ledger is busy or gone: there are further looks
            return False
        except Exception as failure:
            log.warning("A look at an open amount failed", exc_info=failure)
            return False
        bought = told.purchase
        watched.tell(Concluded(bought.method, told.url, told.shown, settled=fate != "not_settled"))
        return True


def _times(expires: int, soon: bool) -> Iterator[float]:
    """Give the times of the looks: soon if a transaction is named, and after the expiry."""
    if soon:
        yield from _soon()
    for after in _AFTER_EXPIRY:
        yield float(expires + after)


def _soon() -> Iterator[float]:
    at = time.time()
    for pause in _SOON:
        at += pause
        yield at
