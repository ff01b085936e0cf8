"""Patience counts the time in which an event loop waits, and none in which it is busy."""

from __future__ import annotations

import asyncio
import time

import anyio
import anyio.lowlevel
import pytest

from x402_client.guards.patience import Patience

BACKENDS = ["asyncio", "trio"]


async def never() -> None:
    await anyio.Event().wait()


async def ended(patience: Patience) -> None:
    with anyio.CancelScope() as scope, patience.waiting(scope.cancel):
        await never()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_wait_ends_when_the_time_is_over(backend: str) -> None:
    patience = Patience(0.05)
    anyio.run(ended, patience, backend=backend)
    assert patience.over


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_busy_loop_takes_nothing_of_it(backend: str) -> None:
    """The loop is busy for longer than the patience lasts, in pieces that are long for its ticks."""
    patience = Patience(0.5)

    async def play() -> bool:
        with anyio.CancelScope() as scope, patience.waiting(scope.cancel):
            for _ in range(8):
                time.sleep(0.1)  # noqa: ASYNC251 - the loop has to stand still
                await anyio.lowlevel.checkpoint()
            return True
        return False

    assert anyio.run(play, backend=backend)
    assert patience.left > 0.25


def test_what_came_while_the_loop_was_busy_is_read() -> None:
    async def play() -> str:
        patience, loop = Patience(0.02), asyncio.get_running_loop()
        coming: asyncio.Future[str] = loop.create_future()
        await asyncio.sleep(0)
        loop.call_soon(time.sleep, 0.1)
        loop.call_later(0.05, coming.set_result, "here")
        with anyio.CancelScope() as scope, patience.waiting(scope.cancel):
            return await coming
        return "accused"

    assert asyncio.run(play()) == "here"


def test_it_is_one_time_for_all_waits() -> None:
    async def play() -> list[bool]:
        patience, over = Patience(0.2), list[bool]()
        for _ in range(2):
            with patience.waiting():
                await asyncio.sleep(0.15)
            over.append(patience.over)
        return over

    assert asyncio.run(play()) == [False, True]


def test_a_clock_rests_when_nothing_waits_and_goes_on_later() -> None:
    async def play() -> list[bool]:
        found = list[bool]()
        for _ in range(2):
            patience = Patience(0.05)
            await ended(patience)
            await asyncio.sleep(0.2)
            found.append(patience.over)
        return found

    assert asyncio.run(play()) == [True, True]
