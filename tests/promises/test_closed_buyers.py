"""A buyer that is closed while it pays: "It stops no payment", and no payment is made twice or left out of the ledger.

Threads and tasks buy from a failing seller through buyers that share a ledger, and others close these all the time.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import requests

from tests.ledgers.postgres.server import Server as Postgres
from tests.ledgers.redis.server import Server as Redis
from x402_client import Buyer, Policy, errors
from x402_client.httpx import wrap
from x402_client.requests import wrap as wrap_session
from x402_client.sandbox import Sandbox

FAULTS = (
    "drop-before-settling", "drop-after-settling", "reset-before-settling", "reset-after-settling",
    "error-before-settling", "error-after-settling",
)  # fmt: skip
LEDGERS = ("memory", "sqlite", "redis", "postgres")
PRICE, THINGS = "0.01", 8


@contextmanager
def ledger_of(kind: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as place:
        if kind == "redis":
            store = Redis(Path(place))
            yield store.url
            store.kill()
        elif kind == "postgres":
            server = Postgres("fsync=off")
            yield server.url()
            server.remove()
        else:
            yield ":memory:" if kind == "memory" else f"{place}/ledger.db"


class Fleet:
    """Buyers that share a ledger, and a seller whose things fail a few times each."""

    def __init__(self, seller: Sandbox, ledger: str, seed: int) -> None:
        self.seller, self.chance, self.ends = seller, random.Random(seed), Counter[str]()
        policy = Policy(per_request="0.10", per_day="50")
        count = 1 if ledger == ":memory:" else 2
        self.buyers = [seller.buyer(policy, ledger=ledger, breaker_after=None) for _ in range(count)]
        self.urls = [
            seller.sell(f"/{thing}", PRICE, content="it", redeliver=True, fault=self.faults())
            for thing in range(THINGS)
        ]

    def faults(self) -> list[str]:
        return [self.chance.choice(FAULTS) for _ in range(self.chance.randrange(3))]

    def buyer(self) -> Buyer:
        return self.chance.choice(self.buyers)

    def judge(self) -> None:
        """Each thing was paid once, and the ledger counts what the chain shows."""
        paid = Counter(settled.path for settled in self.seller.settlements)
        assert paid == {f"/{thing}": 1 for thing in range(THINGS)}, (paid, self.ends)
        assert self.buyers[0].spent() == self.seller.earned
        assert not self.buyers[0].holds()
        assert not self.ends["LedgerUnavailable"], "a buyer that is closed stops no payment"


def until_it_comes(fleet: Fleet, get: Callable[[], int]) -> None:
    for _ in range(30):
        try:
            if get() == 200:
                return
        except errors.X402Error as error:
            fleet.ends[type(error).__name__] += 1
    raise AssertionError(f"it never came: {fleet.ends}")


def buy(fleet: Fleet, url: str) -> None:
    """Buy one thing, each try with a client and a buyer of its own."""

    def get() -> int:
        if fleet.chance.random() < 0.5:
            with wrap_session(requests.Session(), fleet.buyer()) as session:
                return session.get(url).status_code
        with wrap(httpx.Client(), fleet.buyer()) as client:
            return client.get(url).status_code

    until_it_comes(fleet, get)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", LEDGERS)
def test_threads(kind: str, seed: int) -> None:
    with ledger_of(kind) as ledger, Sandbox() as seller:
        fleet, over = Fleet(seller, ledger, seed), threading.Event()

        def close() -> None:
            while not over.is_set():
                time.sleep(random.random() * 0.01)
                fleet.buyer().close()

        failed: list[BaseException] = []

        def work(urls: list[str]) -> None:
            try:
                for url in urls:
                    buy(fleet, url)
            except BaseException as failure:
                failed.append(failure)

        closer = threading.Thread(target=close)
        workers = [threading.Thread(target=work, args=(fleet.urls[number::3],)) for number in range(3)]
        for thread in (closer, *workers):
            thread.start()
        for worker in workers:
            worker.join(60)
        over.set()
        closer.join(30)
        assert not failed
        fleet.judge()
        for buyer in fleet.buyers:
            buyer.close()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", LEDGERS)
def test_tasks(kind: str, seed: int) -> None:
    async def get(fleet: Fleet, url: str) -> None:
        for _ in range(30):
            async with wrap(httpx.AsyncClient(), fleet.buyer()) as client:
                try:
                    if (await client.get(url)).status_code == 200:
                        return
                except errors.X402Error as error:
                    fleet.ends[type(error).__name__] += 1
        raise AssertionError(f"it never came: {fleet.ends}")

    async def work(fleet: Fleet) -> None:
        async def close() -> None:
            while True:
                await asyncio.sleep(random.random() * 0.01)
                await fleet.buyer().aclose()

        closer = asyncio.create_task(close())
        async with asyncio.timeout(60):
            await asyncio.gather(*(get(fleet, url) for url in fleet.urls))
        closer.cancel()
        await asyncio.gather(closer, return_exceptions=True)
        for buyer in fleet.buyers:
            await buyer.aclose()

    with ledger_of(kind) as ledger, Sandbox() as seller:
        fleet = Fleet(seller, ledger, seed)
        asyncio.run(work(fleet))
        fleet.judge()
        for buyer in fleet.buyers:
            buyer.close()
