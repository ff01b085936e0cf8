"""Freezes by their names, and what is still stopped after one was lifted."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.stops import frozen_by
from ..events import Warned
from ..model.hosts import Pattern, server_named_like
from .services import Services


def freeze_name(host: str) -> str:
    """Return the one spelling of what is frozen: ``*``, or a host pattern."""
    return host if host == "*" else str(Pattern.parse(host))


def still_frozen(named: str, freezes: Iterable[str]) -> tuple[str, ...]:
    """Return the freezes that stop some payment to what ``named`` covers."""
    return tuple(found for found in freezes if "*" in (found, named) or _overlap(found, named))


def server_meant(named: str) -> str:
    """Return the MCP server that may be meant by what is frozen. "": none."""
    return "" if named == "*" else server_named_like(Pattern.parse(named))


def tell_server_goes_on(services: Services, named: str, payees: Iterable[str]) -> None:
    """Tell that a freeze stops a host, where an MCP server is known that goes by the same name.

    A session of it was wrapped, or it is among the ``payees``: the policy has a rule for it, or the purse a payment.
    """
    server = server_meant(named)
    if server in services.servers or server in payees:
        problem = (
            f"Frozen is a host by the name of {named!r}. The MCP server of that name is {server!r}, and goes on being "
            f"paid: freeze({server!r}) stops it"
        )
        services.tell(Warned("", "", problem))
        services.show(f"{problem}.", stacklevel=3)


_NO_HOST = "No host is frozen, and not all payments are; a frozen allowance is lifted by its own unfreeze()"


def tell_unfrozen(services: Services, named: str, before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, ...]:
    """Return the freezes that still stop payments to ``named``. A warning tells of them, and of a wrong name.

    The answer for a wrong name is that of a success, so Python shows that warning where nothing listens.
    """
    left = still_frozen(named, after)
    wrong = "" if named in before else f"{named!r} was not frozen under this name"
    parts = [wrong] if wrong else []
    parts += [frozen_by(left, "are still frozen").removesuffix(".")] if left else []
    if parts:
        services.tell(Warned("", "", ". ".join(parts)))
    if wrong:
        frozen = f"Frozen are: {', '.join(map(repr, before))}" if before else _NO_HOST
        services.show(f"{wrong}, so nothing was lifted. {frozen}.", stacklevel=3)
    return left


def _overlap(one: str, other: str) -> bool:
    return Pattern.parse(one).overlaps(Pattern.parse(other))
