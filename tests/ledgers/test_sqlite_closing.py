"""A ledger file that is closed while calls pay: "A call that still pays keeps its claim"."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from x402_client.ledgers.conformance.ledger import order, purchase, signed
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.model.holds import Attempt, Hold

CLOSED = {"ledger.db", "ledger.db-owners"}


def paying(ledger: SqliteLedger, attempt: Attempt, host: str = "api.example.com") -> Hold:
    hold = ledger.reserve(order(purchase(host=host)), attempt)
    assert isinstance(hold, Hold)
    return ledger.record(hold, signed())


def files(path: Path) -> set[str]:
    return {found.name for found in path.parent.iterdir()}


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "x402-ledger"}


def soon(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


@pytest.mark.parametrize("delivered", [False, True])
@pytest.mark.parametrize("closes", [1, 2])
def test_it_is_closed_after_the_last_call(path: Path, delivered: bool, closes: int) -> None:
    before = threads()
    ledger, attempts = SqliteLedger(path), [Attempt(), Attempt()]
    holds = [paying(ledger, attempt, f"{number}.example") for number, attempt in enumerate(attempts)]
    for _ in range(closes):
        ledger.close_ledger()
    for hold, attempt in zip(holds, attempts, strict=True):
        assert {found.id: found.in_flight for found in ledger.holds()}[hold.id]  # it opens the file again
        assert files(path) > CLOSED
        if delivered:
            ledger.close(hold, "spent", None)
        attempt.end()
    assert soon(lambda: files(path) == CLOSED)
    assert soon(lambda: not any((path.parent / "ledger.db-owners").iterdir()))
    assert soon(lambda: threads() <= before)


def test_one_that_pays_again_after_its_close_stays_open(path: Path) -> None:
    ledger, first, second = SqliteLedger(path), Attempt(), Attempt()
    old = paying(ledger, first)
    ledger.close_ledger()
    new = paying(ledger, second, "other.example")
    first.end()
    assert soon(lambda: {found.id: found.in_flight for found in ledger.holds()} == {old.id: False, new.id: True})
    assert files(path) > CLOSED
    second.end()
    ledger.close_ledger()
    assert files(path) == CLOSED
