"""A server that goes back to claims of a program that lives: those of its calls that ended are free."""

from __future__ import annotations

import pytest

from tests.ledgers.lost_ends import STORIES, check_lost_end
from x402_client.ledgers.redis import RedisLedger

from .rollbacks import copied, no_grace, put_back
from .server import Server


@pytest.mark.parametrize(("had", "end"), STORIES)
def test_a_call_whose_end_was_lost(server: Server, monkeypatch: pytest.MonkeyPatch, had: str, end: str) -> None:
    ledger, data = RedisLedger(server.url), dict[bytes, tuple[int, bytes]]()
    with no_grace(monkeypatch):
        ways = (lambda: data.update(copied(server)), lambda: put_back(server, data))
        check_lost_end(ledger, had, end, *ways, lambda: server.do("HDEL", "{x402:default}:state", "opens"))
    ledger.close_ledger()
