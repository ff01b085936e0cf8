"""Connections of one process: fewer than its callers, and each caller gets one in its turn."""

from __future__ import annotations

import threading
import time
from itertools import count
from typing import Any

import pytest

from x402_client.ledgers.fair_lock import Turn
from x402_client.ledgers.postgres import PostgresLedger
from x402_client.ledgers.postgres.connections import Connection

from ..test_memory_signals import interrupted
from .server import Server


def taken(pool: Connection, timeout: float) -> tuple[Any, Turn]:
    turn = Turn()
    return pool.take(turn, timeout), turn


@pytest.mark.parametrize("connections", [1, 2, 8])
@pytest.mark.parametrize("waiting", [1, 5])
def test_calls_get_a_connection_in_the_order_in_which_they_asked(
    server: Server, connections: int, waiting: int
) -> None:
    """Also before one that gives its connection back and wants another at once: else such a call waits for ever."""
    ledger = PostgresLedger(server.url(), connections=connections)
    pool: Any = ledger._connection
    lines, came = [taken(pool, 5) for _ in range(connections)], list[int]()

    def wait(number: int) -> None:
        line = taken(pool, 30)
        came.append(number)
        pool.give_back(*line)

    threads = [threading.Thread(target=wait, args=[number]) for number in range(waiting)]
    for number, thread in enumerate(threads):
        thread.start()
        while len(pool._free._turns) <= connections + number:
            time.sleep(0.001)
    assert pool.take(Turn(), 0) is None, "an end that may not wait takes no one's turn"
    pool.give_back(*lines.pop())
    lines.append(taken(pool, 30))
    came.append(waiting)
    for thread in threads:
        thread.join()
    assert came == [*range(waiting + 1)]
    for line in lines:
        pool.give_back(*line)
    ledger.close_ledger()


def test_an_interrupt_at_any_moment_takes_no_connection_away(server: Server) -> None:
    ledger = PostgresLedger(server.url(), connections=1, timeout=5)
    ledger.freeze("a.example")
    for moment in count(1):
        place = interrupted(ledger.freezes, moment)
        assert not ledger._connection._free._turns, place  # type: ignore[attr-defined]
        if not place:
            break
    assert ledger.freezes() == ("a.example",)
    ledger.close_ledger()
