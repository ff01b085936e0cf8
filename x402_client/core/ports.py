"""Protocols of all that the flow needs from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, Union

if TYPE_CHECKING:
    from ..chains.families import ChainFamily
    from ..errors import MoneyState
    from ..model.allowances import AllowanceMark, AllowanceRecord, AllowanceTerms
    from ..model.holds import Attempt, Authorization, Busy, Hold, Order, Purchase, Spending
    from ..model.offers import Offer, Receipt
    from ..model.signing import Approval, Signed
    from .asks import Ask, Failure, Reply
    from .call import HttpRequest
    from .delivery import Delivery
    from .digests import BodyDigest

T = TypeVar("T")
Maybe = Union[T, Awaitable[T]]  # noqa: UP007 - as a generic alias this is the form that type checkers take


class Ledger(Protocol):
    """Holds, budgets and history. Every method may raise LedgerUnavailable; an async ledger returns awaitables.

    ``LedgerUnavailable(..., wrote_nothing=True)`` says that a step was certainly not made. Else it may have been.
    ``reserve`` is one atomic step. It claims an unresolved hold of the same purchase, if there is one. Else it takes
    the price from every budget or from none. ``LedgerExtras`` has what a ledger may tell and do besides.
    """

    def reserve(self, order: Order, attempt: Attempt) -> Maybe[Hold | Busy]:
        """Return a new hold, or the unresolved one, claimed. Raises OverLimit, AlreadyPaid, Frozen, PaymentRefused.

        The unresolved hold is one of ``purchase.names`` for which ``purchase.is_paid_by(hold.payer)``. Under a key, one
        of another wallet is refused. Each account of ``counting_accounts(order, ...)`` counts, and one that is met for
        the first time starts from the sums of the hosts that it matches. A new hold is refused if an allowance of
        ``order.path`` is not open; it keeps that path, and ``used`` says what each of these counts now. A new hold of
        an order with ``signed`` is recorded in the same step. A ledger that does not do so is asked to ``record``.
        """
        ...

    def claim(self, purchase: Purchase, attempt: Attempt) -> Maybe[Hold | Busy | None]:
        """Claim the unresolved hold of this purchase; None if there is none."""
        ...

    def record(self, hold: Hold, authorization: Authorization) -> Maybe[Hold]:
        """Keep what was signed, before it leaves the machine. Refused if an allowance of ``hold.path`` is not open."""
        ...

    def release(self, hold: Hold) -> Maybe[None]:
        """Give back what was held and never sent, in every account that it was counted in."""
        ...

    def close(self, hold: Hold, money: MoneyState, receipt: Receipt | None) -> Maybe[None]:
        """Resolve a delivered purchase. It stays counted.

        No caller waits for this, and it may be repeated. A thread may call it. For an async ledger, the
        thread awaits it on the loop of the delivery, or on its own loop once that one ended.
        """
        ...

    def write_off(self, hold: Hold) -> Maybe[Hold]:
        """Give up an unresolved purchase, as the user decided. It counts as spent."""
        ...

    def conclude(self, hold: Hold, settled: bool) -> Maybe[bool]:
        """Apply the chain's answer: give an unsettled hold back, or mark a settled one as spent and keep it open.

        Of a ceiling, ``hold.charged`` goes on counting if it is known. Return False if nothing changes: the hold is
        gone, or an attempt presents it at this moment.
        """
        ...

    def spent(self, question: Spending) -> Maybe[int]:
        """Return the millionths counted in a window."""
        ...

    def holds(self, purse: str = "default") -> Maybe[tuple[Hold, ...]]:
        """Return every purchase of a purse that is not resolved."""
        ...

    def history(self, limit: int, purse: str = "default") -> Maybe[tuple[Hold, ...]]:
        """Return the latest resolved purchases of a purse, newest first."""
        ...

    def freeze(self, pattern: str) -> Maybe[None]:
        """Stop payments to a host pattern, or all of them with ``*``."""
        ...

    def unfreeze(self, pattern: str) -> Maybe[None]:
        """Lift a freeze."""
        ...

    def freezes(self) -> Maybe[tuple[str, ...]]:
        """Return the patterns that are frozen, sorted."""
        ...

    def open_allowance(self, terms: AllowanceTerms) -> Maybe[AllowanceRecord]:
        """Return the allowance of this purse and account, in one atomic step. It is made if there is none.

        Then its end is fixed by the ledger's clock. One that is there keeps its terms: the caller compares them.
        """
        ...

    def mark_allowance(self, purse: str, account: str, mark: AllowanceMark) -> Maybe[bool]:
        """Freeze, lift, close or forget an allowance. Return False if there is none. Closed stays closed.

        One that the user named is kept for ever; "forgotten" drops another one, with its sums.
        """
        ...

    def allowances(self, purse: str = "default", accounts: tuple[str, ...] = ()) -> Maybe[tuple[AllowanceRecord, ...]]:
        """Return the allowances of a purse, or those of these accounts, the oldest first, with what they count."""
        ...


class EvmSigner(Protocol):
    """A signer on EVM chains. Sync or async: a method that returns an awaitable is awaited by async clients.

    Set ``blocking = False`` on a sync signer that answers at once; any other sync one runs in a thread under asyncio.
    Optional besides: ``sign_message(message: bytes)``, as personal_sign (EIP-191): 65 bytes or hex. It signs in.
    """

    @property
    def address(self) -> str:
        """Return the account that pays, 0x and forty hex digits."""
        ...

    def sign_typed_data(self, full_message: dict[str, Any], /) -> Maybe[bytes | str]:
        """Sign an EIP-712 message, given whole (types, primaryType, domain, message): 65 bytes, or their hex.

        Where a contract is at ``address``, the signature is what that contract takes, of any length.
        """
        ...


class SolanaSigner(Protocol):
    """A signer on Solana. Sync or async, and ``blocking`` as for ``EvmSigner``."""

    @property
    def address(self) -> str:
        """Return the account that pays, in base58."""
        ...

    def sign_message(self, message: bytes, /) -> Maybe[bytes | str]:
        """Sign bytes with Ed25519: 64 bytes, or their base58."""
        ...


class Courier(Protocol):
    """The sending side of one call through a sync HTTP client: what only that client can do.

    Two members are optional. ``read_timeout`` is the seconds that the caller set for an answer; None if it set none.
    ``reads_whole`` is True if the caller gets an answer with its whole body and nothing before. They tell a call that
    still runs in a thread after its caller gave up: the same request joins it and pays nothing.
    """

    @property
    def request(self) -> HttpRequest:
        """Return the request as the caller made it."""
        ...

    def send(self, header: tuple[str, str] | None) -> Reply:
        """Send the request, body and all: with this payment header, or without one.

        A clone carries the header, so that no later hop, log or retry of the library does. It follows no redirect.
        """
        ...

    def peek(self, reply: Reply) -> bytes | None:
        """Return the body of a response without its content encoding; None if it is larger than terms may be."""
        ...

    def digest(self) -> BodyDigest:
        """Return ``body_digest`` of the whole body: it tells this request from others."""
        ...

    def hand_over(self, reply: Reply, delivery: Delivery | None) -> Any:
        """Return what the caller gets for a response. ``reply.outcome`` goes with it, where there is one.

        A delivery hears what becomes of the body: ``done``, ``closed``, ``broke`` or ``dropped``.
        """
        ...

    def let_go(self, kept: Any) -> None:
        """Give back the connections of responses that were not handed over.

        ``kept`` is the native response that an error speaks of, or None: it stays readable.
        """
        ...

    def failed(self, failure: Exception) -> Failure:
        """Say whether a failure of ``send`` was a time-out, whether provably nothing left, or the answer was lost."""
        ...


class AsyncCourier(Protocol):
    """The sending side of one call through an async HTTP client. Each method is as in ``Courier``.

    Optional besides: ``in_time(coming)``, for a library whose own clock for a call cancels its task. It awaits
    ``coming``, and raises a TimeoutError if that clock runs out.
    """

    @property
    def request(self) -> HttpRequest:
        """Return the request as the caller made it."""
        ...

    async def send(self, header: tuple[str, str] | None) -> Reply:
        """Send the request, with this payment header or without one."""
        ...

    async def peek(self, reply: Reply) -> bytes | None:
        """Return the body of a response; None if it is larger than terms may be."""
        ...

    async def digest(self) -> BodyDigest:
        """Return ``body_digest`` of the request's body."""
        ...

    async def hand_over(self, reply: Reply, delivery: Delivery | None) -> Any:
        """Return what the caller gets for a response."""
        ...

    async def let_go(self, kept: Any) -> None:
        """Give back the connections of responses that were not handed over."""
        ...

    def failed(self, failure: Exception) -> Failure:
        """Say whether a failure of ``send`` was a time-out, whether provably nothing left, or the answer was lost."""
        ...


class FurtherSigner(Protocol):
    """A signer on a further family of chains: ``Wallet(further={"stellar": ...})``.

    Sync or async, and ``blocking`` as for ``EvmSigner``. The scheme that asks for the signature also checks it.
    """

    @property
    def address(self) -> str:
        """Return the account that pays."""
        ...

    def sign(self, data: Any, /) -> Maybe[bytes]:
        """Sign what the scheme yields in ``asks.Sign``: bytes, or a document for a signer that shows it."""
        ...


class Scheme(Protocol):
    """One payment scheme on one family of chains. Written once: what has to be asked is yielded.

    Optional besides: ``look(rpc, hold, authorization)``, as for a ``ChainFamily``, where the scheme's payments are
    looked up in another way than the family's. Without one, only payments of schemes that ship are looked up on the
    families that ship. ``signs_here(offer)`` says True where ``sign`` asks for nothing but a key in this process: then
    it signs before the price is counted, and both are written in one step.
    """

    @property
    def name(self) -> str:
        """Return the scheme's name on the wire."""
        ...

    @property
    def family(self) -> str | ChainFamily:
        """Return the family of chains, by its name in CAIP-2; an object for one that does not ship."""
        ...

    def objection(self, offer: Offer) -> str | None:
        """Return why this offer must not be signed, or None. ``offer.token`` is known.

        It goes by the offer alone: the answer is kept for the next time that the same is offered. It never raises.
        """
        ...

    def remark(self, offer: Offer) -> str | None:
        """Return what a person should know about an offer that is signed all the same, or None."""
        ...

    def sign(self, offer: Offer, validity: int) -> Generator[Ask[Any], Any, Signed]:
        """Build and sign the payload. It may yield SignTyped, SignMessage, Sign and Fetch, and raise X402Errors.

        ``validity`` is the most seconds that the payment may be valid. Each payment has a nonce of its own.
        """
        ...


class Approver(Protocol):
    """A person or a program that says True, or anything else for no. Sync or async."""

    def __call__(self, approval: Approval, /) -> Maybe[bool]: ...


class SettlementReader(Protocol):
    """A reader that tells whether an authorization settled. Sync or async.

    It may be asked about a payment of another wallet that shares the purse: of what it does not know it says "unknown".
    It is asked before the expiry too, after an end that leaves open what became of the money: "settled" is believed at
    any time. "live" is for readers that know the chain's own clock: it is before the expiry.
    """

    def read(self, hold: Hold, /) -> Maybe[Literal["settled", "not_settled", "live", "unknown"]]:
        """Say what became of a payment."""
        ...
