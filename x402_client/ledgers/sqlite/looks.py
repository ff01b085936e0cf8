"""Looks into a ledger file for a quote: what ``reserve`` would refuse. They run inside a transaction that reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

from ...model.holds import Busy, Order, Purchase
from .. import refusals
from . import allowances, holds, seeds
from .sums import Sums, exceeded_by


def check(
    db: sqlite3.Connection, order: Order, frozen: Iterable[str], now: float, in_flight: Callable[[holds.Row], bool]
) -> Busy | None:
    """Raise what would refuse an order, or return the hold under its key that is in flight."""
    purchase = order.purchase
    refusals.check_frozen(frozen, purchase)
    busy = _busy(db, purchase, in_flight) if purchase.keyed else None
    if busy is not None:
        return busy
    allowances.check(db, purchase.purse, order.path, now)
    counts = _sums(db, order, now)
    exceeded = [over for cap in order.caps if (over := exceeded_by(counts, cap, order))]
    if exceeded:
        raise refusals.over_limit(order, exceeded, now)
    return None


def _busy(db: sqlite3.Connection, purchase: Purchase, in_flight: Callable[[holds.Row], bool]) -> Busy | None:
    """Return the hold under a key that is in flight. Raise what refuses the key."""
    found = [(row, in_flight(row)) for row in holds.of_purchase(db, purchase)]
    found = [(row, flies) for row, flies in found if flies or row.hold.state == "signed"]
    holds.check_key(db, purchase, [row for row, _ in found])
    for row, flies in found:
        if flies:
            return Busy(row.hold.shown)
        if not purchase.is_paid_by(row.hold.payer):
            raise refusals.another_wallet(row.hold.shown)
    return None


def _sums(db: sqlite3.Connection, order: Order, now: float) -> Sums:
    """Return the sums that an order's budgets look at. A pattern without an account starts from its hosts."""
    purse, names = order.purchase.purse, dict.fromkeys(cap.account for cap in order.caps)
    counts = Sums(db, purse, names, now)
    for name in names:
        if not counts.has_account(name) and name not in order.path:
            counts.start_from(purse, name, seeds.hosts_of(db, purse, name))
    return counts
