"""Says in a quote what would refuse its choice at this moment: the error that a payment would raise. Nothing counts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..core import Call, Flow, Freezes, Holds, LeftAlone, Past, Rules, SpentIn, known_purchase, order_of, paused
from ..errors import ApprovalDenied, OverLimit, PaymentOutcomeUnknown, PaymentRefused, X402Error
from ..ledgers.refusals import Exceeded, already_paid, another_wallet, check_frozen, check_key, over_limit
from ..ledgers.windows import Window
from ..model.allowances import allowance_name
from ..model.budgets import WINDOWS, Cap, is_request_account
from ..model.holds import Hold, Order, Purchase, Spending
from ..model.hosts import Pattern
from ..model.money import Money

if TYPE_CHECKING:
    from ..model.offers import Offer, Quote


def with_refusal(call: Call, quote: Quote, rules: Rules) -> Flow[Quote]:
    """Return a quote with the error that a payment of its choice would raise at this moment, if there is one.

    A payment that is presented again counts already, so nothing refuses it here. Allowances were looked at before.
    """
    choice = quote.choice
    if choice is None or choice.price is None or quote.unresolved:
        return quote
    try:
        found = yield from _refusal(call, choice, rules)
    except Exception:  # the body or the ledger cannot be read: the terms are shown nevertheless
        return quote
    if found is not None:
        found.offer = choice
    return replace(quote, refusal=found)


def _refusal(call: Call, choice: Offer, rules: Rules) -> Flow[X402Error | None]:
    """Return the first refusal, in the order in which a payment meets them."""
    purchase = yield from known_purchase(call, rules)
    try:
        check_frozen((yield from Freezes()), purchase)
        if purchase.keyed:
            _check_key(purchase, (*(yield from Holds()), *(yield from Past())))
        yield from _check_caps(order_of(call, purchase, choice, rules), rules)
    except (PaymentRefused, PaymentOutcomeUnknown) as refusal:
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


def _check_key(purchase: Purchase, payments: Iterable[Hold]) -> None:
    """Raise what a payment under this key meets: another request or wallet, a delivery, a call that is under way."""
    known = next((hold for hold in payments if hold.purchase.id in purchase.names), None)
    if known is None:
        return
    check_key(known, purchase)
    if known.in_flight or known.state == "reserved":
        raise PaymentOutcomeUnknown(
            f"Another attempt at the same purchase may still be running: its payment {known.id} is in flight. Nothing "
            "is sent under its key until it ended.",
            hold=known.shown,
        )
    if known.state == "signed" and not purchase.is_paid_by(known.payer):
        raise another_wallet(known)
    if known.state == "delivered":
        raise already_paid(known.told)


def _check_caps(order: Order, rules: Rules) -> Flow[None]:
    """Raise the refusal of a ledger that counts the order in each of its budgets."""
    now, exceeded, payments = time.time(), list[Exceeded](), tuple[Hold, ...]()
    asks = rules.can_ask and not rules.cannot_ask()
    for cap in order.caps:
        if allowance_name(cap.account) is not None or (is_request_account(cap.account) and asks):
            continue  # allowances were looked at before, and an approver is asked about the same request
        counted = None
        if cap.currency is not None:
            counted = yield from SpentIn(Spending(cap.account, cap.window, cap.currency, rules.purse))
            if counted + order.price.units <= cap.most:
                continue
        payments = payments or (*(yield from Holds()), *(yield from Past()))
        exceeded += _exceeded(cap, counted, order, payments, now)
    if exceeded:
        raise over_limit(order, exceeded, now)


def _exceeded(cap: Cap, counted: int | None, order: Order, payments: Iterable[Hold], now: float) -> Iterator[Exceeded]:
    """Give the budget if the order exceeds it. ``counted`` is None for a number of payments: they are counted here."""
    asked = 1 if counted is None else order.price.units
    window = window_of(cap, payments, order.purchase.id)
    listed = window.roll(now)
    counted = listed if counted is None else counted
    over = counted + asked - cap.most
    if over <= 0:
        return
    # What the ledger counts and no longer lists is older than all that it lists: it rolls away first.
    fits_at = window.fits_at(over - max(0, counted - listed))
    if fits_at is None and asked <= cap.most and WINDOWS[cap.window] is not None:
        raise OverLimit(
            f"{order.price} for {order.purchase.url} would exceed the limit of {cap}: "
            f"{Money.of_units(counted, order.price.currency)} of it is counted. It fits again once older payments left "
            "the window; a higher limit in the Policy allows it. Nothing was paid.",
            limit=Money.of_units(cap.most, order.price.currency),
            asked=order.price,
            spent=Money.of_units(counted, order.price.currency),
            host=cap.host,
            window=cap.window,
            offer=order.offer,
        )
    yield Exceeded(cap, counted, fits_at)


def window_of(cap: Cap, payments: Iterable[Hold], purchase: str = "") -> Window:
    """Return the payments that count in a cap's account, as a rolling window. ``purchase`` names the request's."""
    window, is_request = Window(WINDOWS[cap.window]), is_request_account(cap.account)
    host = Pattern.parse(cap.account) if cap.account and not is_request else None
    for hold in sorted(payments, key=lambda hold: hold.created):
        counts = cap.currency is None or hold.price.currency == cap.currency
        counts = counts and (host is None or host.matches(hold.purchase.origin))
        if counts and (not is_request or hold.purchase.id == purchase):
            window.add(1 if cap.currency is None else hold.price.units, hold.created)
    return window
