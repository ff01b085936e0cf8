"""Crowds that go on while their server goes and comes, and what must be true in the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.ledgers import served_children as children
from x402_client.ledgers.postgres import PostgresLedger
from x402_client.model.holds import Spending

from .test_processes import Child

#: What two crowds may spend in a day, in millionths: 500 purchases of the 1,024 that they try.
MOST = 5_000_000


def disturbed(url: str, *disturbances: Callable[[], None]) -> list[Any]:
    """Let 64 tasks in each of 2 processes buy, and disturb them in the middle. Return what each process told."""
    buyers = [Child(children.persists, url, number, MOST, 8) for number in range(2)]
    assert [buyer.told() for buyer in buyers] == ["going"] * 2
    for disturb in disturbances:
        time.sleep(0.3)
        disturb()
    return [buyer.pipe.poll(120) and buyer.pipe.recv() for buyer in buyers]


def check_exact(url: str, told: list[Any]) -> None:
    """Check that what was told was bought, each thing once, and that the rest of the budget can be spent and no more.

    Who is refused beside a reservation that is given back later tries no more: so there may be a rest.
    """
    assert [one for one in told if not isinstance(one, int)] == []
    ledger = PostgresLedger(url)
    assert len(ledger.history(10_000)) == sum(told)
    rest = 0
    while children.buy_one(ledger, f"rest {rest}", MOST):
        rest += 1
    past = ledger.history(10_000)
    assert (len(past), len({one.url for one in past})) == (500, 500)
    assert (ledger.spent(Spending("", "day", "USD")), ledger.holds()) == (MOST, ())
    ledger.close_ledger()
