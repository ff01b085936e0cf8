"""Freezes by their names, and what is still stopped after one was lifted."""

from __future__ import annotations

from collections.abc import Iterable

from ..model.hosts import Pattern


def freeze_name(host: str) -> str:
    """Return the one spelling of what is frozen: ``*``, or a host pattern."""
    return host if host == "*" else str(Pattern.parse(host))


def still_frozen(named: str, freezes: Iterable[str]) -> tuple[str, ...]:
    """Return the freezes that stop some payment to what ``named`` covers."""
    return tuple(found for found in freezes if "*" in (found, named) or _overlap(found, named))


def unfreeze_remark(named: str, was_frozen: bool, left: tuple[str, ...]) -> str | None:
    """Return what a person should hear who lifted a freeze, or None if payments go on."""
    parts = [] if was_frozen else [f"{named!r} was not frozen under this name"]
    parts += [f"payments to it are still stopped by {', '.join(map(repr, left))}"] if left else []
    return "; ".join(parts) or None


def _overlap(one: str, other: str) -> bool:
    return Pattern.parse(one).overlaps(Pattern.parse(other))
