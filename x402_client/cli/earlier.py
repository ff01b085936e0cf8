"""Says before a payment what earlier ones mean for it: of the same request, or of the same key."""

from __future__ import annotations

from collections.abc import Iterable

import httpx

from ..core import is_key_of, is_request_of
from ..model.holds import Hold
from ..model.hosts import Origin
from .exits import Code
from .requests_made import CliRequest
from .vocabulary import is_expired, price_of


def key_refusal(key: str, request: CliRequest, known: Iterable[Hold]) -> tuple[Code, str]:
    """Return why `x402 get` would pay nothing under a key, with its exit code. OK and "": it would, or present.

    ``known`` are all payments that the ledger remembers.
    """
    of_key = next((hold for hold in known if is_key_of(hold.purchase, key)), None)
    if of_key is None:
        return Code.OK, ""
    was = f"{of_key.purchase.method} {of_key.url}"
    if not is_request_of(of_key.purchase, *request.facts()):
        return Code.REFUSED, (
            f"This --key was used for another request ({was}): another method, address, query or body. One key names "
            "one payment. Nothing would be paid; give this request a key of its own."
        )
    if of_key.state == "delivered":
        return Code.ALREADY_PAID, (
            f"This --key was paid before: {price_of(of_key)} for {was}. Nothing would be sent; a new key buys again."
        )
    return Code.OK, ""


def presented_again(hold: Hold, url: str, frozen: bool = False) -> str:
    """Return what an unresolved payment means for the same request, which leads to ``url``."""
    payee = hold.purchase.origin
    text = f"This request has an unresolved payment: {hold.id} ({price_of(hold)}, to {payee})."
    if origin_of(url) != payee:
        return f"{text} It is presented there only, and the request leads elsewhere now: nothing would be sent or paid."
    if frozen:
        return f"{text} Payments there are frozen: nothing would be presented or paid."
    if is_expired(hold) and hold.money != "spent":
        return f"{text} It expired: the chain is asked first, and what it shows unused is given back and paid anew."
    return f"{text} That same payment would be presented again; nothing new would be signed."


def origin_of(url: str) -> Origin:
    """Return the origin of a URL as httpx spells it."""
    parts = httpx.URL(url)
    return Origin.of(parts.scheme, parts.raw_host.decode("ascii", "replace"), parts.port)
