"""What other processes do to a ledger. Every function here runs in a process of its own."""

from __future__ import annotations

import functools
import os
import signal
import sqlite3
from multiprocessing.connection import Connection
from typing import Any

from x402_client.errors import OverLimit
from x402_client.ledgers.conformance.ledger import RECEIPT, at_once, cap, order, purchase, signed
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.model.holds import Attempt


class WatchedAttempt(Attempt):
    """An attempt that calls back when it ends."""

    __slots__ = ("_watchers",)

    def __init__(self) -> None:
        super().__init__()
        self._watchers: list[Any] = []

    def watch(self, callback: Any) -> None:
        self._watchers.append(callback)

    def end(self) -> None:
        super().end()
        for callback in self._watchers:
            callback()


def buy_much(path: str, name: int, most: int, pipe: Connection, ledger: SqliteLedger | None = None) -> None:
    """Four threads try sixteen purchases each; tells how many were delivered."""
    ledger = ledger or SqliteLedger(path)

    def buy(thread: int) -> int:
        return sum(buy_one(ledger, f"{name} {thread} {turn}", most) for turn in range(16))

    pipe.send(sum(at_once(4, buy)))
    ledger.close_ledger()


def buy_one(ledger: SqliteLedger, name: str, most: int) -> bool:
    """One purchase from start to end."""
    attempt = Attempt()
    try:
        hold = ledger.reserve(order(purchase(name), cap(most)), attempt)
    except OverLimit:
        return False
    assert not hasattr(hold, "hold")
    ledger.close(ledger.record(hold, signed(name)), "spent", RECEIPT)  # type: ignore[arg-type]
    return True


def dies(path: str, step: int, pipe: Connection) -> None:
    """Buys, tells what it has done, and is killed right before its ``step``-th statement."""

    class Deadly(sqlite3.Connection):
        left = step

        def execute(self, *arguments: Any) -> Any:
            if Deadly.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            Deadly.left -= 1
            return super().execute(*arguments)

    connect = sqlite3.connect
    sqlite3.connect = functools.partial(connect, factory=Deadly)
    ledger, attempt = SqliteLedger(path), Attempt()
    hold = ledger.reserve(order(), attempt)
    pipe.send("reserved")
    hold = ledger.record(hold, signed("0xdead"))  # type: ignore[arg-type]
    pipe.send("signed")
    ledger.close(hold, "spent", RECEIPT)
    pipe.send("delivered")
    os.kill(os.getpid(), signal.SIGKILL)


def holds_on(path: str, pipe: Connection, kind: type[Attempt] = Attempt, key: str | None = None) -> None:
    """Has a payment in flight, and does what it is told about it."""
    ledger, attempt = SqliteLedger(path), kind()
    hold = ledger.reserve(order(purchase(key=key)), attempt)
    assert not hasattr(hold, "hold")
    pipe.send(hold.id)  # type: ignore[union-attr]
    while True:
        match pipe.recv():
            case "sign":
                ledger.record(hold, signed())  # type: ignore[arg-type]
            case "end":
                attempt.end()
            case "look":
                ledger.claim(purchase("something else"), attempt)
            case "fork":
                heard, said = os.pipe()
                child = os.fork()
                if child == 0:
                    os.write(said, b"!")  # what a child does after a fork is done
                    signal.pause()
                os.read(heard, 1)
                pipe.send(child)
                continue
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
        pipe.send("done")


def hold_busy(path: str, pipe: Connection) -> None:
    """Hold the ledger's file, so that no other program writes it, until told to let go."""
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")
        pipe.send("held")
        pipe.recv()
        db.execute("ROLLBACK")
    pipe.send("free")
