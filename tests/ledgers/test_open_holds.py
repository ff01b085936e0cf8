"""Identical requests in flight cost the next one nothing, and those whose attempts ended are found among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from x402_client.ledgers.conformance.ledger import cap, order, purchase, signed
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.memory_rows import Row
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.model.holds import Attempt, Hold

CAPS = (cap(10**15), cap(10**15, "total"))


@pytest.fixture(params=["memory", "file"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return MemoryLedger() if request.param == "memory" else SqliteLedger(tmp_path / "ledger.db")


def reserved(ledger: Any, attempt: Attempt, name: str = "same", payer: str = "") -> Hold:
    found = ledger.reserve(order(purchase(name), *CAPS)._replace(payer=payer), attempt)
    assert isinstance(found, Hold)
    return found


def in_flight(ledger: Any, attempt: Attempt, name: str = "same") -> Hold:
    kept = ledger.record(reserved(ledger, attempt, name), signed())
    assert isinstance(kept, Hold)
    return kept


def sqlite_steps(ledger: SqliteLedger) -> int:
    """How many of SQLite's own steps ten identical requests take, one after the other."""
    counted, db = [0], ledger._file._connection
    assert db is not None
    db.set_progress_handler(lambda: counted.append(1) or 0, 1)
    for _ in range(10):
        attempt = Attempt()
        ledger.close(in_flight(ledger, attempt), "spent", None)
        attempt.end()
    db.set_progress_handler(None, 1)
    return len(counted)


def test_holds_in_flight_are_not_looked_at_in_a_file(tmp_path: Path) -> None:
    ledger, one, many = SqliteLedger(tmp_path / "ledger.db"), Attempt(), [Attempt() for _ in range(400)]
    in_flight(ledger, one)
    few = sqlite_steps(ledger)
    for attempt in many:
        in_flight(ledger, attempt)
    assert sqlite_steps(ledger) < 1.1 * few
    ledger.close_ledger()


def test_holds_in_flight_are_not_looked_at_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, alive, looks = MemoryLedger(), [Attempt() for _ in range(400)], list[Row]()
    for attempt in alive:
        in_flight(ledger, attempt)
    monkeypatch.setattr(Row, "in_flight", property(lambda row: looks.append(row) or row.attempt().alive))
    mine = Attempt()
    assert reserved(ledger, mine).tries == 0
    assert not looks
    alive[7].end()
    assert reserved(ledger, Attempt()).tries == 1
    assert len(looks) == 1


def test_an_unresolved_one_is_found_among_those_in_flight(ledger: Any) -> None:
    alive = [Attempt() for _ in range(20)]
    holds = [in_flight(ledger, attempt) for attempt in alive]
    for number in (13, 4):
        alive[number].end()
    again = Attempt()
    assert [reserved(ledger, again).id for _ in range(2)] == [holds[4].id, holds[13].id], "the oldest first"
    assert reserved(ledger, again).tries == 0


def test_an_attempt_whose_loop_was_closed_gives_its_claim_up(ledger: Any) -> None:
    """It calls nothing then, and may be referenced for ever."""
    closed = [False]
    alive, stranded = Attempt(), Attempt()
    for attempt in (alive, stranded):
        attempt.is_stranded = (lambda: closed[0]) if attempt is stranded else (lambda: False)
    in_flight(ledger, alive)
    left = in_flight(ledger, stranded)
    again = Attempt()
    assert reserved(ledger, again).id != left.id
    closed[0] = True
    assert reserved(ledger, again).id == left.id


def test_an_attempt_that_does_not_call_back_is_asked(ledger: Any) -> None:
    class Plain:
        alive = True
        is_stranded = None

    mine = Plain()
    left = in_flight(ledger, mine)  # type: ignore[arg-type]
    again = Attempt()
    assert reserved(ledger, again).id != left.id
    mine.alive = False
    assert reserved(ledger, again).id == left.id


def test_one_that_seemed_to_have_ended_is_heard_of_again(ledger: Any) -> None:
    """Its loop was closed, and its end is written meanwhile. If that fails, the hold is unresolved."""
    attempt, closed = Attempt(), [False]
    attempt.is_stranded = lambda: closed[0]
    left = in_flight(ledger, attempt, "a")
    closed[0] = True
    ledger.claim(purchase("other"), Attempt())
    attempt.is_stranded = None
    again = Attempt()
    attempt.end()
    assert reserved(ledger, again, "a").id == left.id


def test_unsigned_holds_of_ended_attempts_are_given_back(ledger: Any) -> None:
    narrow, attempts = cap(30_000), [Attempt() for _ in range(3)]
    for number, attempt in enumerate(attempts):
        ledger.reserve(order(purchase(f"{number}"), narrow), attempt)
    attempts[1].end()
    assert isinstance(ledger.reserve(order(purchase("x"), narrow), attempts[0]), Hold)
    assert len(ledger.holds()) == 3
