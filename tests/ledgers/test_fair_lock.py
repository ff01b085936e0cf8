"""Many threads on one file: each gets its turn, and none takes the queue before it for another program."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.fair_lock import FairLock
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite import file as sqlite_file
from x402_client.ledgers.sqlite.file import LedgerFile


def waiting(turns: FairLock, number: int) -> None:
    while len(turns._waiting) < number:
        time.sleep(0.001)


def test_turns_come_in_order() -> None:
    turns, came = FairLock(), list[int]()

    def wait(number: int) -> None:
        with turns:
            came.append(number)

    with turns:
        threads = []
        for number in range(5):
            threads.append(threading.Thread(target=wait, args=[number]))
            threads[-1].start()
            waiting(turns, number + 1)
        assert not turns.acquire(timeout=0)
        assert not turns.acquire(timeout=0.01), "waited in vain, and left the queue"
        assert len(turns._waiting) == 5
    for thread in threads:
        thread.join()
    assert came == [0, 1, 2, 3, 4]
    assert turns.acquire(timeout=0)


def test_who_lets_go_of_a_file_does_not_get_it_before_those_who_wait(tmp_path: Path) -> None:
    ledger, came = SqliteLedger(tmp_path / "ledger.db"), list[str]()

    def write(name: str) -> None:
        ledger._file.write(lambda db, meta: came.append(name), 5.0)

    with ledger._file._lock:
        thread = threading.Thread(target=write, args=["other"])
        thread.start()
        waiting(ledger._file._lock, 1)
    write("first")
    thread.join()
    assert came == ["other", "first"]
    ledger.close_ledger()


def test_an_interrupt_while_waiting_leaves_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = FairLock()
    locks = [threading.Lock, Interrupted]
    monkeypatch.setattr(threading, "Lock", lambda: locks.pop()())
    with turns:
        with pytest.raises(KeyboardInterrupt):
            turns.acquire()
        assert not turns._waiting
    assert turns.acquire(timeout=0)


class Interrupted:
    """A lock for which somebody waits in vain, until he is interrupted."""

    def __init__(self) -> None:
        self._asked = 0

    def acquire(self, timeout: float = -1) -> bool:
        self._asked += 1
        if self._asked > 1:
            raise KeyboardInterrupt
        return True


def test_a_long_queue_is_no_other_program(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger._patience = 0.2
    slow = threading.Event()

    def write(_: int) -> bool:
        return ledger._file.write(lambda db, meta: slow.wait(0.05), ledger._patience)

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(write, range(20))) == [False] * 20
    ledger.close_ledger()


def test_a_queue_that_does_not_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    monkeypatch.setattr(sqlite_file, "_QUEUE_PATIENCE", 0.05)
    with ledger._file._lock, pytest.raises(LedgerUnavailable, match=r"other threads of this program for 0\.05 seconds"):
        ledger.holds()
    assert ledger.holds() == ()
    ledger.close_ledger()


def test_not_every_thread_waits_anew_for_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger._patience = 0.3
    pauses: list[float] = []
    monkeypatch.setattr(LedgerFile, "_locked_for", counted(pauses))
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def refused(_: int) -> bool:
        with pytest.raises(LedgerUnavailable, match=r"locked by another program for 0\.3 seconds"):
            ledger.freeze("a.example")
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(refused, range(8)))
    assert sum(found >= 0.3 for found in pauses) == 8, "each looked for itself"
    # The threads write their numbers down in some order, so a later one may be a little smaller.
    short = [found for found in pauses if found < 0.3]
    assert all(later > earlier - 0.2 for earlier, later in pairwise(short)), "it is one wait for all"
    other.execute("ROLLBACK")
    ledger.freeze("a.example")
    other.close()
    ledger.close_ledger()


def counted(found: list[float]) -> Callable[[LedgerFile], float]:
    real = LedgerFile._locked_for

    def locked_for(file: LedgerFile) -> float:
        found.append(real(file))
        return found[-1]

    return locked_for


def test_a_lock_of_long_ago_is_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    found = []
    for at in (100.0, 100.5, 101.0, 105.0, 105.9):
        now[0] = at
        found.append(round(ledger._file._locked_for(), 3))
    monkeypatch.undo()
    assert found == [0.0, 0.5, 1.0, 0.0, 0.9]
    ledger.close_ledger()
