"""Purchases that are resolved for this process alone: their ends are not written yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from ..ledgers.refusals import already_paid
from ..model.holds import Busy, Hold

T = TypeVar("T")
Key = tuple[str, str]

#: Deliveries that this process has yet to write, of all its ledgers, as these will have them.
pending: dict[Key, Hold] = {}


def ended() -> frozenset[Key]:
    """Return the purchases that are resolved for this process alone. Ask this before the ledger is asked."""
    return frozenset(pending)


def without(ends: frozenset[Key], holds: Iterable[Hold]) -> tuple[Hold, ...]:
    """Return the holds of a ledger that are not resolved for this process either."""
    return tuple(hold for hold in holds if key_of(hold) not in ends) if ends else tuple(holds)


def with_waiting(waiting: list[Hold], known: Iterable[Hold], limit: int) -> tuple[Hold, ...]:
    """Return a ledger's latest purchases together with those that are not written yet."""
    known = tuple(known)
    written = {hold.id for hold in known} if waiting else ()
    return (*(hold for hold in waiting if hold.id not in written), *known)[: max(0, limit)]


def raise_if_delivered(found: T) -> T:
    """Return a ledger's answer. Raise AlreadyPaid if the key belongs to a delivery that is not written yet."""
    if isinstance(found, Busy):
        delivered = pending.get(key_of(found.hold))
        if delivered is not None:
            raise already_paid(delivered)
    return found


def key_of(hold: Hold) -> Key:
    """Return the name of a hold. Ids are one ledger's own: with the purchase they are told apart."""
    return hold.id, hold.purchase.id
