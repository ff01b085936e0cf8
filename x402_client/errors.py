"""Every error of this package, split by whose fault it is; each answers what happened to the money.

X402Error                .money .hold .offer .response .stopped_by
├─ QuoteError            the 402 makes no sense             untouched
│  ├─ MalformedQuote
│  └─ UnsupportedVersion
├─ PaymentRefused        we decided not to pay              untouched
│  ├─ NoAcceptableOffer  .reasons
│  ├─ OverLimit          .limit .asked .spent .resets_at .host .window .allowance
│  │  ├─ TooExpensive    one payment above per_request: also a NoAcceptableOffer
│  │  ├─ AllowanceEnded  the allowance was closed, or its time is over
│  │  └─ SameRequest     bought as often as Policy(same_request=...) allows
│  ├─ HostNotAllowed     .resets_at .host .allowance
│  ├─ ApprovalDenied
│  └─ Frozen            .allowance
├─ PaymentNotSent        tried, nothing left the machine    untouched
│  ├─ SigningError
│  ├─ ChainUnavailable
│  ├─ LedgerUnavailable                                     held if it may have counted what was signed
│  ├─ InsufficientFunds   Policy(check_funds=True) asks for the look; Permit2 always needs an allowance
│  └─ BodyNotReplayable
├─ PaymentRejected       the seller saw it and said no      held
├─ PaymentOutcomeUnknown it left, no usable answer          unknown    .wait_until
├─ PaidNotDelivered      the chain says paid, no content    spent
├─ AlreadyPaid           this key was paid before           spent      .receipt
├─ DiscoveryUnavailable  no facilitator gave its list       untouched
└─ ConfigurationError    raised while building              untouched

Each class has a page in the manual, which a message names at its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from typing import TypedDict, Unpack

    from .model.holds import Hold
    from .model.money import Money
    from .model.offers import Offer, Receipt

    class _Facts(TypedDict, total=False):
        hold: Hold | None
        offer: Offer | None
        response: Any | None

    class _LimitFacts(_Facts, total=False):
        limit: Money | int | None
        asked: Money | int | None
        spent: Money | int | None
        resets_at: datetime | None
        host: str | None
        window: str | None
        allowance: str | None


__all__ = [
    "AllowanceEnded", "AlreadyPaid", "ApprovalDenied", "BodyNotReplayable", "ChainUnavailable", "ConfigurationError",
    "DiscoveryUnavailable", "Frozen", "HostNotAllowed", "InsufficientFunds", "LedgerUnavailable", "MalformedQuote",
    "MoneyState", "NoAcceptableOffer", "OverLimit", "PaidNotDelivered", "PaymentNotSent", "PaymentOutcomeUnknown",
    "PaymentRefused", "PaymentRejected", "QuoteError", "SameRequest", "SigningError", "TooExpensive",
    "UnsupportedVersion", "X402Error", "causes", "find",
]  # fmt: skip

MoneyState = Literal["untouched", "held", "spent", "unknown"]

_POINTER = r"\s*More: x402 manual errors/[a-z0-9-]+"
_WORDS = r"(?<=[a-z])(?=[A-Z])"


class X402Error(Exception):
    """The base of every error here. ``money`` says what happened to it.

    ``str(error)`` ends with the command that shows the manual's page; ``error.args[0]`` is the message alone.

    Args:
        message: What was found, what was allowed, and what to do.
        hold: The purchase that it is about. Default: None, no budget was held.
        offer: The way to pay that it is about, as the seller offered it. Default: None.
        response: The seller's answer, of the HTTP library's own type. Default: None.
    """

    money: MoneyState = "untouched"
    #: The page of the manual about errors of this class. A subclass made elsewhere inherits the nearest one.
    manual_page: ClassVar[str] = "errors/x402-error"
    _hold: Hold | None = None
    #: The way to pay that the error is about, as the seller offered it.
    offer: Offer | None
    #: The seller's answer, of the HTTP library's own type: an ``httpx.Response``, a ``requests.Response``.
    response: Any | None
    #: The freezes of hosts and of all (``*``) that stopped the request, or that keep its payment from being presented
    #: again. ``()``: none did when the error was raised, or none was looked for.
    stopped_by: tuple[str, ...] = ()

    def __init__(
        self, message: str, *, hold: Hold | None = None, offer: Offer | None = None, response: Any | None = None
    ) -> None:
        super().__init__(re.sub(_POINTER, "", message))  # that of an error which the message quotes
        self.hold = hold
        self.offer = offer
        self.response = response

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if cls.__module__ == __name__:
            cls.manual_page = f"errors/{re.sub(_WORDS, '-', cls.__name__).lower()}"

    def __str__(self) -> str:
        message = str(self.args[0]) if self.args else ""
        ended = not message or message.endswith((".", "!", "?", ")"))
        between = "\n" if "\n" in message else " " if ended else ". "
        return f"{message}{between}More: x402 manual {self.manual_page}".lstrip()

    @property
    def hold(self) -> Hold | None:
        """Return the purchase that the error is about, if budget was held for it. Its ``money`` is the error's."""
        if self._hold is not None and self._hold.money != self.money:
            self._hold = self._hold.but(money=self.money)
        return self._hold

    @hold.setter
    def hold(self, hold: Hold | None) -> None:
        self._hold = hold


class QuoteError(X402Error):
    """The server's 402 makes no sense. Nothing was paid."""


class MalformedQuote(QuoteError):
    """The 402 claims to be x402 and cannot be read, or it did not end in time."""


class UnsupportedVersion(QuoteError):
    """The 402 speaks a version of x402 that this package does not know."""


class PaymentRefused(X402Error):
    """We decided not to pay. Nothing was signed."""


class NoAcceptableOffer(PaymentRefused):
    """No offer passed.

    Args:
        message: What was found, what was allowed, and what to do.
        reasons: One line for each offer. Default: none.
        facts: ``hold``, ``offer`` and ``response``, as in ``X402Error``.
    """

    def __init__(self, message: str, *, reasons: tuple[str, ...] = (), **facts: Unpack[_Facts]) -> None:
        super().__init__(message, **facts)
        self.reasons = reasons


class OverLimit(PaymentRefused):
    """A limit would be exceeded. Amounts are ``Money``, or an ``int`` where the limit counts payments.

    Args:
        message: What was found, what was allowed, and what to do.
        limit: The limit. Default: None.
        asked: What the payment would have added. Default: None.
        spent: What counted already. Default: None.
        resets_at: When the same payment would fit again. Default: None, never or not known.
        host: The entry of ``Policy(hosts=...)`` whose limit it is. Default: None, it is for all hosts.
        window: The window of the limit: ``"minute"``, ``"hour"``, ``"day"``, ``"month"`` or ``"total"``. Default: None,
            it is a limit on one payment.
        allowance: The name of the allowance whose limit it is. Default: None, it is one of the policy.
        facts: ``hold``, ``offer`` and ``response``, as in ``X402Error``.
    """

    def __init__(
        self, message: str, *, limit: Money | int | None = None, asked: Money | int | None = None,
        spent: Money | int | None = None, resets_at: datetime | None = None, host: str | None = None,
        window: str | None = None, allowance: str | None = None, **facts: Unpack[_Facts],
    ) -> None:  # fmt: skip
        super().__init__(message, **facts)
        self.limit = limit
        self.asked = asked
        self.spent = spent
        self.resets_at = resets_at
        self.host = host
        self.window = window
        self.allowance = allowance


class TooExpensive(OverLimit, NoAcceptableOffer):
    """The cheapest acceptable offer costs more than one payment may. ``spent``, ``resets_at``, ``window`` are None.

    Args:
        message: What was found, what was allowed, and what to do.
        reasons: One line for each offer. Default: none.
        facts: ``limit``, ``asked``, ``host`` and ``allowance``, as in ``OverLimit``, and ``hold``, ``offer`` and
            ``response``, as in ``X402Error``.
    """

    def __init__(self, message: str, *, reasons: tuple[str, ...] = (), **facts: Unpack[_LimitFacts]) -> None:
        super().__init__(message, **facts)
        self.reasons = reasons


class AllowanceEnded(OverLimit):
    """The allowance of this call, or one above it, was closed or has ended. It makes no new payment, ever."""


class SameRequest(OverLimit):
    """A request was bought as often as ``Policy(same_request=...)`` allows, and there is no approver to ask."""


class HostNotAllowed(PaymentRefused):
    """The policy, or the call's allowance, does not let us pay this host. Or payments to it are paused for a while.

    Args:
        message: What was found, what was allowed, and what to do.
        resets_at: When a pause after repeated failures ends. Default: None, it is no pause and does not pass.
        host: The entry of ``Policy(hosts=...)`` that denies it. Default: None, no entry decided.
        allowance: The name of the allowance whose hosts it is not among. Default: None, it is the policy or a pause.
        facts: ``hold``, ``offer`` and ``response``, as in ``X402Error``.
    """

    def __init__(
        self,
        message: str,
        *,
        resets_at: datetime | None = None,
        host: str | None = None,
        allowance: str | None = None,
        **facts: Unpack[_Facts],
    ) -> None:
        super().__init__(message, **facts)
        self.resets_at = resets_at
        self.host = host
        self.allowance = allowance


class ApprovalDenied(PaymentRefused):
    """The approver said no, did not answer in time, or failed."""


class Frozen(PaymentRefused):
    """Payments are stopped until they are unfrozen: to a host, to all, or under an allowance.

    Args:
        message: What was found, what was allowed, and what to do.
        allowance: The name of the allowance that is frozen: the one of this call, or one above it. Default: None, the
            payments to a host or to all are frozen.
        facts: ``hold``, ``offer`` and ``response``, as in ``X402Error``.
    """

    def __init__(self, message: str, *, allowance: str | None = None, **facts: Unpack[_Facts]) -> None:
        super().__init__(message, **facts)
        self.allowance = allowance


class PaymentNotSent(X402Error):
    """We tried to pay and nothing left the machine."""

    #: What may be done instead, in the same call: "another" offer may be paid, or the same one after a "wait". "":
    #: neither.
    instead: Literal["", "another", "wait"] = ""


class SigningError(PaymentNotSent):
    """The signer failed, or returned something that is not its signature."""


class ChainUnavailable(PaymentNotSent):
    """A payment needs a fact from the chain, and no endpoint gave it."""


class InsufficientFunds(PaymentNotSent):
    """The wallet cannot pay this, or the payment could not arrive: an account is missing or short."""


class LedgerUnavailable(PaymentNotSent):
    """The ledger cannot be opened, read, trusted or written; without it nothing is paid.

    Args:
        message: What was found, what was allowed, and what to do.
        wrote_nothing: True if the ledger certainly wrote nothing. Default: False.
        facts: ``hold``, ``offer`` and ``response``, as in ``X402Error``.
    """

    def __init__(self, message: str, *, wrote_nothing: bool = False, **facts: Unpack[_Facts]) -> None:
        super().__init__(message, **facts)
        self.wrote_nothing = wrote_nothing


class BodyNotReplayable(PaymentNotSent):
    """The request's body was consumed by the first try and was too large to keep."""


class PaymentRejected(X402Error):
    """The seller saw the payment and asked again. What was signed can still be settled until it expires."""

    money: MoneyState = "held"


class PaymentOutcomeUnknown(X402Error):
    """The payment left and no usable answer came. The same request presents the same payment again.

    Args:
        message: What was found, what was allowed, and what to do.
        wait_until: When to ask again at the latest; the chain may tell before. Default: None, that time has passed.
        facts: ``hold``, ``offer`` and ``response``, as in ``X402Error``.
    """

    money: MoneyState = "unknown"

    def __init__(self, message: str, *, wait_until: datetime | None = None, **facts: Unpack[_Facts]) -> None:
        super().__init__(message, **facts)
        self.wait_until = wait_until


class PaidNotDelivered(X402Error):
    """The chain shows the payment settled, and the seller does not deliver."""

    money: MoneyState = "spent"


class AlreadyPaid(X402Error):
    """The payment of this key was made and delivered before. Or it was this request's, by a call that was given up on.

    Args:
        message: What was found, what was allowed, and what to do.
        receipt: The receipt of that payment. Default: None.
        facts: ``hold``, ``offer`` and ``response``, as in ``X402Error``.
    """

    money: MoneyState = "spent"

    def __init__(self, message: str, *, receipt: Receipt | None = None, **facts: Unpack[_Facts]) -> None:
        super().__init__(message, **facts)
        self.receipt = receipt


class DiscoveryUnavailable(X402Error):
    """No facilitator gave a list of sellers that can be read. Discovery never pays."""


class ConfigurationError(X402Error):
    """Something was set up in a way that cannot work. Raised while building, before any payment."""


def find(exc: BaseException | None) -> X402Error | None:
    """Return the X402Error inside an exception that an SDK raised. Causes, contexts and groups are searched.

    A refusal that was handed back as a 402 (``Buyer(on_refusal="return")``) is found on the response of an exception.

    Args:
        exc: An exception, or None.
    """
    if not isinstance(exc, BaseException | None):
        raise TypeError(f"find takes an exception, not {type(exc).__name__}; of a response, outcome(it) has the money.")
    return next(filter(None, (one if isinstance(one, X402Error) else _refusal_on(one) for one in causes(exc))), None)


def _refusal_on(failure: BaseException) -> X402Error | None:
    response = vars(failure).get("response")  # not getattr: a stranger's property may fail
    extensions = getattr(response, "extensions", None)
    hung = extensions.get("x402_refusal") if isinstance(extensions, dict) else getattr(response, "x402_refusal", None)
    return hung if isinstance(hung, X402Error) else None


def causes(exc: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and its causes, the nearest first. Each comes once, also if they form a loop.

    Args:
        exc: An exception, or None, which has no cause.
    """
    seen: set[int] = set()
    waiting = [exc] if exc is not None else []
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = list(current.exceptions) if isinstance(current, BaseExceptionGroup) else []
        waiting += [e for e in (current.__cause__, current.__context__, *inner) if e is not None]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Say which error was meant: a misspelt one in an ``except`` shows itself only in the middle of a failure."""
        if name[:2] == "__":  # Python itself asks for these with every import
            raise AttributeError(name)
        import difflib

        known = {one.lower(): one for one in __all__}
        near = difflib.get_close_matches(name.lower(), known, n=1)
        cure = f"did you mean {known[near[0]]}?" if near else "each is an X402Error; `x402 manual errors` has them all."
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; {cure}", name=name)
