"""The whole flow on each ledger of one machine, in any order of events."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite.clock import LedgerClock

from .flow_machine import FlowMachine


class InMemory(FlowMachine):
    def ledger(self) -> Any:
        ledger = MemoryLedger()
        ledger._now = self.now  # type: ignore[method-assign]
        return ledger


class InMemoryWithLosses(InMemory):
    def accepted(self) -> str:
        return "0.01"


class InAFile(FlowMachine):
    def ledger(self) -> Any:
        self.directory = Path(tempfile.mkdtemp())
        return SqliteLedger(self.directory / "ledger.db", clock=LedgerClock(self.now, self.now, lambda: "boot"))

    def teardown(self) -> None:
        super().teardown()
        self.ground.ledger.close_ledger()  # type: ignore[attr-defined]
        shutil.rmtree(self.directory, ignore_errors=True)


def _for(machine: type[FlowMachine], examples: int) -> Any:
    case = machine.TestCase
    case.settings = settings(
        max_examples=examples, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
    )
    return case


TestInMemory = _for(InMemory, 150)
TestInMemoryWithLosses = _for(InMemoryWithLosses, 100)
TestInAFile = _for(InAFile, 50)
