"""An answer that comes after its claim was given up: what the server dropped is not paid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance.ledger import order, purchase, signed
from x402_client.ledgers.served.ledger import ServedLedger
from x402_client.model.holds import Attempt, Spending

#: How the claim of a call ends while it waits for the ledger: its client is closed, or both it and its buyer are.
WAYS = ("its client is closed", "its buyer is closed, too")


def check_late_answer(ledger: ServedLedger, way: str, is_signed: bool) -> None:
    """End an attempt after the server reserved for it, and before its call hears of that."""
    attempt, send = Attempt(), ledger._connection.send
    asked = order(purchase("late"))._replace(signed=signed() if is_signed else None)
    ledger.holds()

    def slow(ask: Any) -> Any:
        told = send(ask)
        if getattr(ask, "op", "") == "reserve":
            ledger._connection.send = send  # type: ignore[method-assign]
            attempt.end()
            if way == WAYS[1]:
                ledger.close_ledger()
            ledger._beat("default")
        return told

    ledger._connection.send = slow  # type: ignore[method-assign]
    with pytest.raises(LedgerUnavailable, match="given up before"):
        ledger.reserve(asked, attempt)
    assert ledger.holds() == ()
    assert ledger.spent(Spending("", "day", "USD")) == 0
    assert isinstance(ledger.reserve(asked, Attempt()).id, str)  # type: ignore[union-attr]


def check_rest(ledger: ServedLedger, stop_server: Callable[[], object]) -> None:
    """A closed ledger has a thread as long as a call goes on, and no longer: with the server or without it."""
    attempt = Attempt()
    ledger.record(ledger.reserve(order(purchase("goes on")), attempt), signed())  # type: ignore[arg-type]
    ledger.close_ledger()
    first = ledger._lease_thread._thread
    assert first is not None, "the call goes on, and its claim with it"
    stop_server()
    attempt.end()
    first.join(20)
    assert not first.is_alive()
    ledger.close_ledger()
    assert ledger._lease_thread._thread is None
