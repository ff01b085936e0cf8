"""A program that closes its ledger and goes on keeps the name that it takes then, in the order of any two steps."""

from __future__ import annotations

import pytest

from tests.ledgers.first_steps import PAIRS, buys, quiet, renamed, steps_together
from x402_client.ledgers.postgres import PostgresLedger

from .server import Server


@pytest.mark.parametrize(("first", "second"), PAIRS)
@pytest.mark.parametrize("deleted", [True, False], ids=["its old steps are deleted", "its old steps are there"])
def test_the_first_steps_under_a_new_name(server: Server, first: str, second: str, deleted: bool) -> None:
    ledger, other = quiet(PostgresLedger(server.url())), quiet(PostgresLedger(server.url()))
    buys(other, "other")
    name = renamed(ledger)
    if deleted:
        other._beat("default")
    steps_together(ledger, first, second)
    assert ledger._claims.owner == name
    buys(ledger, "more")
    ledger.close_ledger()
    other.close_ledger()
