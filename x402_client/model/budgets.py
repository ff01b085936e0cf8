"""The windows of budgets, and the limits that the ledger keeps payments under."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from .money import Money

#: Seconds of each window; None never rolls over. A month is thirty days.
WINDOWS: Mapping[str, int | None] = MappingProxyType(
    {"minute": 60, "hour": 3600, "day": 86_400, "month": 30 * 86_400, "total": None}
)


class Cap(NamedTuple):
    """A limit on payments: at most ``most`` millionths of ``currency``, or ``most`` payments if ``currency`` is None.

    ``account`` names the payments that count: ``""`` for all of the purse, else a host pattern.
    """

    account: str
    window: str
    currency: str | None
    most: int

    def __str__(self) -> str:
        what = f"{self.most} payments" if self.currency is None else str(Money.of_units(self.most, self.currency))
        per = "in total" if self.window == "total" else f"per {self.window}"
        return f"{what} {per}" + (f" for {self.account}" if self.account else "")
