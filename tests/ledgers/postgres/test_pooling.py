"""Poolers in transaction mode: each step may be made in another session, which knows nothing of the one before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from x402_client.ledgers.conformance import LedgerConformance
from x402_client.ledgers.fair_lock import Turn
from x402_client.ledgers.postgres import PostgresLedger
from x402_client.ledgers.postgres.connections import Connection

from ..test_fair_lock import held
from .server import Server


@pytest.mark.slow
class TestPooled(LedgerConformance):
    """Before each step the session is emptied, and it is another one than that of the step before."""

    @pytest.fixture(autouse=True)
    def _ledger(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        take, sessions = Connection.take, [0, 0]

        def another(connection: Connection, turn: Turn, timeout: float) -> Any:
            if timeout:
                with held(connection._free):
                    if len(connection._idle) < 3:
                        connection._idle.appendleft(connection._connect())
                connection._idle.rotate(1)
            line = take(connection, turn, timeout)
            if line is not None and timeout:
                line.execute("DISCARD ALL")
                sessions.append(line.pgconn.backend_pid)
            return line

        monkeypatch.setattr(Connection, "take", another)
        self.ledger = PostgresLedger(server.url())
        yield
        self.ledger.close_ledger()
        assert len(set(sessions)) > 2 or len(sessions) < 6

    def setup_method(self) -> None:
        """The fixture does it."""

    teardown_method = setup_method

    def make(self) -> Any:
        return self.ledger
