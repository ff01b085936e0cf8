"""A purchase costs the same after ten payments and after a hundred thousand."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from x402_client.errors import AlreadyPaid, OverLimit
from x402_client.ledgers.conformance.ledger import RECEIPT, cap, order, purchase, signed
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite import holds as sqlite_holds
from x402_client.ledgers.sqlite.clock import LedgerClock
from x402_client.model.budgets import WINDOWS
from x402_client.model.holds import CEILING, Attempt

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


#: What a quote asks: a price that fits, budgets that are exceeded, a number of payments, keys.
LOOKS = {
    "what fits": lambda: order(purchase("x"), *CAPS),
    "an amount": lambda: order(purchase("x"), cap(1), cap(1, "total")),
    "a number of payments": lambda: order(purchase("x"), cap(1, "month", currency=None)),
    "a new pattern of one host": lambda: order(purchase("x"), cap(1, "day", "api.example.com:443")),
    "a key that was paid": lambda: order(purchase("x", key="paid"), cap(1)),
    "a new key": lambda: order(purchase("x", key="new"), *CAPS),
    "a key that is open": lambda: order(purchase("x", key="open"), *CAPS),
}


@pytest.mark.parametrize("asked", LOOKS)
def test_a_look_reads_the_same_whatever_the_history(tmp_path: Path, asked: str) -> None:
    measured = Measured(tmp_path / "ledger.db")
    ledger, attempt = measured.ledger, Attempt()
    measured.age(1, 5)
    held: Any = ledger.reserve(order(purchase("x", key="paid")), attempt)
    ledger.close(ledger.record(held, signed("paid")), "spent", RECEIPT)
    ledger.record(ledger.reserve(order(purchase("x", key="open")), attempt), signed("open"))  # type: ignore[arg-type]

    def steps() -> int:
        counted = [0]
        db = ledger._file._connection
        assert db is not None
        db.set_progress_handler(lambda: counted.append(1) or 0, 1)
        with suppress(OverLimit, AlreadyPaid):
            ledger.check(LOOKS[asked]())
        db.set_progress_handler(None, 1)
        return len(counted)

    few = min(steps() for _ in range(3))
    db = ledger._file._connection
    assert db is not None
    ledger._file._checkpoints.wait(10)
    many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})"
    columns = ", ".join(sqlite_holds.COLUMNS)
    for table, more, count in (("past", "receipt", 20_000), ("holds", "accounts", 2_000)):
        kept = f"{columns}, {more}"
        db.execute(
            f"INSERT INTO {table} (id, {kept}) {many.format(count)} "
            f"SELECT i, {kept} FROM n, (SELECT {columns}, '' AS {more} FROM past LIMIT 1)"
        )
    db.execute(
        f"INSERT INTO accounts (purse, name, currency, units, payments, latest, kind) {many.format(500)} "
        "SELECT 'default', 'allowance ' || i, 'USD', 1, 1, 0, 'allowance' FROM n"
    )
    assert min(steps() for _ in range(3)) < 1.1 * few
    attempt.end()
    ledger.close_ledger()


def test_open_amounts_are_found_without_a_look_at_the_history(tmp_path: Path) -> None:
    measured = Measured(tmp_path / "ledger.db")
    for number in range(3):
        attempt = Attempt()
        held: Any = measured.ledger.reserve(order(purchase(f"{number}")), attempt)
        made = replace(signed(f"{number}"), kind=CEILING, ceiling=10_000)
        measured.ledger.close(measured.ledger.record(held, made), "spent", RECEIPT)
        attempt.end()
    measured.buy(1)
    db = measured.ledger._file._connection
    assert db is not None

    def steps() -> int:
        counted = [0]
        db.set_progress_handler(lambda: counted.append(1) or 0, 1)
        owed = measured.ledger.owed()
        measured.ledger.conclude(owed[-1].but(charged=1), True)
        db.set_progress_handler(None, 1)
        return len(counted)

    few = steps()
    columns = ", ".join(("id", *sqlite_holds.COLUMNS, "receipt"))
    db.execute(
        f"INSERT INTO past ({columns}) "
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
        f"SELECT {columns} FROM n, (SELECT * FROM past ORDER BY number DESC LIMIT 1)"
    )
    assert steps() < 1.1 * few
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
