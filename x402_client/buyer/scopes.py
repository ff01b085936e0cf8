"""``buyer.purchase(...)``: an identity, a cap or frozen terms for the requests made in a ``with`` block."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from contextvars import Token as ContextToken
from types import TracebackType
from typing import ParamSpec, TypeVar

from ..errors import ConfigurationError
from ..model.money import Amount
from ..model.offers import Quote
from ..policy import checks
from ..policy.choice import Mandate

P = ParamSpec("P")
T = TypeVar("T")


class Scope:
    """A scope of the requests made inside ``with buyer.purchase(...)``. It follows tasks and ``asyncio.to_thread``.

    Args:
        buyer: The buyer whose requests are meant.
        mandate: The caller's terms.
    """

    def __init__(self, buyer: object, mandate: Mandate) -> None:
        self.buyer = buyer
        self.mandate = mandate
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
        """Call ``function`` inside this scope. It may be called from any thread.

        Args:
            function: A plain function.
            args: Its positional arguments.
            kwargs: Its keyword arguments.
        """

        def inside() -> T:
            _scopes.set((*_scopes.get(), self))
            return function(*args, **kwargs)

        found = copy_context().run(inside)
        if inspect.isawaitable(found):
            getattr(found, "close", bool)()  # it would run outside of the scope, and buy without its key
            raise ConfigurationError(
                "scope.run calls plain functions; in async code use `with buyer.purchase(...)` around the await."
            )
        return found


class PurchaseWarning(UserWarning):
    """A warning that a purchase scope was left unused."""


_scopes: ContextVar[tuple[Scope, ...]] = ContextVar("x402_client.scopes", default=())
_NOTHING = Mandate()


def mandate_around(buyer: object) -> Mandate:
    """Return the mandate of this buyer's innermost scope around the request at hand."""
    for scope in reversed(_scopes.get()):
        if scope.buyer is buyer:
            scope.seen = True
            return scope.mandate
    return _NOTHING


def mandate(key: str | None = None, per_request: Amount | None = None, quote: Quote | None = None) -> Mandate:
    """Return the caller's terms for one purchase, checked."""
    if key is not None and (not isinstance(key, str) or not key or not checks.is_unicode(key)):
        raise ConfigurationError(f"A purchase key is a str of Unicode that is not empty, not {type(key).__name__}.")
    if quote is not None and not isinstance(quote, Quote):
        raise ConfigurationError("purchase(quote=...) takes what quote(client, method, url) returned.")
    return Mandate(key, None if per_request is None else checks.amount("per_request", per_request), quote)
