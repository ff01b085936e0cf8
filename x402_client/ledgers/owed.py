"""Open amounts: what resolved ceilings can still take, and what goes on counting once the chain tells.

The rule: "Delivery resolves the purchase, not the amount: what a signature may still take is an open amount". Nor does
writing off. It counts whole until the chain shows what was taken, or that it can be used no more.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from ..errors import MoneyState
from ..model.holds import CHARGED, Hold
from ..model.money import Money
from .memory_rows import Past, Row, hold_of, past_of
from .rows import with_charged


def still_counted(told: Hold, settled: bool, counted: int) -> int | None:
    """Return the millionths that go on counting of a ceiling, as the chain told. None: all, and it stays open."""
    if not settled:
        return 0
    charge = told.charge
    return None if charge is None else min(charge.units, counted)


def with_charge(hold: Hold, units: int) -> Hold:
    """Return a hold that counts only what was taken of its ceiling. Nothing more can be taken then."""
    signed = hold.authorization
    assert signed is not None
    money: MoneyState = "spent" if units else "untouched"
    price, signed = Money.of_units(units, hold.price.currency), replace(signed, kind=CHARGED)
    return with_charged(hold.but(price=price, money=money, authorization=signed))


def count_less(row: Row, units: int) -> None:
    """Let a row of the ledger in memory count only these millionths. It stays one payment."""
    rest = row.hold.price.units - units
    row.hold = with_charge(row.hold, units)  # first: a signal handler that raises lets nothing be given back twice
    if rest:
        for amounts, _ in row.accounts:
            amounts.add(-rest, row.hold.created)


def settle(row: Row, told: Hold) -> None:
    """Mark a row of the ledger in memory as spent, as the chain told: of a ceiling, what was taken of it."""
    row.hold = row.hold.but(money="spent")
    units = still_counted(told, True, row.hold.price.units)
    if row.hold.is_open_ceiling and units is not None:
        count_less(row, units)


class OwedInMemory:
    """The open amounts of the ledger in memory."""

    def __init__(self, history: deque[Past]) -> None:
        self._rows: dict[str, Row] = {}
        self._history = history

    def keep(self, row: Row, past: Past) -> None:
        """Keep a row that was resolved, if what was signed can still take money."""
        if row.hold.is_open_ceiling:
            row.hold = hold_of(past)
            self._rows[row.hold.id] = row

    def of(self, purse: str) -> tuple[Hold, ...]:
        """Return the open amounts of a purse, oldest first."""
        return tuple(row.hold for row in self._rows.values() if row.hold.purchase.purse == purse)

    def conclude(self, told: Hold, settled: bool) -> bool:
        """Apply what the chain told of one. Return False if it stays open, or there is none."""
        row = self._rows.get(told.id)
        units = None if row is None else still_counted(told, settled, row.hold.price.units)
        if row is None or units is None:
            return False
        count_less(row, units)
        for place, past in enumerate(self._history):
            if past[0] == told.id:
                hold = row.hold
                self._history[place] = past_of(hold, hold.state, hold.money, hold.receipt)
        self._rows.pop(told.id, None)
        return True
