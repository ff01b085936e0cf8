"""A server that takes no further connection is told as that, and not as one that is gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from x402_client.ledgers.redis import RedisLedger

from .server import Server
from .test_failures import refused


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_server_without_a_free_connection(start: Callable[..., Server], asynchronous: bool) -> None:
    server = start()
    server.do("CONFIG", "SET", "maxclients", "2")
    ledger = RedisLedger(server.url)
    with contextlib.ExitStack() as others:
        for _ in range(2):
            others.enter_context(server.client).ping()
        told = refused(lambda: asyncio.run(ledger.asynchronous.holds())) if asynchronous else refused(ledger.holds)
    # Its answer is lost where the server closed the connection before ours was written.
    assert "has no free connection; raise its setting `maxclients`" in told or "at its limit of connections" in told
    assert ledger.holds() == ()
    ledger.close_ledger()
