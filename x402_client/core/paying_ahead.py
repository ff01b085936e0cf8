"""Paying in the first request, under the terms of the last delivery: one request on the wire instead of two.

Terms hold for what was bought: at the same place the same tool, or the same body. It happens only if the user asks for
it, and nothing speaks against it: a limit, a person to ask, a key, an open payment. Else the request goes out unpaid,
and the answer to it decides.
"""

from __future__ import annotations

from ..errors import X402Error
from ..model.holds import Hold
from ..policy.allowances import fits
from .asks import Join, LeftAlone, Reply, Reserve
from .authorizing import give_back, record, sign, sign_first
from .call import Call
from .drive import Flow
from .known_terms import Terms
from .present import present
from .purchase_name import known_purchase
from .reserving import order_of
from .rules import Rules

#: Seconds that a payment is valid. If the terms changed, it stays open for as long: so no longer than settling takes.
_VALIDITY = 60


def pay_ahead(call: Call, rules: Rules) -> Flow[Reply | None]:
    """Return the answer to a request that paid at once. None: nothing was sent or counted; ask for terms first."""
    try:
        # An earlier hop of the same call paid: one call pays at most once.
        hold = None if call.paid is not None else (yield from _held(call, rules))
        if hold is None:
            call.attempt.end()
            return None
        reply = yield from present(call, hold, rules)
    except BaseException:
        call.attempt.end()
        call.forget_terms()
        raise
    finally:
        if call.running is not None:
            call.running.flow_ended(call.attempt)
    assert isinstance(reply, Reply)  # only an old payment is ever given up as lost
    if not 200 <= reply.status < 300:
        call.forget_terms()
    return reply


def _held(call: Call, rules: Rules) -> Flow[Hold | None]:
    """Return a signed hold of this call's own, if nothing at all is in the way."""
    if rules.approve_all or (yield from LeftAlone(call.origin)) is not None:
        return None
    validity = min(_VALIDITY, rules.policy.validity)
    try:
        purchase = yield from known_purchase(call, rules)
        terms = _known_terms(call, rules)
        if terms is None:
            return None
        joined = yield from Join(purchase, call.started, None)
        call.running = joined.call
        if joined.state != "free":
            return None
        call.signed = yield from sign_first(call, terms.quote, terms.offer, rules, validity)
        found = yield from Reserve(order_of(call, purchase, terms.offer, rules), call.attempt)
    except X402Error:
        return None
    if not isinstance(found, Hold) or not call.is_new(found):
        return None
    try:
        if call.signed is not None:
            return (yield from record(call, terms.quote, found, call.signed))
        return (yield from sign(call, terms.quote, found, rules, validity))
    except Exception:
        yield from give_back(call, found)
        return None


def _known_terms(call: Call, rules: Rules) -> Terms | None:
    """Return the terms of what this call buys, if they may be paid unseen. Another product has other terms."""
    terms = None if call.memory is None else call.memory.recall(call.place, call.product)
    price = None if terms is None or terms.offer.is_ceiling else terms.offer.price
    if price is None or rules.policy.needs_approval(price):
        return None
    return terms if fits(call.mandate.allowances, call.origin, price) else None  # learned under another allowance
