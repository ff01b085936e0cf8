"""What happened, for logs and for ``Buyer(on_event=...)``. No keys, signatures, headers or query strings in any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .ports import Hold, Outcome

__all__ = ["Answered", "Delivered", "Event", "LedgerStarted", "Presented", "Refused", "Unknown", "Warned"]


@dataclass(frozen=True, slots=True)
class Event:
    """The base of all events. As text it is the line that goes to the log."""

    method: str
    url: str

    def __str__(self) -> str:
        return " ".join(part for part in (self._word(), self.method, self.url, self._rest()) if part)

    def _word(self) -> str:
        return type(self).__name__.lower()

    def _rest(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class LedgerStarted(Event):
    """A ledger was used for the first time, at ``url``: its budgets start at zero. Expected once, a warning after."""

    def _word(self) -> str:
        return "ledger started"


@dataclass(frozen=True, slots=True)
class Refused(Event):
    """We decided not to pay, and why."""

    reason: str

    def _rest(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Presented(Event):
    """A payment leaves; ``again`` if this same payment left before."""

    hold: Hold
    again: bool

    def _word(self) -> str:
        return "presented again" if self.again else "presented"

    def _rest(self) -> str:
        return f"{self.hold.offer} hold={self.hold.id}"


@dataclass(frozen=True, slots=True)
class Answered(Event):
    """The seller answered a payment."""

    status: int
    outcome: Outcome

    def _rest(self) -> str:
        doubts = "".join(f"; {mismatch}" for mismatch in self.outcome.mismatches)
        return f"{self.status} money={self.outcome.money} {_of(self.outcome.hold)}{doubts}"


@dataclass(frozen=True, slots=True)
class Unknown(Event):
    """A payment left and no answer came."""

    hold: Hold
    problem: str

    def _rest(self) -> str:
        return f"{self.problem} {_of(self.hold)}"


@dataclass(frozen=True, slots=True)
class Delivered(Event):
    """The answer was read to its end; the purchase is resolved."""

    hold: Hold

    def _rest(self) -> str:
        return _of(self.hold)


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """Something a person should look at; nothing was lost."""

    problem: str

    def _rest(self) -> str:
        return self.problem


def _of(hold: Hold) -> str:
    return f"{hold.price} hold={hold.id}"
