"""Finds the payments of a request that are unresolved or in flight, for a quote or a refusal. Nothing is claimed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import Frozen, HostNotAllowed, X402Error
from ..model.holds import NEVER, Hold, Purchase, moment
from .amounts import lost_with
from .asks import Holds
from .drive import Flow
from .next_step import case_of, has_end
from .purchase_name import known_purchase

if TYPE_CHECKING:
    from ..model.offers import Quote
    from .call import Call
    from .rules import Rules


def with_unresolved(call: Call, quote: Quote, rules: Rules) -> Flow[Quote]:
    """Return a quote that names the payments of the same request that are unresolved or in flight.

    The rule: "The same request that meets an unresolved hold claims it and re-presents the same header; it never signs
    a second one".
    """
    try:
        found, flying = yield from _found(call, rules)
    except Exception:  # the body or the ledger cannot be read: the terms are shown nevertheless
        return quote
    unresolved = "" if found is None else found.id
    return replace(quote, unresolved=unresolved, in_flight=tuple(hold.id for hold in flying))


def tell_unresolved(call: Call, refusal: X402Error, rules: Rules) -> Flow[None]:
    """Let a refusal that presents nothing tell of the unresolved payment of the same request, if there is one.

    All other refusals come after such a payment was looked for, and presented.
    """
    if refusal.hold is not None or not isinstance(refusal, (Frozen, HostNotAllowed)):
        return
    try:
        found, _ = yield from _found(call, rules)
    except Exception:  # the refusal stands, also where the body or the ledger cannot be read
        return
    if found is None:
        return
    told = found.shown.told
    refusal.hold, refusal.offer, refusal.money = told, told.offer, told.money
    said = str(refusal.args[0]).removesuffix(" Nothing was paid.").removesuffix(" Nothing was sent.")
    refusal.args = (
        f"{said} An earlier call of this request presented {told.price} to {told.host}, and brought nothing yet "
        f"(money {told.money}): payment {told.id}. It was not presented again, and nothing new was paid. Once this is "
        f"allowed again, the same request presents it{_and_then(told, rules)}",
    )


def _and_then(hold: Hold, rules: Rules) -> str:
    """Return what the same request does where that brings nothing: it pays a second time after a loss alone."""
    if not rules.policy.accepts_loss(lost_with(hold)):
        return f", and never pays a second one.{_once_expired(hold)}"
    given_up = "One that has expired and brings nothing is given up, as accept_loss allows, and it buys anew."
    return f".{_once_expired(hold)} {given_up}"


def _once_expired(hold: Hold) -> str:
    """Return what the same request does after the expiry; "" for a payment that was paid, or that never expires."""
    signed = hold.authorization
    if hold.money == "spent" or signed is None or signed.expires >= NEVER or not has_end(hold):
        return ""
    at = f"{moment(signed.expires):%Y-%m-%d %H:%M:%S} UTC"
    return f" After its expiry, {at}, it asks the chain first: one that was not used is given back, and it buys anew."


def _found(call: Call, rules: Rules) -> Flow[tuple[Hold | None, list[Hold]]]:
    """Return the payment that a call would present, and those that other calls present at this moment."""
    purchase = yield from known_purchase(call, rules)
    mine = [hold for hold in (yield from Holds()) if _is_mine(purchase, hold)]
    flying = [hold for hold in mine if case_of(hold) == "in flight"]
    return next((hold for hold in mine if hold not in flying and hold.state == "signed"), None), flying


def _is_mine(purchase: Purchase, hold: Hold) -> bool:
    """Return True for a payment that this request may present. A key does not present that of another request."""
    is_other = purchase.keyed and not purchase.is_request_of(hold.purchase)
    return hold.purchase.id in purchase.names and purchase.is_paid_by(hold.payer) and not is_other
