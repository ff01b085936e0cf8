"""Says before a payment which budget it would exceed, and when it fits, in the words of the refusal itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from ..buyer.buyer import Buyer
from ..buyer.ledger_calls import call_ledger
from ..ledgers.refusals import Exceeded, over_limit
from ..ledgers.windows import Window
from ..model.budgets import WINDOWS, Cap
from ..model.holds import Hold, Order, Purchase, Spending
from ..model.hosts import Origin, Pattern
from ..model.offers import Offer


def refusal_of(buyer: Buyer, url: str, origin: Origin, offer: Offer, payments: Callable[[], Iterable[Hold]]) -> str:
    """Return why the ledger would refuse an offer: the message that it would raise.

    "": its budgets suffice, or it is not known when they do. ``payments`` gives all that the ledger remembers of the
    purse; it is asked only where that is needed.
    """
    assert offer.price is not None
    purchase = Purchase("", "", False, "GET", url, origin, buyer.purse)
    caps = buyer.policy.caps(origin, offer.price.currency)
    order, now = Order(purchase, offer, offer.price, caps), time.time()
    try:
        exceeded = list(_exceeded(buyer, order, cache(lambda: tuple(payments())), now))
    except LookupError:
        return ""
    return str(over_limit(order, exceeded, now).args[0]) if exceeded else ""


def _exceeded(buyer: Buyer, order: Order, payments: Callable[[], Iterable[Hold]], now: float) -> Iterator[Exceeded]:
    for cap in order.caps:
        asked = 1 if cap.currency is None else order.price.units
        counted = None if cap.currency is None else _spent(buyer, cap.account, cap.window, cap.currency)
        if counted is not None and counted + asked <= cap.most:
            continue
        window = _window(cap, payments())
        listed = window.roll(now)
        counted = listed if counted is None else counted
        over = counted + asked - cap.most
        if over > 0:
            # What the ledger counts and no longer lists is older than all that it lists: it rolls away first.
            fits_at = window.fits_at(over - max(0, counted - listed))
            if fits_at is None and asked <= cap.most and WINDOWS[cap.window] is not None:
                raise LookupError("the ledger lists none of what it counts")
            yield Exceeded(cap, counted, fits_at)


def _spent(buyer: Buyer, account: str, window: str, currency: str) -> int:
    question = Spending(account, window, currency, buyer.purse)
    counted: int = call_ledger(buyer.ledger, lambda port: port.spent(question))
    return counted


def _window(cap: Cap, payments: Iterable[Hold]) -> Window:
    window = Window(WINDOWS[cap.window])
    host = Pattern.parse(cap.account) if cap.account else None
    for hold in sorted(payments, key=lambda hold: hold.created):
        counts = cap.currency is None or hold.price.currency == cap.currency
        if counts and (host is None or host.matches(hold.purchase.origin)):
            window.add(1 if cap.currency is None else hold.price.units, hold.created)
    return window
