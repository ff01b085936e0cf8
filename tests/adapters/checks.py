"""A buyer for tests, and what became of its money."""

from __future__ import annotations

from typing import Any

from x402_client import Buyer, Policy, Wallet
from x402_client.model.holds import Outcome

from .cash_register import KEY, PAYMENT, PRICE
from .drivers import Driver
from .scripted_server import Seen


def new_buyer(policy: Policy | None = None, **said: Any) -> Buyer:
    """Presents a payment once in a call, unless a test says otherwise."""
    return Buyer(Wallet(evm=KEY), policy or Policy(per_request="0.05", per_day="50"), **{"repeat": (), **said})


def paid(buyer: Buyer, times: int = 1) -> bool:
    """Return whether this number of purchases was paid for and delivered, and nothing is open."""
    return buyer.spent().units == times * PRICE and buyer.holds() == () and len(buyer.history()) == times


def untouched(buyer: Buyer) -> bool:
    return buyer.spent().units == 0 and buyer.holds() == () and buyer.history() == ()


def unresolved(buyer: Buyer, nonce: str) -> bool:
    """Whether one purchase is counted and open, under this nonce."""
    return buyer.spent().units == PRICE and [hold.nonce for hold in buyer.holds()] == [nonce]


def outcome(shell: Driver, response: Any) -> Outcome:
    found = shell.outcome(response)
    assert found is not None
    return found


_NAMES = {name.lower() for name in PAYMENT.values()}


def without_payment(seen: Seen) -> list[tuple[str, str]]:
    return [(name, value) for name, value in seen.lines if name.lower() not in _NAMES]


def shows_payment(thing: Any) -> bool:
    """Whether a request, or anything else with headers, carries a payment."""
    return any(name.lower() in _NAMES for name in thing.headers)
