"""Believing receipts carefully: what the seller says is compared with what was signed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .asks import Reply
from .errors import MoneyState
from .ports import Authorization, Hold, Outcome
from .wire.bounds import Bounds
from .wire.echo import repeated
from .wire.models import Receipt
from .wire.networks import caip2
from .wire.read import read_receipt

if TYPE_CHECKING:
    from collections.abc import Iterator


def judge(reply: Reply, hold: Hold, shown: Hold, bounds: Bounds) -> Outcome:
    """What an answer says about the money. ``shown`` is the hold without its header."""
    found = read_receipt(reply.header, bounds)
    if found is not None and hold.authorization is not None:
        found = _without_payment(found, hold.authorization)
    mismatches = tuple(_mismatches(found, hold)) if found else ()
    return Outcome(_money(reply.status, found, mismatches), shown, hold.offer, found, mismatches)


def receipt(response: Any) -> Receipt | None:
    """The receipt of a paid response of any of the HTTP libraries; None if nothing was paid or no receipt came."""
    found = outcome(response)
    return found.receipt if found else None


def outcome(response: Any) -> Outcome | None:
    """The outcome that a paid response carries; where redirects were followed, that of the hop that was paid."""
    hops = [response, *reversed(getattr(response, "history", None) or [])]
    return next((found for found in map(_attached, hops) if found is not None), None)


def _attached(response: Any) -> Outcome | None:
    extensions = getattr(response, "extensions", None)
    found = extensions.get("x402") if isinstance(extensions, dict) else getattr(response, "x402", None)
    return found if isinstance(found, Outcome) else None


def _without_payment(found: Receipt, signed: Authorization) -> Receipt:
    """A receipt is shown and kept; one that is made of our own payment loses those words."""
    payer = found.payer or ""
    texts = (found.transaction, found.network, "" if _same_account(payer, signed.payer) else payer, found.error)
    ours = repeated(texts, signed.header[1])
    if not any(ours):
        return found
    transaction, network, payer, error = (
        "(the payment itself)" if own else text
        for own, text in zip(ours, (found.transaction, found.network, payer, found.error), strict=True)
    )
    return replace(found, transaction=transaction, network=network, payer=payer or None, error=error, raw={})


def _money(status: int, found: Receipt | None, mismatches: tuple[str, ...]) -> MoneyState:
    if found is not None and found.success and not mismatches and status != 402:
        return "spent"
    return "held" if 400 <= status < 500 else "unknown"


def _mismatches(found: Receipt, hold: Hold) -> Iterator[str]:
    offer, signed = hold.offer, hold.authorization
    if found.success and not found.transaction:
        yield "it names no transaction"
    if found.network and caip2(found.network) != offer.network:
        yield f"it names network {found.network}; the payment was signed for {offer.network}"
    if found.payer and signed and not _same_account(found.payer, signed.payer):
        yield f"it names payer {found.payer}; {signed.payer} signed"
    if found.amount is not None and found.amount != offer.amount:
        yield f"it names an amount of {found.amount}; {offer.amount} was signed"


def _same_account(one: str, other: str) -> bool:
    return one.lower() == other.lower() if other.startswith("0x") else one == other
