"""Says where a name is that was looked for in ``x402_client`` itself, or a fact that was asked of an outcome."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

from .. import errors
from .keywords import near

_FACES = ("httpx", "httpx2", "requests", "aiohttp", "mcp")
#: The modules of names that are looked for at the top, after ``x402_client.``.
HOMES: dict[str, tuple[str, ...]] = {
    "wrap": _FACES, "quote": _FACES,
    "PaymentTransport": ("httpx", "httpx2"), "AsyncPaymentTransport": ("httpx", "httpx2"),
    "PaymentAdapter": ("requests",),
    **dict.fromkeys(("MemoryLedger", "SqliteLedger", "RedisLedger", "PostgresLedger"), ("ledgers",)),
    **dict.fromkeys(("ContractSigner", "SafeSigner"), ("signers",)),
    **dict.fromkeys(("discover", "adiscover"), ("discovery",)),
    **dict.fromkeys(("tools", "payable_tool"), ("agents",)),
    **dict.fromkeys(("payment_required", "payment_response"), ("testing",)),
    "Sandbox": ("sandbox",),
}  # fmt: skip
#: How names of the official SDK and of its predecessors begin.
_OF_SDKS = ("x402", "wrapHttpx", "wrapRequests", "register_")
_NO_CLIENT = ("Client", "AsyncClient", "Session")


def where(name: str, known: Iterable[str] = ()) -> str:
    """Return the sentences about a name that ``x402_client`` does not have; "" if nothing is known of it.

    Args:
        name: The name.
        known: The names that it has.
    """
    if name in HOMES:
        first, *others = HOMES[name]
        by_library = f" (or {', '.join(f'.{one}' for one in others)}, by the library of your client)" if others else ""
        return f"write `from x402_client.{first} import {name}`{by_library}."
    if name[:1].isupper() and name in errors.__all__:
        return f"write `from x402_client import errors`, and errors.{name}."
    if name.startswith(_OF_SDKS):
        return "that is a name of another package. `x402 manual coming-from` says what to write instead."
    if name in _NO_CLIENT:
        return "there is no client of its own: wrap yours, as in `x402_client.httpx.wrap(httpx.Client(), buyer)`."
    # A name in small letters may be a module that is not loaded yet.
    names = {one.lower(): one for one in known if one[:1].isupper()} if name[:1].isupper() else {}
    meant = near(name, names) if names else None
    return f"did you mean {names[meant]}?" if meant else ""


#: The parts of an outcome, which have most of its facts.
_PARTS = ("hold", "offer", "receipt")


class InParts:
    """Base of an outcome. A fact that one of its parts has, and it has not, is named with that part."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            """Say where a fact stands. It is called for no name that is here."""
            if name[:1] != "_" and name not in _PARTS:
                for part in _PARTS:
                    if hasattr(getattr(self, part), name):
                        raise AttributeError(f"an outcome has no {name!r}; did you mean .{part}.{name}?")
            raise AttributeError(f"an outcome has no {name!r}", name=name, obj=self)
