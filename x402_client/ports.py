"""What the flow needs from outside, as Protocols, and the records that pass between it and them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, Union

from .asks import Ask
from .errors import MoneyState
from .hosts import Origin
from .limits import Cap
from .money import Money
from .wire.models import Offer, Receipt

T = TypeVar("T")
Maybe = Union[T, Awaitable[T]]  # noqa: UP007 - as a generic alias this is the form that type checkers take
HoldState = Literal["reserved", "signed", "delivered", "written_off"]
#: Seconds past a payment's expiry before anybody's "not settled" counts that is not the chain's own.
MARGIN = 120
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


class Ledger(Protocol):
    """Holds, budgets and history. Every method may raise LedgerUnavailable; an async ledger returns awaitables.

    ``reserve`` is one atomic step: it hands over an unresolved hold of the same purchase if there is one, and else
    takes the price from every budget or from none.
    """

    def reserve(self, order: Order, attempt: Attempt) -> Maybe[Hold | Busy]:
        """A new hold, or the claimed unresolved one. Raises OverLimit, AlreadyPaid, Frozen, PaymentRefused."""

    def claim(self, purchase: Purchase, attempt: Attempt) -> Maybe[Hold | Busy | None]:
        """The unresolved hold of this purchase, or None."""

    def record(self, hold: Hold, authorization: Authorization) -> Maybe[Hold]:
        """Keep what was signed, before it leaves the machine."""

    def release(self, hold: Hold) -> Maybe[None]:
        """Give back what was held and never sent."""

    def close(self, hold: Hold, money: MoneyState, receipt: Receipt | None) -> Maybe[None]:
        """The purchase was delivered; it is resolved, and stays counted."""

    def write_off(self, hold: Hold) -> Maybe[Hold]:
        """The user gives the unresolved purchase up: it counts as spent."""

    def conclude(self, hold: Hold, settled: bool) -> Maybe[bool]:
        """The chain told: an unsettled hold is given back, a settled one counts as spent and waits for its content.

        False: the hold is gone, or somebody presents it at this moment, and all stays as it is.
        """

    def spent(self, question: Spending) -> Maybe[int]:
        """Millionths counted in a window."""

    def holds(self, purse: str = "default") -> Maybe[tuple[Hold, ...]]:
        """Every purchase of a purse that is not resolved."""

    def history(self, limit: int, purse: str = "default") -> Maybe[tuple[Hold, ...]]:
        """The latest resolved purchases of a purse, newest first."""

    def freeze(self, pattern: str) -> Maybe[None]:
        """Stop payments to a host pattern, or with ``*`` all."""

    def unfreeze(self, pattern: str) -> Maybe[None]:
        """Lift a freeze again."""


@dataclass(frozen=True, slots=True)
class TypedData:
    """EIP-712 data to sign. ``digest`` is what is signed; ``full`` makes the whole of it, for wallets that show it."""

    digest: bytes
    full: Callable[[], dict[str, Any]] = field(repr=False)


class EvmSigner(Protocol):
    """Who signs on EVM chains. Sync or async: a method that returns an awaitable is awaited by async clients.

    Set ``blocking = False`` on a sync signer that answers at once; any other sync one runs in a thread under asyncio.
    """

    @property
    def address(self) -> str:
        """The account that pays, 0x and forty hex digits."""

    def sign_typed_data(self, full_message: dict[str, Any], /) -> Maybe[bytes | str]:
        """Sign an EIP-712 message, given whole (types, primaryType, domain, message): 65 bytes, or their hex."""


class SolanaSigner(Protocol):
    """Who signs on Solana. Sync or async, and ``blocking`` as for ``EvmSigner``."""

    @property
    def address(self) -> str:
        """The account that pays, in base58."""

    def sign_message(self, message: bytes, /) -> Maybe[bytes | str]:
        """Sign bytes with Ed25519: 64 bytes, or their base58."""


class Scheme(Protocol):
    """One payment scheme on one family of chains. Written once: what has to be asked is yielded."""

    name: str
    family: str

    def objection(self, offer: Offer) -> str | None:
        """Why this offer must not be signed, or None. ``offer.token`` is known.

        It goes by the offer alone: the answer is kept for the next time that the same is offered.
        """

    def remark(self, offer: Offer) -> str | None:
        """What a person should know about an offer that is signed all the same."""

    def sign(self, offer: Offer, validity: int) -> Generator[Ask[Any], Any, Signed]:
        """Build and sign the payload."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A scheme's work: the payload for the wire, and what identifies it."""

    payload: Mapping[str, Any] = field(repr=False)
    nonce: str
    payer: str
    expires: int
    evidence: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Approval:
    """What an approver is asked to agree to."""

    price: Money
    offer: Offer
    method: str
    url: str
    host: str
    description: str


class Approver(Protocol):
    """Somebody who says True, or anything else for no. Sync or async."""

    def __call__(self, approval: Approval, /) -> Maybe[bool]: ...


class SettlementReader(Protocol):
    """How to learn whether an authorization settled. Sync or async.

    It may be asked about a payment of another wallet that shares the purse: of what it does not know it says "unknown".
    """

    def read(self, hold: Hold, /) -> Maybe[Literal["settled", "not_settled", "unknown"]]: ...


def moment(seconds: float | None) -> datetime | None:
    """Seconds since 1970 as people read them."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
