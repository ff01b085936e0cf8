"""The few questions a flow may ask. A flow yields one and gets its answer back; whoever answers decides nothing.

``hold = yield from Reserve(...)`` is typed: an ask, iterated, yields itself and returns its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from datetime import datetime as datetime

    from .errors import MoneyState
    from .events import Event
    from .hosts import Origin
    from .ports import Approval, Attempt, Authorization, Hold, Order, Outcome, Purchase, TypedData
    from .ports import Busy as Busy
    from .ports import Fate as Fate
    from .wire.models import Receipt

T = TypeVar("T")
# Not frozen: a payment makes a dozen asks, and frozen ones take three times as long to make, and to import.


class Ask(Generic[T]):
    """A question; ``T`` is the type of its answer."""

    __slots__ = ()

    def __iter__(self) -> Generator[Ask[Any], T, T]:
        return (yield self)


@dataclass(slots=True)
class Reply:
    """A response of the HTTP library, as much of it as the flow looks at. ``native`` is the library's own object."""

    status: int
    header: Callable[[str], str | None] = field(repr=False)
    native: Any = field(repr=False)
    outcome: Outcome | None = None


@dataclass(slots=True, eq=False)
class Peek(Ask["bytes | None"]):
    """The body of a 402, within bounds; None if it is larger. The connection is free again afterwards."""

    reply: Reply


@dataclass(slots=True, eq=False)
class Digest(Ask[bytes]):
    """The digest of the request's body, all of it. BodyNotReplayable if the body cannot be sent a second time."""


@dataclass(slots=True, eq=False)
class Reserve(Ask["Hold | Busy | None"]):
    """Take the price from every budget, or the unresolved hold of the same purchase."""

    order: Order
    attempt: Attempt


@dataclass(slots=True, eq=False)
class Claim(Ask["Hold | Busy | None"]):
    """The unresolved hold of this purchase, if there is one."""

    purchase: Purchase
    attempt: Attempt


@dataclass(slots=True, eq=False)
class Record(Ask["Hold"]):
    """Keep the authorization before it leaves."""

    hold: Hold
    authorization: Authorization


@dataclass(slots=True, eq=False)
class Release(Ask[None]):
    """Give the budget of an unsent hold back."""

    hold: Hold


@dataclass(slots=True, eq=False)
class Close(Ask[None]):
    """The purchase was delivered."""

    hold: Hold
    money: MoneyState
    receipt: Receipt | None


@dataclass(slots=True, eq=False)
class Settlement(Ask["Fate"]):
    """What became of an unresolved payment: asked of the chain, bounded in time, once the payment expired."""

    hold: Hold


@dataclass(slots=True, eq=False)
class Conclude(Ask[bool]):
    """Keep what the chain told of a hold that nobody presents at this moment; False: somebody does."""

    hold: Hold
    settled: bool


@dataclass(slots=True, eq=False)
class WriteOff(Ask["Hold"]):
    """The policy gives an unresolved purchase up."""

    hold: Hold


@dataclass(slots=True, eq=False)
class Reclaim(Ask[bool]):
    """Ask the chain about all expired payments without an answer, bounded in time; whether any budget came back."""


@dataclass(slots=True, eq=False)
class LeftAlone(Ask["datetime | None"]):
    """Until when a seller gets no new payment, because its last ones brought nothing; None: it may have one."""

    origin: Origin


@dataclass(slots=True, eq=False)
class Approved:
    """What the approver said, and after how many seconds."""

    yes: bool
    seconds: float
    remark: str = ""


@dataclass(slots=True, eq=False)
class Approve(Ask[Approved]):
    """May this be paid? Only asked above the user's threshold."""

    approval: Approval


@dataclass(slots=True, eq=False)
class SignTyped(Ask["SignatureGiven"]):
    """A signature over EIP-712 data by the wallet's EVM key."""

    data: TypedData


@dataclass(slots=True, eq=False)
class SignMessage(Ask["SignatureGiven"]):
    """A signature over plain bytes by the wallet's Solana key."""

    message: bytes = field(repr=False)


@dataclass(slots=True, eq=False)
class Fetch(Ask[T]):
    """A read that may block, of a chain for instance. Async clients have it run in a thread."""

    read: Callable[[], T]


@dataclass(slots=True, eq=False)
class SignatureGiven:
    """What a signer returned: untested if it is somebody else's signer. ``seconds`` is how long it took."""

    signature: bytes = field(repr=False)
    trusted: bool = False
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Send(Ask[Reply]):
    """Send the request once more with the payment in this header."""

    header: tuple[str, str] = field(repr=False)


@dataclass(slots=True, eq=False)
class LookAgain(Ask[Reply]):
    """Send the request once more without a payment, to see today's terms."""


@dataclass(slots=True, eq=False)
class Pause(Ask[None]):
    """Wait."""

    seconds: float


@dataclass(slots=True, eq=False)
class Tell(Ask[None]):
    """Say what happened: to the log and to the user's ``on_event``."""

    event: Event
