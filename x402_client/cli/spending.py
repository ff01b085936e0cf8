"""Groups payments by host, day, token or state, to show where the money went. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..model.allowances import UNNAMED, allowance_name
from ..model.holds import Hold, moment
from ..model.money import Money
from ..model.offers import words
from .money_labels import network_name
from .vocabulary import share_of

#: The columns in which money is kept apart: the words of ``.money``, and what was spent for nothing. Together they are
#: what budgets count.
COLUMNS: tuple[str, ...] = ("spent", "held", "unknown", "lost", "written off")


@dataclass(frozen=True, slots=True)
class Share:
    """A group of payments: its sums, kept apart, its number of payments, and its part of the largest."""

    name: str
    sums: dict[str, Money]
    payments: int
    part: float

    @property
    def currency(self) -> str:
        """Return the one currency of the group."""
        return self.sums["spent"].currency

    @property
    def counted(self) -> Money:
        """Return what budgets count of it: all of it."""
        return _total(self.sums.values(), self.currency)


def host(hold: Hold) -> str:
    """Return the group of a hold by the host that was paid."""
    return hold.host


def allowance(hold: Hold) -> str:
    """Return the group of a hold by the innermost allowance that has a name of the user's.

    What is inside of one that has its own name is not added to it.
    """
    names = [allowance_name(account) or "" for account in hold.path]
    named = [name for name in names if not name.startswith(UNNAMED)]
    return words(named[-1], 100) if named else "without a name"


def day(hold: Hold) -> str:
    """Return the group of a hold by its day, in UTC."""
    return f"{moment(hold.created):%Y-%m-%d}"


def token(hold: Hold) -> str:
    """Return the group of a hold by the token it was paid with."""
    return f"{words(symbol(hold), 20)} on {network_name(hold.offer.network)}"


def symbol(hold: Hold) -> str:
    """Return the token's name, or its address."""
    known = hold.offer.token
    return (known.symbol if known else "") or hold.offer.asset


def shares(holds: Iterable[Hold], name: Callable[[Hold], str], by_size: bool = True) -> list[Share]:
    """Return groups of holds, each currency by itself: there is no rate between them here."""
    groups: dict[tuple[str, str], list[Hold]] = {}
    for hold in holds:
        groups.setdefault((hold.price.currency, name(hold)), []).append(hold)
    totals = {key: _total((hold.price for hold in found), key[0]).units for key, found in groups.items()}
    most = {currency: max(units for (c, _), units in totals.items() if c == currency) for currency, _ in groups}
    found = [
        Share(called, apart(listed, currency), len(listed), totals[currency, called] / (most[currency] or 1))
        for (currency, called), listed in groups.items()
    ]
    if by_size:
        return sorted(found, key=lambda share: (share.currency != "USD", -share.counted.units, share.name))
    return sorted(found, key=lambda share: (share.name, share.currency))


def apart(holds: Iterable[Hold], currency: str) -> dict[str, Money]:
    """Return the sums of one currency, by ``COLUMNS``."""
    sums = dict.fromkeys(COLUMNS, Money.of_units(0, currency))
    for hold in holds:
        if hold.price.currency == currency:
            sums[share_of(hold)] += hold.price
    return sums


def since(holds: Iterable[Hold], days: float | None) -> list[Hold]:
    """Return the holds of the last ``days`` days, or all of them if it is None."""
    first = first_of(days)
    return [hold for hold in holds if hold.created >= first]


def first_of(days: float | None) -> float:
    """Return when the last ``days`` days began, in seconds since 1970; 0.0 if it is None."""
    return 0.0 if days is None else time.time() - days * 86_400


def _total(amounts: Iterable[Money], currency: str) -> Money:
    return sum(amounts, Money.of_units(0, currency))
