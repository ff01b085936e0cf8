"""Goes on where the chosen offer cannot be paid at this moment: with another offer of the same 402, or after a wait.

A payment by Permit2 needs an allowance, and only the chain tells if there is one. A permit for it may have to wait for
another one of the same wallet.
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import PaymentNotSent
from ..model.holds import Hold
from ..model.offers import Quote
from ..policy.choice import pick
from .asks import Pause
from .authorizing import sign
from .call import Call
from .drive import Flow
from .rules import Rules

#: How long a call waits until an offer can be paid that no other one can stand in for, in steps.
_PATIENCE = (0.25,) * 20


def another(call: Call, quote: Quote, failure: PaymentNotSent, rules: Rules) -> Quote | None:
    """Return the quote without the offer that failed, if it has another one to pay. What failed becomes a reason."""
    failed = failure.offer
    if not failure.instead or failed is None:
        return None
    rest = tuple(offer for offer in quote.offers if offer.position != failed.position)
    why = f"offer {failed.position} ({failed}): {failure.args[0]}"
    left = replace(quote, offers=rest, faults=(*quote.faults, why), choice=None)
    choice = pick(left, rules.policy, call.origin, rules.means, call.mandate, rules.bounds)
    return left if choice is not None else None


def patiently_signed(call: Call, quote: Quote, hold: Hold, rules: Rules) -> Flow[Hold]:
    """Sign and record. Wait a few seconds where that cannot be done yet, and there is nothing else to pay."""
    for seconds in _PATIENCE:
        try:
            return (yield from sign(call, quote, hold, rules, rules.policy.validity))
        except PaymentNotSent as failure:
            if failure.instead != "wait" or another(call, quote, failure, rules) is not None:
                raise
        yield Pause(seconds)
    return (yield from sign(call, quote, hold, rules, rules.policy.validity))
