"""Shows the allowances of a purse: what each was of, what is spent and left of it, and whether it is open. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..model.allowances import AllowanceRecord, AllowanceState, allowance_name, state_of_all
from ..model.holds import moment
from ..model.money import Money
from ..model.offers import words
from ..policy.allowances import AllowanceRules


@dataclass(frozen=True, slots=True)
class AllowanceLine:
    """One allowance in one currency. Its state is that of all above it, too."""

    record: AllowanceRecord
    state: AllowanceState
    amount: Money
    spent: Money
    left: Money

    @property
    def name(self) -> str:
        """Return its name, safe to show."""
        return words(self.record.terms.name, 100)

    @property
    def is_shown(self) -> bool:
        """Return True if it is listed without being asked for: it was named, and is neither closed nor over."""
        return self.record.terms.lasts and self.state in ("open", "frozen")

    @property
    def inside(self) -> str:
        """Return the name of the allowance that it is a part of. "": it is a part of none."""
        parent = self.record.terms.parent
        return "" if parent is None else words(allowance_name(parent), 100)

    @property
    def until(self) -> str:
        """Return when it ends. "": it does not end by itself."""
        return "" if self.record.until is None else f"{moment(self.record.until):%Y-%m-%d %H:%M} UTC"


def lines_of(records: Iterable[AllowanceRecord]) -> list[AllowanceLine]:
    """Return a line for each allowance and currency. Test money is shown once some of it was spent."""
    known = {record.terms.account: record for record in records}
    found = []
    for record in known.values():
        own = [Money(amount).currency for amount in record.terms.amounts]
        paid = [currency for currency, units in record.counted if units and currency not in own]
        found += [_line(record, currency, known) for currency in (*own, *paid)]
    return found


def _line(record: AllowanceRecord, currency: str, known: Mapping[str, AllowanceRecord]) -> AllowanceLine:
    above = list(_path(record, known))
    most = [AllowanceRules.of(one.terms).most(currency).units for one in above]
    state = state_of_all(one.state for one in above)
    left = min(units - one.spent(currency) for units, one in zip(most, above, strict=True))
    rest = 0 if state in ("closed", "ended") else max(0, left)
    amounts = (most[0], record.spent(currency), rest)
    return AllowanceLine(record, state, *(Money.of_units(units, currency) for units in amounts))


def _path(record: AllowanceRecord, known: Mapping[str, AllowanceRecord]) -> Iterator[AllowanceRecord]:
    """Give an allowance, and each one above it that is known."""
    found: AllowanceRecord | None = record
    while found is not None:
        yield found
        found = known.get(found.terms.parent or "")


def document(line: AllowanceLine) -> dict[str, Any]:
    """Return a line as JSON."""
    terms = line.record.terms
    return {
        "allowance": line.name,
        "inside": line.inside or None,
        "state": line.state,
        "currency": line.amount.currency,
        "amount": str(line.amount),
        "spent": str(line.spent),
        "left": str(line.left),
        "minutes": None if terms.seconds is None else terms.seconds / 60,
        "until": None if line.record.until is None else f"{moment(line.record.until):%Y-%m-%dT%H:%M:%SZ}",
        "hosts": None if terms.hosts is None else list(terms.hosts),
        "per_request": list(terms.per_request),
    }
