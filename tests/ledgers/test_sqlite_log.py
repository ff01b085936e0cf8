"""A ledger file that lost its log is refused, and one that lost nothing never is. Files and deaths are real."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance import RECEIPT, order, purchase, signed
from x402_client.ledgers.sqlite import SqliteLedger, lineage, log_mark
from x402_client.model.holds import Attempt, Hold, LedgerBusy, Spending

FORK = multiprocessing.get_context("fork")
EVER = Spending("", "total", "USD")
PRICE = 10_000
_EVENTS = ("start", "start", "buy", "buy", "buy", "end", "kill", "deadly", "look", "fold", "copy", "back")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")]


class Program:
    """Another program on the ledger, which buys, and ends as it is told."""

    def __init__(self, path: Path, *, deadly: int | None = None, durable: bool = False) -> None:
        self.pipe, theirs = FORK.Pipe()
        self.process = FORK.Process(target=_program, args=(str(path), theirs, deadly, durable), daemon=True)
        self.process.start()
        theirs.close()

    def buys(self, times: int = 1) -> int:
        """Return how many purchases were confirmed before the program died, if it did."""
        done = 0
        with contextlib.suppress(EOFError, OSError):
            self.pipe.send(times)
            for _ in range(times):
                done += self.pipe.recv()
        return done

    def ends(self) -> None:
        self.pipe.send(0)
        self.process.join()

    def dies(self) -> None:
        self.process.kill()
        self.process.join()


def _program(path: str, pipe: Connection, deadly: int | None, durable: bool) -> None:
    if deadly is not None:
        _die_before(deadly)
    lineage._left.clear()  # a fork knows what its parent saw, and another program does not
    ledger = SqliteLedger(path, durable=durable)
    while times := pipe.recv():
        for _ in range(times):
            buy(ledger)
            pipe.send(1)
    ledger.close_ledger()
    os._exit(0)


def _die_before(step: int) -> None:
    """Let SIGKILL come before a statement of SQLite, or before a file is made or removed."""
    left = [step]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def one(*arguments: Any, **more: Any) -> Any:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return call(*arguments, **more)

        return one

    class Deadly(sqlite3.Connection):
        execute = counted(sqlite3.Connection.execute)

    sqlite3.connect = functools.partial(sqlite3.connect, factory=Deadly)  # type: ignore[assignment]
    Path.touch = counted(Path.touch)  # type: ignore[method-assign]
    Path.unlink = counted(Path.unlink)  # type: ignore[method-assign]


def buy(ledger: SqliteLedger) -> None:
    attempt = Attempt()
    hold = ledger.reserve(order(purchase(os.urandom(8).hex())), attempt)
    ledger.close(ledger.record(hold, signed()), "spent", RECEIPT)  # type: ignore[arg-type]
    attempt.end()


def spent(path: Path) -> int:
    """Open the ledger as a new program does, and return how many purchases it knows."""
    ledger = SqliteLedger(path)
    try:
        return ledger.spent(EVER) // PRICE
    finally:
        ledger.close_ledger()


def in_file(path: Path) -> int:
    """Return how many purchases the main file knows without its log."""
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as db:
        try:
            found = db.execute("SELECT payments FROM accounts WHERE name = ''").fetchone()
        except sqlite3.Error:
            return 0
        return found[0] if found else 0


def look_from_outside(path: Path) -> None:
    """Do what any other program does with a SQLite file: open, read, close. The last one to close folds the log."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()


def fold(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def backed_up(path: Path, to: Path) -> Path:
    with closing(sqlite3.connect(path)) as here, closing(sqlite3.connect(to)) as there:
        here.backup(there)
    return to


def being_marked(path: Path) -> bool:
    """Tell if a program died as it set the mark, and none has written since."""
    return any(Path(f"{path}-owners").glob("marking-*"))


def lose_the_log(path: Path) -> None:
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)


def refused(path: Path) -> None:
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match=r"lost its log.*x402 ledger accept"):
            SqliteLedger(path)
    assert path.read_bytes() == before


@pytest.fixture
def program(path: Path) -> Iterator[Program]:
    running = Program(path)
    yield running
    running.dies()


@pytest.mark.parametrize("durable", [False, True])
def test_a_killed_program_and_a_lost_log(path: Path, durable: bool) -> None:
    program = Program(path, durable=durable)
    assert program.buys(3) == 3
    program.dies()
    lose_the_log(path)
    refused(path)


@pytest.mark.parametrize("must_exist", [False, True])
@pytest.mark.parametrize("lose", [Path.unlink, lambda path: os.truncate(path, 0)], ids=["gone", "emptied"])
def test_a_log_whose_file_is_lost(path: Path, tmp_path: Path, lose: Callable[[Path], None], must_exist: bool) -> None:
    program = Program(path)
    program.buys(3)
    program.dies()
    kept = shutil.copy(path, tmp_path / "kept.db")
    lose(path)
    log = Path(f"{path}-wal").read_bytes()
    for step in (lambda: SqliteLedger(path, must_exist=must_exist), SqliteLedger(path, open_now=False).accept):
        with pytest.raises(LedgerUnavailable, match=r"Put the file back beside its log"):
            step()
    assert Path(f"{path}-wal").read_bytes() == log
    shutil.copy(kept, path)
    assert spent(path) == 3


def test_a_killed_program_alone(path: Path, program: Program) -> None:
    program.buys(3)
    program.dies()
    assert spent(path) == 3


def test_the_file_alone_copied_while_it_is_used(path: Path, program: Program, tmp_path: Path) -> None:
    program.buys(3)
    refused(Path(shutil.copy(path, tmp_path / "copy.db")))
    assert program.buys() == 1
    program.ends()
    assert spent(path) == 4


def test_the_file_copied_with_its_log(path: Path, program: Program, tmp_path: Path) -> None:
    program.buys(3)
    for end in ("", "-wal"):
        shutil.copy(f"{path}{end}", tmp_path / f"copy.db{end}")
    assert spent(tmp_path / "copy.db") == 3


def test_a_live_backup(path: Path, program: Program, tmp_path: Path) -> None:
    program.buys(3)
    assert spent(backed_up(path, tmp_path / "backup.db")) == 3
    assert program.buys() == 1


def test_a_look_from_outside_that_folds_the_log(path: Path, program: Program) -> None:
    program.buys(3)
    program.dies()
    look_from_outside(path)
    assert not Path(f"{path}-wal").exists()
    lose_the_log(path)
    assert spent(path) == 3


def test_the_mark_is_set_anew_after_somebody_moved_the_log(path: Path, program: Program) -> None:
    program.buys(3)
    fold(path)
    assert in_file(path) == 3
    program.buys()
    program.dies()
    lose_the_log(path)
    refused(path)


def test_our_own_checkpoints_leave_the_mark_set(path: Path) -> None:
    """After each, at every size of the log, a lost log would be seen."""
    ledger, moved = SqliteLedger(path), set()
    for number in range(1_000):
        buy(ledger)
        ledger._file._checkpoints.wait(10)
        moved.add(in_file(path))
        if number % 50 == 0:
            copy = Path(shutil.copy(path, path.with_name(f"{number}.db")))
            refused(copy)
    assert len(moved) > 4, "the log was moved"
    ledger.close_ledger()
    assert spent(path) == 1_000


def test_a_fork_leaves_the_mark_set(path: Path) -> None:
    ledger = SqliteLedger(path)
    buy(ledger)
    child = os.fork()
    if child == 0:
        buy(ledger)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    buy(ledger)
    refused(Path(shutil.copy(path, path.with_name("copy.db"))))
    ledger.close_ledger()
    assert spent(path) == 3


@pytest.mark.parametrize("after", [look_from_outside, lambda path: None], ids=["folded", "left"])
def test_death_at_any_step_leads_to_no_refusal(path: Path, after: Callable[[Path], None]) -> None:
    """Also in the middle of setting the mark, and if another program folds the log then."""
    bought = 0
    for step in range(200):
        path = path.with_name(f"{step}.db")
        SqliteLedger(path).close_ledger()
        program = Program(path, deadly=step)
        bought = program.buys()
        if not bought:
            program.process.join()
        program.dies()
        after(path)
        assert spent(path) >= bought
        follower = SqliteLedger(path)
        buy(follower)
        refused(Path(shutil.copy(path, path.with_name("copy.db"))))
        follower.close_ledger()
        if bought:
            break
    assert bought, "in the end nothing comes in between"


@pytest.mark.parametrize("seed", range(6))
def test_whatever_ends_in_whatever_way_only_a_lost_log_is_refused(path: Path, tmp_path: Path, seed: int) -> None:
    draw, programs, bought = random.Random(seed), list[Program](), 0
    maybe = 0  # purchases in which a program died
    for turn in range(60):
        match draw.choice(_EVENTS):
            case "start" if len(programs) < 4:
                programs.append(Program(path))
            case "buy" if programs:
                bought += draw.choice(programs).buys(draw.choice([1, 1, 5, 250]))
            case "end" if programs:
                programs.pop(draw.randrange(len(programs))).ends()
            case "kill" if programs:
                programs.pop(draw.randrange(len(programs))).dies()
            case "deadly":
                program = Program(path, deadly=draw.randrange(120))
                bought, maybe = bought + program.buys(3), maybe + 1
                program.dies()
            case "look":
                look_from_outside(path)
            case "fold" if path.exists():
                fold(path)
            case "copy" if programs and bought and in_file(path) < bought:
                refused(Path(shutil.copy(path, tmp_path / f"copy{turn}.db")))
            case "back" if bought and not being_marked(path):  # the manual names that chance
                assert bought <= spent(backed_up(path, tmp_path / f"backup{turn}.db")) <= bought + maybe
        assert bought <= spent(path) <= bought + maybe
    known = spent(path)
    for program in programs:
        program.dies()
    unfolded = in_file(path) < known
    lose_the_log(path)
    if unfolded:
        refused(path)
    else:  # the mark may have been in the log alone: then it is refused, though no payment was lost
        with contextlib.suppress(LedgerUnavailable):
            assert spent(path) == known


# A reader that keeps the log where it is


def test_a_long_reader_of_another_program_does_not_stop_payments(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_mark, "_PAUSE", 0.0)
    SqliteLedger(path).close_ledger()
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM meta").fetchone()
    ledger = SqliteLedger(path)
    buy(ledger)
    reader.close()
    buy(ledger)
    refused(Path(shutil.copy(path, path.with_name("copy.db"))))
    ledger.close_ledger()


def test_the_impatient_do_not_wait_for_the_mark(path: Path) -> None:
    ledger = SqliteLedger(path)
    with pytest.raises(LedgerBusy):
        ledger.impatient.reserve(order(), Attempt())
    buy(ledger)
    assert isinstance(ledger.impatient.reserve(order(), Attempt()), Hold)
    ledger.close_ledger()


# Going on all the same


def test_what_is_left_is_accepted(path: Path, program: Program) -> None:
    program.buys(3)
    fold(path)
    program.buys(4)
    program.dies()
    lose_the_log(path)
    ledger = SqliteLedger(path, open_now=False)
    assert ledger.accept()
    assert ledger.spent(EVER) == 3 * PRICE
    assert not ledger.accept()
    buy(ledger)
    ledger.close_ledger()
    assert spent(path) == 4


def test_nothing_is_accepted_where_nothing_was_lost(path: Path) -> None:
    ledger = SqliteLedger(path)
    buy(ledger)
    assert not ledger.accept()
    assert ledger.spent(EVER) == PRICE
    ledger.close_ledger()


@pytest.mark.parametrize("ends", [["-wal"], ["-wal", "-shm"]])
def test_programs_that_still_run_write_back_what_they_know_as_they_end(path: Path, ends: list[str]) -> None:
    program = Program(path)
    program.buys(3)
    for end in ends:
        Path(f"{path}{end}").unlink()
    for _ in range(2):
        with pytest.raises(LedgerUnavailable):
            SqliteLedger(path)
    with pytest.raises(LedgerUnavailable, match=r"other programs\. End them first"):
        SqliteLedger(path, open_now=False).accept()
    program.ends()
    assert spent(path) == 3
    assert not SqliteLedger(path, open_now=False).accept()


def test_a_program_whose_own_log_was_deleted_writes_it_back(path: Path) -> None:
    ledger, attempt = SqliteLedger(path), Attempt()
    hold = ledger.record(ledger.reserve(order(), attempt), signed())  # type: ignore[arg-type]
    lose_the_log(path)
    with pytest.raises(LedgerUnavailable, match="lost its log"):
        ledger.holds()
    assert not ledger.accept()
    assert [found.id for found in ledger.holds()] == [hold.id]
    attempt.end()
    again = ledger.reserve(order(), Attempt())
    assert isinstance(again, Hold)
    assert again.authorization is not None
    assert again.authorization.header == hold.authorization.header  # type: ignore[union-attr]
    ledger.close_ledger()


_READER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("SELECT * FROM meta").fetchone()
print("open", flush=True)
sys.stdin.read()
db.close()
"""


def test_nothing_is_accepted_while_somebody_has_the_deleted_log_in_hand(path: Path, program: Program) -> None:
    program.buys(3)
    run = [sys.executable, "-c", _READER, str(path)]
    reader = subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "open\n"
    program.dies()
    lose_the_log(path)
    with pytest.raises(LedgerUnavailable, match=r"other programs\. End them first"):
        SqliteLedger(path, open_now=False).accept()
    reader.communicate("end")
    assert spent(path) == 3


def test_a_damaged_file_is_not_accepted(path: Path, program: Program) -> None:
    program.buys(3)
    program.dies()
    lose_the_log(path)
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\x5a" * 8_192)
    with pytest.raises(LedgerUnavailable, match="damaged"):
        SqliteLedger(path, open_now=False).accept()


def test_old_marks_of_dead_programs_are_swept(path: Path) -> None:
    SqliteLedger(path).close_ledger()
    directory = Path(f"{path}-owners")
    directory.mkdir(exist_ok=True)
    old = directory / "marking-0123"
    old.touch()
    os.utime(old, (time.time() - 7_200,) * 2)
    ledger = SqliteLedger(path)
    buy(ledger)
    assert not old.exists()
    ledger.close_ledger()
