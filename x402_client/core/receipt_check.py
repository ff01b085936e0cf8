"""Checks receipts: compares what the seller says with what was signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import MoneyState
from ..model.holds import Authorization, Charge, Hold, Outcome
from ..model.networks import caip2_of_seller, same_account
from ..model.offers import Receipt
from ..model.statements import Statement
from ..wire.bounds import Bounds
from ..wire.leaks import repeated
from ..wire.read import read_receipt
from .amounts import has_ceiling
from .asks import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Whether two addresses on a network are one account.
SameAccount = Callable[[str, str, str], bool]


def judge(reply: Reply, hold: Hold, shown: Hold, bounds: Bounds, same: SameAccount = same_account) -> Outcome:
    """Say what an answer tells about the money. ``shown`` is the hold without its header."""
    found = read_receipt(reply.header, bounds)
    if found is not None and hold.authorization is not None:
        found = _without_payment(found, hold, hold.authorization, same)
    mismatches = tuple(_mismatches(found, hold, same)) if found else ()
    money = _money(reply.status, found, mismatches, hold)
    looked = Charge() if has_ceiling(hold) else None
    if looked is not None:
        looked.on_chain = hold.charge
    return Outcome(money, shown.but(money=money), hold.offer, found, mismatches, looked=looked)


def _without_payment(found: Receipt, hold: Hold, signed: Authorization, same: SameAccount) -> Receipt:
    """Return the receipt, which is shown and kept, without words that are made of our own payment."""
    if found.signed is not None and any(repeated(_said(found.signed), signed.header[1])):
        found = replace(found, signed=None, raw={})
    payer = found.payer or ""
    ourselves = same(hold.offer.network, payer, signed.payer)
    # A payment echoes the offer, so a network of as many letters as are compared is in it.
    named = found.network in (hold.offer.network, hold.offer.written_network)
    texts = (found.transaction, "" if named else found.network, "" if ourselves else payer, found.error)
    ours = repeated(texts, signed.header[1])
    if not any(ours):
        return found
    transaction, network, payer, error = (
        "(the payment itself)" if own else text
        for own, text in zip(ours, (found.transaction, found.network, payer, found.error), strict=True)
    )
    return replace(found, transaction=transaction, network=network, payer=payer or None, error=error, raw={})


def _said(signed: Statement) -> list[str]:
    from ..wire.statements import texts_of  # its patterns are compiled where a seller signs something

    return texts_of(signed)


def says_pending(found: Receipt | None) -> bool:
    """Return True if a seller says that the payment is on its way: such a no is none.

    Of a seller's own orders only those are heeded that make us more careful: one that asks for a new signature is not.
    """
    if found is None or found.success:
        return False
    state, order = (str(found.raw.get(name)).lower() for name in ("payment_state", "retry_action"))
    said = "settlement_pending" in found.error.lower() and bool(found.transaction)
    return said or state in _ON_ITS_WAY or order in _SAME_AGAIN


_ON_ITS_WAY = (
    "pending",
    "submitted",
    "broadcast",
    "processing",
    "settlement_pending",
    "settling",
    "settled",
    "unknown",
)
_SAME_AGAIN = ("poll", "retry_same_payment")


def _money(status: int, found: Receipt | None, mismatches: tuple[str, ...], hold: Hold) -> MoneyState:
    if found is not None and found.success and not mismatches and status != 402:
        return "held" if _took_nothing(found, hold) else "spent"
    if says_pending(found):
        return "unknown"
    # A seller that is paid upfront has taken the money before its own work can say no.
    return "held" if 400 <= status < 500 and (status == 402 or not hold.offer.upfront) else "unknown"


def _took_nothing(found: Receipt, hold: Hold) -> bool:
    """Return True for a charge of zero, which never touches the chain: the signature lives until its deadline."""
    return has_ceiling(hold) and found.amount == 0


def _mismatches(found: Receipt, hold: Hold, same: SameAccount) -> Iterator[str]:
    offer, signed = hold.offer, hold.authorization
    if found.success and not found.transaction and not _took_nothing(found, hold):
        yield "it names no transaction"
    if found.network and caip2_of_seller(found.network) != offer.network:
        yield f"it names network {found.network}; the payment was signed for {offer.network}"
    if found.payer and signed and not same(offer.network, found.payer, signed.payer):
        yield f"it names payer {found.payer}; {signed.payer} signed"
    if found.amount is None:
        return
    if has_ceiling(hold) and found.amount > offer.amount:
        yield f"it names an amount of {found.amount}; the ceiling of {offer.amount} was signed"
    if not has_ceiling(hold) and found.amount != offer.amount:
        yield f"it names an amount of {found.amount}; {offer.amount} was signed"
