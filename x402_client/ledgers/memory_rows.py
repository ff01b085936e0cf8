"""The rows of the ledger in memory: open holds, and what is kept of resolved ones."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..errors import MoneyState
from ..model.holds import Attempt, Authorization, Hold, HoldState, LastAnswer, Purchase
from ..model.money import Money
from ..model.offers import Offer, Receipt
from . import refusals
from .windows import Account

Signed: TypeAlias = tuple[str, str, int, Mapping[str, Any], str, int | None, str]
#: A resolved hold: what a Hold is made of, in its order, without the header.
Past: TypeAlias = tuple[
    str, Purchase, Offer, Money, float, HoldState, MoneyState, Signed | None, Receipt | None, int, str,
    LastAnswer | None, tuple[str, ...],
]  # fmt: skip


@dataclass(slots=True)
class Row:
    """An open hold, the sums that it is counted in, and the attempt that presents it."""

    hold: Hold
    accounts: list[tuple[Account, Account]]
    attempt: weakref.ref[Attempt]

    @property
    def in_flight(self) -> bool:
        """Return True while the attempt that claimed the hold lives. One that was garbage-collected does not."""
        attempt = self.attempt()
        return attempt is not None and attempt.alive


def past_of(hold: Hold, state: HoldState, money: MoneyState, receipt: Receipt | None) -> Past:
    """Return what is kept of a hold that is resolved now."""
    known = None if hold.authorization is None else _facts(hold.authorization)
    return (
        hold.id, hold.purchase, hold.offer, hold.price, hold.created, state, money, known, receipt, hold.tries,
        hold.payer, hold.last, hold.path,
    )  # fmt: skip


def hold_of(past: Past) -> Hold:
    """Return a resolved hold."""
    name, purchase, offer, price, created, state, money, signed, receipt, tries, payer, last, path = past
    facts = (name, purchase, offer, price, created, state, money, _shown(signed), receipt, tries, payer, last)
    return Hold(*facts, None, path)


def check_key(purchase: Purchase, past: Past | None, rows: Iterable[Row]) -> None:
    """Refuse a key that was paid, or that names another request."""
    ended = None if past is None else hold_of(past)
    known = ended or next((row.hold for row in rows), None)
    if known is not None:
        refusals.check_key(known, purchase)
    if ended is not None and ended.state == "delivered":
        raise refusals.already_paid(ended)


def _facts(signed: Authorization) -> Signed:
    return (
        signed.nonce, signed.payer, signed.expires, signed.evidence, signed.kind, signed.ceiling, signed.proof
    )  # fmt: skip


def _shown(signed: Signed | None) -> Authorization | None:
    """Build the authorization without its header."""
    if signed is None:
        return None
    nonce, payer, expires, evidence, kind, ceiling, proof = signed
    return Authorization(nonce, payer, expires, ("", ""), evidence, kind, ceiling, proof)
