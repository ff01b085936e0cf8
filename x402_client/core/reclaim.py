"""Tells the ledger what the chain says about a payment: unused budget is given back, and the rest of a ceiling."""

from __future__ import annotations

import hashlib

from ..errors import AlreadyPaid, X402Error
from ..events import Concluded
from ..model.budgets import GIVEN_BACK, Cap
from ..model.holds import Attempt, Authorization, Fate, Hold, Order, Purchase, Settled
from ..model.money import Money
from ..policy.policy import Policy
from .asks import Close, Conclude, Expired, Record, Reserve, Tell
from .drive import Flow
from .last_answer import is_by_receipt, note_chain

#: What one witness may give back where nothing limits all payments together.
_WITHOUT_LIMIT = (Cap("", "hour", None, 10),)


def reclaim(hold: Hold, fate: Fate, policy: Policy | None = None) -> Flow[Settled]:
    """Conclude one payment. Return "unknown" where the reader could not tell, or the ledger did not take it."""
    if fate == "live":
        return "live"
    if fate == "one_says_not" and (yield from may_give_back(hold, policy)):
        fate = "not_settled"
    if fate == "one_says_charge" and (yield from may_give_back(hold, policy)):
        fate = "settled"
    if fate not in ("settled", "not_settled") or (yield from Conclude(hold, fate == "settled")) is False:
        return "unknown"
    if fate == "settled" and hold.state == "signed" and is_by_receipt(hold):
        yield from note_chain(hold)
    yield from Tell(Concluded(hold.purchase.method, hold.url, hold.shown, settled=fate == "settled"))
    return "settled" if fate == "settled" else "not_settled"


def reclaim_expired(policy: Policy) -> Flow[bool]:
    """Conclude every expired payment and open amount that the chain tells about. True: some budget came back."""
    gone = False
    for hold, fate in (yield from Expired()):
        told = yield from reclaim(hold, fate, policy)
        gone |= told == "not_settled" or (told == "settled" and hold.charge is not None)
    return gone


def may_give_back(hold: Hold, policy: Policy | None) -> Flow[bool]:
    """Count what the word of a single witness gives back. Return False if that would be too much.

    The rule: "A single witness's 'not settled' gives back, in a window, no more than that window's tightest overall
    limit (without one: ten payments an hour)". So does its word that less than a ceiling was taken. It is counted in
    the ledger, in a purse of its own beside the buyer's. So it holds for all programs that share the ledger, and over
    restarts. Each hold counts once, by its key; a ceiling, once for each charge that was told of it.
    """
    order = _entry(hold, policy)
    if not order.price.units:
        return True
    attempt = Attempt()
    try:
        taken = yield from Reserve(order, attempt)
        signed = hold.authorization
        if not isinstance(taken, Hold) or signed is None:
            return False
        if taken.authorization is None:
            # Only the payment's name is kept: this record cannot be presented.
            taken = yield from Record(taken, Authorization(signed.nonce, signed.payer, signed.expires, ("", "")))
        yield from Close(taken, "spent", None, attempt)
        return True
    except AlreadyPaid:
        return True
    except X402Error:  # over the limit, frozen, or the ledger cannot count it
        return False
    finally:
        attempt.end()


def _entry(hold: Hold, policy: Policy | None) -> Order:
    caps = policy.overall.caps("", hold.price.currency) if policy is not None else ()
    bought = hold.purchase
    told = "" if hold.charged is None else f" charge {hold.charged}"
    name = hashlib.sha256(f"one witness {hold.id}{told}".encode()).hexdigest()
    purse = f"{bought.purse}{GIVEN_BACK}"
    purchase = Purchase(name, name, True, bought.method, bought.url, bought.origin, purse)
    return Order(purchase, hold.offer, _given_back(hold), caps or _WITHOUT_LIMIT, hold.payer)


def _given_back(hold: Hold) -> Money:
    """Return what is given back of a hold's price: all of it, or what was not taken of a ceiling."""
    taken = 0 if hold.charged is None or hold.charge is None else hold.charge.units
    return Money.of_units(max(0, hold.price.units - taken), hold.price.currency)
