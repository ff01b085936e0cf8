"""While anything is wrong with the file nothing is paid, and the error says what to do."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance.ledger import RECEIPT, SECRET, cap, order, purchase, signed
from x402_client.ledgers.sqlite import SqliteLedger, default_path
from x402_client.ledgers.sqlite import file as sqlite_file
from x402_client.ledgers.sqlite import ledger as sqlite
from x402_client.model.holds import Attempt, Hold, LedgerBusy, Spending

from .test_fair_lock import held

DAY = Spending("", "day", "USD")
ALIVE = Attempt()


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(path)
    opened.record(opened.reserve(order(), ALIVE), signed())  # type: ignore[arg-type]
    yield opened
    opened.close_ledger()


def refused(question: Callable[[], object], words: str) -> None:
    with pytest.raises(LedgerUnavailable, match=words) as caught:
        question()
    assert caught.value.money == "untouched"
    assert SECRET not in str(caught.value)


def unusable(ledger: SqliteLedger, words: str) -> None:
    """Every method refuses."""
    hold = Hold("0" * 16, purchase(), order().offer, order().price, 0.0)
    refused(lambda: ledger.reserve(order(purchase("b")), ALIVE), words)
    refused(lambda: ledger.claim(purchase(), ALIVE), words)
    refused(lambda: ledger.record(hold, signed()), words)
    refused(lambda: ledger.spent(DAY), words)
    refused(lambda: ledger.holds(), words)
    refused(lambda: ledger.freeze("*"), words)


# What is there before


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"these are my notes, not a ledger\n" * 100)
    refused(lambda: SqliteLedger(path), "is not a ledger")
    assert path.read_bytes().startswith(b"these are my notes")


def test_a_database_of_another_program_is_left_as_it_is(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE notes (text TEXT)")
    other.close()
    before = path.read_bytes()
    refused(lambda: SqliteLedger(path), "another program")
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", [0, 1, 77])
def test_another_layout(path: Path, version: int) -> None:
    SqliteLedger(path).close_ledger()
    with sqlite3.connect(path) as other:
        other.execute(f"PRAGMA user_version = {version}")
    other.close()
    refused(lambda: SqliteLedger(path), f"layout {version}.*only layouts 2 to 7")


def test_a_directory(tmp_path: Path) -> None:
    refused(lambda: SqliteLedger(tmp_path), "is a directory")


def test_a_directory_in_the_way(path: Path) -> None:
    path.write_text("")
    refused(lambda: SqliteLedger(path / "deeper" / "ledger.db"), "directory that is not there")


def test_a_path_that_is_none() -> None:
    refused(lambda: SqliteLedger("a\0b"), "cannot be used")


def test_an_empty_file_becomes_a_private_ledger(path: Path) -> None:
    path.touch(0o644)
    ledger = SqliteLedger(path)
    assert ledger.fresh
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ledger.close_ledger()


# What happens under our feet


def test_deleted(path: Path, ledger: SqliteLedger) -> None:
    path.unlink()
    unusable(ledger, "was deleted while it was in use")
    assert not path.exists()


def test_deleted_while_it_was_closed(path: Path, ledger: SqliteLedger) -> None:
    ledger.close_ledger()
    path.unlink()
    unusable(ledger, "was deleted while it was in use")
    assert not path.exists()


def test_moved_away_and_put_back(path: Path, ledger: SqliteLedger) -> None:
    path.rename(path.with_name("away"))
    unusable(ledger, "was deleted")
    path.with_name("away").rename(path)
    assert ledger.spent(DAY) == 10_000


@pytest.mark.parametrize("closed", [False, True])
def test_another_ledger_in_its_place(path: Path, ledger: SqliteLedger, closed: bool) -> None:
    other = SqliteLedger(path.with_name("other.db"))
    other.close_ledger()
    if closed:
        ledger.close_ledger()
    other.path.replace(path)
    unusable(ledger, "was replaced")


@pytest.mark.parametrize("content", [b"", b"x" * 9_000])
@pytest.mark.parametrize("closed", [False, True])
def test_something_else_in_its_place(path: Path, ledger: SqliteLedger, content: bytes, closed: bool) -> None:
    if closed:
        ledger.close_ledger()
    path.with_name("other").write_bytes(content)
    path.with_name("other").replace(path)
    unusable(ledger, "was replaced|not a ledger")
    unusable(ledger, "was replaced|not a ledger")


def test_another_ledger_written_over_it(path: Path, ledger: SqliteLedger) -> None:
    other = SqliteLedger(path.with_name("other.db"))
    other.close_ledger()
    ledger.close_ledger()
    path.write_bytes(other.path.read_bytes())
    unusable(ledger, "was replaced")


def test_an_older_copy_of_itself(path: Path, ledger: SqliteLedger) -> None:
    ledger.close_ledger()
    backup = shutil.copy(path, path.with_name("backup.db"))
    ledger.reserve(order(purchase("later")), ALIVE)
    ledger.close_ledger()
    Path(backup).replace(path)
    unusable(ledger, "is older.*x402 ledger accept")


@pytest.mark.parametrize("with_log", [False, True])
def test_an_older_copy_under_a_program_that_runs(path: Path, ledger: SqliteLedger, with_log: bool) -> None:
    """A program that has the file open notices, and from then on every program refuses, until it is accepted."""
    with contextlib.closing(sqlite3.connect(path)) as db, contextlib.closing(sqlite3.connect(f"{path}.copy")) as copy:
        db.backup(copy)
    ledger.reserve(order(purchase("later")), ALIVE)
    Path(f"{path}.copy").replace(path)
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink()
    if with_log:  # somebody opened the copy before we looked
        assert SqliteLedger(path).spent(DAY) == 10_000
    unusable(ledger, "is older.*x402 ledger accept")
    refused(lambda: SqliteLedger(path).reserve(order(), ALIVE), "is older.*x402 ledger accept")
    ledger.close_ledger()
    assert SqliteLedger(path, open_now=False).accept()
    assert SqliteLedger(path).spent(DAY) == 10_000


def test_the_newest_copy_under_a_program_that_runs(path: Path, ledger: SqliteLedger) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db, contextlib.closing(sqlite3.connect(f"{path}.copy")) as copy:
        db.backup(copy)
    Path(f"{path}.copy").replace(path)
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink()
    assert ledger.spent(DAY) == 10_000
    ledger.reserve(order(purchase("later")), ALIVE)
    assert SqliteLedger(path).spent(DAY) == 20_000


def test_another_file_under_the_log_of_a_program_that_runs(path: Path, ledger: SqliteLedger) -> None:
    """SQLite would lay the log over a file that it is not the log of."""
    shutil.copy(path, f"{path}.copy")
    Path(f"{path}.copy").replace(path)
    unusable(ledger, "was replaced by another file")


def test_its_log_deleted(path: Path, ledger: SqliteLedger) -> None:
    Path(f"{path}-wal").unlink()
    unusable(ledger, "lost its log .*-wal while it was in use")
    refused(lambda: SqliteLedger(path).reserve(order(), ALIVE), "lost its log|log .* was taken away")
    ledger.close_ledger()
    assert SqliteLedger(path).spent(DAY) == 10_000, "a program that ends writes its part back"


def test_damaged(path: Path, ledger: SqliteLedger) -> None:
    ledger.close_ledger()
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\x5a" * (path.stat().st_size - 4_096))
    unusable(ledger, "damaged|replaced")
    refused(lambda: SqliteLedger(path).reserve(order(), ALIVE), "damaged|replaced")


def test_cut_short(path: Path, ledger: SqliteLedger) -> None:
    ledger.close_ledger()
    os.truncate(path, 8_192)
    refused(lambda: SqliteLedger(path).reserve(order(), ALIVE), "damaged|cannot be read")


def test_locked_for_too_long(path: Path, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.1)
    hasty = SqliteLedger(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused(lambda: hasty.reserve(order(), ALIVE), "locked by another program for 0.1 seconds")
    assert hasty.spent(DAY) == 10_000
    other.execute("ROLLBACK")
    assert isinstance(hasty.reserve(order(), ALIVE), Hold)
    other.close()
    hasty.close_ledger()


def test_full(ledger: SqliteLedger) -> None:
    db = ledger._file._connection
    assert db is not None
    db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
    counted = 1
    with pytest.raises(LedgerUnavailable, match="disk is full"):
        for counted in range(1, 1_000):
            ledger.reserve(order(purchase(f"{counted}")), ALIVE)
    assert ledger.spent(DAY) == counted * 10_000
    assert len(ledger.holds()) == counted


_LIMITED = """
import resource, signal, sys
from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance import order, purchase
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.core import Attempt
ledger, attempt = SqliteLedger(sys.argv[1]), Attempt()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    for number in range(10_000):
        ledger.reserve(order(purchase(str(number))), attempt)
except LedgerUnavailable as failure:
    print(number, failure, flush=True)
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_file_that_may_not_grow(path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", _LIMITED, str(path)], capture_output=True, text=True, check=False)
    number, _, words = ran.stdout.partition(" ")
    assert "disk" in words, ran.stderr
    again = SqliteLedger(path)
    assert again.spent(DAY) == int(number) * 10_000
    again.close_ledger()


_UNPRIVILEGED = """
import os, sys, urllib.parse  # pathlib imports that late, where the interpreter may be another user's
from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance import order
from x402_client.ledgers.sqlite import SqliteLedger, check_usable
from x402_client.core import Attempt
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
for use in (lambda path: SqliteLedger(path).reserve(order(), Attempt()), check_usable):
    try:
        use(sys.argv[1])
    except LedgerUnavailable as failure:
        print(failure)
"""


@pytest.mark.parametrize(("mode", "directory"), [(0o444, 0o777), (0o000, 0o777), (0o666, 0o555)])
def test_a_file_that_may_not_be_written(mode: int, directory: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        path = Path(made, "ledger.db")
        SqliteLedger(path).close_ledger()
        path.chmod(mode)
        path.parent.chmod(directory)
        run = [sys.executable, "-c", _UNPRIVILEGED, str(path)]
        ran = subprocess.run(run, capture_output=True, text=True, check=False)
        path.parent.chmod(0o700)
    assert [" this user " in line for line in ran.stdout.splitlines()] == [True, True], ran.stderr


def test_a_delivery_that_could_not_be_written_may_be_repeated(path: Path, ledger: SqliteLedger) -> None:
    (hold,) = ledger.holds()
    path.rename(path.with_name("away"))
    refused(lambda: ledger.close(hold, "spent", RECEIPT), "was deleted")
    path.with_name("away").rename(path)
    for _ in range(2):
        ledger.close(hold, "spent", RECEIPT)
    assert [past.receipt for past in ledger.history(5)] == [RECEIPT]
    assert ledger.holds() == ()


def test_a_price_that_cannot_be_added_up(ledger: SqliteLedger) -> None:
    refused(lambda: ledger.reserve(order(purchase("b"), price="9999999999999"), ALIVE), "cannot count")


# Not waiting


def test_the_impatient_do_not_wait(path: Path, ledger: SqliteLedger) -> None:
    hasty = ledger.impatient
    assert isinstance(hasty.reserve(order(purchase("b")), ALIVE), Hold)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerBusy):
        hasty.reserve(order(purchase("c")), ALIVE)
    other.execute("ROLLBACK")
    other.close()
    with held(ledger._file._lock), pytest.raises(LedgerBusy):
        hasty.holds()
    assert isinstance(hasty.reserve(order(purchase("c")), ALIVE), Hold)


def test_a_durable_ledger_lets_the_impatient_not_wait_for_the_disk(path: Path) -> None:
    ledger = SqliteLedger(path, durable=True)
    with pytest.raises(LedgerBusy):
        ledger.impatient.reserve(order(), ALIVE)
    assert ledger.impatient.holds() == ()
    assert ledger._file._connection is not None
    assert ledger._file._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    ledger.close_ledger()


# Privacy


def test_only_this_user_may_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "a" / "b"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "a" / "b"))
    before = os.umask(0)
    try:
        ledger = SqliteLedger(default_path())
        ledger.record(ledger.reserve(order(), ALIVE), signed())  # type: ignore[arg-type]
    finally:
        os.umask(before)
    found = [ledger.path, *ledger.path.parent.rglob("*"), *ledger.path.parents[:3]]
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in found}
    assert {"ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-owners", "a", "b"} < set(modes)
    assert set(modes.values()) == {0o600, 0o700}
    ledger.close_ledger()


def test_it_is_never_readable_by_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    connect = sqlite3.connect

    def spy(*arguments: object, **more: object) -> object:
        modes.append(stat.S_IMODE(path.stat().st_mode))
        return connect(*arguments, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(sqlite_file.sqlite3, "connect", spy)
    SqliteLedger(path).close_ledger()
    assert modes == [0o600]


@pytest.mark.parametrize("end", ["close", "write_off", "conclude"])
def test_the_header_is_gone_from_the_file_with_the_payment(path: Path, end: str) -> None:
    ledger, attempt = SqliteLedger(path), Attempt()
    hold = ledger.record(ledger.reserve(order(), attempt), signed())  # type: ignore[arg-type]
    attempt.end()
    ledger.close_ledger()
    assert SECRET.encode() in path.read_bytes()
    {
        "close": lambda: ledger.close(hold, "spent", None),
        "write_off": lambda: ledger.write_off(hold),
        "conclude": lambda: ledger.conclude(hold, False),
    }[end]()
    ledger.close_ledger()
    assert SECRET.encode() not in path.read_bytes()


# The usual place


def test_the_default_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_path() == Path("/data/x402_client/ledger.db")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_path() == tmp_path / ".local/share/x402_client/ledger.db"
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_path() == tmp_path / "Library/Application Support/x402_client/ledger.db"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path / "missing"))
    refused(default_path, "no home directory.*ledger=PATH")


def test_a_relative_path_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = SqliteLedger("ledger.db")
    monkeypatch.chdir("/")
    ledger.close_ledger()
    assert ledger.reserve(order(None, cap(10_000)), ALIVE)
    assert ledger.path == tmp_path / "ledger.db"
    ledger.close_ledger()


def test_a_second_interrupt_as_a_step_is_taken_back_leaves_the_ledger_usable(ledger: SqliteLedger) -> None:
    """Ctrl-C, and once more: the first in a step, the second before what it wrote is taken back."""

    def again(frame: object, event: str, _: object) -> None:
        if event == "call":
            sys.setprofile(None)
            raise KeyboardInterrupt

    def work(db: sqlite3.Connection, meta: object) -> None:
        db.execute("UPDATE meta SET frozen = '[\"*\"]'")
        sys.setprofile(again)
        raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            ledger._write(work)
    finally:
        sys.setprofile(None)
    assert (ledger.freezes(), ledger.spent(DAY)) == ((), 10_000)
    assert isinstance(ledger.reserve(order(purchase("b")), ALIVE), Hold)
