"""Asks the chain about payments without an answer: when to ask, and which answer to believe."""

from __future__ import annotations

import inspect
import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ..model.holds import MARGIN, Fate, Hold, Settled
from .settings import is_async

T = TypeVar("T")
log = logging.getLogger("x402_client")
#: Seconds that a request waits for the chain's answer. ``reconcile`` takes the time it needs.
PATIENCE = 10.0
#: Seconds that further requests do not ask, after one waited in vain: a refusal over a limit has to be quick.
_REST = 60.0
_SLOW = 1.0


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The result of ``reconcile``: payments given back, spent after all, or still unknown."""

    released: tuple[Hold, ...] = ()
    settled: tuple[Hold, ...] = ()
    unknown: tuple[Hold, ...] = ()

    def with_one(self, hold: Hold, answer: Settled) -> Reconciled:
        """Return a copy with one more hold, filed by its answer."""
        name = {"not_settled": "released", "settled": "settled", "unknown": "unknown"}[answer]
        return replace(self, **{name: (*getattr(self, name), hold)})


class Reader:
    """A settlement reader as requests use it: bounded in time. An answer that does not come in time is "unknown"."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self._resting_until = 0.0
        #: Payments that a thread is asking about. The thread may hang, and one is enough.
        self._asking: set[str] = set()

    def fate(self, hold: Hold) -> Fate:
        """Return the fate of one payment."""
        if not due(hold):
            return "open"
        if hold.id in self._asking:
            return _unknown(hold)
        self._asking.add(hold.id)
        answer: Settled = _bounded(lambda: self._read(hold), "unknown")
        return _unknown(hold) if answer == "unknown" else answer

    async def afate(self, hold: Hold) -> Fate:
        """Async twin of ``fate``."""
        import anyio

        if not due(hold):
            return "open"
        if hold.id in self._asking:
            return _unknown(hold)
        self._asking.add(hold.id)
        answer: Settled = "unknown"
        with anyio.move_on_after(PATIENCE):
            answer = await self._aread(hold)
        return _unknown(hold) if answer == "unknown" else answer

    def _read(self, hold: Hold) -> Settled:
        try:
            return read(self.reader, hold)
        finally:
            self._asking.discard(hold.id)

    async def _aread(self, hold: Hold) -> Settled:
        import anyio.to_thread

        if is_async(self.reader.read):
            try:
                return await aread(self.reader, hold)
            finally:
                self._asking.discard(hold.id)
        # The thread is left behind if it hangs. It takes the payment off the list itself when it is done.
        return await anyio.to_thread.run_sync(self._read, hold, abandon_on_cancel=True)

    def fates(self, holds: Iterable[Hold]) -> list[tuple[Hold, Settled]]:
        """Return the answers about several payments that came in time."""
        found: list[tuple[Hold, Settled]] = []

        def look() -> bool:
            found.extend((hold, read(self.reader, hold)) for hold in holds)
            return True

        if self._awake():
            started = time.monotonic()
            _bounded(look, False)
            self._rest_after(started, found)
        return list(found)

    async def afates(self, holds: Iterable[Hold]) -> list[tuple[Hold, Settled]]:
        """Async twin of ``fates``."""
        import anyio

        found: list[tuple[Hold, Settled]] = []
        if self._awake():
            started = time.monotonic()
            with anyio.move_on_after(PATIENCE):
                for hold in holds:
                    found.append((hold, await aread(self.reader, hold)))
            self._rest_after(started, found)
        return found

    def _awake(self) -> bool:
        return time.monotonic() >= self._resting_until

    def _rest_after(self, started: float, found: list[tuple[Hold, Settled]]) -> None:
        slow = time.monotonic() - started > _SLOW
        if slow and not any(answer == "not_settled" for _, answer in found):
            self._resting_until = time.monotonic() + _REST


def _unknown(hold: Hold) -> Fate:
    return "early" if expired_recently(hold) else "unknown"


def _bounded(function: Callable[[], T], otherwise: T) -> T:
    """Call ``function``, and return ``otherwise`` after ``PATIENCE`` seconds.

    It runs in a thread of its own, because an endpoint may drip its answer for ever.
    """
    said: list[T] = []
    context = copy_context()
    thread = threading.Thread(target=lambda: said.append(context.run(function)), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return said[0] if said else otherwise


def due(hold: Hold) -> bool:
    """Return True if it is time to ask about a hold: it is signed, expired, and not known to be settled.

    The local clock decides when to ask, never the answer.
    """
    signed = hold.authorization
    settled = hold.money == "spent"
    return hold.state == "signed" and signed is not None and not settled and signed.expires < time.time()


def expired_recently(hold: Hold) -> bool:
    """Return True if a payment expired too recently for a proof that it is unused."""
    return hold.authorization is not None and time.time() < hold.authorization.expires + MARGIN


def read(reader: Any, hold: Hold) -> Settled:
    """Return a reader's answer, as far as it is believed. A reader that fails gives "unknown"."""
    try:
        given = reader.read(hold)
    except Exception as failure:
        return _reader_failed(failure)
    return _believed(reader, hold, given)


async def aread(reader: Any, hold: Hold) -> Settled:
    """Async twin of ``read``. A sync reader runs in a thread."""
    import anyio.to_thread

    try:
        if is_async(reader.read):
            given = reader.read(hold)
        else:
            given = await anyio.to_thread.run_sync(reader.read, hold, abandon_on_cancel=True)
        given = await given if inspect.isawaitable(given) else given
    except Exception as failure:
        return _reader_failed(failure)
    return _believed(reader, hold, given)


def _reader_failed(failure: Exception) -> Settled:
    log.warning("The settlement reader failed", exc_info=failure)
    return "unknown"


def _goes_by_the_chain(reader: Any, hold: Hold) -> bool:
    from ..chains.settlement import ChainReader  # a face alone does without

    return isinstance(reader, ChainReader) and reader.goes_by_the_chain(hold)


def _believed(reader: Any, hold: Hold, answer: Any) -> Settled:
    """Return the answer if it is believed, else "unknown".

    A reader that we did not write may judge too early: its "not settled" counts only well after the expiry.
    """
    if answer not in ("settled", "not_settled"):
        return "unknown"
    assert hold.authorization is not None
    if answer == "not_settled" and expired_recently(hold) and not _goes_by_the_chain(reader, hold):
        return "unknown"
    return answer  # type: ignore[no-any-return]
