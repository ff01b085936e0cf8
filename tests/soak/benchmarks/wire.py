"""Driving a client: purchases one after the other, by tasks and by threads, and the CPU that they take."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

#: What is asked for, with further words for the client, and the status that is expected.
Request = tuple[str, dict[str, Any], int]
#: The kinds of clients that are async.
ASYNC = ("async", "aiohttp", "httpx over aiohttp")


def paid(url: str) -> Request:
    """A request that comes back paid."""
    return url, {}, 200


def by_hand(url: str) -> list[Request]:
    """What a bare client does for the same: one request that is answered 402, and one with a header."""
    return [(url, {}, 402), (url, {"headers": {"PAYMENT-SIGNATURE": "bnVsbA=="}}, 200)]


def buy(client: Any, requests: Sequence[Request], runner: asyncio.Runner | None = None) -> None:
    """One after the other."""
    if hasattr(client, "aclose"):
        (runner or asyncio.Runner()).run(abuy(client, requests))
        return
    for url, words, status in requests:
        assert client.get(url, **words).status_code == status


async def abuy(client: Any, requests: Sequence[Request]) -> None:
    """One after the other, by httpx or aiohttp."""
    if hasattr(client, "aclose"):
        for url, words, status in requests:
            assert (await client.get(url, **words)).status_code == status
        return
    for url, words, status in requests:
        async with client.get(url, **words) as response:
            await response.read()
            assert response.status == status


def by_tasks(make: Callable[[], Any], requests: Sequence[Request], tasks: int) -> dict[str, float]:
    """CPU and wall-clock seconds; each of the tasks makes all of the requests."""

    async def work() -> dict[str, float]:
        async with make() as client:
            await asyncio.gather(*(abuy(client, requests[:2]) for _ in range(tasks)))
            cpu, wall = time.process_time(), time.perf_counter()
            await asyncio.gather(*(abuy(client, requests) for _ in range(tasks)))
            return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}

    return asyncio.run(work())


def freezing(make: Callable[[], Any], url: str, requests: Sequence[Request], tasks: int) -> dict[str, float]:
    """Seconds, and the longest that one step kept the loop from all others. Connections are open before, by ``url``.

    A heartbeat beside the tasks would count the steps of all that are ready, too, and so the work of a busy client.
    """

    async def work() -> dict[str, float]:
        async with make() as client:
            await asyncio.gather(*(abuy(client, [(url, {}, 200)] * 2) for _ in range(tasks)))
            wall = time.perf_counter()
            with _steps() as taken:
                await asyncio.gather(*(abuy(client, requests) for _ in range(tasks)))
            return {"wall": time.perf_counter() - wall, "freeze": max(taken)}

    return asyncio.run(work())


@contextmanager
def _steps() -> Iterator[list[float]]:
    """How long each step of the loop takes."""
    taken: list[float] = []
    step = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        started = time.perf_counter()
        step(handle)
        taken.append(time.perf_counter() - started)

    asyncio.Handle._run = timed  # type: ignore[method-assign]
    try:
        yield taken
    finally:
        asyncio.Handle._run = step  # type: ignore[method-assign]


def by_threads(make: Callable[[], Any], requests: Sequence[Request], threads: int) -> dict[str, float]:
    """The same for a sync client that the threads share."""
    with make() as client:
        _in_threads(client, requests[:2], threads)
        cpu, wall = time.process_time(), time.perf_counter()
        _in_threads(client, requests, threads)
        return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def _in_threads(client: Any, requests: Sequence[Request], count: int) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            buy(client, requests)
        except BaseException as failure:
            failures.append(failure)

    running = [threading.Thread(target=work) for _ in range(count)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failures:
        raise failures[0]
