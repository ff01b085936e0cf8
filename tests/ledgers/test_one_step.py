"""Our ledgers record a signed order in the step that reserves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ledgers.redis.server import starting
from x402_client.ledgers.conformance.ledger import order, signed
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.redis import RedisLedger
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.model.holds import Attempt


@pytest.fixture(params=["memory", "file", "redis"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    with starting(tmp_path) as start:
        if request.param == "redis":
            found: Any = RedisLedger(start().url)
        else:
            found = MemoryLedger() if request.param == "memory" else SqliteLedger(tmp_path / "ledger.db")
        yield found
        found.close_ledger()


def test_the_hold_comes_back_signed(ledger: Any) -> None:
    attempt, made = Attempt(), signed()
    hold = ledger.reserve(order()._replace(signed=made), attempt)
    assert (hold.state, hold.authorization, hold.authorization.header) == ("signed", made, made.header)
    assert [(listed.state, listed.nonce) for listed in ledger.holds()] == [("signed", made.nonce)]
