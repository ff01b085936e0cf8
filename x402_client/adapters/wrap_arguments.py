"""Checks of what ``wrap`` is given: a client, then a payer. All else is told in one sentence, with what to write."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from types import ModuleType
from typing import Any, TypeVar

from ..errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])

#: Libraries whose clients are wrapped, each with the face that does.
_FACES = {name: name for name in ("httpx", "httpx2", "requests", "aiohttp", "mcp")} | {"fastmcp": "mcp"}
#: Packages whose clients take an HTTP client of httpx's design as ``http_client``.
_SDKS = ("anthropic", "groq", "openai")


@dataclass(frozen=True, slots=True)
class Wrapped:
    """Clients that a face wraps.

    Attributes:
        own: The name of the library.
        wanted: The clients, in words.
        example: How one is made.
        matches: Tells whether something is one.
    """

    own: str
    wanted: str
    example: str
    matches: Callable[[object], bool]

    def checked(self, wrap: F) -> F:
        """Make a face's ``wrap`` check what it is given. Its signature stays."""
        signature = inspect.signature(wrap)
        name = next(iter(signature.parameters))

        @wraps(wrap)
        def checking(*given: Any, **named: Any) -> Any:
            try:
                bound = signature.bind(*given, **named).arguments
            except TypeError:
                raise self._misplaced(name, [*given, *named.values()]) from None
            client, buyer = bound[name], bound["buyer"]
            if not self.matches(client) or not _is_payer(buyer):
                raise self._elsewhere(client) or self._refused(name, client, buyer)
            return wrap(*given, **named)

        return checking  # type: ignore[return-value]

    def quoting(self, quote: F) -> F:
        """Make a face's ``quote`` check what it is given. Its signature stays."""
        signature = inspect.signature(quote)
        name = next(iter(signature.parameters))
        write = f'write quote({name}, "GET", "https://api.example.com/weather")'

        @wraps(quote)
        def checking(*given: Any, **named: Any) -> Any:
            try:
                bound = signature.bind(*given, **named).arguments
            except TypeError as problem:
                raise ConfigurationError(f"quote: {problem}; {write}, with a wrapped {name}.") from None
            client, method = bound[name], bound["method"]
            if not self.matches(client):
                raise self._elsewhere(client, "quote") or ConfigurationError(
                    f"quote takes a wrapped client and not {described(client)}; {write}."
                )
            if not isinstance(method, str) or not method.isalpha():
                raise ConfigurationError(f"quote takes the method before the URL; {write}.")
            return quote(*given, **named)

        return checking  # type: ignore[return-value]

    def _elsewhere(self, given: object, name: str = "wrap") -> ConfigurationError | None:
        """Return the error for a client of another library. It names the face that wraps it."""
        library = _package(type(given))
        if _FACES.get(library, self.own) == self.own:
            return None
        return ConfigurationError(
            f"This is a client of {library}, and x402_client.{self.own} wraps {self.wanted}; use "
            f"x402_client.{_FACES[library]}.{name}."
        )

    def _refused(self, name: str, client: object, buyer: object) -> ConfigurationError:
        write = self._to_write(name, (client, buyer))
        if self.matches(client):
            return ConfigurationError(f"buyer is a Buyer or an Allowance, not {described(buyer)}; {write}.")
        if _is_payer(buyer):
            return ConfigurationError(f"wrap takes {self.wanted}, not {described(client)}; {write}.")
        return self._misplaced(name, (client, buyer))

    def _misplaced(self, name: str, values: Sequence[object]) -> ConfigurationError:
        given = ", ".join(map(described, values)) or "nothing"
        return ConfigurationError(
            f"wrap takes {self.wanted}, and then a Buyer or an Allowance. It was given {given}; "
            f"{self._to_write(name, values)}."
        )

    def _to_write(self, name: str, values: Sequence[object]) -> str:
        """Return what to write, made of what was given in any place."""
        from ..buyer.payers import payer_to_write

        client = name if any(self.matches(one) for one in values) else self._made(values)
        line = f"wrap({client}, {payer_to_write(*values)})"
        sdk = next((type(one).__name__ for one in values if _package(type(one)) in _SDKS), "")
        if sdk and self.own.startswith("httpx"):
            line = line.replace(".Client()", ".AsyncClient()") if sdk.startswith("Async") else line
            line = f"{sdk}(http_client={line})"
        return f"write {line}"

    def _made(self, values: Sequence[object]) -> str:
        """Return how a client is made. A class of the library that was given in its place is called."""
        found = (one for one in values if isinstance(one, type) and _package(one) == self.example.partition(".")[0])
        kind = next(found, None)
        return self.example if kind is None else f"{_package(kind)}.{kind.__name__}()"


def described(given: object) -> str:
    """Return what something is, in words. No value is shown: it may be a key."""
    if given is None:
        return "None"
    if isinstance(given, ModuleType):
        return f"the module {given.__name__}"
    if isinstance(given, type):
        return f"the class {given.__name__}"
    if callable(given) and hasattr(given, "__qualname__"):
        return f"the function {given.__qualname__}"
    return type(given).__name__


def _is_payer(given: object) -> bool:
    from ..buyer.payers import is_payer

    return is_payer(given)


def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]
