"""Last answers that a thread writes where the ledger has to be waited for. Nothing waits, and nothing depends on it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.promises import children
from x402_client.buyer import late_notes
from x402_client.buyer.ends import ends_writer
from x402_client.buyer.late_notes import LateNotes
from x402_client.core.asks import Note
from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance.ledger import order, purchase, signed
from x402_client.ledgers.memory import MemoryLedger
from x402_client.model.holds import Attempt, Hold, LastAnswer, LedgerBusy

LAST = LastAnswer("unknown", None, "ReadError")


class Slow(MemoryLedger):
    """A ledger that is busy at first, or fails each time."""

    def __init__(self, failure: type[Exception] = LedgerBusy, times: int = 1) -> None:
        super().__init__()
        self.failure, self.times = failure, times
        self.hold = self.record(self.reserve(order(purchase()), Attempt()), signed())  # type: ignore[arg-type]

    def note(self, hold: Hold, last: LastAnswer) -> None:
        self.times -= 1
        if self.times >= 0:
            raise self.failure("not now")
        super().note(hold, last)

    @property
    def noted(self) -> LastAnswer | None:
        [hold] = self.holds()
        return hold.last


class Awaited(Slow):
    """A ledger of coroutines."""

    loop: asyncio.AbstractEventLoop | None = None

    async def close(self, *words: Any) -> None:  # type: ignore[override]
        raise AssertionError("nothing is delivered here")

    async def note(self, hold: Hold, last: LastAnswer) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.loop = asyncio.get_running_loop()
        MemoryLedger.note(self, hold, last)


def test_what_is_taken_at_once_starts_no_thread() -> None:
    ledger = Slow(times=0)
    before = threading.active_count()
    ends_writer(ledger).note(Note(ledger.hold, LAST, now=True))
    assert (ledger.noted, threading.active_count()) == (LAST, before)


def test_what_a_busy_ledger_does_not_take_is_written_by_a_thread() -> None:
    ledger = Slow()
    writer = ends_writer(ledger)
    writer.note(Note(ledger.hold, LAST, now=True))
    assert writer.flush()
    assert ledger.noted == LAST


def test_a_ledger_that_fails_is_asked_once_and_nothing_is_told() -> None:
    ledger = Slow(LedgerUnavailable, times=9)
    notes = LateNotes(ledger)
    with pytest.raises(LedgerUnavailable):  # what asked leaves it at that
        notes.take(Note(ledger.hold, LAST, now=True))
    ledger.failure = LedgerBusy
    assert not notes.take(Note(ledger.hold, LAST, now=True))
    notes.write()
    assert (ledger.noted, bool(notes), ledger.times) == (None, False, 6)


def test_an_async_ledger_is_awaited_on_the_loop_of_the_payment() -> None:
    ledger = Awaited()
    writer = ends_writer(ledger)

    async def main() -> asyncio.AbstractEventLoop:
        writer.note(Note(ledger.hold, LAST, now=True))
        await writer.aflush()
        return asyncio.get_running_loop()

    assert asyncio.run(main()) is ledger.loop
    assert ledger.noted == LAST


def test_of_very_many_the_oldest_are_forgotten() -> None:
    ledger = Slow(times=late_notes._MOST + 5)
    notes = LateNotes(ledger)
    for number in range(late_notes._MOST + 5):
        notes.take(Note(ledger.hold, LastAnswer("unknown", 500 + number), now=True))
    assert len(notes._waiting) == late_notes._MOST
    notes.write()
    assert ledger.noted == LastAnswer("unknown", 500 + late_notes._MOST + 4)


def test_a_forked_child_leaves_those_of_its_parent_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Slow(times=2)  # at once, and as the fork flushes
    writer = ends_writer(ledger)
    monkeypatch.setattr(type(writer), "_start", lambda self: None)
    monkeypatch.setattr("x402_client.buyer.ends._flush", lambda *_, **__: True)
    writer.note(Note(ledger.hold, LAST, now=True))

    def child() -> None:
        assert not writer._notes

    from x402_client.buyer import ends

    ends._register_flush(Slow)
    assert children.done(child) == 0
    assert writer._notes
