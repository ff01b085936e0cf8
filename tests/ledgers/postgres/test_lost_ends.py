"""A server that goes back to claims of a program that lives: those of its calls that ended are free."""

from __future__ import annotations

import pytest

from tests.ledgers.lost_ends import STORIES, check_lost_end
from tests.ledgers.redis.rollbacks import no_grace
from x402_client.ledgers.postgres import PostgresLedger

from .rollbacks import keep, put_back
from .server import Server


@pytest.mark.parametrize(("had", "end"), STORIES)
def test_a_call_whose_end_was_lost(server: Server, monkeypatch: pytest.MonkeyPatch, had: str, end: str) -> None:
    ledger = PostgresLedger(server.url())
    with no_grace(monkeypatch):
        ways = (lambda: keep(server), lambda: put_back(server))
        check_lost_end(ledger, had, end, *ways, lambda: server.do("UPDATE x402.purses SET opens = 0"))
    ledger.close_ledger()
