"""A program that lives notices that an older copy was put in its file's place, and nothing else leads to that refusal.

Files, copies and deaths are real. What each program must notice is told by a model: the list of what was written.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance import RECEIPT, order, purchase, signed
from x402_client.ledgers.sqlite import SqliteLedger, lineage
from x402_client.model.holds import Attempt, Hold

from .test_sqlite_log import Program, buy, fold, spent

_OLDER = r"is older than a program has seen.*x402 ledger accept"
_EVENTS = (
    *("buy", "buy", "sign", "deliver", "freeze", "look", "close"),
    *("dies", "fold", "copy", "copy", "back", "over", "back"),
)
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")]


def taken(path: Path) -> dict[str, bytes]:
    """Copy a file as a backup of its directory does: with its log, without the index of it."""
    return {end: found.read_bytes() for end in ("", "-wal") if (found := Path(f"{path}{end}")).exists()}


def put_back(path: Path, copy: dict[str, bytes], over: bool = False) -> None:
    """Put a copy in the file's place, or write it over the file. Programs have closed it."""
    for end in ("", "-wal", "-shm"):
        if end or not over:
            Path(f"{path}{end}").unlink(missing_ok=True)
    for end, data in copy.items():
        Path(f"{path}{end}").write_bytes(data)


def sign(ledger: SqliteLedger) -> Hold:
    """Sign a payment and leave it unresolved; return once that is written too."""
    attempt = Attempt()
    hold = ledger.record(ledger.reserve(order(purchase(os.urandom(8).hex())), attempt), signed())  # type: ignore[arg-type]
    attempt.end()
    ledger._record_ended()
    ledger.holds()
    return hold


def refused(ledger: SqliteLedger) -> None:
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match=_OLDER):
            ledger.holds()
        with pytest.raises(LedgerUnavailable, match=_OLDER):
            buy(ledger)


class Buying:
    """One program of the model: its ledger, and what was written when it looked last."""

    def __init__(self, path: Path) -> None:
        self.ledger = SqliteLedger(path)
        self.known: list[object] = []
        self.holds: list[Hold] = []
        self.delivered: Hold | None = None

    def misses(self, written: list[object], waiting: list[Hold]) -> bool:
        return written[: len(self.known)] != self.known or self.delivered in waiting


class World:
    """The file, what is in it by the model, and copies of both."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path, self.draw = path, random.Random(seed)
        self.programs = [Buying(path), Buying(path)]
        self.written: list[object] = []
        self.waiting: list[Hold] = []
        self.copies: list[tuple[dict[str, bytes], list[object], list[Hold]]] = []
        self.noticed = 0

    def turn(self) -> None:
        one = self.draw.choice(self.programs)
        event = self.draw.choice(_EVENTS)
        if event in ("back", "over"):
            self.put_back(self.draw.choice(self.copies), event == "over") if self.copies else None
        elif event == "copy":
            self.copies.append((taken(self.path), [*self.written], [*self.waiting]))
        elif event == "fold":
            fold(self.path)
        elif event == "dies":
            self.dies()
        elif one.misses(self.written, self.waiting):
            refused(one.ledger)
            self.go_on()
        else:
            self.write(one, event)

    def write(self, one: Buying, event: str) -> None:
        held = [hold for hold in one.holds if hold in self.waiting]
        if event == "buy":
            buy(one.ledger)
        elif event == "sign":
            one.holds.append(sign(one.ledger))
            self.waiting.append(one.holds[-1])
        elif event == "freeze":
            one.ledger.freeze(f"{len(self.written)}.test")
        elif event == "deliver" and held:
            one.ledger.close(held[0], "spent", RECEIPT)
            self.waiting.remove(held[0])
            one.delivered = held[0]
        else:
            one.ledger.holds()
        # A program that claimed something is listed in the file, and takes itself off the list as it closes.
        leaves = event == "close" and one.ledger._claims.existing_lock is not None
        if event == "close":
            one.ledger.close_ledger()
        if leaves or event in ("buy", "sign", "freeze"):
            self.written.append(object())
        one.known = [*self.written]

    def dies(self) -> None:
        """Let a program that knows nothing of before buy, and be killed."""
        program = Program(self.path)
        for _ in range(self.draw.choice([1, 4])):
            assert program.buys() == 1
            self.written.append(object())
        program.dies()

    def put_back(self, copy: tuple[dict[str, bytes], list[object], list[Hold]], over: bool) -> None:
        for one in self.programs:
            if not one.misses(self.written, self.waiting):
                self.write(one, "close")
            one.ledger.close_ledger()
        put_back(self.path, copy[0], over)
        self.written, self.waiting = [*copy[1]], [*copy[2]]

    def go_on(self) -> None:
        """After a refusal nobody pays, also who knows nothing, until the loss is accepted or mended."""
        self.noticed += 1
        with pytest.raises(LedgerUnavailable, match=_OLDER):
            SqliteLedger(self.path)
        for one in self.programs:
            refused(one.ledger)
        teller = SqliteLedger(self.path, open_now=False)
        assert teller.accept()
        assert not teller.accept()
        teller.close_ledger()
        self.written.append(object())
        for one in self.programs:
            one.ledger.holds()
            one.known, one.delivered = [*self.written], None


@pytest.mark.parametrize("seed", range(8))
def test_a_program_refuses_a_file_that_misses_what_it_saw_and_no_other(path: Path, seed: int) -> None:
    world = World(path, seed)
    for _ in range(120):
        world.turn()
    assert world.noticed, "a copy was put back behind somebody's back"


def test_the_right_file_put_back_is_taken_again(path: Path) -> None:
    one, other = SqliteLedger(path), SqliteLedger(path)
    buy(one)
    old = taken(path)
    buy(one)
    for ledger in (one, other):
        ledger.close_ledger()
    right = taken(path)
    put_back(path, old)
    buy(other)
    buy(other)
    other.close_ledger()
    refused(one)
    refused(other)
    put_back(path, right)
    one.holds()
    buy(one)
    refused(other)


def test_a_file_that_a_signature_is_missing_in(path: Path) -> None:
    """The copy was made between the reservation and the signature; another program gave the price back since."""
    one, attempt = SqliteLedger(path), Attempt()
    hold = one.reserve(order(purchase("a")), attempt)
    old = taken(path)
    one.record(hold, signed())  # type: ignore[arg-type]
    attempt.end()
    end = time.monotonic() + 10
    while one._claims.some_ended and time.monotonic() < end:  # a thread writes that, and opens the file for it
        time.sleep(0.01)
    one.close_ledger()
    put_back(path, old)
    lineage._left.clear()  # as another program begins
    other = SqliteLedger(path)
    for _ in range(3):
        buy(other)
    refused(one)


# --- one object after another in one process


def test_a_new_ledger_object_notices_what_an_earlier_one_saw(path: Path) -> None:
    one = SqliteLedger(path)
    buy(one)
    old = taken(path)
    buy(one)
    one.close_ledger()
    right = taken(path)
    put_back(path, old)
    with pytest.raises(LedgerUnavailable, match=_OLDER):
        SqliteLedger(path)
    put_back(path, right)
    buy(SqliteLedger(path))
    assert spent(path) == 3
    put_back(path, old)
    assert SqliteLedger(path, open_now=False).accept() is False  # that it is older was not in this copy
    with pytest.raises(LedgerUnavailable, match=_OLDER):
        SqliteLedger(path)
    teller = SqliteLedger(path, open_now=False)
    assert teller.accept() is True
    buy(teller)
    teller.close_ledger()
    buy(SqliteLedger(path))
    assert spent(path) == 3


def test_a_new_ledger_object_notices_that_a_delivery_came_back(path: Path) -> None:
    one = SqliteLedger(path)
    hold = sign(one)
    one.close_ledger()
    old = taken(path)
    one.close(hold, "spent", RECEIPT)
    one.close_ledger()
    put_back(path, old)
    with pytest.raises(LedgerUnavailable, match=_OLDER):
        SqliteLedger(path)


def test_a_new_file_under_an_old_name_lacks_nothing(path: Path, tmp_path: Path) -> None:
    one, elsewhere = SqliteLedger(path), tmp_path / "copy.db"
    buy(one)
    one.close_ledger()
    put_back(elsewhere, taken(path))
    buy(one)
    one.close_ledger()
    buy(SqliteLedger(elsewhere))  # a copy at another place is another ledger
    put_back(path, {})
    buy(SqliteLedger(path))
    assert spent(path) == 1


def test_a_child_knows_what_its_parent_saw(path: Path) -> None:
    one = SqliteLedger(path)
    buy(one)
    old = taken(path)
    buy(one)
    one.close_ledger()
    put_back(path, old)
    child = os.fork()
    if child == 0:
        with pytest.raises(LedgerUnavailable, match=_OLDER):
            SqliteLedger(path)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_what_is_remembered_of_files_is_bounded(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "_MOST_LEFT", 3)
    lineage._left.clear()
    for number in range(9):
        SqliteLedger(tmp_path / f"{number}.db").close_ledger()
    assert 1 <= len(lineage._left) <= 4


def test_openings_are_bounded_and_who_slept_through_them_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "_KEPT", 5)
    sleeper, other = SqliteLedger(path), SqliteLedger(path)
    buy(sleeper)
    for _ in range(12):
        buy(other)
        other.close_ledger()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM openings").fetchone()[0] <= 6
    buy(sleeper)
    sleeper.close_ledger()
    assert spent(path) == 14
