"""Asking the chain about payments without an answer: when to ask, and whom to believe."""

from __future__ import annotations

import inspect
import logging
import time
from dataclasses import dataclass, replace
from typing import Any

from .chains.settlement import ChainReader, Settled
from .ports import Hold
from .settings import is_async

log = logging.getLogger("x402_client")
#: Seconds past the expiry before the "not settled" of somebody else's reader counts.
_MARGIN = 120


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What ``reconcile`` found: given back, spent after all, or still not to be told."""

    released: tuple[Hold, ...] = ()
    settled: tuple[Hold, ...] = ()
    unknown: tuple[Hold, ...] = ()

    def with_one(self, hold: Hold, answer: Settled) -> Reconciled:
        """One more."""
        name = {"not_settled": "released", "settled": "settled", "unknown": "unknown"}[answer]
        return replace(self, **{name: (*getattr(self, name), hold)})


def due(hold: Hold) -> bool:
    """The local clock decides when to ask, never the answer."""
    signed = hold.authorization
    return hold.state == "signed" and signed is not None and signed.expires < time.time()


def read(reader: Any, hold: Hold) -> Settled:
    """What a reader says, as far as it is believed. One that fails says nothing."""
    try:
        given = reader.read(hold)
    except Exception as failure:
        return _says_nothing(failure)
    return _believed(reader, hold, given)


async def aread(reader: Any, hold: Hold) -> Settled:
    """``read`` for async callers: a sync reader runs in a thread."""
    import anyio.to_thread

    try:
        given = reader.read(hold) if is_async(reader.read) else await anyio.to_thread.run_sync(reader.read, hold)
        given = await given if inspect.isawaitable(given) else given
    except Exception as failure:
        return _says_nothing(failure)
    return _believed(reader, hold, given)


def conclude(hold: Hold, answer: Settled, ledger: Any) -> Any:
    """Tell the ledger what was learnt, if anything was."""
    return None if answer == "unknown" else ledger.conclude(hold, answer == "settled")


def _says_nothing(failure: Exception) -> Settled:
    log.warning("The settlement reader failed", exc_info=failure)
    return "unknown"


def _believed(reader: Any, hold: Hold, answer: Any) -> Settled:
    """A reader of somebody else's may judge too early: its "not settled" counts only well after the expiry."""
    if answer not in ("settled", "not_settled"):
        return "unknown"
    assert hold.authorization is not None
    early = time.time() < hold.authorization.expires + _MARGIN
    if answer == "not_settled" and early and not isinstance(reader, ChainReader):
        return "unknown"
    return answer  # type: ignore[no-any-return]
