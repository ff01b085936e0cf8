"""Tasks, threads and processes that buy at once, over real sockets, out of one budget: exactly what it allows."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

import x402_client.httpx
from tests.adapters.cash_register import KEY, PRICE
from tests.adapters.drivers import _TRUST
from tests.adapters.scripted_server import Server
from tests.ledgers.redis.server import Server as Redis
from x402_client import Allowance, Buyer, Policy, Wallet, errors

from .children import Worker
from .settling_seller import Shop

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@pytest.fixture
def seller() -> Iterator[Seller]:
    seller = Seller()
    yield seller
    seller.close()


class Seller:
    """In a process of its own, so that buyers do not wait for its share of this one."""

    def __init__(self) -> None:
        self._worker = Worker(_sell)
        self.url = self._worker.answer()

    def settled(self) -> list[str]:
        """The nonces so far, each as often as it was settled."""
        self._worker.pipe.send("tell")
        found, troubles = self._worker.answer()
        assert troubles == []
        return list(found)

    def close(self) -> None:
        self._worker.pipe.send("end")
        self._worker.answer()
        self._worker.end()


def _sell(pipe: Connection) -> None:
    server, shop = Server(), Shop()
    server.fallback = shop.sells()
    pipe.send(server.url("/paid"))
    while pipe.recv() == "tell":
        pipe.send((shop.settled, [repr(trouble) for trouble in server.troubles]))


def crowd(buyer: Buyer, url: str, threads: int, tasks: int, scopes: Sequence[Any] = ()) -> Counter[str]:
    """Count how attempts ended: a client and an event loop for each thread, one buyer for all of them.

    Each attempt is made in one of the scopes, in turn.
    """
    said = Counter[str]()

    async def scene() -> None:
        limits = httpx.Limits(max_connections=8)
        plain = httpx.AsyncClient(limits=limits, timeout=120, verify=_TRUST, trust_env=False)
        async with x402_client.httpx.wrap(plain, buyer) as client, anyio.create_task_group() as group:
            for number in range(tasks):
                group.start_soon(one, client, number)

    async def one(client: httpx.AsyncClient, number: int) -> None:
        try:
            with scopes[number % len(scopes)] if scopes else nullcontext():
                said[str((await client.get(url)).status_code)] += 1
        except Exception as failure:
            said[type(failure).__name__] += 1

    with ThreadPoolExecutor(threads) as pool:
        for ended in [pool.submit(anyio.run, scene) for _ in range(threads)]:
            ended.result()
    return said


def buyer_with(ledger: Any, most: int) -> Buyer:
    policy = Policy(per_request="0.01", per_day=f"{most // 100}.{most % 100:02}")
    return Buyer(Wallet(evm=KEY), policy, ledger=ledger)


def crowds(buyer: Buyer, url: str, processes: int, threads: int, tasks: int) -> Counter[str]:
    """The same in several processes, forked with the buyer in them."""
    workers = [Worker(lambda pipe: crowd(buyer, url, threads, tasks)) for _ in range(processes)]
    said = sum((worker.answer() for worker in workers), Counter[str]())
    for worker in workers:
        worker.end()
    return said


def check(said: Counter[str], seller: Seller, buyer: Buyer, bought: int, refused: int) -> None:
    assert said == Counter({"200": bought, "OverLimit": refused})
    settled = seller.settled()
    assert len(settled) == len(set(settled)) == bought
    assert buyer.spent().units == bought * PRICE
    assert (buyer.holds(), len(buyer.history(2_000))) == ((), bought)


@pytest.mark.parametrize(
    ("processes", "threads", "tasks", "most"),
    [
        pytest.param(4, 4, 64, 101, id="some", marks=pytest.mark.crowd),
        pytest.param(4, 2, 16, 128, id="all of them"),
        pytest.param(4, 2, 16, 41, id="a third"),
    ],
)
def test_processes_on_a_file(
    seller: Seller, tmp_path: Path, processes: int, threads: int, tasks: int, most: int
) -> None:
    buyer = buyer_with(tmp_path / "ledger.db", most)
    said = crowds(buyer, seller.url, processes, threads, tasks)
    check(said, seller, buyer, most, processes * threads * tasks - most)
    buyer.close()


@pytest.mark.parametrize("most", [33, 256])
def test_threads_in_memory(seller: Seller, most: int) -> None:
    buyer = buyer_with(":memory:", most)
    check(crowd(buyer, seller.url, 4, 64), seller, buyer, most, 256 - most)


@pytest.mark.parametrize("most", [41, pytest.param(128, marks=pytest.mark.crowd)])
def test_processes_on_redis(seller: Seller, tmp_path: Path, most: int) -> None:
    server = Redis(tmp_path)
    try:
        buyer = buyer_with(server.url, most)
        said = crowds(buyer, seller.url, 4, 2, 16)
        check(said, seller, buyer, most, 128 - most)
        buyer.close()
    finally:
        server.kill()


# --- a tree of allowances


def tree(buyer: Buyer) -> list[Allowance]:
    """Open a tree, or go on with it: every process does, at once. Two leaves want more than what is above them has."""
    run = buyer.allowance("1.01", minutes=60, name="run")
    return [run.allowance("0.60", name="a"), run.allowance("0.70", name="b").allowance("0.65", name="c")]


def under_a_tree(buyer: Buyer, url: str, processes: int, tasks: int) -> Counter[str]:
    workers = [Worker(lambda pipe: crowd(buyer, url, 1, tasks, tree(buyer))) for _ in range(processes)]
    said = sum((worker.answer() for worker in workers), Counter[str]())
    for worker in workers:
        worker.end()
    return said


def check_tree(said: Counter[str], seller: Seller, buyer: Buyer, asked: int) -> None:
    check(said, seller, buyer, 101, asked - 101)
    a, c = tree(buyer)
    assert a.parent is not None
    assert c.parent is not None
    found = [one.spent.units // PRICE for one in (a, c, c.parent, a.parent)]
    assert found[1] == found[2]
    assert found[0] + found[1] == found[3] == 101
    assert found[0] <= 60
    assert found[1] <= 65
    assert a.remaining.units == c.remaining.units == 0


@pytest.mark.parametrize("tasks", [32, pytest.param(64, marks=pytest.mark.crowd)])
def test_processes_under_a_tree_on_a_file(seller: Seller, tmp_path: Path, tasks: int) -> None:
    buyer = buyer_with(tmp_path / "ledger.db", 10_000)
    check_tree(under_a_tree(buyer, seller.url, 4, tasks), seller, buyer, 4 * tasks)
    buyer.close()


@pytest.mark.crowd
def test_processes_under_a_tree_on_redis(seller: Seller, tmp_path: Path) -> None:
    server = Redis(tmp_path)
    try:
        buyer = buyer_with(server.url, 10_000)
        check_tree(under_a_tree(buyer, seller.url, 4, 64), seller, buyer, 256)
        buyer.close()
    finally:
        server.kill()


# --- a tree that is stopped while every process pays


def deep(buyer: Buyer) -> Allowance:
    """Open the root of a tree that no process uses up."""
    return buyer.allowance("500", name="run")


def until_it_stops(buyer: Buyer, url: str, pipe: Connection) -> Counter[str]:
    """Pay under a child of the tree until it refuses. Say so after the first payment."""
    leaf, said = deep(buyer).allowance("400", name="b").allowance("300", name="c"), Counter[str]()
    with x402_client.httpx.wrap(httpx.Client(timeout=120, verify=_TRUST, trust_env=False), leaf) as client:
        while said["200"] < 5_000:
            try:
                said[str(client.get(f"{url}?{os.getpid()}").status_code)] += 1
            except errors.X402Error as refusal:
                return said + Counter([type(refusal).__name__])
            if said["200"] == 1:
                pipe.send("pays")
    return said


def stops_every_process(buyer: Buyer, seller: Seller, how: str, refusal: str) -> None:
    """Each payment was reserved before the stop: none after it, in any process, though each one knows only a child."""
    run = deep(buyer)
    workers = [Worker(lambda pipe: until_it_stops(buyer, seller.url, pipe)) for _ in range(4)]
    assert [worker.answer() for worker in workers] == ["pays"] * 4
    getattr(run, how)()
    stopped = time.time()
    said = sum((worker.answer() for worker in workers), Counter[str]())
    for worker in workers:
        worker.end()
    assert said == Counter({"200": said["200"], refusal: 4})
    latest = max(hold.created for hold in run.history(100_000))
    assert latest <= stopped
    assert len(seller.settled()) == said["200"] == run.spent.units // PRICE
    buyer.close()


@pytest.mark.parametrize(("how", "refusal"), [("close", "AllowanceEnded"), ("freeze", "Frozen")])
def test_a_parent_stops_its_children_in_every_process_at_once(
    seller: Seller, tmp_path: Path, how: str, refusal: str
) -> None:
    stops_every_process(buyer_with(tmp_path / "ledger.db", 100_000), seller, how, refusal)


@pytest.mark.parametrize(("how", "refusal"), [("close", "AllowanceEnded"), ("freeze", "Frozen")])
def test_a_parent_stops_its_children_in_every_process_at_once_on_redis(
    seller: Seller, tmp_path: Path, how: str, refusal: str
) -> None:
    server = Redis(tmp_path)
    try:
        stops_every_process(buyer_with(server.url, 100_000), seller, how, refusal)
    finally:
        server.kill()
