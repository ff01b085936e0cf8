"""Windows of the server, as its clock goes on, stands still and goes back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from x402_client.ledgers.conformance.ledger import cap, order, purchase, signed
from x402_client.ledgers.postgres import PostgresLedger
from x402_client.model.budgets import WINDOWS
from x402_client.model.holds import Attempt, Hold, Spending

from .clocks import START, turned
from .server import Server

#: Steps of time, as parts of a window.
_PARTS = (0.0, 0.001, 1 / 60, 1 / 60 + 0.001, 0.3, 59 / 60, 1.0, 61 / 60)


@pytest.fixture
def ledger(server: Server) -> Iterator[PostgresLedger]:
    with turned(server):
        found = PostgresLedger(server.url())
        yield found
        found.close_ledger()


@pytest.mark.parametrize("goes", ["on", "back too"])
@pytest.mark.parametrize("window", [name for name, seconds in WINDOWS.items() if seconds])
def test_a_payment_counts_for_its_window_and_at_most_a_sixtieth_longer(
    server: Server, ledger: PostgresLedger, window: str, goes: str
) -> None:
    """What is given back counts no more, in whatever bucket it was counted."""
    drawn, length = random.Random(f"{window} {goes}"), (WINDOWS[window] or 0) * 1_000_000
    attempt, at, latest = Attempt(), START, 0
    counted, open_holds = dict[str, tuple[int, int]](), list[Any]()
    for number in range(40):
        part = drawn.choice(_PARTS)
        at += int(part * length) * (-1 if goes == "back too" and drawn.random() < 0.3 else 1)
        server.do("UPDATE public.clock SET at = %s", at)
        if open_holds and drawn.random() < 0.4:
            hold = open_holds.pop(drawn.randrange(len(open_holds)))
            ledger.release(hold)
            del counted[hold.id]
        else:
            asked = order(purchase(f"{number}"), cap(10**9, window), price=f"0.00000{drawn.randrange(1, 9)}")
            hold = ledger.reserve(asked, attempt)
            assert isinstance(hold, Hold)
            latest = max(latest, at)
            counted[hold.id] = (latest, asked.price.units)
            open_holds.append(hold)
            if drawn.random() < 0.3:
                ledger.record(open_holds.pop(), signed(f"{number}"))
        now = max(at, latest)
        least = sum(units for made, units in counted.values() if made > now - length)
        most = sum(units for made, units in counted.values() if made > now - length - length // 60)
        found = ledger.spent(Spending("", window, "USD"))
        assert least <= found <= most, (number, found)
    attempt.end()
