"""Purchases of a purse as its ledger lists them: those that are open, and the latest that are resolved."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from ..core.delivery import as_answered
from ..core.next_step import case_of, next_step
from ..errors import ConfigurationError, PaymentRefused
from ..ledgers.extras import ALL_PAYMENTS
from ..model.holds import Hold
from ..model.offers import words
from .ledger_calls import acall_ledger, call_ledger
from .pending_ends import ended, with_waiting, without
from .services import Services

#: The fewest characters of an id that name a purchase.
SHORTEST_ID = 4


def open_holds(services: Services) -> tuple[Hold, ...]:
    """Return what is not resolved, as the ledger has it."""
    ends = ended()
    return without(ends, call_ledger(services.ledger, lambda ledger: ledger.holds(services.purse)))


async def aopen_holds(services: Services) -> tuple[Hold, ...]:
    """Async twin of ``open_holds``."""
    ends = ended()
    return without(ends, await acall_ledger(services.ledger, lambda ledger: ledger.holds(services.purse)))


def named(name: object, holds: Iterable[Hold]) -> Hold:
    """Return the one open purchase whose id is ``name``, or begins with it."""
    if not isinstance(name, str):
        raise ConfigurationError(
            f"write_off takes a purchase, as buyer.holds() and error.hold have it, or its id, "
            f"not {type(name).__name__}; of a paid response or an error that is outcome(it).hold."
        )
    found = [hold for hold in holds if len(name) >= SHORTEST_ID and hold.id.startswith(name.lower())]
    if len(found) != 1:
        raise PaymentRefused(
            f"{len(found) or 'No'} open purchases go by {words(name, 80)!r}; buyer.holds() lists them, each with its "
            "id. Nothing was written off."
        )
    return found[0]


def in_flight_instead(hold: Hold, holds: Iterable[Hold]) -> PaymentRefused | None:
    """Return why a purchase is not given up that a call is paying at this moment. None: none is."""
    found = next((one for one in holds if one.id == hold.id and case_of(one) == "in flight"), None)
    if found is None:
        return None
    expired = found.authorization is not None and found.authorization.expires <= time.time()
    todo = next_step(found, expired).todo
    return PaymentRefused(f"Hold {found.id} is in flight, so there is nothing to write off yet. {todo}")


def history(services: Services, limit: int, account: str | None = None) -> tuple[Hold, ...]:
    """Return the latest resolved purchases, newest first: all, or those under one allowance."""
    found: tuple[Hold, ...] = ()
    for asked in _sizes(limit, account):
        waiting, size = services.ends.waiting(services.purse), asked
        known = call_ledger(services.ledger, lambda ledger, size=size: ledger.history(size, services.purse))
        found = _of(account, with_waiting(waiting, known, asked))[:limit]
        if len(found) >= limit or len(known) < asked:
            break
    return found


async def ahistory(services: Services, limit: int, account: str | None = None) -> tuple[Hold, ...]:
    """Async twin of ``history``."""
    found: tuple[Hold, ...] = ()
    for asked in _sizes(limit, account):
        waiting, size = services.ends.waiting(services.purse), asked
        known = await acall_ledger(services.ledger, lambda ledger, size=size: ledger.history(size, services.purse))
        found = _of(account, with_waiting(waiting, known, asked))[:limit]
        if len(found) >= limit or len(known) < asked:
            break
    return found


def under(account: str, holds: Iterable[Hold]) -> tuple[Hold, ...]:
    """Return the open purchases that count in an allowance, each with the money that its call told."""
    return tuple(as_answered(hold) for hold in holds if account in hold.path)


def _of(account: str | None, holds: tuple[Hold, ...]) -> tuple[Hold, ...]:
    return holds if account is None else tuple(hold for hold in holds if account in hold.path)


def _sizes(limit: int, account: str | None) -> Iterator[int]:
    """Give how many purchases to ask for, one time after the other."""
    if type(limit) is not int or limit < 0:
        raise ConfigurationError(
            f"history takes the most purchases to return, a whole number like history(20), not {limit!r}."
        )
    if account is None or limit <= 0:
        yield max(0, limit)
        return
    size = limit
    while size < ALL_PAYMENTS:
        yield size
        size *= 10
    yield max(ALL_PAYMENTS, limit)
