"""Narrows what one call may spend, and says what is left. Nothing here widens a limit."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..buyer.payers import path_of, root_of
from ..buyer.scopes import allowances_around, mandate_around, under_allowances
from ..buyer.settlement_reader import is_in_flight
from ..errors import ConfigurationError
from ..model.budgets import ALLOWANCE, WINDOWS, left_in_words
from ..model.money import Money
from ..policy.allowances import per_request
from ..policy.choice import Mandate
from .hosts import NotFetched

if TYPE_CHECKING:
    from ..buyer.allowance import AllowanceBalance
    from ..buyer.payers import Payer
    from ..model.holds import Hold

_FLYING = "Other calls are paying at this moment. What is in flight is delivered or unresolved later, so wait."


def narrowed(buyer: Payer, most: Money | None) -> AbstractContextManager[object]:
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


def left(payer: Payer, host: str | None, currency: str) -> str | None:
    """Return what is left at a host in words, or None: nothing limits it, or the ledger could not be asked."""
    try:
        return _in_words(_left(payer, host, currency))
    except Exception:  # the answer was paid for: what is left of the budget must not hide it
        return None


async def aleft(payer: Payer, host: str | None, currency: str) -> str | None:
    """Async twin of ``left``."""
    try:
        return _in_words(await _aleft(payer, host, currency))
    except Exception:
        return None


def report(payer: Payer, currency: str) -> dict[str, Any]:
    """Return the budgets for a model: what is spent and left, and what one payment may cost."""
    root, own = root_of(payer), _tightest(one.balance(currency) for one in allowances_of(payer))
    spent = {window: str(root.spent(None, window, currency)) for window in WINDOWS}
    spent |= {} if own is None else {ALLOWANCE: str(own.spent)}
    return _report(payer, currency, spent, _left(payer, None, currency), root.holds())


async def areport(payer: Payer, currency: str) -> dict[str, Any]:
    """Async twin of ``report``."""
    root, own = root_of(payer), _tightest([await one.abalance(currency) for one in allowances_of(payer)])
    spent = {window: str(await root.aspent(None, window, currency)) for window in WINDOWS}
    spent |= {} if own is None else {ALLOWANCE: str(own.spent)}
    return _report(payer, currency, spent, await _aleft(payer, None, currency), await root.aholds())


def allowances_of(payer: Payer) -> list[Any]:
    """Return the allowances in which a call counts now: one that stands in the buyer's place, and those around it."""
    root = root_of(payer)
    return list(dict.fromkeys([*([] if payer is root else [payer]), *allowances_around(root)]))


def _tightest(balances: Iterable[AllowanceBalance]) -> AllowanceBalance | None:
    """Return the balance of the allowance that has the least left. None: there is none."""
    return min(balances, key=lambda balance: balance.remaining, default=None)


def _left(payer: Payer, host: str | None, currency: str) -> dict[str, Money]:
    root, own = root_of(payer), _tightest(one.balance(currency) for one in allowances_of(payer))
    found = {window: root.remaining(host, window, currency) for window in WINDOWS}
    found |= {} if own is None else {ALLOWANCE: own.remaining}
    return {window: money for window, money in found.items() if money is not None}


async def _aleft(payer: Payer, host: str | None, currency: str) -> dict[str, Money]:
    root, own = root_of(payer), _tightest([await one.abalance(currency) for one in allowances_of(payer)])
    found = {window: await root.aremaining(host, window, currency) for window in WINDOWS}
    found |= {} if own is None else {ALLOWANCE: own.remaining}
    return {window: money for window, money in found.items() if money is not None}


def _in_words(remaining: dict[str, Money]) -> str | None:
    return left_in_words(remaining) or None


def _sum(prices: Iterable[Money], currency: str) -> Money:
    return sum((price for price in prices if price.currency == currency), Money.of_units(0, currency))


def _report(
    payer: Payer, currency: str, spent: dict[str, str], remaining: dict[str, Money], holds: tuple[Hold, ...]
) -> dict[str, Any]:
    root = root_of(payer)
    around = under_allowances(mandate_around(root), root, path_of(payer))
    cap = around.per_request and (around.per_request.as_limit_on(currency) or Money.of_units(0, currency))
    flying = [hold.price for hold in holds if is_in_flight(hold)]
    limits = [*per_request(around.allowances, currency), root.policy.overall.per_request(currency), cap]
    most = min((limit for limit in limits if limit is not None), default=None)
    return {
        "ok": True,
        "left": {window: str(money) for window, money in remaining.items()},
        "spent": {window: spent[window] for window in remaining or ("day",)},
        "per_payment": None if most is None else str(most),
        "unresolved_payments": sum(hold.state == "signed" and not is_in_flight(hold) for hold in holds),
        "payments_in_flight": len(flying),
        **({"says": f"{_FLYING} {_sum(flying, currency)} is counted for it."} if flying else {}),
    }
