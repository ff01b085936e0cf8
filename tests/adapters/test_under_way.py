"""A close while an exception is under way is no delivery, however the caller comes to close; leaving early is one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest

from x402_client import Buyer

from .aiohttp_driver import Aiohttp
from .cash_register import Till, delivered
from .checks import outcome, paid, unresolved
from .drivers import AsyncHttpx, AsyncHttpx2, Client, Driver, Httpx, Httpx2, Requests, TrioHttpx, only
from .scripted_server import PATIENCE, Exchange, Server

pytestmark = pytest.mark.slow


class Late(Exception):
    """A deadline of the caller's own."""


class Halves:
    """An answer whose second half waits until the test is over. ``chunked``: it does not say how long it will be."""

    def __init__(self, chunked: bool) -> None:
        self.chunked, self.over = chunked, threading.Event()

    def __call__(self, exchange: Exchange, till: Till) -> None:
        exchange.head(200, [till.receipt()], None if self.chunked else 12)
        exchange.chunk(b"first\n") if self.chunked else exchange.send(b"first\n")
        self.over.wait(PATIENCE)
        exchange.cut()


@pytest.fixture(params=["chunked", "of a known length"])
def halves(request: pytest.FixtureRequest) -> Iterator[Halves]:
    found = Halves(request.param == "chunked")
    yield found
    found.over.set()


# --- sync: each opens an answer, gets its first half, and leaves


def opened(client: Any, url: str) -> Any:
    if hasattr(client, "build_request"):
        return client.send(client.build_request("GET", url), stream=True)
    return client.get(url, stream=True)


def block(client: Any, url: str) -> Any:
    """The block of an answer, as callers write it."""
    return client.stream("GET", url) if hasattr(client, "build_request") else client.get(url, stream=True)


def pieces(response: Any) -> Iterator[bytes]:
    found: Iterator[bytes] = response.iter_bytes() if hasattr(response, "iter_bytes") else response.iter_content(6)
    return found


def in_a_loop(client: Any, url: str) -> None:
    with block(client, url) as response:
        for _ in pieces(response):
            raise Late


def in_a_loop_of_lines(client: Any, url: str) -> None:
    with block(client, url) as response:
        for _ in response.iter_lines() if hasattr(response, "iter_raw") else response.iter_lines(6):
            raise Late


def in_a_loop_over_raw_bytes(client: Any, url: str) -> None:
    with block(client, url) as response:
        for _ in response.iter_raw() if hasattr(response, "iter_raw") else response.raw.stream(6):
            raise Late


def before_the_first_piece(client: Any, url: str) -> None:
    with block(client, url):
        raise Late


def with_the_iterator_at_hand(client: Any, url: str) -> None:
    with block(client, url) as response:
        found = pieces(response)
        next(found)
        raise Late


def in_an_exit_stack(client: Any, url: str) -> None:
    with contextlib.ExitStack() as stack:
        response = stack.enter_context(block(client, url))
        for _ in pieces(response):
            raise Late


def in_closing(client: Any, url: str) -> None:
    with contextlib.closing(opened(client, url)) as response:
        for _ in pieces(response):
            raise Late


def with_finally(client: Any, url: str) -> None:
    response = opened(client, url)
    try:
        next(pieces(response))
        raise Late
    finally:
        response.close()


def while_it_is_handled(client: Any, url: str) -> None:
    response = opened(client, url)
    try:
        next(pieces(response))
        raise Late
    except Late:
        response.close()
        raise


def in_a_block_of_ones_own(client: Any, url: str) -> None:
    @contextlib.contextmanager
    def own() -> Iterator[Any]:
        with block(client, url) as response:
            yield response

    with own() as response:
        for _ in pieces(response):
            raise Late


def around_a_generator_that_is_closed(client: Any, url: str) -> None:
    def own() -> Iterator[bytes]:
        with block(client, url) as response:
            yield from pieces(response)

    with contextlib.closing(own()) as found:
        for _ in found:
            raise Late


def in_another_thread(client: Any, url: str) -> None:
    failures: list[BaseException] = []
    response = opened(client, url)

    def work() -> None:
        try:
            with response:
                for _ in pieces(response):
                    raise Late
        except Late as failure:
            failures.append(failure)

    def work_httpx() -> None:
        try:
            with contextlib.closing(response):
                for _ in pieces(response):
                    raise Late
        except Late as failure:
            failures.append(failure)

    thread = threading.Thread(target=work if hasattr(response, "__enter__") else work_httpx)
    thread.start()
    thread.join()
    raise failures[0]


def in_a_call_made_while_another_is_handled(client: Any, url: str) -> None:
    try:
        raise ValueError("before")
    except ValueError:
        with block(client, url) as response:
            for _ in pieces(response):
                raise Late from None


def a_second_time(client: Any, url: str) -> None:
    """The same exception object, which was handled before the answer came, and is none of its affairs."""
    late = Late()
    with contextlib.suppress(Late):
        raise late
    with block(client, url) as response:
        for _ in pieces(response):
            raise late


TROUBLED = [
    in_a_loop, in_a_loop_of_lines, in_a_loop_over_raw_bytes, before_the_first_piece, with_the_iterator_at_hand,
    in_an_exit_stack, in_closing, with_finally, while_it_is_handled, in_a_block_of_ones_own,
    around_a_generator_that_is_closed, in_another_thread, in_a_call_made_while_another_is_handled, a_second_time,
]  # fmt: skip


def leaves_the_loop(client: Any, url: str) -> None:
    with block(client, url) as response:
        for _ in pieces(response):
            break


def returns(client: Any, url: str) -> None:
    with block(client, url) as response:
        for _ in pieces(response):
            return


def leaves_unread(client: Any, url: str) -> None:
    with block(client, url):
        pass


def handles_what_was_raised(client: Any, url: str) -> None:
    with block(client, url) as response:
        with contextlib.suppress(Late):
            raise Late
        next(pieces(response))


def leaves_a_generator(client: Any, url: str) -> None:
    def own() -> Iterator[bytes]:
        with block(client, url) as response:
            yield from pieces(response)

    for _ in own():
        break
    gc.collect()


def closes_a_generator(client: Any, url: str) -> None:
    def own() -> Iterator[bytes]:
        with block(client, url) as response:
            yield from pieces(response)

    with contextlib.closing(own()) as found:
        next(found)


def answers_while_another_is_handled(client: Any, url: str) -> None:
    try:
        raise ValueError("before")
    except ValueError:
        response = opened(client, url)
        next(pieces(response))
        response.close()


def answers_while_two_are_handled(client: Any, url: str) -> None:
    try:
        raise ValueError("before")
    except ValueError:
        try:
            raise KeyError("and another")
        except KeyError:
            response = opened(client, url)
        next(pieces(response))
        response.close()


LEFT = [
    leaves_the_loop, returns, leaves_unread, handles_what_was_raised, leaves_a_generator, closes_a_generator,
    answers_while_another_is_handled, answers_while_two_are_handled,
]  # fmt: skip

SYNC = only(Httpx, Httpx2, Requests)
ASYNC = only(AsyncHttpx, TrioHttpx, AsyncHttpx2, Aiohttp)


@SYNC
class TestSync:
    @pytest.mark.parametrize("use", TROUBLED)
    def test_the_same_request_presents_the_same_payment(
        self, client: Client, server: Server, till: Till, buyer: Buyer, halves: Halves, use: Callable[..., None]
    ) -> None:
        url = server.on("/paid", till.sells(halves, delivered))
        with pytest.raises(Late):
            use(client.native, url)
        gc.collect()
        assert unresolved(buyer, till.nonces[0])
        assert client.get(url).content == b"the goods"
        assert (len(till.headers), len(set(till.headers))) == (2, 1)
        assert paid(buyer)

    @pytest.mark.parametrize("use", LEFT)
    def test_who_leaves_has_what_was_wanted(
        self, client: Client, server: Server, till: Till, buyer: Buyer, halves: Halves, use: Callable[..., None]
    ) -> None:
        url = server.on("/paid", till.sells(halves, delivered))
        use(client.native, url)
        assert paid(buyer)

    def test_what_was_read_to_its_end_is_delivered_whatever_follows(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/paid", till.sells())
        with pytest.raises(Late), block(client.native, url) as response:
            assert b"".join(pieces(response)) == b"the goods"
            raise Late
        assert paid(buyer)


# --- async


def aopened(client: Any, url: str) -> Any:
    return client.stream("GET", url) if hasattr(client, "build_request") else client.get(url)


def apieces(response: Any) -> AsyncIterator[bytes]:
    found: AsyncIterator[bytes] = (
        response.aiter_bytes() if hasattr(response, "aiter_bytes") else response.content.iter_any()
    )
    return found


async def a_loop(client: Any, url: str) -> None:
    async with aopened(client, url) as response:
        async for _ in apieces(response):
            raise Late


async def a_block(client: Any, url: str) -> None:
    async with aopened(client, url):
        raise Late


async def an_exit_stack(client: Any, url: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        response = await stack.enter_async_context(aopened(client, url))
        async for _ in apieces(response):
            raise Late


async def a_block_of_ones_own(client: Any, url: str) -> None:
    @contextlib.asynccontextmanager
    async def own() -> AsyncIterator[Any]:
        async with aopened(client, url) as response:
            yield response

    async with own() as response:
        async for _ in apieces(response):
            raise Late


async def a_generator_that_is_closed(client: Any, url: str) -> None:
    async def own() -> AsyncIterator[bytes]:
        async with aopened(client, url) as response:
            async for piece in apieces(response):
                yield piece

    async with contextlib.aclosing(own()) as found:  # type: ignore[type-var]
        async for _ in found:
            raise Late


async def a_deadline_amid_the_body(client: Any, url: str) -> None:
    with anyio.CancelScope() as scope:
        async with aopened(client, url) as response:
            scope.deadline = anyio.current_time() + 0.1
            async for _ in apieces(response):
                pass
    assert scope.cancelled_caught
    raise Late


async def a_deadline_beside_the_body(client: Any, url: str) -> None:
    with anyio.CancelScope() as scope:
        async with aopened(client, url) as response:
            scope.deadline = anyio.current_time() + 0.1
            async for _ in apieces(response):
                await anyio.sleep_forever()
    assert scope.cancelled_caught
    raise Late


async def a_task_group(client: Any, url: str) -> None:
    async def fails() -> None:
        await anyio.sleep(0.05)
        raise Late

    async with aopened(client, url):
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(fails)
                await anyio.sleep(5)
        except BaseExceptionGroup as found:
            raise found.exceptions[0] from None


ATROUBLED = [
    a_loop, a_block, an_exit_stack, a_block_of_ones_own,
    a_deadline_amid_the_body, a_deadline_beside_the_body, a_task_group,
]  # fmt: skip


async def aleaves_the_loop(client: Any, url: str) -> None:
    async with aopened(client, url) as response:
        async for _ in apieces(response):
            break


async def aleaves_unread(client: Any, url: str) -> None:
    async with aopened(client, url):
        pass


async def aanswers_while_another_is_handled(client: Any, url: str) -> None:
    try:
        raise ValueError("before")
    except ValueError:
        async with aopened(client, url) as response:
            async for _ in apieces(response):
                break


async def acloses_a_generator(client: Any, url: str) -> None:
    async def own() -> AsyncIterator[bytes]:
        async with aopened(client, url) as response:
            async for piece in apieces(response):
                yield piece

    async with contextlib.aclosing(own()) as found:  # type: ignore[type-var]
        await anext(found)


ALEFT = [aleaves_the_loop, aleaves_unread, aanswers_while_another_is_handled, acloses_a_generator]


@ASYNC
class TestAsync:
    @pytest.mark.parametrize("use", ATROUBLED)
    def test_the_same_request_presents_the_same_payment(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer, halves: Halves, use: Any
    ) -> None:
        url = server.on("/paid", till.sells(halves, delivered))
        with pytest.raises(Late):
            shell.call(use, client.native, url)
        gc.collect()
        assert unresolved(buyer, till.nonces[0])
        assert client.get(url).content == b"the goods"
        assert (len(till.headers), len(set(till.headers))) == (2, 1)
        assert paid(buyer)

    @pytest.mark.parametrize("use", ALEFT)
    def test_who_leaves_has_what_was_wanted(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer, halves: Halves, use: Any
    ) -> None:
        shell.call(use, client.native, server.on("/paid", till.sells(halves, delivered)))
        assert paid(buyer)


# --- what cannot be seen, and so counts as leaving early: the manual names it


def around_somebody_elses_generator(client: Any, url: str) -> None:
    def own() -> Iterator[bytes]:
        with block(client, url) as response:
            yield from pieces(response)

    for _ in own():
        raise Late


def swallowed_before_the_close(client: Any, url: str) -> None:
    with block(client, url) as response:
        try:
            next(pieces(response))
            raise Late
        except Late as failure:
            kept = failure
    raise kept


@SYNC
@pytest.mark.parametrize("use", [around_somebody_elses_generator, swallowed_before_the_close])
def test_what_cannot_be_seen(
    client: Client, server: Server, till: Till, buyer: Buyer, halves: Halves, use: Callable[..., None]
) -> None:
    url = server.on("/paid", till.sells(halves, delivered))
    with pytest.raises(Late):
        use(client.native, url)
    gc.collect()
    assert paid(buyer)


@ASYNC
def test_what_cannot_be_seen_of_async_generators(
    client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer, halves: Halves
) -> None:
    url = server.on("/paid", till.sells(halves, delivered))
    with pytest.raises(Late):
        shell.call(a_generator_that_is_closed, client.native, url)
    assert paid(buyer)


# --- the caller's own word


@pytest.mark.parametrize("chunked", [True, False])
class TestOwnWord:
    @pytest.fixture
    def url(self, server: Server, till: Till, chunked: bool) -> Iterator[str]:
        halves = Halves(chunked)
        yield server.on("/paid", till.sells(halves, delivered))
        halves.over.set()

    def test_accepted_it_is_delivered_whatever_follows(
        self, client: Client, shell: Driver, till: Till, buyer: Buyer, url: str
    ) -> None:
        answer = shell.unread(client.native, url)
        told = outcome(shell, answer)
        assert told.accept()
        assert paid(buyer)
        with contextlib.suppress(Late):
            self.leave(shell, answer, Late())
        assert paid(buyer)
        assert not told.reject()
        assert client.get(url).content == b"the goods"
        assert len(set(till.headers)) == 2

    def test_rejected_it_is_presented_again_whatever_follows(
        self, client: Client, shell: Driver, till: Till, buyer: Buyer, url: str
    ) -> None:
        answer = shell.unread(client.native, url)
        assert outcome(shell, answer).reject()
        assert unresolved(buyer, till.nonces[0])
        self.leave(shell, answer, None)
        assert unresolved(buyer, till.nonces[0])
        assert client.get(url).content == b"the goods"
        assert len(set(till.headers)) == 1

    def test_the_word_may_come_when_the_answer_is_long_gone(
        self, client: Client, shell: Driver, till: Till, buyer: Buyer, url: str
    ) -> None:
        answer = shell.unread(client.native, url)
        told = outcome(shell, answer)
        del answer
        gc.collect()
        assert unresolved(buyer, till.nonces[0]), "an outcome that is kept keeps no claim"
        assert told.accept()
        assert paid(buyer)

    def test_after_a_deadline_it_may_still_be_accepted(
        self, client: Client, shell: Driver, till: Till, buyer: Buyer, url: str
    ) -> None:
        answer = shell.unread(client.native, url)
        with contextlib.suppress(Late):
            self.leave(shell, answer, Late())
        assert unresolved(buyer, till.nonces[0])
        assert outcome(shell, answer).accept()
        assert paid(buyer)

    @staticmethod
    def leave(shell: Driver, answer: Any, why: Exception | None) -> None:
        async def aleave() -> None:
            try:
                if why is not None:
                    raise why
            finally:
                await answer.aclose()

        if shell.is_async:
            shell.call(aleave)
            return
        try:
            if why is not None:
                raise why
        finally:
            answer.close()


def test_an_async_generator_that_the_loop_closes(server: Server, till: Till, buyer: Buyer) -> None:
    """The loop closes what was left open when it ends: by then the caller had left the generator."""
    import httpx

    import x402_client.httpx

    halves, kept = Halves(chunked=True), list[Any]()
    url = server.on("/paid", till.sells(halves))

    async def main() -> None:
        client = x402_client.httpx.wrap(httpx.AsyncClient(), buyer)

        async def own() -> AsyncIterator[bytes]:
            async with client.stream("GET", url) as response:
                async for piece in response.aiter_bytes():
                    yield piece

        found = own()
        kept.append(found)
        assert await anext(found) == b"first\n"

    asyncio.run(main())
    halves.over.set()
    assert paid(buyer)
