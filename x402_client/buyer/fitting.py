"""Says in a quote what would refuse its choice at this moment: the error that a payment would raise. Nothing counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..core import (
    Call,
    CheckOrder,
    Flow,
    Freezes,
    LeftAlone,
    Rules,
    known_purchase,
    order_of,
    paused,
    tell_unresolved,
    with_all_stops,
)
from ..errors import AlreadyPaid, ApprovalDenied, PaymentOutcomeUnknown, PaymentRefused, X402Error
from ..ledgers.refusals import check_frozen
from ..model.allowances import allowance_name
from ..model.budgets import Cap, is_request_account
from ..model.holds import Busy
from ..policy.policy import admit

if TYPE_CHECKING:
    from ..model.offers import Offer, Quote


def with_refusal(call: Call, quote: Quote, rules: Rules) -> Flow[Quote]:
    """Return a quote with the error that a payment would raise at this moment, if there is one.

    It is one of its choice, or the unresolved one that would be presented again. That counts already, so only a freeze
    and a policy that does not pay there refuse it. Allowances were looked at before.
    """
    choice = quote.choice
    if not quote.unresolved and (choice is None or choice.price is None):
        return quote
    try:
        if quote.unresolved:
            found = yield from _refusal_to_present(call, rules)
        else:
            assert choice is not None
            found = yield from _refusal(call, choice, rules)
    except Exception:  # the body or the ledger cannot be read: the terms are shown nevertheless
        return quote
    if found is not None and found.hold is None:
        found.offer = choice
    return replace(quote, refusal=found)


def _refusal_to_present(call: Call, rules: Rules) -> Flow[X402Error | None]:
    """Return what refuses to present the unresolved payment of the same request: it tells of that payment."""
    purchase = yield from known_purchase(call, rules)
    try:
        admit(rules.policy, call.origin, call.came_from)
        check_frozen((yield from Freezes()), purchase)
    except PaymentRefused as found:
        refusal = yield from with_all_stops(call, found, rules)
        yield from tell_unresolved(call, refusal, rules)
        refusal.__traceback__ = None  # its frames would live as long as the quote
        return refusal
    return None


def _refusal(call: Call, choice: Offer, rules: Rules) -> Flow[X402Error | None]:
    """Return the first refusal, in the order in which a payment meets them."""
    purchase = yield from known_purchase(call, rules)
    order = order_of(call, purchase, choice, rules)
    try:
        check_frozen((yield from Freezes()), purchase)  # a ledger may have no ``check``
        busy = yield from CheckOrder(order._replace(caps=tuple(cap for cap in order.caps if _refuses(cap, rules))))
        if busy is not None:
            raise _in_flight(busy)
    except (PaymentRefused, PaymentOutcomeUnknown, AlreadyPaid) as refusal:
        refusal.__traceback__ = None  # its frames would live as long as the quote
        return refusal
    until = yield from LeftAlone(call.origin)
    return _not_approved(call, choice, rules) if until is None else paused(call.origin, until)


def _not_approved(call: Call, choice: Offer, rules: Rules) -> ApprovalDenied | None:
    """Return the refusal of an approver that has no person to ask now, if this price needs an approval."""
    assert choice.price is not None
    why = rules.cannot_ask() if rules.approve_all or rules.policy.needs_approval(choice.price) else ""
    if not why:
        return None
    return ApprovalDenied(
        f"{call.origin.host} asks {choice.price}, which a person has to approve, and {why}. Nothing was paid."
    )


def _refuses(cap: Cap, rules: Rules) -> bool:
    """Return True for a budget that is not looked at elsewhere.

    Allowances were looked at before, and an approver is asked about the same request.
    """
    asks = rules.can_ask and not rules.cannot_ask()
    return allowance_name(cap.account) is None and not (is_request_account(cap.account) and asks)


def _in_flight(busy: Busy) -> PaymentOutcomeUnknown:
    known = busy.hold
    return PaymentOutcomeUnknown(
        f"Another attempt at the same purchase may still be running: its payment {known.id} is in flight. Nothing is "
        "sent under its key until it ended.",
        hold=known.shown,
    )
