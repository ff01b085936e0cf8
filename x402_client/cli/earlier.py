"""Says before a payment what an earlier one of the same request means for it."""

from __future__ import annotations

import httpx

from ..model.holds import Hold
from ..model.hosts import Origin
from .vocabulary import is_expired, price_of


def presented_again(hold: Hold, url: str, frozen: bool = False, denied: bool = False) -> str:
    """Return what an unresolved payment means for the same request, which leads to ``url``."""
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
        return f"{text} It expired: {asked}. Where it cannot tell, that same payment would be presented again."
    return f"{text} That same payment would be presented again; nothing new would be signed."


def origin_of(url: str) -> Origin:
    """Return the origin of a URL as httpx spells it."""
    parts = httpx.URL(url)
    return Origin.of(parts.scheme, parts.raw_host.decode("ascii", "replace"), parts.port)
