"""The few questions a flow may ask. A flow yields one and gets its answer back. Those who answer decide nothing.

``hold = yield from Reserve(...)`` is typed: an ask, iterated, yields itself and returns its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

from .reply import Reply as Reply

if TYPE_CHECKING:
    from datetime import datetime as datetime

    from ..errors import MoneyState
    from ..events import Event
    from ..model.allowances import AllowanceRecord as AllowanceRecord
    from ..model.holds import Attempt, Authorization, Hold, LastAnswer, Order, Outcome, Purchase
    from ..model.holds import Busy as Busy
    from ..model.holds import Fate as Fate
    from ..model.hosts import Origin
    from ..model.offers import Receipt
    from ..model.signing import Approval, TypedData
    from .digests import BodyDigest as BodyDigest
    from .running_call import RunningCall

T = TypeVar("T")
#: "timeout": the caller waited long enough. "not_sent": provably nothing left this machine. "lost": any other failure.
Failure = Literal["timeout", "not_sent", "lost"]
# Written out: for two dozen classes dataclasses would take a tenth of the time that the package takes to import.


class Ask(Generic[T]):
    """A question; ``T`` is the type of its answer."""

    __slots__ = ()

    def __iter__(self) -> Generator[Ask[Any], T, T]:
        return (yield self)


class Peek(Ask["bytes | None"]):
    """The body of a 402, within bounds; None if it is larger. The connection is free again afterwards."""

    __slots__ = ("reply",)

    def __init__(self, reply: Reply) -> None:
        self.reply: Reply = reply


class Digest(Ask["BodyDigest"]):
    """The digest of the request's whole body. BodyNotReplayable if the body cannot be sent a second time."""

    __slots__ = ()


class Joined(NamedTuple):
    """The answer to ``Join``.

    ``state`` is "free" if there is nothing to wait for, and "running" while an overdue call runs. After its delivery,
    one joiner presents the payment: its state is "delivered", and that of the others is "queued". It is "replaced" if
    the call that asks is overdue itself and a later one was delivered.
    """

    #: The record of the call that asks. None: there are no others.
    call: RunningCall | None
    state: Literal["free", "running", "queued", "delivered", "replaced"] = "free"
    #: The hold of the call that was joined, as it may be shown, and how that call ended.
    hold: Hold | None = None
    outcome: Outcome | None = None
    #: The seconds that are left of the caller's own time-out.
    seconds: float = 0.0


class Join(Ask[Joined]):
    """The overdue call at the same purchase in this process that this call has to wait for, if there is one.

    ``running`` is the record that an earlier answer gave. Without one, the call that asks becomes known to others.
    """

    __slots__ = ("purchase", "running", "started")
    purchase: Purchase
    running: RunningCall | None
    started: float

    def __init__(self, purchase: Purchase, started: float, running: RunningCall | None) -> None:
        self.purchase, self.started, self.running = purchase, started, running


class Reserve(Ask["Hold | Busy | None"]):
    """Take the price from every budget, or the unresolved hold of the same purchase."""

    __slots__ = ("attempt", "order")
    attempt: Attempt
    order: Order

    def __init__(self, order: Order, attempt: Attempt) -> None:
        self.order, self.attempt = order, attempt


class Claim(Ask["Hold | Busy | None"]):
    """The unresolved hold of this purchase, if there is one."""

    __slots__ = ("attempt", "purchase")
    attempt: Attempt
    purchase: Purchase

    def __init__(self, purchase: Purchase, attempt: Attempt) -> None:
        self.purchase, self.attempt = purchase, attempt


class Record(Ask["Hold"]):
    """Keep the authorization before it leaves."""

    __slots__ = ("authorization", "hold")
    authorization: Authorization
    hold: Hold

    def __init__(self, hold: Hold, authorization: Authorization) -> None:
        self.hold, self.authorization = hold, authorization


class Release(Ask[None]):
    """Give the budget of an unsent hold back."""

    __slots__ = ("hold",)

    def __init__(self, hold: Hold) -> None:
        self.hold: Hold = hold


class Close(Ask[None]):
    """The purchase was delivered. This is answered at once, and ``attempt`` is ended when the ledger has it."""

    __slots__ = ("attempt", "hold", "money", "receipt")
    attempt: Attempt
    hold: Hold
    receipt: Receipt | None

    def __init__(self, hold: Hold, money: MoneyState, receipt: Receipt | None, attempt: Attempt) -> None:
        self.hold, self.receipt, self.attempt = hold, receipt, attempt
        self.money: MoneyState = money


class Settlement(Ask["Fate"]):
    """The fate of an unresolved payment: asked of the chain, bounded in time, once the payment expired."""

    __slots__ = ("hold",)

    def __init__(self, hold: Hold) -> None:
        self.hold: Hold = hold


class Seen:
    """The chain's answer at once: True if the payment settled, and the payer's balance in the token's smallest unit.

    None as a balance: it was not asked for, or could not be told in time. ``charged`` is what was taken of a ceiling,
    in the same unit, and ``fate`` says by whose word; None: it is not known.
    """

    __slots__ = ("balance", "charged", "fate", "settled")
    balance: int | None
    settled: bool
    charged: int | None
    fate: Fate

    def __init__(
        self, settled: bool, balance: int | None = None, charged: int | None = None, fate: Fate = "unknown"
    ) -> None:
        self.settled, self.balance, self.charged, self.fate = settled, balance, charged, fate


class LookNow(Ask[Seen]):
    """Look at the chain after an end that leaves open what became of the money. It takes two seconds at most.

    ``funds``: look up the payer's balance besides.
    """

    __slots__ = ("funds", "hold")
    funds: bool
    hold: Hold

    def __init__(self, hold: Hold, funds: bool = False) -> None:
        self.hold, self.funds = hold, funds


class LookLater(Ask[None]):
    """Look in the background at what was taken of a ceiling. No caller waits for it."""

    __slots__ = ("outcome", "unresolved")

    def __init__(self, outcome: Outcome, unresolved: bool = False) -> None:
        self.outcome: Outcome = outcome
        self.unresolved: bool = unresolved


class Conclude(Ask[bool]):
    """Keep what the chain told of a hold. False: an attempt presents it at this moment, and all stays as it is."""

    __slots__ = ("hold", "settled")
    hold: Hold
    settled: bool

    def __init__(self, hold: Hold, settled: bool) -> None:
        self.hold, self.settled = hold, settled


class WriteOff(Ask["Hold"]):
    """The policy gives an unresolved purchase up."""

    __slots__ = ("hold",)

    def __init__(self, hold: Hold) -> None:
        self.hold: Hold = hold


class Note(Ask[None]):
    """Keep the last answer to a payment that brought no content, to be shown. A ledger may keep none.

    ``now``: only if nothing has to be awaited for it.
    """

    __slots__ = ("hold", "last", "now")
    hold: Hold
    last: LastAnswer
    now: bool

    def __init__(self, hold: Hold, last: LastAnswer, now: bool = False) -> None:
        self.hold, self.last, self.now = hold, last, now


class Expired(Ask["list[tuple[Hold, Fate]]"]):
    """The fates of all expired payments without an answer: asked of the chain, bounded in time."""

    __slots__ = ()


class Holds(Ask["tuple[Hold, ...]"]):
    """The payments of the purse that are not resolved: looked at, and not claimed."""

    __slots__ = ()


class AllowanceRecords(Ask["tuple[AllowanceRecord, ...]"]):
    """Allowances of a purse by their accounts, as the ledger has them at this moment."""

    __slots__ = ("accounts", "purse")

    def __init__(self, purse: str, accounts: tuple[str, ...]) -> None:
        self.purse: str = purse
        self.accounts: tuple[str, ...] = accounts


class LeftAlone(Ask["datetime | None"]):
    """The time until which a seller gets no new payment, as its last ones brought nothing. None: it may have one."""

    __slots__ = ("origin",)

    def __init__(self, origin: Origin) -> None:
        self.origin: Origin = origin


class Approved:
    """An approver's answer, the seconds that it took, and the approver's own exception if it raised one."""

    __slots__ = ("failure", "remark", "seconds", "yes")
    remark: str
    seconds: float
    yes: bool
    failure: BaseException | None

    def __init__(self, yes: bool, seconds: float, remark: str = "", failure: BaseException | None = None) -> None:
        self.yes, self.seconds, self.remark, self.failure = yes, seconds, remark, failure


class Approve(Ask[Approved]):
    """The question to the approver, asked above the user's threshold only."""

    __slots__ = ("approval",)

    def __init__(self, approval: Approval) -> None:
        self.approval: Approval = approval


class SignTyped(Ask["SignatureGiven"]):
    """A signature over EIP-712 data by the wallet's EVM key."""

    __slots__ = ("data",)

    def __init__(self, data: TypedData) -> None:
        self.data: TypedData = data


class SignText(Ask["SignatureGiven"]):
    """A signature over a text to be read, by the wallet's EVM key: EIP-191, which wallets call personal_sign."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text: bytes = text


class Bought(Ask["Hold | None"]):
    """The latest purchase at an origin, delivered or unresolved, by these accounts; one at this URL first."""

    __slots__ = ("origin", "payers", "url")

    def __init__(self, origin: Origin, url: str, payers: tuple[str, ...]) -> None:
        self.origin: Origin = origin
        self.url: str = url
        self.payers: tuple[str, ...] = payers


class SignMessage(Ask["SignatureGiven"]):
    """A signature over plain bytes by the wallet's Solana key."""

    __slots__ = ("message",)

    def __init__(self, message: bytes) -> None:
        self.message: bytes = message


class Sign(Ask["SignatureGiven"]):
    """A signature over what a scheme needs, by the wallet's signer for a further family of chains."""

    __slots__ = ("data", "family")
    data: Any
    family: str

    def __init__(self, family: str, data: Any) -> None:
        self.family, self.data = family, data


class Fetch(Ask[T]):
    """A read that may block, of a chain for instance. Async clients have it run in a thread."""

    __slots__ = ("read",)

    def __init__(self, read: Callable[[], T]) -> None:
        self.read: Callable[[], T] = read


class SignatureGiven:
    """A signature from a signer, and the seconds it took. ``trusted``: by our own signer, so it is not checked."""

    __slots__ = ("seconds", "signature", "trusted")
    seconds: float
    signature: bytes
    trusted: bool

    def __init__(self, signature: bytes, trusted: bool = False, seconds: float = 0.0) -> None:
        self.signature, self.trusted, self.seconds = signature, trusted, seconds


class Send(Ask[Reply]):
    """Send the request once more with the payment in this header."""

    __slots__ = ("header",)

    def __init__(self, header: tuple[str, str]) -> None:
        self.header: tuple[str, str] = header


class Failed(Ask["Failure"]):
    """Say what kind of failure an exception of the HTTP library is."""

    __slots__ = ("failure",)

    def __init__(self, failure: Exception) -> None:
        self.failure: Exception = failure


class LookAgain(Ask[Reply]):
    """Send the request once more without a payment, to see today's terms."""

    __slots__ = ()


class Pause(Ask[None]):
    """Wait."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds: float = seconds


class Tell(Ask[None]):
    """Say what happened: to the log and to the user's ``on_event``."""

    __slots__ = ("event",)

    def __init__(self, event: Event) -> None:
        self.event: Event = event
