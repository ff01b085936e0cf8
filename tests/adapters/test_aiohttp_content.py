"""The content of paid answers through aiohttp: each way to read, to leave and to forget it; and the 402 given back."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp.streams import StreamReader

from x402_client import Buyer, Policy, errors, outcome
from x402_client.adapters.aiohttp_content import Watched
from x402_client.ledgers.memory import MemoryLedger
from x402_client.wire import Bounds

from .aiohttp_driver import Aiohttp
from .cash_register import Till
from .checks import new_buyer, paid, unresolved, untouched
from .drivers import Client, Driver, only
from .scripted_server import PATIENCE, Exchange, Server

pytestmark = pytest.mark.slow

BIG = b"0123456789" * 100_000
Session = aiohttp.ClientSession
Use = Callable[[Session, str], Awaitable[Any]]


class Awaiting:
    """The async side of a ledger whose every step is waited for, as a server's is."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        step = getattr(self._ledger, name)

        async def waited(*words: Any) -> Any:
            await asyncio.sleep(0.01)
            return step(*words)

        return waited


class Slow(MemoryLedger):
    @property
    def asynchronous(self) -> Any:
        return Awaiting(self)


@only(Aiohttp)
class Ours:
    @pytest.fixture(params=["at once", "awaited"])
    def buyer(self, request: pytest.FixtureRequest) -> Buyer:
        return new_buyer(ledger=MemoryLedger() if request.param == "at once" else Slow())

    @staticmethod
    def run(client: Client, use: Use, url: str) -> Any:
        return client.driver.call(use, client.native, url)


def answers(path: str) -> Callable[[Exchange, Till], Any]:
    """What a path answers to a payment."""

    def then(exchange: Exchange, till: Till) -> None:
        proof = [till.receipt()]
        if path == "empty":
            exchange.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif path == "big":
            exchange.answer(200, BIG, proof)
        elif path == "chunks":
            exchange.chunks(200, b"abc", b"def", headers=proof)
        elif path == "gzip":
            exchange.answer(200, gzip.compress(b"abcdef"), [*proof, ("Content-Encoding", "gzip")])
        elif path == "halves":
            exchange.head(200, proof, 6)
            exchange.send(b"abc")
            exchange.server.go_on.wait(PATIENCE)  # type: ignore[attr-defined]
            exchange.send(b"def")
        elif path == "broken":
            exchange.head(200, proof, 6)
            exchange.send(b"abc")
            exchange.leave()
        else:
            exchange.answer(200, b"abcdef", proof)

    return then


# --- ways to read to the end


async def read(session: Session, url: str) -> Any:
    return await (await session.get(url)).read()


async def text_in_a_block(session: Session, url: str) -> Any:
    async with session.get(url) as response:
        return (await response.text()).encode()


async def json_fails(session: Session, url: str) -> Any:
    async with session.get(url) as response:
        with pytest.raises(aiohttp.ContentTypeError):
            await response.json()
        return await response.read()


async def lines(session: Session, url: str) -> Any:
    return b"".join([line async for line in (await session.get(url)).content])


async def any_pieces(session: Session, url: str) -> Any:
    return b"".join([piece async for piece in (await session.get(url)).content.iter_any()])


async def chunks(session: Session, url: str) -> Any:
    return b"".join([chunk async for chunk, _ in (await session.get(url)).content.iter_chunks()])


async def chunks_of_a_size(session: Session, url: str) -> Any:
    return b"".join([chunk async for chunk in (await session.get(url)).content.iter_chunked(99_999)])


async def until(session: Session, url: str) -> Any:
    return await (await session.get(url)).content.readuntil(b"never")


async def exactly(session: Session, url: str) -> Any:
    content = (await session.get(url)).content
    return await content.readexactly(1) + await content.readexactly(5)


async def past_the_end(session: Session, url: str) -> Any:
    with pytest.raises(asyncio.IncompleteReadError) as caught:
        await (await session.get(url)).content.readexactly(60)
    return caught.value.partial


async def at_once(session: Session, url: str) -> Any:
    content = (await session.get(url)).content
    await content.wait_eof()
    found = content.read_nowait()
    await asyncio.sleep(0.05)  # nothing could be awaited, so this may be written in a task
    return found


async def content_alone(session: Session, url: str) -> Any:
    content = (await session.get(url)).content
    gc.collect()
    return await content.read()


async def with_a_break(session: Session, url: str) -> Any:
    response = await session.get(url)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await response.content.readexactly(7)
    return await response.content.read()


READINGS = [read, text_in_a_block, json_fails, any_pieces, chunks, chunks_of_a_size, content_alone]
SHORT = [lines, until, exactly, past_the_end, at_once]


# --- ways to leave


async def left(session: Session, url: str) -> None:
    async with session.get(url) as response:
        await response.content.read(2)


async def left_unread(session: Session, url: str) -> None:
    async with await session.get(url):
        pass


async def left_a_loop(session: Session, url: str) -> None:
    async with session.get(url) as response:
        async for _ in response.content.iter_chunked(2):
            break


async def released(session: Session, url: str) -> None:
    (await session.get(url)).release()
    await asyncio.sleep(0.05)


async def closed(session: Session, url: str) -> None:
    (await session.get(url)).close()
    await asyncio.sleep(0.05)


# --- ways that are none


async def dropped(session: Session, url: str) -> None:
    await session.get(url)
    gc.collect()


async def dropped_half_read(session: Session, url: str) -> None:
    await (await session.get(url)).content.read(2)
    gc.collect()


async def interrupted(session: Session, url: str) -> None:
    response = await session.get(url)
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        response.close()


async def cancelled_while_reading(session: Session, url: str) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), session.get(url) as response:
            await response.read()


async def cancelled_while_reading_a_part(session: Session, url: str) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), session.get(url) as response:
            await response.content.readexactly(6)


async def cancelled_elsewhere(session: Session, url: str) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), session.get(url):
            await asyncio.sleep(5)


async def a_deadline_swallowed_before_the_end(session: Session, url: str) -> None:
    async with session.get(url) as response:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await response.content.readexactly(6)


async def out_of_time(session: Session, url: str) -> None:
    with pytest.raises(TimeoutError):
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=0.3)) as response:
            await response.read()


# --- ways to leave an answer whose connection failed before it was read


async def failed(session: Session, url: str) -> Any:
    """Return an answer whose connection failed, and that nobody has read."""
    response = await session.get(url)
    while response.content.exception() is None:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.01)
    KEPT.append(response)  # as the frames of an exception do that is kept
    return response


async def failed_and_left(session: Session, url: str) -> None:
    async with await failed(session, url):
        pass


async def failed_and_released(session: Session, url: str) -> None:
    (await failed(session, url)).release()


async def failed_and_closed(session: Session, url: str) -> None:
    (await failed(session, url)).close()


async def failed_and_cancelled(session: Session, url: str) -> None:
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.3), await failed(session, url):
            await asyncio.sleep(5)
    found = outcome(caught.value)
    assert found is not None
    assert found.money == "spent"


KEPT: list[Any] = []


class TestDelivered(Ours):
    @pytest.mark.parametrize("path", ["small", "big", "chunks", "gzip"])
    @pytest.mark.parametrize("use", READINGS)
    def test_read_to_its_end(
        self, client: Client, server: Server, till: Till, buyer: Buyer, use: Use, path: str
    ) -> None:
        url = server.on("/paid", till.sells(answers(path)))
        assert self.run(client, use, url) == (BIG if path == "big" else b"abcdef")
        assert paid(buyer), "on record when the last read returns"

    @pytest.mark.parametrize("use", SHORT)
    def test_read_to_its_end_another_way(
        self, client: Client, server: Server, till: Till, buyer: Buyer, use: Use
    ) -> None:
        url = server.on("/paid", till.sells(answers("small")))
        assert self.run(client, use, url) == b"abcdef"
        assert paid(buyer)

    def test_read_on_after_a_break(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        go_on = server.go_on = threading.Event()  # type: ignore[attr-defined]
        threading.Timer(0.3, go_on.set).start()
        assert self.run(client, with_a_break, server.on("/paid", till.sells(answers("halves")))) == b"def"
        assert paid(buyer)

    @pytest.mark.parametrize("path", ["small", "big"])
    @pytest.mark.parametrize("use", [left, left_unread, left_a_loop, released, closed])
    def test_left_by_the_caller(
        self, client: Client, server: Server, till: Till, buyer: Buyer, use: Use, path: str
    ) -> None:
        self.run(client, use, server.on("/paid", till.sells(answers(path))))
        assert paid(buyer), "on record when the block is left"

    def test_without_a_body(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        self.run(client, read, server.on("/paid", till.sells(answers("empty"))))
        assert paid(buyer)

    def test_sent_on_by_another_call(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        url, other = server.on("/paid", till.sells(answers("chunks"))), server.on("/free", lambda ex: ex.answer(200))

        async def pass_on(session: Session, url: str) -> None:
            async with session.get(url) as response:
                await session.post(other, data=response.content)

        self.run(client, pass_on, url)
        assert server.at("/free")[0].body == b"abcdef"
        assert paid(buyer)

    def test_it_is_a_stream_reader_still(self, client: Client, server: Server, till: Till) -> None:
        async def looked_at(session: Session, url: str) -> None:
            async with session.get(url) as response:
                content = response.content
                await content.wait_eof()
                assert isinstance(content, Watched)
                assert isinstance(content, StreamReader)
                assert (content.total_bytes, content.is_eof(), content.exception()) == (6, True, None)
                assert content.get_read_buffer_limits()[0] > 0
                content.set_read_chunk_size(1 << 20)
                assert content._low_water == 1 << 20
                assert "StreamReader" in repr(content) or "Watched" in repr(content)
                assert await content.read() == b"abcdef"

        self.run(client, looked_at, server.on("/paid", till.sells(answers("small"))))


class TestNotDelivered(Ours):
    @pytest.mark.parametrize("path", ["small", "big"])
    @pytest.mark.parametrize("use", [dropped, dropped_half_read, interrupted])
    def test_forgotten(self, shell: Driver, server: Server, till: Till, buyer: Buyer, use: Use, path: str) -> None:
        client = shell.client(buyer, **shell.single())
        url = server.on("/paid", till.sells(answers(path)))
        self.run(client, use, url)
        gc.collect()
        assert unresolved(buyer, till.nonces[0])
        assert self.run(client, read, url), "the connection was given back"
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    @pytest.mark.parametrize(
        "use",
        [
            cancelled_while_reading, cancelled_while_reading_a_part, cancelled_elsewhere,
            a_deadline_swallowed_before_the_end, out_of_time,
        ],
    )  # fmt: skip
    def test_cancelled(self, client: Client, server: Server, till: Till, buyer: Buyer, use: Use) -> None:
        go_on = server.go_on = threading.Event()  # type: ignore[attr-defined]
        url = server.on("/paid", till.sells(answers("halves"), answers("small")))
        self.run(client, use, url)
        go_on.set()
        assert unresolved(buyer, till.nonces[0])
        assert self.run(client, read, url) == b"abcdef"
        assert len(set(till.headers)) == 1

    @pytest.mark.parametrize("use", [read, text_in_a_block, any_pieces])
    def test_broken(self, client: Client, server: Server, till: Till, buyer: Buyer, use: Use) -> None:
        url = server.on("/paid", till.sells(answers("broken"), answers("small")))
        with pytest.raises(aiohttp.ClientPayloadError):
            self.run(client, use, url)
        assert unresolved(buyer, till.nonces[0])
        assert self.run(client, read, url) == b"abcdef"

    @pytest.mark.parametrize("use", [failed_and_left, failed_and_released, failed_and_closed, failed_and_cancelled])
    def test_broken_before_it_was_read(
        self, client: Client, server: Server, till: Till, buyer: Buyer, use: Use
    ) -> None:
        url = server.on("/paid", till.sells(answers("broken"), answers("small")))
        self.run(client, use, url)
        assert unresolved(buyer, till.nonces[0])
        assert self.run(client, read, url) == b"abcdef"
        assert len(set(till.headers)) == 1, "it signed another payment"
        assert KEPT.pop().closed, "it is there till now"

    def test_lost_with_the_session(self, shell: Driver, server: Server, till: Till, buyer: Buyer) -> None:
        go_on = server.go_on = threading.Event()  # type: ignore[attr-defined]
        client, url = shell.client(buyer), server.on("/paid", till.sells(answers("halves")))

        async def late(session: Session, url: str) -> None:
            response = await session.get(url)
            await session.close()
            await response.read()

        with pytest.raises((RuntimeError, aiohttp.ClientError)):
            self.run(client, late, url)
        go_on.set()
        assert unresolved(buyer, till.nonces[0])


class TestThe402(Ours):
    @pytest.fixture
    def buyer(self) -> Buyer:
        return new_buyer(Policy(per_request="0.001"), on_refusal="return")

    @pytest.mark.parametrize("use", [*READINGS, *SHORT])
    def test_that_asks_for_something_else_is_given_back_as_it_came(
        self, client: Client, server: Server, till: Till, use: Use
    ) -> None:
        till.terms = lambda: ([], b"abcdef")  # type: ignore[method-assign]
        assert self.run(client, use, server.on("/paid", till.sells())) == b"abcdef"

    @pytest.mark.parametrize("decompress", [True, False])
    def test_is_read_in_either_form(self, shell: Driver, server: Server, buyer: Buyer, decompress: bool) -> None:
        till, payer = Till(1), new_buyer()
        headers, body = till.terms()
        packed = gzip.compress(body, mtime=0)

        def script(exchange: Exchange) -> None:
            exchange.read_body()
            if till.took(exchange.seen):
                exchange.answer(200, b"the goods", [till.receipt()])
            else:
                exchange.answer(402, packed, [*headers, ("Content-Encoding", "gzip")])

        url = server.on("/paid", script)
        client = shell.client(payer, auto_decompress=decompress)
        assert client.get(url).content == b"the goods"
        assert paid(payer)
        refused = shell.client(buyer, auto_decompress=decompress).get(url)
        assert refused.status_code == 402
        assert json.loads(refused.content)["error"]["type"] == "payment_refused"
        assert json.loads(refused.content)["accepts"] == json.loads(body)["accepts"]

    @pytest.mark.parametrize("decompress", [True, False])
    def test_is_never_unpacked_beyond_its_bound(
        self, shell: Driver, server: Server, till: Till, decompress: bool
    ) -> None:
        payer = new_buyer(bounds=Bounds(terms_body=10_000))
        bomb = gzip.compress(b" " * 50_000_000)
        url = server.on("/paid", lambda ex: ex.answer(402, bomb, [*till.terms()[0], ("Content-Encoding", "gzip")]))
        with pytest.raises(errors.MalformedQuote, match="10000 bytes"):
            shell.client(payer, auto_decompress=decompress, **shell.single()).get(url)
        assert untouched(payer)

    def test_of_an_error_keeps_no_connection(self, shell: Driver, server: Server, till: Till) -> None:
        """Also where the error is kept, and its 402 was too large to be read."""
        client, kept = shell.client(new_buyer(), **shell.single()), list[Any]()

        def large(ex: Exchange) -> None:  # its length is not told
            ex.head(402, till.terms()[0])
            ex.chunk(b" " * 1_000_000)
            ex.leave()

        url = server.on("/large", large)

        async def refused(session: Session, url: str) -> None:
            with pytest.raises(errors.MalformedQuote) as caught:
                await session.get(url)
            kept.append(caught.value)

        for _ in range(2):
            self.run(client, refused, url)
        assert self.run(client, read, server.on("/free", lambda ex: ex.answer(200, b"free"))) == b"free"
        assert [error.response.closed for error in kept] == [True, True]


def test_closed_when_the_loop_is_over(server: Server, till: Till) -> None:
    """All of it is in memory, or a close after the session's own would deliver nothing."""
    buyer, kept = new_buyer(ledger=Slow()), list[Any]()
    url = server.on("/paid", till.sells(lambda ex, till: ex.answer_in_one_piece(200, b"abcdef", [till.receipt()])))

    async def forgetful() -> None:
        async with Session() as session:
            import x402_client.aiohttp

            kept.append(await x402_client.aiohttp.wrap(session, buyer).get(url))

    asyncio.run(forgetful())
    kept.pop().close()
    assert paid(buyer)
    buyer.close()
    assert len(buyer.ledger.history(5)) == 1  # type: ignore[arg-type]


def test_of_an_error_can_be_read(server: Server, till: Till) -> None:
    import x402_client.aiohttp

    async def refused() -> tuple[int, bytes, str]:
        async with x402_client.aiohttp.wrap(Session(), new_buyer(Policy(per_request="0.001"))) as session:
            with pytest.raises(errors.PaymentRefused) as caught:
                await session.get(server.on("/paid", till.sells()))
        response = caught.value.response
        return response.status, await response.read(), await response.text()

    assert asyncio.run(refused()) == (402, b"{}", "{}")

    def test_a_rejection_shows_no_payment(server: Server, till: Till) -> None:
        import x402_client.aiohttp

        async def rejected() -> Any:
            async with x402_client.aiohttp.wrap(Session(), new_buyer()) as session:
                with pytest.raises(errors.PaymentRejected) as caught:
                    await session.get(server.on("/paid", till.sells(lambda ex, till: till.challenge(ex))))
            return caught.value.response

        assert "PAYMENT-SIGNATURE" not in asyncio.run(rejected()).request_info.headers


@pytest.fixture(autouse=True)
def everything_collected() -> Iterator[None]:
    """A response that is never closed warns when it is collected."""
    yield
    gc.collect()
