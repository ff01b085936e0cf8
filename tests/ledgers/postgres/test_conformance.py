"""The port's contract: for sync callers, for asyncio, for trio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from x402_client.ledgers.conformance import LedgerConformance
from x402_client.ledgers.postgres import PostgresLedger

from .server import Server


class TestSync(LedgerConformance):
    @pytest.fixture(autouse=True)
    def _ledger(self, place: dict[str, Any]) -> Iterator[None]:
        self.sync = PostgresLedger(**place)
        self.ledger = self.make()
        yield
        self.end_attempts()
        self.sync.close_ledger()

    @pytest.fixture
    def place(self, server: Server) -> dict[str, Any]:
        return {"url": server.url()}

    def setup_method(self) -> None:
        """The fixtures do it."""

    teardown_method = setup_method

    def make(self) -> Any:
        return self.sync


@pytest.mark.slow
class TestAsyncio(TestSync):
    @pytest.fixture(autouse=True)
    def _ledger(self, place: dict[str, Any]) -> Iterator[None]:
        self.sync = PostgresLedger(**place)
        self.ledger = self.sync.asynchronous
        with asyncio.Runner() as self.runner:
            yield
            self.end_attempts()
            self.runner.run(self.ledger.close_ledger())
        self.sync.close_ledger()

    def answer(self, given: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            return self.runner.run(given)
        return asyncio.run(self.once(given))

    async def once(self, given: Any) -> Any:
        try:
            return await given
        finally:
            await self.ledger.close_ledger()


@pytest.mark.slow
class TestTrio(TestSync):
    def make(self) -> Any:
        return self.sync.asynchronous

    def answer(self, given: Any) -> Any:
        async def wait() -> Any:
            return await given

        return trio.run(wait)
