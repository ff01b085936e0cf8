"""The thread that looks at ceilings forgets them when its buyer is closed, also the one that it is looking at."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from x402_client import Policy
from x402_client.buyer.open_amounts import OpenAmounts
from x402_client.model.holds import Charge, Hold, Outcome

from .test_settlement_reader import ceiling


class Waits:
    """A reader whose look takes until it may go on, and brings nothing."""

    def __init__(self) -> None:
        self.looks = 0
        self.begun, self.go_on = threading.Event(), threading.Event()

    def charge(self, hold: Hold) -> int | None:
        self.looks += 1
        self.begun.set()
        assert self.go_on.wait(20)
        return None

    def read(self, hold: Hold) -> Any:
        return "unknown"


def watched(reader: Waits) -> tuple[OpenAmounts, Outcome]:
    amounts = OpenAmounts(lambda ask: None, reader, Policy(per_day="1"))
    hold = ceiling(-100)
    outcome = Outcome("held", hold, hold.offer, looked=Charge())
    amounts.watch(outcome, lambda event: None, unresolved=True)
    assert reader.begun.wait(20)
    return amounts, outcome


def ended(amounts: OpenAmounts) -> bool:
    return _soon(lambda: amounts._thread is None)


def _soon(is_so: Callable[[], bool]) -> bool:
    until = time.monotonic() + 10
    while not is_so() and time.monotonic() < until:
        time.sleep(0.01)
    return is_so()


def test_what_is_looked_at_is_forgotten_too() -> None:
    reader = Waits()
    amounts, _ = watched(reader)
    amounts.close()
    reader.go_on.set()
    assert ended(amounts), "the thread goes on looking"
    assert (amounts._watched, reader.looks) == ([], 1)


def test_one_that_is_watched_again_is_watched_once() -> None:
    reader = Waits()
    amounts, outcome = watched(reader)
    amounts.watch(outcome, lambda event: None, unresolved=True)
    reader.go_on.set()
    assert _soon(lambda: reader.looks >= 2)
    assert _soon(lambda: len(amounts._watched) == 1)
    amounts.close()
    assert ended(amounts)
