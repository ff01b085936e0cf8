"""Several processes, forks and sudden deaths on one file."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from x402_client.errors import Frozen, LedgerUnavailable, OverLimit
from x402_client.ledgers.conformance.ledger import SECRET, cap, order, purchase, signed
from x402_client.ledgers.rows import number_of
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite.process_locks import living
from x402_client.ledgers.sqlite.rights import locks_directory
from x402_client.model.holds import Attempt, Busy, Hold, Spending

from . import children

FORK, SPAWN = multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")
DAY = Spending("", "day", "USD")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")]


def started(context: Any, target: Any, *arguments: Any) -> tuple[Any, Connection]:
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=[theirs if a is ... else a for a in arguments], daemon=True)
    process.start()
    theirs.close()
    return process, ours


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(path)
    yield opened
    opened.close_ledger()


class Other:
    """Another process with a payment in flight."""

    def __init__(self, path: Path, *more: Any) -> None:
        self.process, self.pipe = started(FORK, children.holds_on, str(path), ..., *more)
        self.hold_id = self.pipe.recv()

    def told(self, what: str) -> Any:
        self.pipe.send(what)
        return self.pipe.recv()

    def killed(self) -> None:
        self.process.kill()
        self.process.join()


@pytest.mark.parametrize("context", [FORK, SPAWN], ids=["fork", "spawn"])
def test_processes_and_threads_spend_a_budget_exactly(path: Path, context: Any) -> None:
    most = 101
    running = [started(context, children.buy_much, str(path), name, most * 10_000, ...) for name in range(4)]
    assert sum(pipe.recv() for _, pipe in running) == most
    for process, _ in running:
        process.join()
    ledger = SqliteLedger(path)
    assert (ledger.spent(DAY), len(ledger.history(1_000)), ledger.holds()) == (most * 10_000, most, ())
    ledger.close_ledger()


def test_forked_children_share_what_their_parent_opened(path: Path, ledger: SqliteLedger) -> None:
    attempt = Attempt()
    ledger.reserve(order(purchase("parent's")), attempt)
    running = [started(FORK, children.buy_much, str(path), name, 400_000, ..., ledger) for name in range(3)]
    assert sum(pipe.recv() for _, pipe in running) == 39
    assert ledger.spent(DAY) == 400_000
    assert len(ledger.holds()) == 1


def test_death_before_any_statement_never_counts_too_little(path: Path) -> None:
    """The process is killed before each statement of a purchase in turn; the next one goes on from there."""
    seen = set()
    for step in range(150):
        path = path.with_name(f"{step}.db")
        process, pipe = started(FORK, children.dies, str(path), step, ...)
        done = []
        with contextlib.suppress(EOFError):
            while True:
                done.append(pipe.recv())
        process.join()
        seen.add(len(done))
        after_death(path, done)
        if len(done) == 3:
            break
    assert seen == {0, 1, 2, 3}


def after_death(path: Path, done: list[str]) -> None:
    ledger, attempt = SqliteLedger(path), Attempt()
    told = ledger.holds()
    states = {hold.state for hold in told}
    if "delivered" in done:
        assert (states, ledger.spent(DAY), len(ledger.history(9))) == (set(), 10_000, 1)
        return ledger.close_ledger()
    if "signed" in done:
        assert ledger.spent(DAY) == 10_000
    hold = ledger.reserve(order(None, cap(20_000)), attempt)
    assert isinstance(hold, Hold)
    if "signed" in done and not ledger.history(9):
        assert states == {"signed"}
    if states == {"signed"}:
        assert hold.authorization is not None
        assert (hold.nonce, hold.authorization.header[1], hold.tries) == ("0xdead", SECRET, 1)
    else:
        assert (hold.authorization, hold.tries) == (None, 0)
    assert ledger.spent(DAY) == 10_000 * (1 + len(ledger.history(9)))
    assert len(list(path.parent.glob(f"{path.name}-owners/*"))) <= 2
    return ledger.close_ledger()


def test_what_another_process_presents_is_in_flight_until_it_dies(path: Path, ledger: SqliteLedger) -> None:
    other, attempt = Other(path), Attempt()
    other.told("sign")
    mine = ledger.reserve(order(), attempt)
    assert isinstance(mine, Hold)
    assert mine.id != other.hold_id
    ledger.release(mine)
    other.killed()
    mine = ledger.reserve(order(), attempt)
    assert isinstance(mine, Hold)
    assert (mine.id, mine.tries) == (other.hold_id, 1)
    assert mine.authorization is not None
    assert (mine.nonce, mine.authorization.header) == ("0x01", ("PAYMENT-SIGNATURE", SECRET))


def test_what_another_process_reserved_is_given_back_when_it_dies(path: Path, ledger: SqliteLedger) -> None:
    other, attempt = Other(path), Attempt()
    with pytest.raises(OverLimit):
        ledger.reserve(order(purchase("b"), cap(10_000)), attempt)
    other.killed()
    assert ledger.holds()[0].state == "reserved"
    assert isinstance(ledger.reserve(order(purchase("b"), cap(10_000)), attempt), Hold)
    assert ledger.spent(DAY) == 10_000


def test_a_look_tells_what_a_payment_would_meet_after_another_process_died(path: Path, ledger: SqliteLedger) -> None:
    other, asked = Other(path), order(purchase("b"), cap(10_000))
    with pytest.raises(OverLimit):
        ledger.check(asked)
    other.killed()
    assert ledger.check(asked) is None
    assert (ledger.spent(DAY), ledger.holds()) == (0, ())


@pytest.mark.parametrize("busy", [False, True])
def test_opening_gives_back_what_a_dead_process_reserved(path: Path, ledger: SqliteLedger, busy: bool) -> None:
    Other(path).killed()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE" if busy else "BEGIN")
        again = SqliteLedger(path)
        assert again.spent(DAY) == (10_000 if busy else 0)
        writer.execute("ROLLBACK")
    if busy:
        with pytest.raises(OverLimit):
            ledger.check(order(None, cap(9_999)))
        assert again.spent(DAY) == 0
    again.close_ledger()


def test_what_is_signed_stays_counted_after_its_process_died(path: Path, ledger: SqliteLedger) -> None:
    other = Other(path)
    other.told("sign")
    other.killed()
    again = SqliteLedger(path)
    with pytest.raises(OverLimit):
        again.check(order(purchase("b"), cap(10_000)))
    assert again.spent(DAY) == 10_000
    assert [hold.state for hold in again.holds()] == ["signed"]
    again.close_ledger()


def test_a_key_in_flight_in_another_process(path: Path, ledger: SqliteLedger) -> None:
    other, attempt = Other(path, Attempt, "k"), Attempt()
    assert isinstance(ledger.reserve(order(purchase(key="k")), attempt), Busy)
    other.told("sign")
    assert isinstance(ledger.reserve(order(purchase(key="k")), attempt), Busy)
    other.killed()
    hold = ledger.reserve(order(purchase(key="k")), attempt)
    assert isinstance(hold, Hold)
    assert hold.id == other.hold_id


def test_an_attempt_that_ended_elsewhere_is_known_by_the_next_use(path: Path, ledger: SqliteLedger) -> None:
    other, attempt = Other(path), Attempt()
    other.told("sign")
    other.told("end")
    other.told("look")
    assert ledger.reserve(order(), attempt).id == other.hold_id  # type: ignore[union-attr]
    other.killed()


def test_an_attempt_that_calls_back_is_known_at_once(path: Path, ledger: SqliteLedger) -> None:
    other, attempt = Other(path, children.WatchedAttempt), Attempt()
    other.told("sign")
    other.told("end")
    time.sleep(0.2)
    assert ledger.reserve(order(), attempt).id == other.hold_id  # type: ignore[union-attr]
    other.killed()


@pytest.mark.parametrize("key", ["", "k"])
@pytest.mark.parametrize("signs", [True, False])
def test_an_attempt_that_ended_while_the_file_was_busy_is_known_as_soon_as_it_is_free(
    path: Path, ledger: SqliteLedger, key: str, signs: bool
) -> None:
    """Its process lives on and makes no other step. What it presented is not paid beside, nor waited for in vain."""
    other = Other(path, children.WatchedAttempt, *[key] * bool(key))
    if signs:
        other.told("sign")
    holder, held = started(FORK, children.hold_busy, str(path), ...)
    assert held.recv() == "held"
    other.told("end")
    time.sleep(0.2)
    [listed] = ledger.holds()
    assert listed.in_flight is False, "a look sees it while the file is busy"
    held.send("let go")
    assert held.recv() == "free"
    attempt = Attempt()
    found = ledger.reserve(order(purchase(key=key or None)), attempt)
    assert isinstance(found, Hold)
    assert (found.id == other.hold_id) is signs
    assert len(ledger.holds()) == 1, "what was only reserved is given back"
    other.killed()
    holder.join()


def test_a_claim_anew_takes_the_mark_of_its_end_back(path: Path, ledger: SqliteLedger) -> None:
    """Marked or not, one attempt at a time presents a hold."""
    first = children.WatchedAttempt()
    hold = ledger.reserve(order(), first)
    assert isinstance(hold, Hold)
    hold = ledger.record(hold, signed())
    lock = ledger._claims.process_lock
    number = number_of(hold.id)
    lock.mark(number)
    assert living_in_another_process(path, lock.name) == {number}
    first.end()
    assert soon_recorded(ledger)
    lock.mark(number)
    second = Attempt()
    claimed = ledger.claim(purchase(), second)
    assert isinstance(claimed, Hold)
    assert living_in_another_process(path, lock.name) == set()
    lock.mark(number)
    ledger.close(claimed, "spent", None)
    assert living_in_another_process(path, lock.name) == set()
    for one in (7, 8, 9):
        lock.mark(one)
    lock.unmark(8)
    lock.mark(10)
    lock.mark(7)
    assert living_in_another_process(path, lock.name) == {7, 9, 10}
    ledger.close_ledger()
    lock.mark(11)  # its file is gone, and the number of its handle may be another file's
    assert living_in_another_process(path, lock.name) is None


def soon_recorded(ledger: SqliteLedger) -> bool:
    """Wait until the thread has recorded the end, and taken its mark back."""
    end = time.monotonic() + 10
    while ledger._claims.some_ended and time.monotonic() < end:
        time.sleep(0.01)
    return not ledger._claims.some_ended


def test_a_hold_that_is_claimed_between_the_look_and_the_mark_is_not_marked(
    path: Path, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = Attempt()
    hold = ledger.reserve(order(), attempt)
    assert isinstance(hold, Hold)
    lock = ledger._claims.process_lock
    monkeypatch.setattr(type(lock.attempts), "ended", lambda self: {number_of(hold.id): None})
    ledger._claims.mark_ended()
    assert living_in_another_process(path, lock.name) == set()
    monkeypatch.undo()
    assert attempt.alive


def living_in_another_process(path: Path, name: str) -> set[int] | None:
    with FORK.Pool(1) as pool:
        return pool.apply(living, (locks_directory(path), name))


def test_a_forked_child_does_not_keep_its_parents_claims(path: Path, ledger: SqliteLedger) -> None:
    other, attempt = Other(path), Attempt()
    other.told("sign")
    child = other.told("fork")
    try:
        assert ledger.reserve(order(), attempt).id != other.hold_id  # type: ignore[union-attr]
        other.killed()
        assert ledger.reserve(order(), attempt).id == other.hold_id  # type: ignore[union-attr]
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_child_sees_what_its_parent_has_in_flight(path: Path, ledger: SqliteLedger) -> None:
    attempt = Attempt()
    hold = ledger.reserve(order(purchase(key="k")), attempt)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os._exit(0 if isinstance(ledger.reserve(order(purchase(key="k")), Attempt()), Busy) else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert ledger.record(hold, signed()).state == "signed"  # type: ignore[arg-type]


def test_a_child_keeps_its_own_hands_on_the_file(ledger: SqliteLedger, path: Path) -> None:
    """The last one to close removes the log; a child that only inherited is not taken for closed."""
    ours, theirs = multiprocessing.Pipe()
    child = os.fork()
    if child == 0:
        ours.close()
        with contextlib.suppress(BaseException):
            ledger.freeze("first.example")
            theirs.send("open")
            theirs.recv()
            ledger.freeze("second.example")
            os._exit(0)
        os._exit(1)
    theirs.close()
    ours.recv()
    ledger.holds()
    ledger.close_ledger()
    assert Path(f"{path}-wal").exists()
    ours.send("closed")
    assert os.waitpid(child, 0)[1] == 0
    for host in ("first.example", "second.example"):
        with pytest.raises(Frozen):
            ledger.reserve(order(purchase(host=host)), Attempt())


#: A program whose garbage collector runs at one moment of a fork, with a ledger in it that is used no more. Its hook is
#: the first, so that it comes after the locks are taken, and before they are given back.
_COLLECTS = """
import gc, os, sys
gc.disable()
path, moment = sys.argv[1:]
os.register_at_fork(**{moment: gc.collect})
from x402_client.ledgers.conformance.ledger import order
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.model.holds import Attempt
attempt = Attempt()
ledger = SqliteLedger(path)
ledger.reserve(order(), attempt)
cycle = [ledger]
cycle.append(cycle)
owners = ledger._locks_directory
del ledger, cycle
child = os.fork()
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(len(list(owners.iterdir())))
"""


@pytest.mark.parametrize(
    ("moment", "locks"),
    [("before", 0), ("after_in_parent", 0), ("after_in_child", 1)],
    ids=["before", "parent", "child"],
)
def test_a_ledger_that_is_collected_in_a_fork_waits_for_no_lock(path: Path, moment: str, locks: int) -> None:
    """A child that collects it leaves its parent's claims: one file with a lock stands for them."""
    command = [sys.executable, "-c", _COLLECTS, str(path), moment]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (ran.stdout.strip(), ran.stderr) == (str(locks), "")


def test_a_fork_that_nobody_announced_is_refused(ledger: SqliteLedger) -> None:
    ledger._file._process -= 1
    with pytest.raises(LedgerUnavailable, match="after the fork"):
        ledger.holds()
    ledger._file._process += 1


def test_everything_is_there_after_a_restart(path: Path) -> None:
    first, attempt = SqliteLedger(path), Attempt()
    assert first.fresh
    hold = first.record(first.reserve(order(), attempt), signed())  # type: ignore[arg-type]
    first.freeze("bad.example")
    attempt.end()
    first.close_ledger()
    again = SqliteLedger(path)
    assert not again.fresh
    assert again.spent(DAY) == 10_000
    assert again.reserve(order(), Attempt()).id == hold.id  # type: ignore[union-attr]
    with pytest.raises(Exception, match="frozen"):
        again.reserve(order(purchase(host="bad.example")), attempt)
    again.close_ledger()
    assert {found.name for found in path.parent.iterdir()} == {"ledger.db", "ledger.db-owners"}
