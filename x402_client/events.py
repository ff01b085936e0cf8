"""What happened, for logs and for ``Buyer(on_event=...)``. No keys, signatures, headers or query strings in any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .ports import Hold, Outcome

__all__ = ["Answered", "Delivered", "Event", "LedgerStarted", "Presented", "Refused", "Unknown", "Warned"]


@dataclass(frozen=True, slots=True)
class Event:
    """The base of all events."""

    method: str
    url: str


@dataclass(frozen=True, slots=True)
class LedgerStarted(Event):
    """A ledger was used for the first time, at ``url``: its budgets start at zero. Expected once, a warning after."""


@dataclass(frozen=True, slots=True)
class Refused(Event):
    """We decided not to pay, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Presented(Event):
    """A payment leaves; ``again`` if this same payment left before."""

    hold: Hold
    again: bool


@dataclass(frozen=True, slots=True)
class Answered(Event):
    """The seller answered a payment."""

    status: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Unknown(Event):
    """A payment left and no answer came."""

    hold: Hold
    problem: str


@dataclass(frozen=True, slots=True)
class Delivered(Event):
    """The answer was read to its end; the purchase is resolved."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """Something a person should look at; nothing was lost."""

    problem: str
