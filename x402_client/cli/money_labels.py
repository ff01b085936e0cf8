"""Labels for money: for what is worth nothing, of test networks and the sandbox, and for what is paid upfront."""

from __future__ import annotations

from ..model.money import Money
from ..model.networks import short_name
from ..model.offers import words
from ..signers.play_keys import takes_play_keys

TEST_MONEY = "test money"
#: The same in a narrow column.
TEST = "test"
#: Said of an offer whose payment flow is ``upfront``.
PAID_FIRST = "paid before delivery: the money is spent also if nothing comes"


def network_name(network: str, price: Money | None = None) -> str:
    """Return the name of a network, safe to show. That of a test network says that its money is test money.

    Beside a ``price`` it says so only if the price does not.
    """
    said = price is not None and "(test)" in price.currency
    return words(short_name(network), 60) + (f", {TEST_MONEY}" if takes_play_keys(network) and not said else "")
