"""A program that begins under a new name keeps it, in any order of its first two steps."""

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
    before = renamed(ledger)
    name = ledger._claims.owner
    assert name != before
    if deleted:  # as a beat does after ten minutes
        server.do(f"UPDATE x402.steps SET made = made - 601000000 WHERE owner = '{before}'")
        server.do(f"UPDATE x402.programs SET asleep = 0 WHERE owner = '{before}'")
        other._beat("default")
    steps_together(ledger, first, second)
    assert ledger._claims.owner == name
    buys(ledger, "more")
    ledger.close_ledger()
    other.close_ledger()
