"""Events, for logs and for ``Buyer(on_event=...)``. None has keys, signatures, headers or query strings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .model.allowances import UNNAMED, called
from .model.offers import words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

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
    "ExtensionsAnswered",
    "LedgerStarted",
    "NotDelivered",
    "Presented",
    "Refused",
    "SignedIn",
    "Unknown",
    "Warned",
    "WrittenOff",
]


@dataclass(slots=True, eq=False, repr=False)
class Event:
    """Base of all events. Its text is the line that goes to the log.

    Attributes:
        method: The request's method, or "" if the event is not about a request.
        url: The URL, without its query; or what else the event is about.
    """

    method: str
    url: str

    def __str__(self) -> str:
        return " ".join(part for part in (self._word(), self.method, self.url, self._rest()) if part)

    def __repr__(self) -> str:
        # Written once: to generate one for each event takes as long as to load this file.
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__match_args__)})"

    def _word(self) -> str:
        return type(self).__name__.lower()

    def _rest(self) -> str:
        return ""


@dataclass(slots=True, eq=False, repr=False)
class LedgerStarted(Event):
    """First use of the ledger at ``url``, of a server's with its purse. Budgets start at zero: expected once only.

    Attributes:
        is_purse: True if the ledger was used before, and a purse alone is new in it.
    """

    is_purse: bool = False

    def _word(self) -> str:
        return "purse started" if self.is_purse else "ledger started"


@dataclass(slots=True, eq=False, repr=False)
class ClockJumped(Event):
    """Change of the machine's clock. Budgets follow a clock that cannot be set, so it freed none.

    Attributes:
        seconds: The seconds by which it was set: ahead, or back if below zero.
    """

    seconds: float

    def _word(self) -> str:
        return "clock jumped"

    def _rest(self) -> str:
        return f"by {self.seconds:+.0f} seconds; budgets follow a clock that cannot be set"


@dataclass(slots=True, eq=False, repr=False)
class Refused(Event):
    """Payment that the policy refused.

    Attributes:
        reason: The reason.
        allowance: The name of the call's allowance. None: it was under none.
    """

    reason: str
    allowance: str | None = None

    def _rest(self) -> str:
        return self.reason


@dataclass(slots=True, eq=False, repr=False)
class SignedIn(Event):
    """Answer of the seller to a sign-in, which moves no money and tells the seller an address of the wallet.

    Attributes:
        account: The account that signed.
        network: The chain whose account it is, by its CAIP-2 name.
        status: The status of the answer. With 402 it opened nothing, and the request is paid.
    """

    account: str
    network: str
    status: int

    def _word(self) -> str:
        return "sign-in"

    def _rest(self) -> str:
        opened = "" if self.status != 402 else ", and opened nothing"
        return f"{self.status} as {self.account} on {self.network}{opened}"


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


@dataclass(slots=True, eq=False, repr=False)
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
        return f"{self.percent} % of the {called(self.allowance)} are spent: {self.left} of {self.amount} are left"


@dataclass(slots=True, eq=False, repr=False)
class Presented(Event):
    """Payment that leaves this machine.

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


@dataclass(slots=True, eq=False, repr=False)
class Answered(Event):
    """Answer of the seller to a payment.

    Attributes:
        status: The status of the answer.
        outcome: What happened to the money, as far as this answer tells. The chain is asked later: ``NotDelivered``.
    """

    status: int
    outcome: Outcome

    def _rest(self) -> str:
        doubts = "".join(f"; {mismatch}" for mismatch in self.outcome.mismatches)
        receipt = self.outcome.receipt
        if self.status < 300 and receipt is not None and not receipt.success:
            doubts += "; the receipt does not say that it was paid"
        # The error of the same call may say more: the chain is asked after the last answer.
        so_far = "; as far as this answer tells" if self.status >= 300 and self.outcome.money != "spent" else ""
        return f"{self.status} money={self.outcome.money} {_of(self.outcome.hold)}{doubts}{so_far}"


@dataclass(slots=True, eq=False, repr=False)
class ExtensionsAnswered(Event):
    """Answer of a facilitator about extensions of the protocol, such as a listing, with the answer to a payment.

    Attributes:
        extensions: What it says of each, by its name.
    """

    extensions: Mapping[str, Any]

    def _word(self) -> str:
        return "extensions"

    def _rest(self) -> str:
        return "; ".join(f"{words(name, 40)}: {_short(said)}" for name, said in [*self.extensions.items()][:_LISTED])


#: The most extensions that are named in a line, and the most characters of each answer.
_LISTED, _SHORT = 5, 100


def _short(said: object) -> str:
    """Return the status in an answer about an extension, else all of it, safe to show."""
    status = said.get("status") if isinstance(said, dict) else None
    return words(status if isinstance(status, str) else str(said), _SHORT)


@dataclass(slots=True, eq=False, repr=False)
class NotDelivered(Event):
    """Answer of 400 or more that a call ends with after its payment was presented. The caller gets it as it is.

    Attributes:
        status: The status of the answer.
        outcome: What happened to the money, after a look at the chain.
    """

    status: int
    outcome: Outcome

    def _word(self) -> str:
        return "not delivered"

    def _rest(self) -> str:
        hold = self.outcome.hold
        return (
            f"{self.status} after {hold.price} was presented: money={self.outcome.money} hold={hold.id}{_under(hold)}; "
            f"the same request presents it again and pays nothing new; x402 ledger show {hold.id}"
        )


@dataclass(slots=True, eq=False, repr=False)
class Unknown(Event):
    """Payment that left and got no answer.

    Attributes:
        hold: The payment.
        problem: What was seen instead of an answer.
    """

    hold: Hold
    problem: str

    def _rest(self) -> str:
        return f"{self.problem} {_of(self.hold)}"


@dataclass(slots=True, eq=False, repr=False)
class Delivered(Event):
    """Delivery of a purchase: its answer was read to the end, and it is resolved.

    Attributes:
        hold: The payment.
    """

    hold: Hold

    def _rest(self) -> str:
        return _of(self.hold)


@dataclass(slots=True, eq=False, repr=False)
class Concluded(Event):
    """Finding of the chain about a payment: it settled after all, or is proven unused and given back.

    Of a ceiling it is the most that was taken; ``hold.charge`` has that, and the rest is given back.

    Attributes:
        hold: The payment.
        settled: True if it settled, False if it was given back.
    """

    hold: Hold
    settled: bool

    def _word(self) -> str:
        if self.hold.charge is not None:
            return "charged"
        return "settled after all" if self.settled else "given back"

    def _rest(self) -> str:
        charge = self.hold.charge
        return f"at most {charge} of a ceiling: {_of(self.hold)}" if charge is not None else _of(self.hold)


@dataclass(slots=True, eq=False, repr=False)
class WrittenOff(Event):
    """Unresolved purchase that was given up. It counts as spent, and the same request buys again.

    Attributes:
        hold: The payment.
    """

    hold: Hold

    def _word(self) -> str:
        return "written off"

    def _rest(self) -> str:
        return _of(self.hold)


@dataclass(slots=True, eq=False, repr=False)
class Warned(Event):
    """Warning that a person should look at. Nothing was lost.

    Attributes:
        problem: What should be looked at.
    """

    problem: str

    def _rest(self) -> str:
        return self.problem


def _of(hold: Hold) -> str:
    return f"{hold.price} hold={hold.id}{_under(hold)}"


def _under(hold: Hold) -> str:
    if not hold.allowance:
        return ""
    return " allowance=(no name)" if hold.allowance.startswith(UNNAMED) else f" allowance={hold.allowance!r}"
