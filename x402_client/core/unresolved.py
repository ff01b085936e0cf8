"""Finds the payment that a request would present again, for a quote. Nothing is claimed or sent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..model.holds import Hold, Purchase
from ..policy.policy import admit
from .asks import Holds
from .drive import Flow
from .purchase_name import known_purchase

if TYPE_CHECKING:
    from ..model.offers import Quote
    from .call import Call
    from .rules import Rules


def with_unresolved(call: Call, quote: Quote, rules: Rules) -> Flow[Quote]:
    """Return a quote that names the unresolved payment of the same request, if there is one.

    The rule: "The same request that meets an unresolved hold claims it and re-presents the same header; it never signs
    a second one".
    """
    try:
        admit(rules.policy, call.origin, call.came_from)
        purchase = yield from known_purchase(call, rules)
        holds = yield from Holds()
    except Exception:  # not paid at all, or the body or the ledger cannot be read: the terms are shown nevertheless
        return quote
    found = next((hold for hold in holds if _would_claim(purchase, hold)), None)
    return quote if found is None else replace(quote, unresolved=found.id)


def _would_claim(purchase: Purchase, hold: Hold) -> bool:
    mine = hold.purchase.id in purchase.names and purchase.is_paid_by(hold.payer)
    return mine and hold.state == "signed" and not hold.in_flight
