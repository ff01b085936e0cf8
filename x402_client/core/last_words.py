"""The last word on the money of each unresolved payment of this process: what its error or its outcome said.

A ledger counts such a payment and says "held" until it is resolved. ``buyer.holds()`` says what the caller was told.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from ..errors import MoneyState
from ..model.holds import Hold

#: The most payments whose last word is remembered.
_MOST = 1_000
_told: OrderedDict[tuple[str, str], MoneyState] = OrderedDict()


def note(hold: Hold) -> None:
    """Remember what was said of a payment's money."""
    if hold.money == "untouched":
        return
    _told[_key(hold)] = hold.money
    if len(_told) > _MOST:
        _told.popitem(last=False)


def forget(hold: Hold) -> None:
    """Forget a payment that is resolved."""
    _told.pop(_key(hold), None)


def as_told(holds: Iterable[Hold]) -> tuple[Hold, ...]:
    """Return unresolved holds with the last word on their money. A ledger's own proof stands."""
    return tuple(_as_told(hold) for hold in holds)


def _as_told(hold: Hold) -> Hold:
    said = _told.get(_key(hold), hold.money)
    return hold if hold.money != "held" or said == "held" else hold.but(money=said)


def _key(hold: Hold) -> tuple[str, str]:
    # Ids are one ledger's own: with the purchase they are told apart.
    return hold.id, hold.purchase.id
