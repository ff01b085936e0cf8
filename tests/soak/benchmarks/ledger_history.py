"""What a purchase costs after ten payments and a million: ``python -m tests.soak.benchmarks.ledger_history [PAST]``.

One purchase is reserve, record and close, under a day's and a total budget. Young and old ledgers take turns, so that
all else the machine does falls on both. Each ledger is filled with as many payments under keys, which it
remembers for ever: in memory by buying them; in a file and in Redis by writing, many at once, the entries that a
purchase of its own left behind.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from tests.ledgers.redis.server import Server
from x402_client.ledgers.conformance.ledger import RECEIPT, cap, order, purchase, signed
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.redis import RedisLedger
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite import holds as sqlite_holds
from x402_client.model.holds import Attempt, Order

ROUNDS, TURNS = 60, 20
CAPS = (cap(10**15), cap(10**15, "total"), cap(10**9, "day", currency=None))
SAMPLE = order(purchase(key="sample"), *CAPS)
SIGNED = signed()


def asked(name: str) -> Order:
    return SAMPLE._replace(purchase=replace(SAMPLE.purchase, id=f"key {name}", request=f"request {name}"))


def buy(ledger: Any, asked_for: Order) -> float:
    """One purchase; how many seconds it took."""
    attempt = Attempt()
    started = time.perf_counter()
    ledger.close(ledger.record(ledger.reserve(asked_for, attempt), SIGNED), "spent", RECEIPT)
    taken = time.perf_counter() - started
    attempt.end()
    return taken


def in_memory(past: int) -> MemoryLedger:
    ledger = MemoryLedger()
    for number in range(past):
        buy(ledger, asked(f"old {number}"))
    return ledger


def in_a_file(past: int, directory: Path) -> SqliteLedger:
    ledger = SqliteLedger(directory / f"{past}.db")
    for number in range(10):
        buy(ledger, asked(f"old {number}"))
    names = ", ".join(name for name in sqlite_holds.COLUMNS if name != "purchase")
    count = "WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)"

    def fill(db: Any, meta: Any) -> None:
        one = "(SELECT * FROM keyed LIMIT 1)"
        db.execute(
            f"INSERT INTO keyed (key, id, purchase, {names}, receipt) {count} "
            f"SELECT 'key old ' || i, id, 'key old ' || i, {names}, receipt FROM n, {one}",
            (past,),
        )
        db.execute(
            f"INSERT INTO past (id, purchase, {names}, receipt) {count} "
            f"SELECT id, 'key old ' || i, {names}, receipt FROM n, {one}",
            (min(past, sqlite_holds.HISTORY),),
        )
        db.execute("UPDATE accounts SET units = units * ?, payments = payments * ?", (past // 10, past // 10))

    if past > 10:
        ledger._file.write(fill, 60)
    return ledger


def in_redis(past: int, server: Server) -> RedisLedger:
    ledger = RedisLedger(server.url)
    for number in range(10):
        buy(ledger, asked(f"old {number}"))
    with server.client as client:
        paid = "{x402:default}:paid"
        entry = client.hget(paid, "key old 0")
        for first in range(10, past, 10_000):
            names = (f"key old {number}" for number in range(first, min(first + 10_000, past)))
            client.hset(paid, mapping={name: str(entry).replace("key old 0", name) for name in names})
    return ledger


def measured(young: Any, old: Any) -> tuple[float, float]:
    """The median of a purchase on each, in microseconds."""
    times: dict[int, list[float]] = {0: [], 1: []}
    for turn in range(ROUNDS):
        for which in (0, 1) if turn % 2 else (1, 0):
            ledger = (young, old)[which]
            times[which] += [buy(ledger, asked(f"{turn} {number} {which}")) for number in range(TURNS)]
    return 1e6 * median(times[0]), 1e6 * median(times[1])


def main(past: int) -> None:
    logging.getLogger("x402_client").setLevel(logging.ERROR)  # these servers keep nothing, as is well known
    print(f"{'ledger':<8} {'after 10':>12} {f'after {past:,}':>18} {'ratio':>7}    (p50 of {ROUNDS * TURNS} purchases)")
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        young, old = Path(place, "young"), Path(place, "old")
        young.mkdir()
        old.mkdir()

        def server(directory: Path) -> Server:
            started = Server(directory)
            stack.callback(started.kill)
            return started

        makers: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
            "memory": (lambda: in_memory(10), lambda: in_memory(past)),
            "SQLite": (lambda: in_a_file(10, young), lambda: in_a_file(past, old)),
            "Redis": (lambda: in_redis(10, server(young)), lambda: in_redis(past, server(old))),
        }
        for name, (few, many) in makers.items():
            ledgers = few(), many()
            short, long = measured(*ledgers)
            print(f"{name:<8} {short:>9.0f} µs {long:>15.0f} µs {long / short:>7.2f}", flush=True)
            for ledger in ledgers:
                getattr(ledger, "close_ledger", bool)()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
