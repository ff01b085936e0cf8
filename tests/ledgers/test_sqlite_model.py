"""The ledger in a file does what the one in memory does."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from x402_client.errors import PaymentRefused
from x402_client.ledgers.conformance.ledger import order, signed
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite.clock import LedgerClock
from x402_client.model.holds import Attempt, Spending

from .twins import Twins


class SqliteTwins(Twins):
    """A file whose clock the test turns, and which is opened again now and then."""

    def open(self) -> SqliteLedger:
        self.directory = Path(tempfile.mkdtemp())
        self.at, self.wall = 1_700_000_000.0, 0.0
        self.clock = LedgerClock(lambda: self.at + self.wall, lambda: self.at, lambda: "boot")
        self.older: list[SqliteLedger] = []
        return SqliteLedger(self.directory / "ledger.db", clock=self.clock)

    def teardown(self) -> None:
        self.other.close_ledger()
        shutil.rmtree(self.directory)

    def now(self) -> float:
        return self.at

    def pass_time(self, seconds: float) -> None:
        self.at += seconds

    def catch_up(self) -> None:
        self.other._record_ended()

    @rule(seconds=st.sampled_from([-1e6, 1e6]))
    def set_the_clock(self, seconds: float) -> None:
        self.wall += seconds

    @rule()
    def reopen(self) -> None:
        """Go on with another object on the same file, in the same process; attempts live on."""
        self.older.append(self.other)
        self.other = SqliteLedger(self.directory / "ledger.db", clock=self.clock)

    @invariant()  # again: a method that only overrides one is none
    def they_agree(self) -> None:
        for ledger in self.older:
            ledger._record_ended()
        super().they_agree()

    def agree_on_a_pattern(self, asked: Spending) -> None:
        """What a refused order opened is kept in a file alone. So each may count what its hosts gave back since."""
        hosts = [asked._replace(account=f"{name}.example.com") for name in ("api", "www")]
        for ledger in (self.other, self.memory):
            assert ledger.spent(asked) >= sum(map(ledger.spent, hosts))


def test_the_release_of_a_signed_hold_leaves_it_in_flight(tmp_path: Path) -> None:
    for ledger in (MemoryLedger(), SqliteLedger(tmp_path / "ledger.db")):
        hold = ledger.record(ledger.reserve(order(), attempt := Attempt()), signed())  # type: ignore[arg-type]
        ledger.release(hold)
        with pytest.raises(PaymentRefused, match="not an unresolved payment"):
            ledger.write_off(hold)
        attempt.end()


TestTwins = SqliteTwins.TestCase
TestTwins.settings = settings(max_examples=30, stateful_step_count=40, deadline=None, derandomize=True)
