"""Tells how far a new payment takes the allowances that it counts in: what is left of each, and 80 and 95 percent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .. import events
from ..model.holds import Hold
from ..model.money import Money
from .asks import Tell
from .drive import Flow

if TYPE_CHECKING:
    from .call import Call

#: The levels that are told, the highest first: a payment may pass both.
_LEVELS = (95, 80)


def left_in(call: Call, hold: Hold) -> tuple[events.AllowanceLeft, ...]:
    """Return what is left of each allowance of a new payment. A payment that left before counted then."""
    if hold.tries or not hold.used:
        return ()
    return tuple(_left(call, hold))


def _left(call: Call, hold: Hold) -> Iterator[events.AllowanceLeft]:
    currency = hold.price.currency
    for allowance, used in zip(call.mandate.allowances, hold.used, strict=False):
        amount = allowance.most(currency)
        yield events.AllowanceLeft(allowance.name, Money.of_units(max(0, amount.units - used), currency), amount)


def tell_levels(call: Call, hold: Hold, left: tuple[events.AllowanceLeft, ...]) -> Flow[None]:
    """Tell each allowance that this payment takes over a level. The ledger counts in one step: it is told once."""
    for one in left:
        before = one.left + hold.price
        for percent in _LEVELS:
            rest = one.amount.units * (100 - percent)
            if one.left.units * 100 <= rest < before.units * 100:
                low = events.AllowanceLow(call.method, call.url, percent, one.allowance, one.left, one.amount)
                yield from Tell(low)
                break
