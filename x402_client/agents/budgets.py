"""Narrows what one call may spend, and says what is left. Nothing here widens a limit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..buyer.scopes import mandate_around
from ..errors import ConfigurationError
from ..model.budgets import WINDOWS
from ..model.money import Money
from ..policy.choice import Mandate
from .hosts import NotFetched

if TYPE_CHECKING:
    from ..buyer.buyer import Buyer

#: A window is spoken of in this way, if not as "this hour".
_WHEN = {"day": "today", "total": "in total"}


def narrowed(buyer: Buyer, most: Money | None) -> AbstractContextManager[object]:
    """Return a scope in which a payment costs no more than ``most``, and no more than a scope around it allows.

    A scope of the application stays as it is: its key, its quote and its own cap hold inside of this one too.
    """
    if most is None:
        return nullcontext()
    try:
        scope = buyer.purchase(per_request=most)
    except ConfigurationError as problem:
        raise NotFetched(f"max_usd: {problem.args[0]}") from None
    scope.mandate = _both(mandate_around(scope.buyer), most)
    return scope


def _both(outer: Mandate, most: Money) -> Mandate:
    around = outer.per_request
    if around is None:
        return replace(outer, per_request=most)
    if around.currency != most.currency:  # there is no rate between them, so nothing is below both
        return replace(outer, per_request=Money.of_units(0, around.currency))
    return replace(outer, per_request=min(around, most))


def left(buyer: Buyer, host: str | None, currency: str) -> str | None:
    """Return what is left at a host in words, or None: nothing limits it, or the ledger could not be asked."""
    try:
        return _in_words(dict(_remaining(buyer, host, currency)))
    except Exception:  # the answer was paid for: what is left of the budget must not hide it
        return None


async def aleft(buyer: Buyer, host: str | None, currency: str) -> str | None:
    """Async twin of ``left``."""
    try:
        return _in_words({window: money async for window, money in _aremaining(buyer, host, currency)})
    except Exception:
        return None


def _remaining(buyer: Buyer, host: str | None, currency: str) -> Iterator[tuple[str, Money]]:
    for window in WINDOWS:
        money = buyer.remaining(host, window, currency)
        if money is not None:
            yield window, money


async def _aremaining(buyer: Buyer, host: str | None, currency: str) -> AsyncIterator[tuple[str, Money]]:
    for window in WINDOWS:
        money = await buyer.aremaining(host, window, currency)
        if money is not None:
            yield window, money


def _in_words(remaining: dict[str, Money]) -> str | None:
    said = [f"{money} {_WHEN.get(window, f'this {window}')}" for window, money in remaining.items()]
    return ", ".join(said) or None


def report(buyer: Buyer, currency: str) -> dict[str, Any]:
    """Return the budgets of a buyer for a model: what is spent and left, and what one payment may cost."""
    spent = {window: str(buyer.spent(None, window, currency)) for window in WINDOWS}
    remaining = {window: str(money) for window, money in _remaining(buyer, None, currency)}
    return _report(buyer, currency, spent, remaining, len(buyer.holds()))


async def areport(buyer: Buyer, currency: str) -> dict[str, Any]:
    """Async twin of ``report``."""
    spent = {window: str(await buyer.aspent(None, window, currency)) for window in WINDOWS}
    remaining = {window: str(money) async for window, money in _aremaining(buyer, None, currency)}
    return _report(buyer, currency, spent, remaining, len(await buyer.aholds()))


def _report(
    buyer: Buyer, currency: str, spent: dict[str, str], remaining: dict[str, str], unresolved: int
) -> dict[str, Any]:
    most = buyer.rules.policy.overall.per_request(currency)
    return {
        "ok": True,
        "left": remaining,
        "spent": {window: spent[window] for window in remaining or ("day",)},
        "per_payment": None if most is None else str(most),
        "unresolved_payments": unresolved,
    }
