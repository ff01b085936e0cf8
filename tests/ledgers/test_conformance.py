"""The ledgers that ship keep the port's contract."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from x402_client.ledgers.conformance import LedgerConformance
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.sqlite import SqliteLedger


class TestMemory(LedgerConformance):
    def make(self) -> Any:
        return MemoryLedger()


class InAFile(LedgerConformance):
    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> Iterator[None]:
        self.path = tmp_path / "ledger.db"
        self.ledger = self.make()
        yield
        self.ledger.close_ledger()

    def setup_method(self) -> None:
        """The fixture does it, which knows a directory."""

    def teardown_method(self) -> None:
        """The fixture does it."""


class TestSqlite(InAFile):
    def make(self) -> Any:
        return SqliteLedger(self.path)


class TestSqliteDurable(InAFile):
    def make(self) -> Any:
        return SqliteLedger(self.path, durable=True)


class Twice:
    """Two ledger objects on one file, asked in turn: as two buyers of one process would."""

    def __init__(self, path: Path) -> None:
        self.both = [SqliteLedger(path), SqliteLedger(path)]

    def __getattr__(self, name: str) -> Any:
        while self.both[0]._claims.some_ended:  # its thread writes which attempts ended
            time.sleep(0.001)
        self.both.reverse()
        return getattr(self.both[0], name)

    def close_ledger(self) -> None:
        for ledger in self.both:
            ledger.close_ledger()


class TestTwoInOneProcess(InAFile):
    def make(self) -> Any:
        return Twice(self.path)
