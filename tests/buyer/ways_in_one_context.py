"""Ways in which a generator with a scope around its ``yield`` runs in one context, so that the scope holds."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from threading import Thread
from typing import Any

import trio
from fastapi import FastAPI

from .ways_of_stepping import Case, Way, depends, get, next_with_a_time_out, streams


def inside_an_endpoint(case: Case) -> None:
    app = FastAPI()

    @app.get("/")
    def endpoint() -> None:
        with contextmanager(case.around)():
            case.pay()

    asyncio.run(get(app))


def decorating_an_endpoint(case: Case) -> None:
    app = FastAPI()
    app.get("/")(contextmanager(case.around)()(case.pay))
    asyncio.run(get(app))


def spent_in_a_dependency(case: Case) -> None:
    def bought() -> Iterator[object]:
        with case.scope():
            found = case.pay()
        yield found

    depends(case, bought)


def spent_in_a_block_in_a_dependency(case: Case) -> None:
    def bought() -> Iterator[object]:
        with contextmanager(case.around)():
            found = case.pay()
        try:
            yield found
        finally:
            pass

    depends(case, bought)


def async_dependency(case: Case) -> None:
    depends(case, case.aaround, is_async=True)


def async_dependency_of_a_plain_endpoint(case: Case) -> None:
    depends(case, case.aaround)


def async_streamed(case: Case) -> None:
    streams(case.asteps())


def consumed_by_a_loop(case: Case) -> None:
    for _ in case.steps():
        pass


def consumed_in_a_thread(case: Case) -> None:
    asyncio.run(asyncio.to_thread(list, case.steps()))


def consumed_in_a_pool(case: Case) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit("".join, case.steps()).result()


def consumed_in_a_callback(case: Case) -> None:
    async def main() -> None:
        loop, failed = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
        loop.set_exception_handler(lambda loop, found: failed.set_exception(found["exception"]))
        loop.call_soon(list, case.steps())
        await failed

    asyncio.run(main())


def consumed_in_a_plain_thread(case: Case) -> None:
    failed: list[BaseException] = []

    def spend() -> None:
        try:
            for _ in case.steps():
                pass
        except BaseException as failure:
            failed.append(failure)

    thread = Thread(target=spend)
    thread.start()
    thread.join()
    raise failed[0]


def consumed_inside_of_a_stream(case: Case) -> None:
    def pieces() -> Iterator[str]:
        found = list(case.steps())
        yield from found

    streams(pieces())


def consumed_by_an_async_loop(case: Case) -> None:
    async def main() -> None:
        async for _ in case.asteps():
            pass

    asyncio.run(main())


def consumed_by_an_async_loop_of_trio(case: Case) -> None:
    async def main() -> None:
        async for _ in case.asteps():
            pass

    trio.run(main)


def next_in_one_task_with_a_time_out(case: Case) -> None:
    async def main() -> None:
        steps: Any = case.asteps()
        for _ in range(2):
            async with asyncio.timeout(20):
                await steps.__anext__()

    asyncio.run(main())


def next_by_a_runner(case: Case) -> None:
    with asyncio.Runner() as runner:
        steps: Any = case.asteps()
        for _ in range(2):
            runner.run(steps.__anext__())


def entered_on_an_async_stack(case: Case) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(asynccontextmanager(case.aaround)())
            await case.apay()

    asyncio.run(main())


#: The scope holds in these.
HELD: tuple[Way, ...] = (
    inside_an_endpoint, decorating_an_endpoint, spent_in_a_dependency, spent_in_a_block_in_a_dependency,
    async_dependency, async_dependency_of_a_plain_endpoint, async_streamed, consumed_by_a_loop, consumed_in_a_thread,
    consumed_in_a_pool, consumed_in_a_callback, consumed_in_a_plain_thread, consumed_inside_of_a_stream,
    consumed_by_an_async_loop,
    consumed_by_an_async_loop_of_trio, next_in_one_task_with_a_time_out, next_by_a_runner, entered_on_an_async_stack,
    *((next_with_a_time_out,) if sys.version_info >= (3, 12) else ()),
)  # fmt: skip
