"""Looks into the allowances of a call for its quote: what would not be paid under them is no choice. Nothing counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..model.allowances import called
from ..model.money import Money
from .asks import AllowanceRecords
from .drive import Flow
from .ledger_reads import Freezes
from .stops import freezes_of, frozen_by

if TYPE_CHECKING:
    from ..model.allowances import AllowanceRecord
    from ..model.offers import Quote
    from ..policy.allowances import AllowanceRules
    from .call import Call
    from .rules import Rules


def with_allowances(call: Call, quote: Quote, rules: Rules) -> Flow[Quote]:
    """Return a quote whose choice is left out if an allowance is closed, over or frozen, or has too little left.

    The rule: "An allowance is an account too; a child's spending counts at every ancestor, in the same step".
    """
    path, choice = call.mandate.allowances, quote.choice
    if not path or choice is None or choice.price is None:
        return quote
    try:
        found = yield from AllowanceRecords(rules.purse, tuple(one.account for one in path))
        frozen = freezes_of(call.origin, (yield from Freezes()))
    except Exception:  # the ledger cannot be asked: the terms are shown nevertheless, and a payment would be refused
        return quote
    stopped = _stopped(path, found)
    if stopped and frozen:  # a payment meets a freeze first
        stopped = f"{frozen_by(frozen)} Besides, {stopped}"
    if stopped:
        return replace(quote, offers=tuple(offer.but(reason=stopped) for offer in quote.offers), choice=None)
    short = _short(path, found, choice.price)
    if not short:
        return quote
    offers = (offer.but(reason=short) if offer.position == choice.position else offer for offer in quote.offers)
    return replace(quote, offers=tuple(offers), choice=None)


def _stopped(path: Iterable[AllowanceRules], found: Iterable[AllowanceRecord]) -> str:
    """Return why nothing new is paid under these allowances at all, or ""."""
    states = {record.terms.account: record.state for record in found}
    for one in path:
        state = states.get(one.account)
        if state is None:
            return f"the ledger knows no {called(one.name)}, so nothing new is paid under it"
        if state != "open":
            is_so = "was closed" if state == "closed" else "is over" if state == "ended" else "is frozen"
            return f"the {called(one.name)} {is_so}, so nothing new is paid under it"
    return ""


def _short(path: Iterable[AllowanceRules], found: Iterable[AllowanceRecord], price: Money) -> str:
    """Return why a price does not fit into one of these allowances, or ""."""
    spent = {record.terms.account: record.spent(price.currency) for record in found}
    for one in path:
        most = one.most(price.currency)
        left = most.units - spent[one.account]
        if left < price.units:
            rest = Money.of_units(max(0, left), price.currency)
            return f"it costs {price}, and the {called(one.name)} of {most} has {rest} left"
    return ""
