"""Request bodies through aiohttp: of every kind, whole on the paid leg, and sources that aiohttp would lose or move."""

from __future__ import annotations

import asyncio
import gc
import io
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from x402_client import Buyer, errors
from x402_client.adapters.aiohttp_bodies import Body
from x402_client.wire import Bounds

from .aiohttp_driver import Aiohttp
from .cash_register import Till, delivered
from .checks import new_buyer, paid, unresolved, untouched, without_payment
from .drivers import Client, Driver, only
from .scripted_server import PATIENCE, Exchange, Server
from .test_bodies import Pipe
from .test_failures import reset
from .test_redirects import to

LARGE = b"".join(b"%07d\n" % number for number in range(250_000))
TEXT = "t\N{LATIN SMALL LETTER E WITH ACUTE}xt " * 50


class SlowFile(io.RawIOBase):
    """A file whose reads take a while: one that is under way when its task is cancelled goes on in its thread."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._data.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._data.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        time.sleep(0.03)
        return self._data.read(min(size, 50_000))


class Own(aiohttp.Payload):
    """A payload of the caller's own, which can be written once."""

    async def write(self, writer: Any) -> None:
        while self._value:
            await writer.write(self._value.pop(0))

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError


async def pieces(*given: bytes, seen: list[str] | None = None) -> AsyncIterator[bytes]:
    """Gives each after a while, and notes how it ended."""
    try:
        for piece in given:
            yield piece
            await asyncio.sleep(0.01)
    except BaseException as failure:
        if seen is not None:
            seen.append(type(failure).__name__)
        raise
    if seen is not None:
        seen.append("its end")


def form(value: Any = None, **said: Any) -> aiohttp.FormData:
    found = aiohttp.FormData()
    found.add_field("a", "1")
    if value is not None:
        found.add_field("f", value, filename="f.bin", **said)
    return found


def multipart(*parts: Any) -> aiohttp.MultipartWriter:
    writer = aiohttp.MultipartWriter("mixed")
    for part in parts:
        writer.append(part, {"Content-Type": "a/b"})
    return writer


def stood(file: Any, place: int) -> Any:
    file.seek(place)
    return file


#: Each is made on the loop, of the path of a file.
KINDS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "none": lambda path: {"data": None},
    "bytes": lambda path: {"data": b"bytes"},
    "bytearray": lambda path: {"data": bytearray(b"bytes")},
    "text": lambda path: {"data": TEXT},
    "json": lambda path: {"json": {"a": [1, None]}},
    "fields": lambda path: {"data": {"a": "1", "b": "2"}},
    "form": lambda path: {"data": form()},
    "form of a file": lambda path: {"data": form(stood(path.open("rb"), 4))},
    "form in memory": lambda path: {"data": form(io.BytesIO(b"xyz"))},
    "form of a generator": lambda path: {"data": form(pieces(b"ab", b"cd"))},
    "form of a pipe": lambda path: {"data": form(Pipe(b"piped"))},
    "multipart of a generator": lambda path: {"data": multipart("text", pieces(b"ab", b"cd"))},
    "file": lambda path: {"data": path.open("rb")},
    "file that stood elsewhere": lambda path: {"data": stood(path.open("rb"), 5)},
    "text file": lambda path: {"data": path.open()},
    "unbuffered file": lambda path: {"data": path.open("rb", buffering=0)},
    "slow file": lambda path: {"data": SlowFile(LARGE[:200_000])},
    "pipe": lambda path: {"data": Pipe(b"piped")},
    "StringIO": lambda path: {"data": io.StringIO(TEXT)},
    "BytesIO": lambda path: {"data": stood(io.BytesIO(b"xyz"), 1)},
    "generator": lambda path: {"data": pieces(b"ab", b"cd")},
    "generator with a length": lambda path: {"data": pieces(b"ab", b"cd"), "headers": {"Content-Length": "4"}},
    "generator, compressed": lambda path: {"data": pieces(b"ab", b"cd"), "compress": "gzip"},
    "file, compressed": lambda path: {"data": path.open("rb"), "compress": "deflate"},
    "bytes in chunks": lambda path: {"data": b"bytes" * 99, "chunked": True},
    "own payload": lambda path: {"data": Own([b"one", b"two"])},
}


@only(Aiohttp)
class Ours:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "body.txt"
        path.write_bytes(b"HEAD and the rest\n" * 20_000)
        return path

    @staticmethod
    def post(client: Client, url: str, make: Callable[[], dict[str, Any]], method: str = "POST") -> Any:
        """Make a body on the client's own loop, and send it."""

        async def sent() -> Any:
            said = make()
            said.setdefault("timeout", 5)
            return await client.arequest(method, url, **said)

        return client.driver.call(sent)


class TestEveryKind(Ours):
    @pytest.mark.parametrize("name", KINDS)
    def test_arrives_whole_and_alike_on_both_legs(
        self, client: Client, server: Server, till: Till, buyer: Buyer, path: Path, name: str
    ) -> None:
        url = server.on("/paid", till.sells())
        assert self.post(client, url, lambda: KINDS[name](path)).content == b"the goods"
        first, second = server.requests
        assert first.body == second.body
        assert bool(first.body) == (name != "none")
        assert without_payment(second) == first.lines
        assert paid(buyer)

    @pytest.mark.parametrize("name", [name for name in KINDS if "form" not in name and "multipart" not in name])
    def test_made_again_is_the_same_purchase(
        self, client: Client, server: Server, till: Till, buyer: Buyer, path: Path, name: str
    ) -> None:
        url = server.on("/paid", till.sells(reset, delivered))
        with pytest.raises(errors.PaymentOutcomeUnknown):
            self.post(client, url, lambda: KINDS[name](path))
        assert self.post(client, url, lambda: KINDS[name](path)).content == b"the goods"
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    def test_multipart_is_the_same_purchase_under_another_boundary(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/paid", till.sells(reset, delivered))
        make = lambda: {"data": form(pieces(b"ab", b"cd"))}  # noqa: E731
        with pytest.raises(errors.PaymentOutcomeUnknown):
            self.post(client, url, make)
        assert self.post(client, url, make).content == b"the goods"
        assert server.requests[0].body != server.requests[-1].body
        assert len(set(till.headers)) == 1

    def test_the_content_of_another_answer_can_be_sent_on(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        source = server.on("/source", lambda ex: ex.chunks(200, b"streamed ", b"on"))
        url = server.on("/paid", till.sells())

        async def sent() -> Any:
            async with client.native.get(source) as answer:
                return await client.arequest("POST", url, data=answer.content)

        assert client.driver.call(sent).content == b"the goods"
        assert [seen.body for seen in server.at("/paid")] == [b"streamed on"] * 2
        assert paid(buyer)

    def test_a_file_that_was_closed_meanwhile_is_refused(
        self, client: Client, shell: Driver, server: Server, path: Path
    ) -> None:
        file, till = path.open("rb"), Till()
        buyer = new_buyer(approve=lambda asked: True)

        def closes(exchange: Exchange) -> None:
            exchange.read_body()
            file.close()
            till.challenge(exchange)

        with pytest.raises(errors.BodyNotReplayable, match="cannot be rewound"):
            self.post(shell.client(buyer), server.on("/paid", closes), lambda: {"data": file})
        assert untouched(buyer)


def early(till: Till, *thens: Any) -> Callable[[Exchange], Any]:
    """Asks to be paid at the head of a request, and reads no body then."""
    sells = till.sells(*thens)

    def script(exchange: Exchange) -> None:
        if exchange.seen.header("payment-signature"):
            sells(exchange)
            return
        head, body = till.terms()
        exchange.head(402, head, len(body))
        exchange.send(body)
        time.sleep(0.1)
        try:
            exchange.read_body()
        except (ValueError, OSError):  # the client left in the middle of it, as it may
            exchange.leave()

    return script


class TestEarly402(Ours):
    @pytest.fixture
    def buyer(self) -> Buyer:
        return new_buyer(bounds=Bounds(kept_body=10_000_000))

    @pytest.mark.parametrize("expect", [False, True])
    @pytest.mark.parametrize("kind", ["file", "slow file", "BytesIO", "generator", "slow generator", "form"])
    def test_the_paid_leg_has_the_body_whole(
        self, client: Client, server: Server, till: Till, buyer: Buyer, tmp_path: Path, kind: str, expect: bool
    ) -> None:
        (tmp_path / "large").write_bytes(LARGE)
        ends: list[str] = []
        parts = [LARGE[at : at + 100_000] for at in range(0, len(LARGE), 100_000)]
        made: dict[str, Callable[[], Any]] = {
            "file": lambda: (tmp_path / "large").open("rb"),
            "slow file": lambda: SlowFile(LARGE),
            "BytesIO": lambda: io.BytesIO(LARGE),
            "generator": lambda: pieces(*parts, seen=ends),
            "slow generator": lambda: pieces(b"one ", b"two ", b"three", seen=ends),
            "form": lambda: form((tmp_path / "large").open("rb")),
        }
        continues = early(till)

        def script(exchange: Exchange) -> None:
            if exchange.seen.header("expect") and exchange.seen.header("payment-signature"):
                exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            continues(exchange)

        url = server.on("/paid", script)
        make = lambda: {"data": made[kind](), "expect100": expect, "timeout": 20}  # noqa: E731
        assert self.post(client, url, make).content == b"the goods"
        got = server.requests[-1].body
        assert (LARGE in got) if kind == "form" else got == (b"one two three" if kind == "slow generator" else LARGE)
        assert ends == (["its end"] if "generator" in kind else [])
        assert paid(buyer)

    def test_a_rest_that_is_not_paid_for_is_not_read(self, shell: Driver, server: Server, till: Till) -> None:
        buyer = new_buyer(bounds=Bounds(kept_body=50_000))
        client, ends = shell.client(buyer), list[str]()

        def other(exchange: Exchange) -> None:
            exchange.head(402, [], 5)
            exchange.send(b"other")
            time.sleep(0.1)
            exchange.leave()

        endless = [b"x" * 1000] * 10_000
        assert self.post(client, server.on("/other", other), lambda: {"data": pieces(*endless, seen=ends)}).status_code
        self.settled(client, ends, 1)
        with pytest.raises(errors.BodyNotReplayable):
            self.post(client, server.on("/paid", early(till)), lambda: {"data": pieces(*endless, seen=ends)})
        self.settled(client, ends, 2)
        assert "its end" not in ends
        assert untouched(buyer)

    @staticmethod
    def settled(client: Client, ends: list[str], count: int) -> None:
        """Wait until so many sources were told, and no task of ours is left."""

        async def look() -> None:
            for _ in range(200):
                gc.collect()
                await asyncio.sleep(0.01)
                tasks = [task for task in asyncio.all_tasks() if "Relay" in repr(task.get_coro())]
                if len(ends) == count and not tasks:
                    return
            raise AssertionError((ends, asyncio.all_tasks()))

        client.driver.call(look)

    def test_a_caller_who_gives_up_leaves_no_task(self, client: Client, server: Server) -> None:
        ends, over = list[str](), threading.Event()
        url = server.on("/silent", lambda ex: (over.wait(PATIENCE), ex.leave()))

        async def give_up() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.native.post(url, data=pieces(*[b"x" * 1000] * 10_000, seen=ends))

        client.driver.call(give_up)
        over.set()
        self.settled(client, ends, 1)

    def test_a_source_that_fails_says_so(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        async def failing() -> AsyncIterator[bytes]:
            yield b"x"
            await asyncio.sleep(0.1)
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            self.post(client, server.on("/paid", early(till)), lambda: {"data": failing()})
        assert untouched(buyer)

    def test_a_connection_that_breaks_under_the_402_costs_no_body(self, client: Client, server: Server) -> None:
        """The writer may notice that the seller is gone before the 402 is looked at."""

        async def kept() -> bytes:
            request = aiohttp.ClientRequest(
                "POST", URL(server.url()), data=pieces(b"one ", b"two ", b"three"),
                loop=asyncio.get_running_loop(), session=client.native,
            )  # fmt: skip
            body = Body(request, 1000)
            payload = body.first()
            assert payload is not None
            with pytest.raises(aiohttp.ClientConnectionResetError):
                await payload.write_with_length(Broken(), None)  # type: ignore[arg-type]
            again = await body.again()
            assert again is not None
            return await again.as_bytes()

        assert client.driver.call(kept) == b"one two three"


class Broken:
    """A writer whose connection breaks after the first piece."""

    turns = 0

    async def write(self, chunk: bytes) -> None:
        self.turns += 1
        if self.turns == 2:
            raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")


class TestAiohttpsOwnWays(Ours):
    def test_an_early_free_answer_lets_the_upload_go_on(self, client: Client, server: Server, buyer: Buyer) -> None:
        """Both directions at once, as without us."""

        def script(exchange: Exchange) -> None:
            exchange.head(200)
            exchange.chunk(b"abc")
            exchange.read_body()
            exchange.chunk(b"def")
            exchange.chunk(b"")

        url = server.on("/free", script)

        async def both() -> bytes:
            go_on = asyncio.Event()

            async def given() -> AsyncIterator[bytes]:
                yield b"one"
                await go_on.wait()
                yield b"two"

            async with asyncio.timeout(5), client.native.post(url, data=given()) as response:
                assert await response.content.read(3) == b"abc"
                go_on.set()
                return await response.read()  # type: ignore[no-any-return]

        assert client.driver.call(both) == b"def"
        assert server.requests[0].body == b"onetwo"

    @pytest.mark.parametrize("kind", ["file", "slow file"])
    def test_its_repetition_has_the_file_whole(
        self, client: Client, server: Server, till: Till, buyer: Buyer, tmp_path: Path, kind: str
    ) -> None:
        (tmp_path / "large").write_bytes(LARGE)

        def broken(exchange: Exchange) -> None:
            exchange.read_some(1000)
            exchange.cut()

        url = server.on("/paid", broken, till.sells())
        make = lambda: {"data": SlowFile(LARGE) if kind == "slow file" else (tmp_path / "large").open("rb")}  # noqa: E731
        assert self.post(client, url, make, "PUT").content == b"the goods"
        assert [seen.body for seen in server.requests[1:]] == [LARGE, LARGE]
        assert paid(buyer)

    def test_a_file_is_closed_as_ever(self, client: Client, server: Server, till: Till, path: Path) -> None:
        bare, ours = path.open("rb"), path.open("rb")
        free = server.on("/free", lambda ex: ex.answer(200))
        self.post(client.driver.client(), free, lambda: {"data": bare})
        self.post(client, server.on("/paid", till.sells()), lambda: {"data": ours})
        until = time.monotonic() + PATIENCE
        while not (bare.closed and ours.closed) and time.monotonic() < until:
            time.sleep(0.01)
        assert (bare.closed, ours.closed) == (True, True)

    def test_a_generator_is_not_sent_to_where_a_redirect_leads(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        """aiohttp says so itself, and the payment stays open."""
        server.on("/goods", lambda ex: ex.answer(200, b"the goods"))
        url = server.on("/paid", till.sells(lambda ex, till: to("/goods", 307)(ex)))
        with pytest.raises(aiohttp.ClientPayloadError, match="consumed request body"):
            self.post(client, url, lambda: {"data": pieces(b"ab"), "follow": True})
        assert server.at("/goods") == []
        assert unresolved(buyer, till.nonces[0])
