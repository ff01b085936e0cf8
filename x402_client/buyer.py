"""``Buyer``: the wallet, the policy and the ledger that an application's clients share."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar, copy_context
from contextvars import Token as ContextToken
from types import TracebackType
from typing import Any, Literal, ParamSpec, TypeVar

from .chains.tokens import Tokens
from .errors import ConfigurationError
from .events import Event
from .flow import Rules
from .hosts import Origin, Pattern, plain_host
from .ledgers.memory import MemoryLedger
from .limits import WINDOWS
from .money import Amount, Money, Token
from .policy import CAREFUL, Mandate, Policy
from .ports import Approver, Hold, Scheme, Spending
from .schemes.exact_evm import ExactEvm
from .wallet import Wallet
from .wire.bounds import DEFAULT, Bounds
from .wire.models import Offer, Quote, words
from .wire.networks import caip2, short_name

P = ParamSpec("P")
T = TypeVar("T")
_LEDGER_METHODS = (
    "reserve", "claim", "record", "release", "close", "write_off", "spent", "holds", "history", "freeze", "unfreeze",
)  # fmt: skip


class Buyer:
    """Pays for the clients that it wraps, within its policy. Share one between clients, threads and tasks.

    ``Buyer(wallet)`` alone is careful: ten cents per request, five dollars per day.
    """

    def __init__(
        self,
        wallet: Wallet,
        policy: Policy = CAREFUL,
        *,
        ledger: Any = ":memory:",
        purse: str = "default",
        rpc: Mapping[str, str | Iterable[str]] | None = None,
        reader: Any = None,
        settle_timeout: float | None = 60,
        approve: Approver | None = None,
        on_event: Callable[[Event], object] | None = None,
        on_refusal: Literal["raise", "return"] = "raise",
        approve_timeout: float | None = 300,
        terms_age: float = 30,
        bounds: Bounds = DEFAULT,
    ) -> None:
        self.wallet = _instance("wallet", wallet, Wallet)
        self.policy = _instance("policy", policy, Policy)
        self.bounds = _instance("bounds", bounds, Bounds)
        self.ledger = _ledger(ledger)
        self.purse = _instance("purse", purse, str)
        self.rpc = _rpc(rpc or {})
        self.settle_timeout = _seconds("settle_timeout", settle_timeout)
        self.approve_timeout = _seconds("approve_timeout", approve_timeout)
        self.approver = _callable("approve", approve)
        self.on_event = _callable("on_event", on_event)
        if reader is not None:
            raise ConfigurationError("Buyer(reader=...) is not available in this version; leave it out.")
        if on_refusal not in ("raise", "return"):
            raise ConfigurationError(f'on_refusal is "raise" or "return", not {on_refusal!r}.')
        if self.policy.approve_above is not None and approve is None:
            raise ConfigurationError("The policy has approve_above and nobody to ask; pass Buyer(approve=...).")
        self.rules = self._rules(on_refusal, terms_age)

    def _rules(self, on_refusal: Literal["raise", "return"], terms_age: float) -> Rules:
        schemes = _schemes(self.wallet)
        return Rules(
            policy=self.policy,
            means=_Means(Tokens(self.policy.tokens), schemes),
            schemes=schemes,
            bounds=self.bounds,
            purse=self.purse,
            on_refusal=on_refusal,
            approve_all=self.approver is not None and self.policy.approve_above is None,
            terms_age=_at_least_zero("terms_age", terms_age),
        )

    def purchase(
        self, *, key: str | None = None, per_request: Amount | None = None, quote: Quote | None = None
    ) -> Scope:
        """For the requests inside ``with``: an identity of their own, a cap of their own, or frozen terms."""
        return Scope(self, mandate(key, per_request, quote))

    def spent(self, host: str | None = None, window: str = "day", currency: str = "USD") -> Money:
        """What counts as spent: overall, or at one host (or one of the policy's host patterns)."""
        return Money.of_units(self._sync(self.ledger.spent(_question(host, window, currency))), currency)

    async def aspent(self, host: str | None = None, window: str = "day", currency: str = "USD") -> Money:
        """``spent``, awaited."""
        return Money.of_units(await _awaited(self.ledger.spent(_question(host, window, currency))), currency)

    def remaining(self, host: str | None = None, window: str = "day", currency: str = "USD") -> Money | None:
        """What the policy still allows in a window; None: it sets no limit there."""
        return self._left(self.spent(host, window, currency), host, window)

    async def aremaining(self, host: str | None = None, window: str = "day", currency: str = "USD") -> Money | None:
        """``remaining``, awaited."""
        return self._left(await self.aspent(host, window, currency), host, window)

    def holds(self) -> tuple[Hold, ...]:
        """The purchases that are not resolved: reserved, in flight, or without a usable answer."""
        return tuple(self._sync(self.ledger.holds()))

    async def aholds(self) -> tuple[Hold, ...]:
        """``holds``, awaited."""
        return tuple(await _awaited(self.ledger.holds()))

    def history(self, limit: int = 100) -> tuple[Hold, ...]:
        """The latest resolved purchases, newest first."""
        return tuple(self._sync(self.ledger.history(limit)))

    async def ahistory(self, limit: int = 100) -> tuple[Hold, ...]:
        """``history``, awaited."""
        return tuple(await _awaited(self.ledger.history(limit)))

    def write_off(self, hold: Hold) -> Hold:
        """Give an unresolved purchase up: it counts as spent, and the next same request is a new purchase."""
        written: Hold = self._sync(self.ledger.write_off(hold))
        return written

    async def awrite_off(self, hold: Hold) -> Hold:
        """``write_off``, awaited."""
        written: Hold = await _awaited(self.ledger.write_off(hold))
        return written

    def freeze(self, host: str = "*") -> None:
        """Stop payments to a host pattern, or all of them, at once."""
        self._sync(self.ledger.freeze(_freezable(host)))

    async def afreeze(self, host: str = "*") -> None:
        """``freeze``, awaited."""
        await _awaited(self.ledger.freeze(_freezable(host)))

    def unfreeze(self, host: str = "*") -> None:
        """Lift a freeze again."""
        self._sync(self.ledger.unfreeze(_freezable(host)))

    async def aunfreeze(self, host: str = "*") -> None:
        """``unfreeze``, awaited."""
        await _awaited(self.ledger.unfreeze(_freezable(host)))

    def check_sync(self) -> None:
        """A sync client cannot await: say so when it is wrapped, not in the middle of a payment."""
        parts = [f"the {name} signer" for name in self.wallet.async_only]
        parts += ["the approver"] if _is_async(self.approver) else []
        parts += ["the ledger"] if _is_async(self.ledger.reserve) else []
        if parts:
            raise ConfigurationError(
                f"A sync client cannot await, and {' and '.join(parts)} of this buyer is async; "
                "wrap an httpx.AsyncClient, or pass a sync one."
            )

    def mandate(self) -> Mandate:
        """What the innermost ``purchase`` scope around this request says."""
        for scope in reversed(_scopes.get()):
            if scope.buyer is self:
                scope.seen = True
                return scope.mandate
        return _NOTHING

    def _left(self, spent: Money, host: str | None, window: str) -> Money | None:
        caps = self._caps(host, spent.currency)
        most = [cap.most for cap in caps if cap.window == window and cap.currency == spent.currency]
        return Money.of_units(max(0, min(most) - spent.units), spent.currency) if most else None

    def _caps(self, host: str | None, currency: str) -> Iterable[Any]:
        if host is None:
            return self.policy.overall.caps("", currency)
        named = self.policy.hosts.get(Pattern.parse(host))
        if named is None:
            origin = Origin.of("https", host, None)
            found = self.policy.rule(origin)
            named = found[1] if found else None
        return () if named is None or named == "deny" else named.caps(host, currency)

    def _sync(self, answer: T) -> T:
        if inspect.isawaitable(answer):
            close = getattr(answer, "close", None)
            if close is not None:
                close()
            raise ConfigurationError("This buyer's ledger is async; use the method's async twin (aspent, aholds, ...).")
        return answer

    def close(self) -> None:
        """Let go of what the ledger holds open. Clients stay usable as far as the ledger does."""
        close = getattr(self.ledger, "close_ledger", None)
        if close is not None:
            close()

    def __repr__(self) -> str:
        return f"Buyer({self.wallet!r}, {self.policy!r})"


class Scope:
    """The requests made inside ``with buyer.purchase(...)``. Follows tasks and ``asyncio.to_thread``."""

    def __init__(self, buyer: Buyer, said: Mandate) -> None:
        self.buyer = buyer
        self.mandate = said
        self.seen = False
        self._token: ContextToken[tuple[Scope, ...]] | None = None

    def __enter__(self) -> Scope:
        if self._token is not None:
            raise ConfigurationError("This purchase scope is already entered; make one for each `with`.")
        self._token = _scopes.set((*_scopes.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._token is not None
        _scopes.reset(self._token)
        self._token = None
        if self.mandate.key is not None and not self.seen and kind is None:
            warnings.warn(
                "A keyed purchase scope ended and no request of a wrapped client was made in it; a plain thread does "
                "not see the scope, scope.run(fn, ...) carries it there.",
                PurchaseWarning,
                stacklevel=2,
            )

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``function`` inside this scope, from whatever thread this is called in."""

        def inside() -> T:
            _scopes.set((*_scopes.get(), self))
            return function(*args, **kwargs)

        return copy_context().run(inside)


class PurchaseWarning(UserWarning):
    """A purchase scope was left unused."""


_scopes: ContextVar[tuple[Scope, ...]] = ContextVar("x402_client.scopes", default=())
_NOTHING = Mandate()


def mandate(key: str | None = None, per_request: Amount | None = None, quote: Quote | None = None) -> Mandate:
    """What a caller says about one purchase, checked."""
    if key is not None and (not isinstance(key, str) or not key):
        raise ConfigurationError(f"A purchase key is a str that is not empty, not {type(key).__name__}.")
    if quote is not None and not isinstance(quote, Quote):
        raise ConfigurationError("purchase(quote=...) takes what quote(client, method, url) returned.")
    return Mandate(key, None if per_request is None else Money(per_request), quote)


class _Means:
    """What this buyer knows and can sign."""

    __slots__ = ("_schemes", "_tokens")

    def __init__(self, tokens: Tokens, schemes: Mapping[tuple[str, str], Scheme]) -> None:
        self._tokens, self._schemes = tokens, schemes

    def token(self, network: str, asset: str) -> Token | None:
        return self._tokens.find(network, asset)

    def objection(self, offer: Offer) -> str | None:
        family = offer.network.partition(":")[0]
        scheme = self._schemes.get((offer.scheme, family))
        if scheme is not None:
            return scheme.objection(offer)
        if any(name == offer.scheme for name, _ in self._schemes):
            return f"the wallet has no key for {words(short_name(offer.network), 60)}"
        return f"payment scheme {words(offer.scheme, 40)!r} is not supported"


def _schemes(wallet: Wallet) -> dict[tuple[str, str], Scheme]:
    schemes: list[Scheme] = [ExactEvm(wallet.evm.address)] if wallet.evm else []
    return {(scheme.name, scheme.family): scheme for scheme in schemes}


def _ledger(given: Any) -> Any:
    if given == ":memory:":
        return MemoryLedger()
    if isinstance(given, str):
        raise ConfigurationError(
            'Only ledger=":memory:" and Ledger objects are available in this version; budgets of ":memory:" last as '
            "long as the process."
        )
    missing = [name for name in _LEDGER_METHODS if not callable(getattr(given, name, None))]
    if missing:
        raise ConfigurationError(f"{type(given).__name__} is not a Ledger; it has no {', '.join(missing)}.")
    return given


def _rpc(given: Mapping[str, str | Iterable[str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, urls in given.items():
        network = caip2(name)
        listed = (urls,) if isinstance(urls, str) else tuple(urls)
        if network is None or not listed or not all(u.startswith(("http://", "https://")) for u in listed):
            raise ConfigurationError(f'rpc maps networks to URLs, like {{"base": "https://..."}}, not {name!r}.')
        found[network] = listed
    return found


def _instance(name: str, value: T, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise ConfigurationError(f"{name} is a {kind.__name__}, not {type(value).__name__}.")
    return value


def _callable(name: str, value: T) -> T:
    if value is not None and not callable(value):
        raise ConfigurationError(f"{name} is a function, not {type(value).__name__}.")
    return value


def _seconds(name: str, value: float | None) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0):
        raise ConfigurationError(f"{name} is a number of seconds above zero, or None, not {value!r}.")
    return value


def _at_least_zero(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ConfigurationError(f"{name} is a number of seconds, not {value!r}.")
    return value


def _question(host: str | None, window: str, currency: str) -> Spending:
    if window not in WINDOWS:
        raise ConfigurationError(f"window is one of {', '.join(WINDOWS)}, not {window!r}.")
    return Spending("" if host is None else str(Pattern.parse(plain_host(host))), window, currency.upper())


def _freezable(host: str) -> str:
    return host if host == "*" else str(Pattern.parse(host))


def _is_async(function: Any) -> bool:
    call = getattr(function, "__call__", None)  # noqa: B004 - a callable object may have an async __call__
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


async def _awaited(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer
