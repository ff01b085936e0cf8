"""Looks at the chain after an end that leaves open what became of the money: at once, and in the background."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import X402Error
from ..model.holds import Charge, Hold, Outcome
from .asks import LookLater, LookNow, Seen
from .drive import Flow
from .last_answer import is_by_chain
from .reclaim import reclaim

if TYPE_CHECKING:
    from .rules import Rules


def look_now(hold: Hold, rules: Rules, funds: bool = False) -> Flow[Seen]:
    """Ask the chain at once what became of a payment. Call it after the attempt ended.

    The rule: "A used nonce with its transfer is final at once and frees the rest". So the rest of a ceiling is given
    back here. The purchase stays as it is: "Delivery and money are two facts". What the chain does not show yet of a
    ceiling is looked at in the background.
    """
    shown = is_by_chain(hold)
    if shown and not hold.is_open_ceiling:
        return Seen(True)
    seen = Seen(shown)
    with suppress(Exception):  # no look may take the place of the end that it is about
        found = yield from LookNow(hold, funds)
        seen = Seen(found.settled or seen.settled, found.balance, found.charged, found.fate)
    with suppress(X402Error):  # the ledger is busy or gone: ``reconcile`` asks again
        if seen.charged is not None:
            yield from reclaim(hold.but(charged=seen.charged), seen.fate, rules.policy)
        elif hold.is_open_ceiling:
            yield from LookLater(Outcome(hold.money, hold, hold.offer, looked=Charge()), unresolved=True)
    return seen


def charged(hold: Hold, seen: Seen) -> Hold:
    """Return a hold with what was just seen to be taken of it."""
    return hold if seen.charged is None else hold.but(charged=seen.charged)
