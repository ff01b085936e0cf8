"""A program that begins under a new name keeps it, in any order of its first two steps."""

from __future__ import annotations

import pytest

from tests.ledgers.first_steps import PAIRS, buys, quiet, renamed, steps_together
from x402_client.ledgers.redis import RedisLedger

from .server import Server

#: More than the steps in the server's ring.
MANY = 1_100


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_first_steps_under_a_new_name(server: Server, first: str, second: str) -> None:
    ledger, other = quiet(RedisLedger(server.url)), quiet(RedisLedger(server.url))
    before = renamed(ledger)
    name = ledger._claims.owner
    assert name != before
    for _ in range(MANY):
        other._beat("default")
    steps_together(ledger, first, second)
    assert ledger._claims.owner == name
    buys(ledger, "more")
    ledger.close_ledger()
    other.close_ledger()
