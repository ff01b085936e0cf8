"""Checks receipts: compares what the seller says with what was signed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import MoneyState
from ..model.holds import Authorization, Hold, Outcome
from ..model.networks import caip2
from ..model.offers import Receipt
from ..wire.bounds import Bounds
from ..wire.leaks import repeated
from ..wire.read import read_receipt
from .asks import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator


def judge(reply: Reply, hold: Hold, shown: Hold, bounds: Bounds) -> Outcome:
    """What an answer says about the money. ``shown`` is the hold without its header."""
    found = read_receipt(reply.header, bounds)
    if found is not None and hold.authorization is not None:
        found = _without_payment(found, hold.authorization)
    mismatches = tuple(_mismatches(found, hold)) if found else ()
    return Outcome(_money(reply.status, found, mismatches), shown, hold.offer, found, mismatches)


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
