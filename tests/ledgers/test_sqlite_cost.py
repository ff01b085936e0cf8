"""A purchase costs the same after ten payments and after a hundred thousand."""

from __future__ import annotations

from pathlib import Path

from x402_client.ledgers.conformance.ledger import RECEIPT, cap, order, purchase, signed
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite import holds as sqlite_holds
from x402_client.ledgers.sqlite.clock import LedgerClock
from x402_client.model.budgets import WINDOWS
from x402_client.model.holds import Attempt

CAPS = [*(cap(10**15, window) for window in WINDOWS), cap(10**9, "day", currency=None)]


class Measured:
    """A ledger whose time can be moved, and whose work is counted in SQLite's own steps."""

    def __init__(self, path: Path) -> None:
        self.at, self.bought = 1_700_000_000.0, 0
        self.ledger = SqliteLedger(path, clock=LedgerClock(lambda: self.at, lambda: self.at, lambda: "boot"))

    def buy(self, seconds: float, host: str = "api.example.com") -> None:
        self.at += seconds
        self.bought += 1
        attempt, name = Attempt(), str(self.bought)
        hold = self.ledger.reserve(order(purchase(name, host=host), *CAPS), attempt)
        self.ledger.close(self.ledger.record(hold, signed(name)), "spent", RECEIPT)  # type: ignore[arg-type]

    def steps(self, host: str = "api.example.com") -> int:
        """How many steps ten purchases take, a second apart."""
        counted = [0]

        def count() -> int:
            counted[0] += 1
            return 0

        db = self.ledger._file._connection
        assert db is not None
        db.set_progress_handler(count, 1)
        for _ in range(10):
            self.buy(1, host)
        db.set_progress_handler(None, 1)
        return counted[0]

    def age(self, seconds: float, times: int) -> None:
        for _ in range(times):
            self.buy(seconds)

    def rows(self, table: str) -> int:
        db = self.ledger._file._connection
        assert db is not None
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_history_costs_nothing(tmp_path: Path) -> None:
    measured = Measured(tmp_path / "ledger.db")
    # Every window is full: a bucket of each kind in each of its sixty places.
    for seconds, times in ((43_200, 61), (1_440, 61), (60, 61), (1, 61)):
        measured.age(seconds, times)
    young = measured.steps()
    db = measured.ledger._file._connection
    assert db is not None
    measured.ledger._file._checkpoints.wait(10)
    columns = ", ".join(("id", *sqlite_holds.COLUMNS, "receipt"))
    db.execute(
        f"INSERT INTO past ({columns}) "
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
        f"SELECT {columns} FROM n, (SELECT * FROM past LIMIT 1)"
    )
    for seconds, times in ((43_200, 61), (1_440, 61), (60, 61), (1, 61)):
        measured.age(seconds, times)
    # Steps of pruning included: they are few, and bounded by what was bought.
    assert measured.steps() < 1.1 * young
    assert measured.rows("past") < sqlite_holds.HISTORY + 600
    assert measured.rows("starts") <= 2 * 4 * 62
    measured.ledger.close_ledger()


def test_patterns_of_other_hosts_cost_nothing(tmp_path: Path) -> None:
    measured = Measured(tmp_path / "ledger.db")
    measured.buy(1, "first.example.com")
    few = measured.steps("a.example.com")
    db = measured.ledger._file._connection
    assert db is not None
    db.execute(
        "INSERT INTO accounts (purse, name, currency, units, payments, latest, kind) "
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "
        "SELECT 'default', '*.h' || i || '.example.com', 'USD', 1, 1, 0, 'pattern' FROM n"
    )
    assert measured.steps("b.example.com") < 1.1 * few
    measured.ledger.close_ledger()


def test_the_log_is_moved_on_a_thread_and_bounded(tmp_path: Path) -> None:
    measured = Measured(tmp_path / "ledger.db")
    measured.buy(1)
    before = measured.ledger.path.stat().st_size
    written = tmp_path / "ledger.db-wal"
    measured.age(1, 205)
    measured.ledger._file._checkpoints.wait(10)
    assert measured.ledger.path.stat().st_size > before, "moved by a thread: whoever writes does so much later"
    for _ in range(8):
        measured.age(1, 200)
        measured.ledger._file._checkpoints.wait(10)
    assert written.stat().st_size < 2_500 * 4_120, "and the log begins anew after each move"
    measured.ledger.close_ledger()
