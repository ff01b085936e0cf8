"""Events, for logs and for ``Buyer(on_event=...)``. No keys, signatures, headers or query strings in any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model.holds import Hold, Outcome
    from .model.money import Money

__all__ = [
    "AllowanceLeft",
    "AllowanceLow",
    "Answered",
    "ClockJumped",
    "Concluded",
    "Delivered",
    "Event",
    "LedgerStarted",
    "Presented",
    "Refused",
    "Unknown",
    "Warned",
    "WrittenOff",
]


@dataclass(slots=True, eq=False)
class Event:
    """The base of all events. As text it is the line that goes to the log.

    Attributes:
        method: The request's method, or "" where the event is about no request.
        url: The URL, without its query, or what the event is about instead.
    """

    method: str
    url: str

    def __str__(self) -> str:
        return " ".join(part for part in (self._word(), self.method, self.url, self._rest()) if part)

    def _word(self) -> str:
        return type(self).__name__.lower()

    def _rest(self) -> str:
        return ""


@dataclass(slots=True, eq=False)
class LedgerStarted(Event):
    """A ledger was used for the first time, at ``url``: its budgets start at zero. Expected once, a warning after."""

    def _word(self) -> str:
        return "ledger started"


@dataclass(slots=True, eq=False)
class ClockJumped(Event):
    """The machine's clock was set, by this number of seconds. Budgets go by a clock that cannot be set: none opened.

    Attributes:
        seconds: By how much it was set: ahead, or back if below zero.
    """

    seconds: float

    def _word(self) -> str:
        return "clock jumped"

    def _rest(self) -> str:
        return f"by {self.seconds:+.0f} seconds; budgets go by a clock that nobody sets"


@dataclass(slots=True, eq=False)
class Refused(Event):
    """A payment that we decided not to make, with the reason.

    Attributes:
        reason: The reason.
        allowance: The name of the call's allowance. None: it was under none.
    """

    reason: str
    allowance: str | None = None

    def _rest(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class AllowanceLeft:
    """The rest of an allowance after a payment was counted in it.

    Attributes:
        allowance: The allowance's name.
        left: What is left of it, in the currency of the payment.
        amount: What there was of it.
    """

    allowance: str
    left: Money
    amount: Money


@dataclass(slots=True, eq=False)
class AllowanceLow(Event):
    """The payment that leaves takes an allowance, or one above it, over 80 or 95 percent.

    Attributes:
        percent: 80 or 95.
        allowance: The allowance's name.
        left: What is left of it.
        amount: What there was of it.
    """

    percent: int
    allowance: str
    left: Money
    amount: Money

    def _word(self) -> str:
        return "allowance low"

    def _rest(self) -> str:
        return f"{self.percent} % of {self.allowance} are spent: {self.left} of {self.amount} are left"


@dataclass(slots=True, eq=False)
class Presented(Event):
    """A payment leaves.

    Attributes:
        hold: The payment.
        again: True if this same payment left before.
        left: What is left of each allowance that it was counted in just now, from the root down.
    """

    hold: Hold
    again: bool
    left: tuple[AllowanceLeft, ...] = ()

    def _word(self) -> str:
        return "presented again" if self.again else "presented"

    def _rest(self) -> str:
        return f"{self.hold.offer} hold={self.hold.id}{_under(self.hold)}"


@dataclass(slots=True, eq=False)
class Answered(Event):
    """The seller answered a payment.

    Attributes:
        status: The status of the answer.
        outcome: What happened to the money.
    """

    status: int
    outcome: Outcome

    def _rest(self) -> str:
        doubts = "".join(f"; {mismatch}" for mismatch in self.outcome.mismatches)
        return f"{self.status} money={self.outcome.money} {_of(self.outcome.hold)}{doubts}"


@dataclass(slots=True, eq=False)
class Unknown(Event):
    """A payment left and no answer came.

    Attributes:
        hold: The payment.
        problem: What was seen instead of an answer.
    """

    hold: Hold
    problem: str

    def _rest(self) -> str:
        return f"{self.problem} {_of(self.hold)}"


@dataclass(slots=True, eq=False)
class Delivered(Event):
    """The answer was read to its end; the purchase is resolved.

    Attributes:
        hold: The payment.
    """

    hold: Hold

    def _rest(self) -> str:
        return _of(self.hold)


@dataclass(slots=True, eq=False)
class Concluded(Event):
    """The chain told about a payment without an answer: settled after all, or proven unused and given back.

    Attributes:
        hold: The payment.
        settled: True if it settled, False if it was given back.
    """

    hold: Hold
    settled: bool

    def _word(self) -> str:
        return "settled after all" if self.settled else "given back"

    def _rest(self) -> str:
        return _of(self.hold)


@dataclass(slots=True, eq=False)
class WrittenOff(Event):
    """An unresolved purchase was given up: it counts as spent, and the same request buys anew.

    Attributes:
        hold: The payment.
    """

    hold: Hold

    def _word(self) -> str:
        return "written off"

    def _rest(self) -> str:
        return _of(self.hold)


@dataclass(slots=True, eq=False)
class Warned(Event):
    """Something a person should look at; nothing was lost.

    Attributes:
        problem: What should be looked at.
    """

    problem: str

    def _rest(self) -> str:
        return self.problem


def _of(hold: Hold) -> str:
    return f"{hold.price} hold={hold.id}{_under(hold)}"


def _under(hold: Hold) -> str:
    return f" allowance={hold.allowance!r}" if hold.allowance else ""
