"""``buyer.purchase(...)``: an identity, a cap or frozen terms for the requests made in a ``with`` block."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import replace
from threading import local
from types import FrameType, TracebackType
from typing import Any, NamedTuple, NoReturn, ParamSpec, TypeVar
from weakref import WeakSet

from ..errors import ConfigurationError
from ..guards.lost_blocks import entering_frame, in_a_lifespan, lost_block
from ..ledgers.extras import place_of
from ..model.money import Amount
from ..model.offers import Quote
from ..policy import checks
from ..policy.allowances import AllowanceRules, joined
from ..policy.choice import Mandate

P = ParamSpec("P")
T = TypeVar("T")


class PlainWith:
    """A class for plain ``with``, also in async code. ``async with`` is told so."""

    async def __aenter__(self) -> NoReturn:
        raise TypeError(
            f"A scope of {'purchases' if isinstance(self, Scope) else 'an allowance'} is entered by plain `with`, in "
            "async code too: `with`, not `async with`. It waits for nothing."
        )

    async def __aexit__(self, *_: object) -> None:
        """Leave nothing: it was not entered."""


class Scope(PlainWith):
    """A scope of the requests made inside ``with buyer.purchase(...)``. It follows tasks and ``asyncio.to_thread``.

    Args:
        buyer: The buyer whose requests are meant.
        mandate: The caller's terms.
        allowances: The allowances that its requests are made under, from the root down. Default: none.
        allowance: The object of the innermost one, which lives as long as it is used. Default: None.
    """

    def __init__(
        self,
        buyer: object,
        mandate: Mandate,
        allowances: tuple[AllowanceRules, ...] = (),
        allowance: object = None,
    ) -> None:
        self.buyer: object = buyer
        self.mandate: Mandate = mandate
        self.allowances: tuple[AllowanceRules, ...] = allowances
        self.allowance: object = allowance
        self.seen = False
        #: True once it was entered, or it was told that it was not.
        self.used: bool = False
        self._entered = False
        if asks_something(mandate):
            _made.scopes.add(self)

    def __enter__(self) -> Scope:
        if self._entered:
            raise ConfigurationError("This purchase scope is already entered; make one for each `with`.")
        self.used = True
        look_where(entering_frame())
        self._entered = True
        enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered = False
        if not leave(self):
            warn_of_another_context(self.seen, kind)
        elif self.mandate.key is not None and not self.seen and kind is None:
            warnings.warn(
                "A keyed purchase scope ended and no request of a wrapped client was made in it; a plain thread does "
                "not see the scope, scope.run(fn, ...) carries it there.",
                PurchaseWarning,
                stacklevel=2,
            )

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``function`` inside this scope. It may be called from any thread.

        Args:
            function: A plain function.
            args: Its positional arguments.
            kwargs: Its keyword arguments.
        """
        self.used = True
        return run_inside(self, "with buyer.purchase(...)", function, *args, **kwargs)

    def __del__(self) -> None:
        """Warn of terms that were never in force: the requests after it were paid without them."""
        if not getattr(self, "used", True) and asks_something(self.mandate):
            warnings.warn(
                f"buyer.purchase(...) was never entered, so that its key or its terms were for no request; {_ENTER}",
                PurchaseWarning,
                stacklevel=2,
            )


class Seen:
    """A note of whether a request was made in a scope of an allowance, which may be entered many times."""

    __slots__ = ("yes",)

    def __init__(self) -> None:
        self.yes: bool = False


class AllowanceScope(NamedTuple):
    """A scope of the requests made inside ``with allowance:``. It may be entered many times, also at once."""

    buyer: object
    allowances: tuple[AllowanceRules, ...]
    #: The object of the innermost one: without a name, it lives as long as it is used.
    allowance: object
    seen: Seen


def look_where(frame: FrameType | None) -> None:
    """Refuse to enter a scope where it is known that what follows will not be in it. In a lifespan, warn.

    Args:
        frame: The frame that enters it.
    """
    if lost := lost_block(frame):
        raise ConfigurationError(
            "This scope would end with the step that enters it, and what comes after would be paid outside of it: "
            f"{lost}. Write the generator `async def` and let one task run it; or put the `with` around the requests "
            "themselves, in the function that makes them; or use wrap(client, allowance) or scope.run(fn, ...)."
        )
    if in_a_lifespan(frame):
        warnings.warn(
            "A scope around the `yield` of a lifespan holds for the tasks that are started in the lifespan, and for no "
            "request that the application serves. wrap(client, allowance) limits all that a client pays.",
            PurchaseWarning,
            stacklevel=3,
        )


def warn_of_another_context(seen: bool, kind: type[BaseException] | None) -> None:
    """Warn of a scope that is left in another context than it was entered in: its block did not see it.

    Args:
        seen: True if a request was made in it.
        kind: The exception that ends its block. A generator that was given up on is closed anywhere.
    """
    if not seen or kind is not GeneratorExit:
        warnings.warn(
            "A scope of a purchase or an allowance was left in another context than it was entered in. Requests after "
            "the first `yield` of its block, or in another task, were not in it. Put the `with` around the requests "
            "themselves, or use wrap(client, allowance) or scope.run(fn, ...).",
            PurchaseWarning,
            stacklevel=3,
        )


def enter(scope: Scope | AllowanceScope) -> None:
    """Put a scope around what follows, in this context."""
    _scopes.set((*_scopes.get(), scope))


def leave(owner: object) -> bool:
    """Take away the innermost entry of a purchase scope, or of an allowance. Return False if this context has none."""
    around = _scopes.get()
    for place in range(len(around) - 1, -1, -1):
        found = around[place]
        if found is owner or (isinstance(found, AllowanceScope) and found.allowance is owner):
            _scopes.set((*around[:place], *around[place + 1 :]))
            return True
    return False


def scopes_with(buyer: object, payers: Iterable[Any]) -> Scopes:
    """Return the scopes around the code at hand, and the allowances among these payers of a buyer as scopes in them."""
    own = (AllowanceScope(buyer, payer.path, payer, Seen()) for payer in payers if payer is not buyer)
    return (*_scopes.get(), *own)


@contextmanager
def inside(scopes: Scopes) -> Iterator[None]:
    """Run a block in these scopes, and in none of those around it: it is done for a caller in another task."""
    token = _scopes.set(scopes)
    try:
        yield
    finally:
        _scopes.reset(token)


def run_inside(
    scope: Scope | AllowanceScope, instead: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call a plain function inside a scope. Async code is told what it writes instead."""

    def inside() -> T:
        enter(scope)
        return function(*args, **kwargs)

    found = copy_context().run(inside)
    if inspect.isawaitable(found):
        getattr(found, "close", bool)()  # it would run outside of the scope, and buy without its terms
        raise ConfigurationError(f"scope.run calls plain functions; in async code use `{instead}` around the await.")
    return found


class PurchaseWarning(UserWarning):
    """A warning that a scope was left unused, or did not hold for its block."""


class _Made(local):
    """The scopes with terms that this thread made. They are kept nowhere else."""

    def __init__(self) -> None:
        self.scopes: WeakSet[Scope] = WeakSet()


_made = _Made()


def asks_something(mandate: Mandate) -> bool:
    """Return True if the caller set terms of its own: a key, a cap or a quote."""
    return mandate.key is not None or mandate.per_request is not None or mandate.quote is not None


def warn_of_waiting(buyer: object, mandate: Mandate) -> None:
    """Warn of a payment without terms, while this thread has a scope of its buyer that was made and not entered.

    Args:
        buyer: The buyer that pays.
        mandate: The terms of the payment.
    """
    if not _made.scopes or asks_something(mandate):
        return
    for scope in [one for one in _made.scopes if one.buyer is buyer and not one.used]:
        scope.used = True  # it is told once
        warnings.warn(
            f"A payment is made while buyer.purchase(...) waits to be entered: its key or terms do not hold; {_ENTER}",
            PurchaseWarning,
            stacklevel=2,
        )


Scopes = tuple[Scope | AllowanceScope, ...]
_ENTER = "write `with buyer.purchase(...):` around the requests."
_scopes: ContextVar[Scopes] = ContextVar("x402_client.scopes", default=())
_NOTHING, _ELSEWHERE = Mandate(), Mandate(in_reach=False)
_KEY = "order-42"


def mandate_around(buyer: object) -> Mandate:
    """Return the mandate of this buyer's innermost purchase scope around the request at hand.

    ``buyer`` may be an allowance, which stands for its buyer. Where there is none of its own, that of another buyer
    with one purse of one ledger holds. One of any other buyer cannot, and is marked, so that the call is refused: a cap
    must not go by unseen.
    """
    scopes = _scopes.get()
    if not scopes:  # hot path: each request asks, a free one too
        return _NOTHING
    root = getattr(buyer, "buyer", buyer)
    around = [scope for scope in reversed(scopes) if isinstance(scope, Scope)]
    own = next((scope for scope in around if scope.buyer is root), None)
    found = own or next((scope for scope in around if _counts(scope, root)), None)
    if found is None:
        return _ELSEWHERE if around else _NOTHING
    found.seen = True
    return found.mandate


def under_allowances(mandate: Mandate, buyer: object, own: tuple[AllowanceRules, ...]) -> Mandate:
    """Return a mandate with every allowance that the request at hand is made under.

    Those are ``own``, of the client, and those of all scopes around it. An allowance inside of another one's block
    counts in both: nothing widens what stands around it. One of another buyer counts too if both have one purse of one
    ledger. Else it cannot, and is marked, so that the call is refused: what it buys must not go by uncounted.
    """
    found, scopes = own, _scopes.get()
    if not scopes and not found:
        return mandate
    for scope in scopes:
        if scope.allowances:
            if isinstance(scope, AllowanceScope):
                scope.seen.yes = True
            counts = _counts(scope, buyer)
            found = joined(found, scope.allowances if counts else map(AllowanceRules.out_of_reach, scope.allowances))
    return replace(mandate, allowances=found) if found else mandate


def allowances_around(buyer: object) -> tuple[Any, ...]:
    """Return the allowances around the code at hand in which payments of this buyer count, the outermost first."""
    found = (scope.allowance for scope in _scopes.get() if scope.allowances and _counts(scope, buyer))
    return tuple(dict.fromkeys(found))


def _counts(scope: Scope | AllowanceScope, buyer: object) -> bool:
    return scope.buyer is buyer or _account_book(scope.buyer) == _account_book(buyer)


def _account_book(buyer: Any) -> tuple[object, str]:
    """Return a key that is equal for two buyers whose payments count in the same accounts."""
    return place_of(buyer.ledger), buyer.purse


def mandate(key: str | None = None, per_request: Amount | None = None, quote: Quote | None = None) -> Mandate:
    """Return the caller's terms for one purchase, checked."""
    if key is not None and (not isinstance(key, str) or not key or not checks.is_unicode(key)):
        raise ConfigurationError(f"A purchase key is a text of one character or more, like {_KEY!r}; not {_kind(key)}.")
    if quote is not None and not isinstance(quote, Quote):
        raise ConfigurationError("purchase(quote=...) takes what quote(client, method, url) returned.")
    return Mandate(key, None if per_request is None else checks.amount("per_request", per_request), quote)


def _kind(key: object) -> str:
    """Return what is wrong with a key. It may be a secret, so it is not shown."""
    if not isinstance(key, str):
        return f"a value of type {type(key).__name__}"
    return "an empty one" if not key else "one with half of a character (a lone surrogate)"
