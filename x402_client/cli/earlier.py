"""Says before a payment what an earlier one of the same request means for it."""

from __future__ import annotations

import httpx

from ..buyer.settlement_reader import expired_recently
from ..model.holds import Hold
from ..model.hosts import Origin
from .vocabulary import is_expired, price_of

_GIVEN_UP = "If that brings nothing, it would be given up, as accept_loss in the policy allows, and paid anew."


def presented_again(
    hold: Hold, url: str, frozen: bool = False, denied: bool = False, accepts_loss: bool = False
) -> str:
    """Return what an unresolved payment means for the same request, which leads to ``url``.

    ``accepts_loss``: the policy gives it up should it bring nothing.
    """
    payee = hold.purchase.origin
    text = f"This request has an unresolved payment: {hold.id} ({price_of(hold)}, to {payee})."
    if origin_of(url) != payee:
        return f"{text} It is presented there only, and the request leads elsewhere now: nothing would be sent or paid."
    if frozen:
        return f"{text} Payments there are frozen: nothing would be presented or paid."
    if denied:
        return f"{text} The policy does not pay there: nothing would be presented or paid."
    if is_expired(hold) and hold.money != "spent":
        asked = "the chain is asked first, and what it shows unused is given back and paid anew"
        given_up = f" {_GIVEN_UP}" if accepts_loss and not expired_recently(hold) else ""
        return (
            f"{text} It expired: {asked}. Where it cannot tell, that same payment would be presented again.{given_up}"
        )
    if is_expired(hold) and accepts_loss:
        return f"{text} That same payment would be presented again. {_GIVEN_UP}"
    return f"{text} That same payment would be presented again; nothing new would be signed."


def origin_of(url: str) -> Origin:
    """Return the origin of a URL as httpx spells it."""
    parts = httpx.URL(url)
    return Origin.of(parts.scheme, parts.raw_host.decode("ascii", "replace"), parts.port)
