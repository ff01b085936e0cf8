"""Reads the payments of a purse. Its totals count more, where the ledger no longer keeps the oldest ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..buyer.ledger_calls import call_ledger
from ..core.ports import Ledger
from ..ledgers.extras import ALL_PAYMENTS
from ..model.holds import Hold, Spending, moment
from ..model.money import Money

#: Programs may pay while the rows are read. So often they are read, until nothing was paid meanwhile.
_READINGS = 5
_ALWAYS = ("USD", "USD (test)")


@dataclass(frozen=True, slots=True)
class KeptRows:
    """Payments of a purse that its ledger keeps one by one, and the amounts of those that it keeps in totals only."""

    #: What is not resolved, as the ledger has it.
    open: tuple[Hold, ...]
    #: What is resolved, the latest first.
    past: tuple[Hold, ...]
    #: What the totals count of payments whose rows are gone, for each currency. Empty: no row is gone.
    gone: tuple[Money, ...] = ()

    @property
    def all(self) -> tuple[Hold, ...]:
        """Return every payment, newest first, each with the money that the last error about it told."""
        told = (hold.told for hold in self.open)
        return tuple(sorted((*told, *self.past), key=lambda hold: hold.created, reverse=True))

    @property
    def since(self) -> float | None:
        """Return when the payments begin that are kept, where older ones are gone. None: all are kept, or none.

        The last in the list is the next to go.
        """
        return self.past[-1].created if self.gone and self.past else None

    def lacks_some_since(self, first: float) -> bool:
        """Return True if payments may be gone that were made at ``first`` or later, in seconds since 1970."""
        return bool(self.gone) and (self.since is None or first < self.since)

    @property
    def remark(self) -> str:
        """Return a sentence about what is gone. "": nothing is."""
        if not self.gone:
            return ""
        sums = " and ".join(map(str, self.gone))
        theirs = f"{sums} of the totals {'is' if len(self.gone) == 1 else 'are'} theirs."
        if self.since is None:
            return f"No resolved payment is kept here any more; {theirs}"
        return (
            f"Payments are kept here from {moment(self.since):%Y-%m-%d %H:%M} UTC on; older ones are not, and {theirs}"
        )

    @property
    def document(self) -> dict[str, Any]:
        """Return the same for programs: an empty list says that every payment is kept."""
        since = None if self.since is None else f"{moment(self.since):%Y-%m-%dT%H:%M:%SZ}"
        return {"kept_since": since, "no_longer_kept": [str(amount) for amount in self.gone]}


def kept_rows(ledger: Any, purse: str, currencies: Iterable[str] = ()) -> KeptRows:
    """Read the payments of a purse. What its totals count besides is looked for in these currencies and those of rows.

    Only the difference shows it, so that it is known of every ledger.
    """
    asked = {*_ALWAYS, *currencies, *_of_allowances(ledger, purse)}
    rows, is_still = _read(ledger, purse, asked)
    for _ in range(_READINGS - 1):
        if is_still or not rows.gone:
            break
        rows, is_still = _read(ledger, purse, asked | _currencies(rows))
    return rows


def _read(ledger: Any, purse: str, asked: set[str]) -> tuple[KeptRows, bool]:
    """Return the rows, and True if the totals were the same before and after they were read."""
    before = _totals(ledger, purse, asked)
    still_open = call_ledger(ledger, lambda port: port.holds(purse))
    past = call_ledger(ledger, lambda port: port.history(ALL_PAYMENTS, purse))
    resolved = {hold.id for hold in past}
    rows = KeptRows(tuple(hold for hold in still_open if hold.id not in resolved), tuple(past))
    after = _totals(ledger, purse, asked | _currencies(rows))
    least = {currency: min(units, before.get(currency, units)) for currency, units in after.items()}
    return KeptRows(rows.open, rows.past, _gone(rows, least)), before == after


def _currencies(rows: KeptRows) -> set[str]:
    return {hold.price.currency for hold in (*rows.open, *rows.past)}


def _of_allowances(ledger: Any, purse: str) -> set[str]:
    """Return the currencies that the purse's allowances count."""
    known = call_ledger(ledger, lambda port: port.allowances(purse))
    return {currency for record in known for currency, units in record.counted if units}


def _totals(ledger: Any, purse: str, currencies: Iterable[str]) -> dict[str, int]:
    questions = [Spending("", "total", currency, purse) for currency in currencies]
    return {asked.currency: call_ledger(ledger, _spent, asked) for asked in questions}


def _spent(port: Ledger, question: Spending) -> Any:
    return port.spent(question)


def _gone(rows: KeptRows, totals: dict[str, int]) -> tuple[Money, ...]:
    """Return what totals count beyond the rows, dollars first."""
    for hold in (*rows.open, *rows.past):
        totals[hold.price.currency] -= hold.price.units
    ordered = sorted(totals.items(), key=lambda item: (item[0] != "USD", item[0]))
    return tuple(Money.of_units(units, currency) for currency, units in ordered if units > 0)
