"""What a step reads: the same after any history, also where the server's statistics are of an empty ledger."""

from __future__ import annotations

import time
from typing import Any

from x402_client.ledgers.conformance.ledger import RECEIPT, cap, order, purchase, signed
from x402_client.ledgers.postgres import PostgresLedger
from x402_client.model.holds import Attempt, Spending

from .server import Server

#: Tables that grow with each payment, each open payment or each program. "voids" has what failed in the last hour.
_GROW = ("accounts", "holds", "keyed", "past", "programs", "starts", "steps")


def scans(server: Server, until: int) -> dict[str, int]:
    """Return how often each table was read as a whole, once the server has counted so many purchases."""
    for _ in range(200):
        rows = server.do("SELECT relname, seq_scan, n_tup_ins FROM pg_stat_user_tables WHERE schemaname = 'x402'")
        found = {name: (scanned, made) for name, scanned, made in rows}
        if found["past"][1] >= until:
            return {name: found[name][0] for name in _GROW}
        time.sleep(0.05)
    raise AssertionError(f"the server has not counted {until} purchases")


def buy(ledger: PostgresLedger, name: str, key: str | None = None) -> None:
    attempt = Attempt()
    caps = (cap(10**9), cap(10**9, "hour", "*.example.com"), cap(10**6, "day", currency=None))
    hold: Any = ledger.reserve(order(purchase(name, key=key), *caps), attempt)
    ledger.close(ledger.record(hold, signed(name)), "spent", RECEIPT)
    attempt.end()


def test_no_step_reads_a_table_that_grows_as_a_whole(server: Server) -> None:
    """A session that began with empty tables plans each statement once, and its tables fill up with dead rows."""
    server.do("DROP SCHEMA IF EXISTS x402 CASCADE")
    ledger = PostgresLedger(server.url())
    ledger.holds()
    before = scans(server, 0)
    for number in range(30):
        buy(ledger, f"{number}", f"key {number}" if number % 3 == 0 else None)
    attempt = Attempt()
    for name in ("a", "b"):
        lost: Any = ledger.reserve(order(purchase(name)), attempt)
        lost = ledger.record(lost, signed(name))
    attempt.end()
    again = Attempt()
    assert ledger.claim(purchase("a"), again) is not None
    again.end()
    ledger.write_off(lost)
    ledger.spent(Spending("api.example.com", "day", "USD"))
    ledger._beat("default")
    ledger.close_ledger()
    assert scans(server, 31) == before
