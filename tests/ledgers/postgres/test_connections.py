"""Connections of one process: fewer than its callers, and each caller gets one in its turn."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from x402_client.ledgers.postgres import PostgresLedger

from .server import Server


@pytest.mark.parametrize("connections", [1, 2, 8])
@pytest.mark.parametrize("waiting", [1, 5])
def test_calls_get_a_connection_in_the_order_in_which_they_asked(
    server: Server, connections: int, waiting: int
) -> None:
    """Also before one that gives its connection back and wants another at once: else such a call waits for ever."""
    ledger = PostgresLedger(server.url(), connections=connections)
    pool: Any = ledger._connection
    lines, came = [pool.take(5) for _ in range(connections)], list[int]()

    def wait(number: int) -> None:
        line = pool.take(30)
        came.append(number)
        pool.give_back(line)

    threads = [threading.Thread(target=wait, args=[number]) for number in range(waiting)]
    for number, thread in enumerate(threads):
        thread.start()
        while len(pool._free._waiting) <= number:
            time.sleep(0.001)
    assert pool.take(0) is None, "an end that may not wait takes no one's turn"
    pool.give_back(lines.pop())
    lines.append(pool.take(30))
    came.append(waiting)
    for thread in threads:
        thread.join()
    assert came == [*range(waiting + 1)]
    for line in lines:
        pool.give_back(line)
    ledger.close_ledger()
