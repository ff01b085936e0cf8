"""Ways in which frameworks run a generator with a scope around its ``yield``: in steps, or in one context."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
import trio
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route


@dataclass
class Case:
    """A scope that refuses each payment, and two clients that try to pay."""

    scope: Callable[[], Any]
    pay: Callable[[], object]
    apay: Callable[[], Awaitable[object]]

    def steps(self) -> Iterator[str]:
        with self.scope():
            yield "begun"
            self.pay()
            yield "paid"

    async def asteps(self) -> AsyncIterator[str]:
        with self.scope():
            yield "begun"
            await self.apay()
            yield "paid"

    def around(self) -> Iterator[None]:
        with self.scope():
            yield

    async def aaround(self) -> AsyncIterator[None]:
        with self.scope():
            yield


async def get(app: Any) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
        await client.get("/")


def streams(content: Any) -> None:
    asyncio.run(get(Starlette(routes=[Route("/", lambda request: StreamingResponse(content))])))


def depends(case: Case, dependency: Any, is_async: bool = False) -> None:
    app = FastAPI()
    if is_async:

        @app.get("/")
        async def aendpoint(given: Any = Depends(dependency)) -> None:  # noqa: B008 - so FastAPI reads it, where names are local
            await case.apay()
    else:

        @app.get("/")
        def endpoint(given: Any = Depends(dependency)) -> None:  # noqa: B008 - so FastAPI reads it, where names are local
            case.pay()

    asyncio.run(get(app))


def streamed(case: Case) -> None:
    streams(case.steps())


def streamed_by_an_expression(case: Case) -> None:
    streams(each.encode() for each in case.steps())


def streamed_by_a_delegate(case: Case) -> None:
    def all_of_them() -> Iterator[str]:
        yield from case.steps()

    streams(all_of_them())


def streamed_through_a_block(case: Case) -> None:
    def pieces() -> Iterator[str]:
        with contextmanager(case.around)():
            yield "begun"
            case.pay()

    streams(pieces())


def streamed_with_a_stack(case: Case) -> None:
    def pieces() -> Iterator[str]:
        with ExitStack() as stack:
            stack.enter_context(case.scope())
            yield "begun"
            case.pay()

    streams(pieces())


def streamed_after_a_retry(case: Case) -> None:
    def pieces() -> Iterator[str]:
        with case.scope():
            try:
                raise LookupError
            except LookupError:
                yield "begun"
            case.pay()

    streams(pieces())


def dependency(case: Case) -> None:
    depends(case, case.around)


def dependency_of_async(case: Case) -> None:
    depends(case, case.around, is_async=True)


def dependency_of_a_dependency(case: Case) -> None:
    def outer(given: Any = Depends(case.around)) -> Iterator[None]:  # noqa: B008 - so FastAPI reads it, where names are local
        yield

    depends(case, outer)


def next_in_threads(case: Case) -> None:
    async def main() -> None:
        steps = case.steps()
        while await asyncio.to_thread(next, steps, None):
            pass

    asyncio.run(main())


def next_in_an_executor(case: Case) -> None:
    async def main() -> None:
        steps = case.steps()
        while await asyncio.get_running_loop().run_in_executor(None, steps.__next__):
            pass

    asyncio.run(main())


def next_in_pools(case: Case) -> None:
    steps = case.steps()
    for _ in range(2):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(next, steps, None).result()


def next_in_threads_of_anyio(case: Case) -> None:
    async def main() -> None:
        steps = case.steps()
        while await anyio.to_thread.run_sync(next, steps, None):
            pass

    anyio.run(main)


def next_in_threads_of_trio(case: Case) -> None:
    async def main() -> None:
        steps = case.steps()
        while await trio.to_thread.run_sync(next, steps, None):
            pass

    trio.run(main)


def next_in_callbacks(case: Case) -> None:
    async def main() -> None:
        steps, loop, done = case.steps(), asyncio.get_running_loop(), asyncio.Event()
        failed: list[Any] = []
        loop.set_exception_handler(lambda loop, found: failed.append(found["exception"]))
        for call in (next, next):
            loop.call_soon(call, steps, None)
        loop.call_soon(done.set)
        await done.wait()
        raise failed[0]

    asyncio.run(main())


def entered_by_a_thread(case: Case) -> None:
    async def main() -> None:
        scope = case.scope()
        await asyncio.to_thread(scope.__enter__)
        await case.apay()

    asyncio.run(main())


def entered_on_a_stack_by_a_thread(case: Case) -> None:
    async def main() -> None:
        await asyncio.to_thread(ExitStack().enter_context, case.scope())
        await case.apay()

    asyncio.run(main())


def next_in_tasks(case: Case) -> None:
    async def main() -> None:
        steps: Any = case.asteps()
        for _ in range(2):
            await asyncio.create_task(steps.__anext__())

    asyncio.run(main())


def next_in_tasks_by_an_async_expression(case: Case) -> None:
    async def main() -> None:
        steps: Any = (each async for each in case.asteps())
        for _ in range(2):
            await asyncio.create_task(steps.__anext__())

    asyncio.run(main())


def next_with_a_time_out(case: Case) -> None:
    async def main() -> None:
        steps: Any = case.asteps()
        for _ in range(2):
            await asyncio.wait_for(steps.__anext__(), 20)

    asyncio.run(main())


def entered_with_a_time_out(case: Case) -> None:
    async def main() -> None:
        block = asynccontextmanager(case.aaround)()
        await asyncio.create_task(block.__aenter__())  # type: ignore[arg-type]
        await case.apay()

    asyncio.run(main())


def entered_in_a_block_with_a_time_out(case: Case) -> None:
    @asynccontextmanager
    async def outer() -> AsyncIterator[None]:
        async with asynccontextmanager(case.aaround)():
            yield

    async def main() -> None:
        await asyncio.create_task(outer().__aenter__())  # type: ignore[arg-type]
        await case.apay()

    asyncio.run(main())


def next_in_tasks_of_anyio(case: Case) -> None:
    async def main() -> None:
        steps: Any = case.asteps()
        for _ in range(2):
            async with anyio.create_task_group() as group:
                group.start_soon(steps.__anext__)

    anyio.run(main)


def next_in_tasks_of_trio(case: Case) -> None:
    async def main() -> None:
        steps: Any = case.asteps()
        for _ in range(2):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(steps.__anext__)

    trio.run(main)


Way = Callable[[Case], None]
#: The scope is lost in these.
LOST: tuple[Way, ...] = (
    streamed, streamed_by_an_expression, streamed_by_a_delegate, streamed_through_a_block, streamed_with_a_stack,
    streamed_after_a_retry, dependency, dependency_of_async, dependency_of_a_dependency, next_in_threads,
    next_in_an_executor, next_in_pools, next_in_threads_of_anyio, next_in_threads_of_trio, next_in_callbacks,
    entered_by_a_thread, entered_on_a_stack_by_a_thread, next_in_tasks, next_in_tasks_by_an_async_expression,
    entered_with_a_time_out,
    entered_in_a_block_with_a_time_out, next_in_tasks_of_anyio, next_in_tasks_of_trio,
    *((next_with_a_time_out,) if sys.version_info < (3, 12) else ()),
)  # fmt: skip
