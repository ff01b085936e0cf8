"""Takes the place of a permit in the ledger: a token takes an owner's permits one after the other, by their nonces.

Two payments at once would sign the same nonce, and only one of the permits could ever be used. So the nonce is a key
in the ledger, in a purse of its own, for all programs that share the ledger: "one attempt at a time". The record that
stays there is that of the signature, as for any other that can move money. Its amount counts in the payment's hold
alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from contextlib import suppress
from typing import Any, NamedTuple

from ..chains.permit2_settlement import PERMIT2
from ..core.asks import Ask, Conclude, Record, Release, Reserve
from ..errors import AlreadyPaid, PaymentNotSent, X402Error
from ..model.budgets import PERMITS
from ..model.holds import Attempt, Authorization, Busy, Hold, Order, Purchase, payer_name
from ..model.hosts import Origin
from ..model.money import Money
from ..model.offers import Offer
from ..model.signing import Signed
from .permits import Wanted, pending

#: The kind of a signature that lets Permit2 take an amount: it moves nothing by itself.
PERMIT = "permit"
#: The payee of a permit is no seller. No host has a name like this.
_ORIGIN = Origin("https", "permit2", 443)


class Place(NamedTuple):
    """A nonce that is this payment's to sign."""

    hold: Hold
    attempt: Attempt


def under_permit(
    wanted: Wanted, offer: Offer, owner: str, signing: Generator[Ask[Any], Any, Signed]
) -> Generator[Ask[Any], Any, Signed]:
    """Sign a payment with its permit, while no other one is signed. The permit is recorded before it can leave."""
    place = yield from _take(wanted, offer, owner)
    try:
        signed = yield from signing
        evidence = {"spender": PERMIT2, "payment": signed.nonce}
        record = Authorization(
            str(wanted.nonce), payer_name(owner), signed.expires, ("", ""), evidence, PERMIT, offer.amount
        )
        yield from Record(place.hold, record)
    except Exception:
        yield from _give_up(place)
        raise
    finally:
        place.attempt.end()
    return signed


def _take(wanted: Wanted, offer: Offer, owner: str) -> Generator[Ask[Any], Any, Place]:
    order = _order(offer, owner, wanted.nonce)
    place, over = yield from _try(order, wanted, offer)
    if over is not None:
        # By the chain's own clock the permit that was there is dead, and its nonce is free.
        yield from Conclude(over, False)
        place, over = yield from _try(order, wanted, offer)
    if place is None:
        raise _pending(offer, over)
    return place


def _try(order: Order, wanted: Wanted, offer: Offer) -> Generator[Ask[Any], Any, tuple[Place | None, Hold | None]]:
    """Return the place, or the record of a permit that is over. Raise where another permit may yet be used."""
    attempt = Attempt()
    try:
        found = yield from Reserve(order, attempt)
    except AlreadyPaid as used:  # the chain's answer is older than what was seen of this nonce
        attempt.end()
        raise _pending(offer, used.hold) from None
    except BaseException:
        attempt.end()
        raise
    if isinstance(found, Hold) and found.authorization is None:
        return Place(found, attempt), None
    attempt.end()
    if isinstance(found, Hold) and found.authorization is not None and found.authorization.expires < wanted.time:
        return None, found
    raise _pending(offer, found.hold if isinstance(found, Busy) else found)


def _give_up(place: Place) -> Generator[Ask[Any], Any, None]:
    """Free a nonce that nothing was signed for. What the ledger cannot take now, it takes back by itself."""
    with suppress(X402Error):
        yield from Release(place.hold)


def _order(offer: Offer, owner: str, nonce: int) -> Order:
    assert offer.token is not None
    assert offer.price is not None
    place = f"permit {offer.network} {offer.token.address.lower()} {owner.lower()} {nonce}"
    name = hashlib.sha256(place.encode()).hexdigest()
    purchase = Purchase(name, name, True, "PERMIT", f"permit2/{nonce}", _ORIGIN, PERMITS)
    nothing = Money.of_units(0, offer.price.currency)
    return Order(purchase, offer, nothing, (), payer_name(owner))


def _pending(offer: Offer, hold: Hold | None) -> PaymentNotSent:
    signed = None if hold is None else hold.authorization
    return pending(offer, "Another permit of this wallet", None if signed is None else signed.expires)
