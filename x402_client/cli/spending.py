"""Groups holds by host, day or token, to show where the money went. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..model.holds import Hold, moment
from ..model.money import Money
from ..model.networks import short_name
from ..model.offers import words


@dataclass(frozen=True, slots=True)
class Share:
    """A group of payments: its sum, its number of payments, and its part of the whole in that currency."""

    name: str
    spent: Money
    payments: int
    part: float


def host(hold: Hold) -> str:
    """Return the group of a hold by the host that was paid."""
    return hold.host


def day(hold: Hold) -> str:
    """Return the group of a hold by its day, in UTC."""
    return f"{moment(hold.created):%Y-%m-%d}"


def token(hold: Hold) -> str:
    """Return the group of a hold by the token it was paid with."""
    offer = hold.offer
    return f"{words(symbol(hold), 20)} on {words(short_name(offer.network), 40)}"


def symbol(hold: Hold) -> str:
    """Return the token's name, or its address."""
    known = hold.offer.token
    return (known.symbol if known else "") or hold.offer.asset


def shares(holds: Iterable[Hold], name: Callable[[Hold], str], by_size: bool = True) -> list[Share]:
    """Return groups of holds, each currency by itself: there is no rate between them here."""
    spent: dict[tuple[str, str], Money] = {}
    payments: dict[tuple[str, str], int] = {}
    for hold in holds:
        group = (hold.price.currency, name(hold))
        spent[group] = spent[group] + hold.price if group in spent else hold.price
        payments[group] = payments.get(group, 0) + 1
    most = {currency: max(m.units for (c, _), m in spent.items() if c == currency) for currency, _ in spent}
    found = [
        Share(called, money, payments[currency, called], money.units / (most[currency] or 1))
        for (currency, called), money in spent.items()
    ]
    if by_size:
        return sorted(found, key=lambda share: (share.spent.currency != "USD", -share.spent.units, share.name))
    return sorted(found, key=lambda share: (share.name, share.spent.currency))


def since(holds: Iterable[Hold], days: float | None) -> list[Hold]:
    """Return the holds of the last ``days`` days, or all of them if it is None."""
    first = 0.0 if days is None else time.time() - days * 86_400
    return [hold for hold in holds if hold.created >= first]


@dataclass(frozen=True, slots=True)
class Advice:
    """The state of an open hold, and what can be done about it."""

    state: str
    todo: str


def advice(hold: Hold) -> Advice:
    """Return the advice on a hold, clear enough to be read at three in the morning."""
    signed = hold.authorization
    if hold.state != "signed" or signed is None:
        return Advice("reserved", "Nothing: it is being paid just now, or is given back by itself.")
    until = f"{moment(signed.expires):%Y-%m-%d %H:%M:%S} UTC"
    if hold.money == "spent":
        return Advice(
            "settled, nothing delivered",
            "The chain says it was paid. Make the same request again to get what was bought, or write it off.",
        )
    if signed.expires > time.time():
        return Advice(
            f"unresolved, can settle until {until}",
            "Make the same request again: it presents the same payment, and never pays twice.",
        )
    return Advice(f"expired {until}", "Run `x402 ledger reconcile`: the chain tells whether it was paid.")


def unresolved(holds: Iterable[Hold]) -> Sequence[Hold]:
    """Return the holds that a person has to look after."""
    return [hold for hold in holds if hold.state == "signed"]
