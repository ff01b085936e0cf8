"""Finds whether a seller was bought from before: a sign-in may open what was paid for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core.asks import Bought
from ..ledgers.extras import bought
from ..model.holds import Hold
from .ledger_calls import acall_ledger, call_ledger
from .pending_ends import ended, without
from .services import Services

#: How many of the latest purchases are looked through, one time after the other, in a ledger that cannot be asked.
_SIZES = (50, 1_000)


def bought_at(services: Services, asked: Bought) -> Hold | None:
    """Return the latest purchase at an origin that was delivered or is not resolved; one at the same URL first."""
    waiting, ends, purse = services.ends.waiting(services.purse), ended(), services.purse
    known = call_ledger(services.ledger, lambda ledger: _asked(ledger, purse, asked))
    for size in _sizes(known):
        listed = call_ledger(services.ledger, lambda ledger, size=size: ledger.history(size, purse))
        known = _best(asked, listed)
        if known is not None or len(listed) < size:
            break
    held = without(ends, call_ledger(services.ledger, lambda ledger: ledger.holds(purse)))
    return _best(asked, (*waiting, *_unresolved(held), *_one(known)))


async def abought_at(services: Services, asked: Bought) -> Hold | None:
    """Async twin of ``bought_at``."""
    waiting, ends, purse = services.ends.waiting(services.purse), ended(), services.purse
    known = await acall_ledger(services.ledger, lambda ledger: _asked(ledger, purse, asked))
    for size in _sizes(known):
        listed = await acall_ledger(services.ledger, lambda ledger, size=size: ledger.history(size, purse))
        known = _best(asked, listed)
        if known is not None or len(listed) < size:
            break
    held = without(ends, await acall_ledger(services.ledger, lambda ledger: ledger.holds(purse)))
    return _best(asked, (*waiting, *_unresolved(held), *_one(known)))


def _asked(ledger: Any, purse: str, asked: Bought) -> Any:
    """Ask the ledger itself. NotImplemented: it cannot be asked, and its history is looked through."""
    return bought(ledger, purse, asked.origin, asked.url, asked.payers)


def _sizes(known: Any) -> tuple[int, ...]:
    return _SIZES if known is NotImplemented else ()


def _one(known: Hold | None) -> tuple[Hold, ...]:
    return () if known is None else (known,)


def _unresolved(holds: Iterable[Hold]) -> list[Hold]:
    return [hold for hold in holds if hold.state == "signed" and not hold.in_flight]


def _best(asked: Bought, holds: Iterable[Hold]) -> Hold | None:
    """Return a purchase of this wallet's at the origin: the first at the same URL, else the first of all."""
    mine = [
        hold
        for hold in holds
        if hold.purchase.origin == asked.origin and hold.payer in asked.payers and hold.state in ("delivered", "signed")
    ]
    return next((hold for hold in mine if hold.url == asked.url), next(iter(mine), None))
