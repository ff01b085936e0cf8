"""Writes what a payment asked for and what was taken, for messages: of a ceiling these are two amounts."""

from __future__ import annotations

from ..model.holds import Hold
from ..model.money import Money


def has_ceiling(hold: Hold) -> bool:
    """Return True if a price is or was a ceiling: also if the chain showed what was taken of it."""
    return hold.is_ceiling or hold.charge is not None


def asked_of(hold: Hold) -> str:
    """Return the price of a payment, or the ceiling: of that, the seller may take any part."""
    return f"up to {hold.offer.price}" if has_ceiling(hold) else f"{hold.price}"


def lost_with(hold: Hold) -> Money:
    """Return the most that is lost where a payment brought nothing: its price, or what was taken of its ceiling."""
    return hold.price if hold.charge is None else hold.charge


def taken(hold: Hold) -> str:
    """Return the most that was taken of a ceiling, for a message. "": it was none, or that is not known.

    The chain ties no transfer to a payment, so what it shows is a bound.
    """
    return "" if hold.charge is None else f"At most {hold.charge} of it was taken. "
