"""Reserves the price of a purchase: in every budget that it has to fit, those of its allowances too, or in none."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import AllowanceEnded, LedgerUnavailable, OverLimit, SameRequest
from ..model.budgets import Cap, request_account
from ..model.holds import Busy, Hold, Order, Purchase
from ..model.offers import Offer, Quote
from .asks import Ask, Pause, Reply, Reserve
from .authorizing import sign_first
from .call import Call
from .drive import Flow
from .joining import join
from .lost_answers import note_doubt
from .no_content import still_running
from .open_payments import tell_open
from .purchase_name import known_purchase
from .reclaim import reclaim_expired
from .rules import Rules

#: How long a call waits for another one under the same key, in steps.
_PATIENCE = (0.05,) * 10 + (0.25,) * 18
#: A cap that refuses nothing: its account counts all the same.
_NO_LIMIT = 2**62


def order_of(call: Call, purchase: Purchase, offer: Offer, rules: Rules) -> Order:
    """Return the order for a purchase, under every cap of the policy and of the call's allowances.

    The rule: "An allowance is an account too; a child's spending counts at every ancestor, in the same step".
    """
    assert offer.price is not None
    currency, allowances = offer.price.currency, call.mandate.allowances
    caps = rules.policy.caps(call.origin, currency)
    if rules.policy.same_request and not purchase.keyed:
        caps += tuple(_same_request(call, purchase, rules))
    path: tuple[str, ...] = ()
    if allowances:
        path = tuple(allowance.account for allowance in allowances)
    for allowance in allowances:
        caps += allowance.caps(currency)
    return Order(purchase, offer, offer.price, caps, rules.means.payer(offer.network), path, call.signed)


def _same_request(call: Call, purchase: Purchase, rules: Rules) -> Iterator[Cap]:
    """Give the caps on payments for the same request. A key is the caller's word that it is another purchase."""
    account = request_account(purchase.id)
    for window, most in rules.policy.same_request.items():
        yield Cap(account, window, None, _NO_LIMIT if call.repeats else most)


def reserve(call: Call, quote: Quote, offer: Offer, rules: Rules) -> Flow[Hold | Reply]:
    """Return the hold of this call's purchase: a new one, or the unresolved one, claimed. A new one may be signed.

    Return a reply instead if an overdue call of the same request was joined and its payment brought the content.
    """
    purchase = yield from known_purchase(call, rules)
    joined = yield from join(call, purchase, rules)
    if joined is not None:
        return joined
    call.signed = yield from sign_first(call, quote, offer, rules, rules.policy.validity)
    try:
        hold = yield from _taken(call, purchase, offer, rules)
    except SameRequest as refusal:
        if not rules.can_ask or rules.cannot_ask():
            raise
        call.repeats, call.signed = _why(refusal, rules), None
        hold = yield from _taken(call, purchase, offer, rules)
    if call.running is not None:
        call.running.hold = hold
    return hold


def _taken(call: Call, purchase: Purchase, offer: Offer, rules: Rules) -> Flow[Hold]:
    """Take the price, if need be after the chain gave budget back."""
    order = order_of(call, purchase, offer, rules)
    try:
        hold = yield from patiently(Reserve(order, call.attempt))
    except LedgerUnavailable as failure:
        if order.signed is not None:
            note_doubt(failure, order)
        raise
    except (SameRequest, AllowanceEnded):
        raise
    except OverLimit as refusal:
        if not (yield from reclaim_expired(rules.policy)):
            yield from tell_open(refusal)
            raise
        hold = yield from _taken_again(call, purchase, offer, rules)
    assert hold is not None
    return hold


def _taken_again(call: Call, purchase: Purchase, offer: Offer, rules: Rules) -> Flow[Hold | None]:
    call.signed = None  # the look at the chain took a while, and a payment is to be valid for long enough
    try:
        return (yield from patiently(Reserve(order_of(call, purchase, offer, rules), call.attempt)))
    except OverLimit as refusal:
        yield from tell_open(refusal)
        raise


def _why(refusal: SameRequest, rules: Rules) -> str:
    """Return why the approver is asked, also below its threshold.

    The rule: "the sixth identical delivered purchase asks the approver, or is refused".
    """
    limits = ", ".join(f"{most}/{window}" for window, most in rules.policy.same_request.items())
    times = "once" if refusal.spent == 1 else f"{refusal.spent} times"
    return f'The same request was paid {times} already; the policy has same_request="{limits}".'


def patiently(question: Ask[Hold | Busy | None]) -> Flow[Hold | None]:
    """Ask. While another attempt at the same purchase may be running, wait for it, but not for ever."""
    found: Hold | Busy | None = yield from question
    for seconds in _PATIENCE:
        if not isinstance(found, Busy):
            return found
        yield from Pause(seconds)
        found = yield from question
    if not isinstance(found, Busy):
        return found
    raise still_running(found.hold)
