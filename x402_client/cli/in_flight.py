"""Tells of payments in flight, and of calls that ended before they signed: what is counted for them, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..model.counts import counted
from ..model.holds import Hold, moment
from ..model.money import Money
from .vocabulary import state_of

_WAIT = "Wait: each is delivered when its content came, or unresolved when its call or program ends without that."
_WAIT_FOR_ONE = "Wait: it is delivered when its content came, or unresolved when its call or program ends without that."


def in_flight(holds: Iterable[Hold]) -> list[Hold]:
    """Return the payments that a call is paying at this moment, the oldest first."""
    return sorted((hold for hold in holds if state_of(hold) == "in flight"), key=lambda hold: hold.created)


def counted_for(holds: Iterable[Hold]) -> str:
    """Return what budgets count for payments, in each currency: ``0.02 USD and 0.01 EUR``."""
    return " and ".join(map(str, _sums(holds)))


def told(holds: Iterable[Hold], wait: bool = True) -> str:
    """Return what there is to say of the payments in flight among these, in a line; "" if there are none.

    ``wait`` is False where something else was asked about, which need not wait for them.
    """
    flying = in_flight(holds)
    if not flying:
        return ""
    since = f"{moment(flying[0].created):%Y-%m-%d %H:%M:%S} UTC"
    if len(flying) == 1:
        said, then = f"1 payment is in flight since {since}: {counted_for(flying)} is counted for it.", _WAIT_FOR_ONE
    else:
        what = f"{len(flying)} payments are in flight, the first since {since}"
        said, then = f"{what}: {counted_for(flying)} is counted for them.", _WAIT
    return f"{said} {then if wait else '`x402 ledger holds` lists what is open.'}"


def never_signed(holds: Iterable[Hold]) -> str:
    """Return what there is to say of amounts that are counted for calls which ended before they signed; "": none."""
    left = [hold for hold in holds if state_of(hold) == "never signed"]
    if not left:
        return ""
    calls, they = counted(len(left), "call"), "it" if len(left) == 1 else "they"
    return (
        f"{counted_for(left)} is counted for {calls} that ended before {they} signed: nothing left, and the next "
        "payment that needs it gets it."
    )


def document(holds: Iterable[Hold]) -> dict[str, Any]:
    """Return the same as JSON."""
    flying = in_flight(holds)
    return {
        "payments": len(flying),
        "counted": [str(money) for money in _sums(flying)],
        "since": f"{moment(flying[0].created):%Y-%m-%dT%H:%M:%SZ}" if flying else None,
        "holds": [hold.id for hold in flying],
        "advice": told(flying) or None,
    }


def _sums(holds: Iterable[Hold]) -> list[Money]:
    sums: dict[str, Money] = {}
    for hold in holds:
        sums[hold.price.currency] = sums.get(hold.price.currency, Money.of_units(0, hold.price.currency)) + hold.price
    return list(sums.values())
