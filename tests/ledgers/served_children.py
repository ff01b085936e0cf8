"""What other processes do to a ledger. Every function here runs in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any

from x402_client.errors import LedgerUnavailable, OverLimit
from x402_client.ledgers.conformance.ledger import RECEIPT, at_once, cap, order, purchase, signed
from x402_client.ledgers.postgres import PostgresLedger
from x402_client.ledgers.redis import RedisLedger
from x402_client.model.holds import Attempt, Busy

Ledger = RedisLedger | PostgresLedger


def ledger_at(url: str, **settings: Any) -> Ledger:
    return (RedisLedger if url.startswith("redis") else PostgresLedger)(url, **settings)


def buy_one(ledger: Ledger, name: str, most: int) -> bool:
    """One purchase from start to end."""
    attempt = Attempt()
    try:
        hold = ledger.reserve(order(purchase(name), cap(most)), attempt)
    except OverLimit:
        return False
    assert not isinstance(hold, Busy)
    ledger.close(ledger.record(hold, signed(name)), "spent", RECEIPT)
    return True


def buy_much(url: str, name: int, most: int, pipe: Connection) -> None:
    """Four threads try sixteen purchases each; tells how many were delivered."""
    ledger = ledger_at(url)

    def buy(thread: int) -> int:
        return sum(buy_one(ledger, f"{name} {thread} {turn}", most) for turn in range(16))

    pipe.send(sum(at_once(4, buy)))
    ledger.close_ledger()


def dies(url: str, step: int, pipe: Connection) -> None:
    """Buys, and is killed before its so-many-th step, or right after the server heard of that step."""
    ledger, attempt, left = ledger_at(url), Attempt(), [abs(step)]
    ledger.holds()
    send = ledger._connection.send

    def deadly(ask: Any) -> Any:
        left[0] -= 1
        if step > 0 and not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = send(ask)
        if step < 0 and not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    ledger._steps._claimed = lambda: None
    ledger._connection.send = deadly  # type: ignore[method-assign]
    hold = ledger.reserve(order(), attempt)
    assert not isinstance(hold, Busy)
    hold = ledger.record(hold, signed("0xdead"))
    ledger.close(hold, "spent", RECEIPT)
    os.kill(os.getpid(), signal.SIGKILL)


def holds_on(url: str, pipe: Connection, key: str | None = None) -> None:
    """Has a payment in flight, and does what it is told about it."""
    ledger, attempt = ledger_at(url), Attempt()
    hold = ledger.reserve(order(purchase(key=key)), attempt)
    assert not isinstance(hold, Busy)
    pipe.send(hold.id)
    while True:
        match pipe.recv():
            case "sign":
                hold = ledger.record(hold, signed())
            case "end":
                attempt.end()
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
        pipe.send("done")


def holds_a_key(url: str, pipe: Connection) -> None:
    """The same under a key."""
    holds_on(url, pipe, "k")


def crowd(url: str, name: int, most: int, pipe: Connection) -> None:
    """Four threads, each with an event loop of 64 tasks that buy twice; tells how many were delivered."""
    ledger = ledger_at(url, timeout=60.0)
    wide = ledger.asynchronous

    async def buy(which: str) -> int:
        attempt = Attempt()
        try:
            hold = await wide.reserve(order(purchase(which), cap(most)), attempt)
        except OverLimit:
            return 0
        assert not isinstance(hold, Busy)
        await wide.close(await wide.record(hold, signed(which)), "spent", RECEIPT)
        return 1

    async def all_of_them(thread: int) -> int:
        names = [f"{name} {thread} {task}" for task in range(64)]
        found = sum(await asyncio.gather(*map(buy, names))) + sum(await asyncio.gather(*map(buy, names)))
        await wide.close_ledger()
        return found

    try:
        pipe.send(sum(at_once(4, lambda thread: asyncio.run(all_of_them(thread)))))
    except BaseException as failure:
        pipe.send(repr(failure))
        raise
    ledger.close_ledger()


def persists(url: str, name: int, most: int, rounds: int, pipe: Connection) -> None:
    """Sixty-four tasks buy one thing after the other, and repeat each step whose server is away.

    Tells "going" after the first round, and in the end how many were delivered, or the message of a refusal that stays.
    """
    ledger = ledger_at(url)
    wide, until = ledger.asynchronous, time.monotonic() + 100

    async def surely(step: Callable[[], Awaitable[Any]]) -> Any:
        while True:
            try:
                found = await step()
                if not isinstance(found, Busy):
                    return found
            except LedgerUnavailable as failure:
                if "older state" in str(failure) or time.monotonic() > until:
                    raise
            await asyncio.sleep(0.05)

    async def buy(which: str) -> int:
        attempt, made = Attempt(), signed(which)
        try:
            hold = await surely(lambda: wide.reserve(order(purchase(which), cap(most)), attempt))
        except OverLimit:
            return 0
        hold = await surely(lambda: wide.record(hold, made))
        await surely(lambda: wide.close(hold, "spent", RECEIPT))
        return 1

    async def all_of_them() -> int:
        found = 0
        for turn in range(rounds):
            found += sum(await asyncio.gather(*(buy(f"{name} {turn} {task}") for task in range(64))))
            if not turn:
                pipe.send("going")
        await wide.close_ledger()
        return found

    try:
        pipe.send(asyncio.run(all_of_them()))
    except LedgerUnavailable as failure:
        pipe.send(str(failure))
    ledger.close_ledger()
