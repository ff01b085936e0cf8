"""The records of the ledger: purchases, holds, authorizations, outcomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from ..errors import MoneyState
from .budgets import Cap
from .hosts import Origin
from .money import Money
from .offers import Offer, Receipt

HoldState = Literal["reserved", "signed", "delivered", "written_off"]
#: Seconds past a payment's expiry before anybody's "not settled" counts that is not the chain's own.
MARGIN = 120
#: What a reader says about a payment.
Settled = Literal["settled", "not_settled", "unknown"]
#: What became of a payment: "open" is one that can settle yet, "early" one that expired so lately that nobody can
#: have proven it unused.
Fate = Literal["open", "early", "settled", "not_settled", "unknown"]


class Attempt:
    """One call of the application, while it lives. Ending it is all that gives its claims up: no I/O is needed."""

    __slots__ = ("__weakref__", "_watchers", "alive")

    def __init__(self) -> None:
        self.alive = True
        self._watchers: tuple[Callable[[], object], ...] = ()

    def watch(self, callback: Callable[[], object]) -> None:
        """Call back when it ends: in the midst of a cancellation, so with something that neither blocks nor fails."""
        self._watchers += (callback,)

    def end(self) -> None:
        """Nobody presents the hold any more; whoever makes the same request next may claim it."""
        self.alive = False
        for callback in self._watchers:
            callback()


@dataclass(frozen=True, slots=True)
class Purchase:
    """What is being bought: the same request is the same purchase, unless the caller's key says so instead.

    ``id`` and ``request`` are digests; URL queries, bodies and keys never leave the process that saw them.
    """

    id: str
    request: str
    keyed: bool
    method: str
    url: str
    origin: Origin
    purse: str = "default"


@dataclass(frozen=True, slots=True)
class Authorization:
    """What we signed. The header is worth money until it expires, so it shows nowhere."""

    nonce: str
    payer: str
    expires: int
    header: tuple[str, str] = field(repr=False, compare=False)
    #: What a reader needs to find the payment on its chain, and ``payment_id`` where the seller promised to
    #: recognise the same payment by it. Nothing in here can be spent.
    evidence: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def shown(self) -> Authorization:
        """Without the header."""
        return Authorization(self.nonce, self.payer, self.expires, ("", ""), self.evidence)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Authorization, (self.nonce, self.payer, self.expires, ("", ""), dict(self.evidence)))


@dataclass(frozen=True, slots=True)
class Hold:
    """Our reservation of budget for one purchase, and what became of it."""

    id: str
    purchase: Purchase
    offer: Offer
    price: Money
    created: float
    state: HoldState = "reserved"
    money: MoneyState = "held"
    authorization: Authorization | None = None
    receipt: Receipt | None = None
    #: How often another attempt took this hold over.
    tries: int = 0

    @property
    def nonce(self) -> str | None:
        """What identifies the payment on its chain, as it stands in the payment."""
        return self.authorization.nonce if self.authorization else None

    @property
    def url(self) -> str:
        """Where the payment was asked for, without its query."""
        return self.purchase.url

    @property
    def host(self) -> str:
        """The host that was connected to."""
        return self.purchase.origin.host

    @property
    def shown(self) -> Hold:
        """The same hold without the header that is worth money: for outcomes, errors and lists."""
        return self.shown_as() if self.authorization and self.authorization.header[1] else self

    def shown_as(self, **changes: Any) -> Hold:
        """The same, with some facts changed."""
        signed = self.authorization and self.authorization.shown
        return self.but(authorization=signed, **changes)

    def but(self, **changes: Any) -> Hold:
        """The same hold with some facts changed."""
        facts = list(_facts(self))
        for name, value in changes.items():
            facts[_PLACES[name]] = value
        return Hold(*facts)


#: ``dataclasses.replace`` takes several times as long, and every payment changes its hold several times.
_PLACES = {name: place for place, name in enumerate(Hold.__slots__)}
_facts = attrgetter(*Hold.__slots__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a paid response carries: what happened to the money, and by which words of the seller."""

    money: MoneyState
    hold: Hold
    offer: Offer
    receipt: Receipt | None = None
    #: What in the receipt does not agree with what was signed, one line each.
    mismatches: tuple[str, ...] = ()


class Order(NamedTuple):
    """What the ledger is asked to reserve: one purchase, its price, and every budget that it has to fit."""

    purchase: Purchase
    offer: Offer
    price: Money
    caps: tuple[Cap, ...]


class Busy(NamedTuple):
    """The ledger's answer while another attempt under the same key is running."""

    hold: Hold


class Spending(NamedTuple):
    """A question about money: of one host pattern or of all, in one window and currency."""

    account: str
    window: str
    currency: str
    purse: str = "default"


class LedgerBusy(Exception):
    """Somebody else is writing, and the caller asked not to wait. Never reaches an application."""


def moment(seconds: float | None) -> datetime | None:
    """Seconds since 1970 as people read them."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
