"""Many threads on one file: each gets its turn, and none takes the queue before it for another program."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, pairwise
from pathlib import Path

import pytest

from x402_client.errors import LedgerUnavailable
from x402_client.ledgers import fair_lock
from x402_client.ledgers.fair_lock import FairLock, Turn
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite import file as sqlite_file
from x402_client.ledgers.sqlite.file import LedgerFile

from .test_memory_signals import interrupted


@contextlib.contextmanager
def held(lock: FairLock) -> Iterator[None]:
    """Hold a place of a lock."""
    turn = Turn()
    assert lock.acquire(turn)
    yield
    lock.give_back(turn, None)
    lock.wake_next()


def waiting(lock: FairLock, number: int) -> None:
    while len(lock._turns) < number + 1:
        time.sleep(0.001)


@pytest.mark.parametrize("places", [1, 2])
def test_turns_come_in_order(places: int) -> None:
    lock, came = FairLock(places), list[int]()

    def wait(number: int) -> None:
        lock.run(lambda: came.append(number), -1, AssertionError)

    with contextlib.ExitStack() as others:
        for _ in range(places):
            others.enter_context(held(lock))
        threads = []
        for number in range(5):
            threads.append(threading.Thread(target=wait, args=[number]))
            threads[-1].start()
            waiting(lock, places + number)
        assert not lock.acquire(Turn(), timeout=0)
        assert not lock.acquire(Turn(), timeout=0.01), "waited in vain, and left the queue"
        assert len(lock._turns) == places + 5
    for thread in threads:
        thread.join()
    assert sorted(came) == [0, 1, 2, 3, 4] if places > 1 else came == [0, 1, 2, 3, 4]
    assert lock.acquire(Turn(), timeout=0)


def test_as_many_have_it_as_there_are_places() -> None:
    lock, inside, most = FairLock(3), list[int](), list[int]()

    def work(number: int) -> None:
        inside.append(number)
        most.append(len(inside))
        time.sleep(0.0005)
        inside.remove(number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: lock.run(lambda: work(number), 20, AssertionError), range(400)))
    assert max(most) == 3
    assert not lock._turns


def test_who_lets_go_of_a_file_does_not_get_it_before_those_who_wait(tmp_path: Path) -> None:
    ledger, came = SqliteLedger(tmp_path / "ledger.db"), list[str]()

    def write(name: str) -> None:
        ledger._file.write(lambda db, meta: came.append(name), 5.0)

    with held(ledger._file._lock):
        thread = threading.Thread(target=write, args=["other"])
        thread.start()
        waiting(ledger._file._lock, 1)
    write("first")
    thread.join()
    assert came == ["other", "first"]
    ledger.close_ledger()


def free(lock: FairLock) -> None:
    """Do nothing: nobody has the lock."""


def free_later(lock: FairLock) -> None:
    """Hold the lock in another thread until somebody waits for it."""
    taken = threading.Event()

    def hold() -> None:
        with held(lock):
            taken.set()
            for _ in range(2000):  # the one that waits may be interrupted before it asks
                if len(lock._turns) > 1:
                    break
                time.sleep(0.0001)

    threading.Thread(target=hold).start()
    taken.wait()


@pytest.mark.parametrize("before", [free, free_later])
def test_an_interrupt_at_any_moment_leaves_the_lock_free(before: Callable[[FairLock], None]) -> None:
    for moment in count(1):
        lock, inside = FairLock(), list[str]()
        before(lock)
        place = interrupted(
            lambda lock=lock, inside=inside: lock.run(lambda: inside.append(""), 5, AssertionError), moment
        )
        assert lock.acquire(Turn(), timeout=5), place
        assert len(lock._turns) == 1, place
        if not place:
            return


def test_an_interrupt_at_any_moment_leaves_a_ledger_file_usable(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger.freeze("a.example")
    for moment in count(1):
        place = interrupted(lambda moment=moment: ledger.freeze(f"{moment}.example"), moment)
        assert not ledger._file._lock._turns, place
        assert "a.example" in ledger.impatient.freezes(), place
        if not place:
            break
    ledger.close_ledger()


def test_one_that_was_to_be_woken_looks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, turn, came = FairLock(), Turn(), list[bool]()
    monkeypatch.setattr(fair_lock, "_LOOK_AGAIN", 0.05)
    assert lock.acquire(turn)
    thread = threading.Thread(target=lambda: came.append(lock.acquire(Turn(), timeout=20)))
    thread.start()
    waiting(lock, 1)
    lock.give_back(turn, None)
    thread.join()
    assert came == [True]


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
    with (
        held(ledger._file._lock),
        pytest.raises(LedgerUnavailable, match=r"other threads of this program for 0\.05 seconds"),
    ):
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
