"""The ledger in PostgreSQL does what the one in memory does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from tests.ledgers.twins import Twins
from x402_client.ledgers.postgres import PostgresLedger

from .clocks import START, turned
from .server import Server

pytestmark = pytest.mark.slow

_NOW = "SELECT greatest(at, (SELECT max(latest) FROM x402.accounts WHERE purse = 'default' AND name = '')) FROM clock"


class PostgresTwins(Twins):
    """A server whose clock is a row that the test writes; the ledger in memory takes the time from it."""

    purses = ("default",)
    server: ClassVar[Server]

    def open(self) -> PostgresLedger:
        self.server.empty()
        self.connection = self.server.connect()
        self.do(f"DELETE FROM clock; INSERT INTO clock VALUES ({START})")
        return PostgresLedger(self.server.url())

    def do(self, query: str) -> None:
        self.connection.execute(query.encode())

    def teardown(self) -> None:
        self.other.close_ledger()
        self.connection.close()

    def now(self) -> float:
        found = self.connection.execute(_NOW.encode()).fetchone()
        assert found is not None
        return int(found[0]) / 1e6

    def pass_time(self, seconds: float) -> None:
        self.do(f"UPDATE clock SET at = at + {int(seconds * 1e6)}")

    @rule(seconds=st.sampled_from([-1.0, -90.0, -1e6]))
    def set_the_clock_back(self, seconds: float) -> None:
        """The time of the ledger stands still then, until the clock is where it was."""
        self.pass_time(seconds)


@pytest.fixture
def running() -> Iterator[None]:
    server = PostgresTwins.server = Server("fsync=off")
    with turned(server):
        yield
    server.remove()


@pytest.mark.timeout(600)
def test_the_twins_stay_alike(running: None) -> None:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    few = settings(max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=slow)
    run_state_machine_as_test(PostgresTwins, settings=few)
