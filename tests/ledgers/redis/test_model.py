"""The ledger in Redis does what the one in memory does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.ledgers.twins import Twins
from x402_client.ledgers.redis import RedisLedger

from .server import Server

pytestmark = pytest.mark.slow

META = "{x402:default}:state"


class RedisTwins(Twins):
    """A server that keeps the clock of its one purse; the ledger in memory takes the time from it."""

    purses = ("default",)
    server: ClassVar[Server]

    def open(self) -> RedisLedger:
        self.client = self.server.client
        self.client.flushall()
        ledger = RedisLedger(self.server.url)
        ledger.holds()
        return ledger

    def teardown(self) -> None:
        self.other.close_ledger()
        self.client.close()

    def now(self) -> float:
        return int(self.client.hget(META, "clock")) / 1e6

    def pass_time(self, seconds: float) -> None:
        self.client.hset(META, "clock", int(self.client.hget(META, "clock")) + int(seconds * 1e6))


@pytest.fixture(scope="module")
def running() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as directory:
        RedisTwins.server = Server(Path(directory))
        yield
        RedisTwins.server.kill()


@pytest.mark.timeout(600)
def test_the_twins_stay_alike(running: None) -> None:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    few = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=slow)
    run_state_machine_as_test(RedisTwins, settings=few)
