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
    check_quoted,
    known_purchase,
    order_of,
    paused,
    still_running,
    tell_open,
    tell_unresolved,
    with_all_stops,
)
from ..errors import AlreadyPaid, ApprovalDenied, PaymentOutcomeUnknown, PaymentRefused, SameRequest, X402Error
from ..ledgers.refusals import check_frozen
from ..model.allowances import allowance_name
from ..model.budgets import Cap, is_request_account
from ..policy.choice import admit_terms, pick
from ..policy.no_choice import refuse
from ..policy.policy import admit

if TYPE_CHECKING:
    from ..model.offers import Offer, Quote


def with_refusal(call: Call, quote: Quote, rules: Rules) -> Flow[Quote]:
    """Return a quote with the error that a payment would raise at this moment, if there is one.

    It is one of its choice, or the unresolved one that would be presented again. That counts already, so only a freeze
    and a policy that does not pay there refuse it. Allowances were looked at before. Without a choice it is the error
    that says why, unless a sign-in comes first: what that brings is not known.
    """
    choice = quote.choice
    signs = quote.sign_in is not None and quote.sign_in.reason is None
    if signs and choice is None and not quote.unresolved:
        return quote
    try:
        if quote.unresolved:
            found = yield from _refusal_to_present(call, rules)
        elif choice is None or choice.price is None:
            found = yield from _refusal_of_all(call, quote, rules)
        else:
            found = yield from _refusal(call, choice, rules)
        asks = found is None and (yield from _asks_approval(call, quote, rules))
    except Exception:  # the body or the ledger cannot be read: the terms are shown nevertheless
        return quote
    if found is not None and found.hold is None and choice is not None:
        found.offer = choice
    return replace(quote, refusal=found, asks_approval=asks)


def _asks_approval(call: Call, quote: Quote, rules: Rules) -> Flow[bool]:
    """Return True if an approver is asked before the choice is paid: above its threshold, or about a repeat."""
    choice = quote.choice
    if choice is None or choice.price is None or quote.unresolved or not rules.can_ask:
        return False
    if rules.approve_all or rules.policy.needs_approval(choice.price):
        return True
    order = order_of(call, (yield from known_purchase(call, rules)), choice, rules)
    try:
        yield from CheckOrder(order._replace(caps=tuple(cap for cap in order.caps if is_request_account(cap.account))))
    except SameRequest:
        return True
    return False


def _refusal_to_present(call: Call, rules: Rules) -> Flow[X402Error | None]:
    """Return what refuses to present the unresolved payment of the same request: it tells of that payment."""
    purchase = yield from known_purchase(call, rules)
    try:
        admit(rules.policy, call.origin, call.came_from)
        check_frozen((yield from Freezes()), purchase)
    except PaymentRefused as found:
        refusal = yield from _whole(call, found, rules)
        yield from tell_unresolved(call, refusal, rules)
        return refusal
    return None


def _whole(call: Call, found: X402Error, rules: Rules) -> Flow[X402Error]:
    """Return a refusal as the payment would raise it, without its frames: they would live as long as the quote."""
    if isinstance(found, PaymentRefused):
        found = yield from with_all_stops(call, found, rules)
        yield from tell_open(found)
    found.__traceback__ = None
    return found


def _refusal_of_all(call: Call, quote: Quote, rules: Rules) -> Flow[X402Error | None]:
    """Return the first refusal where no offer is chosen. An earlier payment is looked for before offers are judged."""
    purchase = yield from known_purchase(call, rules)
    priced = next((one for one in quote.offers if one.price is not None), None)
    try:
        admit(rules.policy, call.origin, call.came_from)
        check_frozen((yield from Freezes()), purchase)
        if priced is not None:  # a look by the name of the purchase alone
            busy = yield from CheckOrder(order_of(call, purchase, priced, rules)._replace(caps=(), path=()))
            if busy is not None:
                raise still_running(busy.hold)
        admit_terms(call.mandate, call.origin)
        check_quoted(call)
        offer = pick(quote, rules.policy, call.origin, rules.means, call.mandate, rules.bounds)
        if offer is None:
            return refuse(quote, rules.policy, call.origin, call.mandate)
        yield from CheckOrder(order_of(call, purchase, offer, rules))  # an allowance alone speaks against it
    except (PaymentRefused, PaymentOutcomeUnknown, AlreadyPaid) as found:
        return (yield from _whole(call, found, rules))
    return None


def _refusal(call: Call, choice: Offer, rules: Rules) -> Flow[X402Error | None]:
    """Return the first refusal, in the order in which a payment meets them."""
    purchase = yield from known_purchase(call, rules)
    order = order_of(call, purchase, choice, rules)
    try:
        check_frozen((yield from Freezes()), purchase)  # a ledger may have no ``check``
        busy = yield from CheckOrder(order._replace(caps=tuple(cap for cap in order.caps if _refuses(cap, rules))))
        if busy is not None:
            raise still_running(busy.hold)
    except (PaymentRefused, PaymentOutcomeUnknown, AlreadyPaid) as found:
        return (yield from _whole(call, found, rules))
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
