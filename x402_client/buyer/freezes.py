"""Freezes by their names, and what is still stopped after one was lifted."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..events import Event, Warned
from ..model.hosts import Pattern


def freeze_name(host: str) -> str:
    """Return the one spelling of what is frozen: ``*``, or a host pattern."""
    return host if host == "*" else str(Pattern.parse(host))


def still_frozen(named: str, freezes: Iterable[str]) -> tuple[str, ...]:
    """Return the freezes that stop some payment to what ``named`` covers."""
    return tuple(found for found in freezes if "*" in (found, named) or _overlap(found, named))


def tell_unfrozen(
    tell: Callable[[Event], object], named: str, before: tuple[str, ...], after: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the freezes that still stop payments to ``named``. A warning tells of them, and of a wrong name."""
    left = still_frozen(named, after)
    parts = [] if named in before else [f"{named!r} was not frozen under this name"]
    parts += [f"payments to it are still stopped by {', '.join(map(repr, left))}"] if left else []
    if parts:
        tell(Warned("", "", "; ".join(parts)))
    return left


def _overlap(one: str, other: str) -> bool:
    return Pattern.parse(one).overlaps(Pattern.parse(other))
