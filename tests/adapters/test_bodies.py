"""Request bodies: whole on both legs, framed as the bare library frames them, and never read ahead."""

from __future__ import annotations

import io
import re
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from x402_client import Buyer, Policy
from x402_client.errors import BodyNotReplayable
from x402_client.wire import Bounds

from .cash_register import Till, delivered
from .checks import new_buyer, paid, unresolved, untouched, without_payment
from .drivers import Client, Driver
from .scripted_server import PATIENCE, Exchange, Seen, Server

TEXT = "Grüße und €\n" * 200
DATA = bytes(range(256)) * 700


class Pipe(io.RawIOBase):
    """A file that cannot be rewound, and says so."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(buffer)


class Reader:
    """What has nothing of a file but ``read``."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(size)

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(10_000), b"")


class TextPipe(io.TextIOWrapper):
    def __init__(self) -> None:
        super().__init__(io.BufferedReader(Pipe(TEXT.encode())), encoding="utf-8")

    def seekable(self) -> bool:
        return False


class Upload:
    """A file on disk, and every handle of it that a test opened."""

    def __init__(self, path: Path) -> None:
        self._path, self._stack = path, ExitStack()
        path.write_bytes(DATA)

    def open(self) -> BinaryIO:
        return self._stack.enter_context(self._path.open("rb"))

    def close(self) -> None:
        self._stack.close()


Make = Callable[[Driver, Upload], dict[str, Any]]

BODIES: dict[str, Make] = {
    "bytes": lambda shell, path: {"content": DATA},
    "text": lambda shell, path: {"content": TEXT},
    "empty": lambda shell, path: {"content": b""},
    "json": lambda shell, path: {"json": {"question": TEXT, "n": [1, None]}},
    "form": lambda shell, path: {"data": {"a": "1 2", "b": ["x", "y"]}},
    "one shot": lambda shell, path: {"content": shell.chunks([b"one ", b"two ", DATA])},
    "one shot with a length": lambda shell, path: {
        "content": shell.chunks([b"one ", b"two"]),
        "headers": {"Content-Length": "7"},
    },
    "multipart": lambda shell, path: {"files": {"f": ("f.bin", DATA)}, "data": {"a": "b"}},
    "multipart in memory": lambda shell, path: {"files": {"f": ("f.bin", io.BytesIO(DATA), "text/x-own")}},
    "multipart of a file": lambda shell, path: {"files": {"f": path.open(), "g": ("g", b"x")}},
    "multipart of a pipe": lambda shell, path: {"files": {"f": ("f.bin", Pipe(DATA))}},
}
FILES: dict[str, Make] = {
    "file": lambda shell, path: {"content": path.open()},
    "file in memory": lambda shell, path: {"content": io.BytesIO(DATA)},
    "pipe": lambda shell, path: {"content": Pipe(DATA)},
    "reader": lambda shell, path: {"content": Reader(DATA)},
    "form in memory": lambda shell, path: {"content": io.BytesIO(b"a=b"), "headers": {"Content-Type": "x/form"}},
}


def normal(seen: Seen) -> tuple[Any, ...]:
    """A request as bytes, but for what is drawn anew for each call: a multipart boundary."""
    drawn = re.search(rb"boundary=(\S+)", seen.head)
    head, framed = "\n".join(f"{name}: {value}" for name, value in without_payment(seen)).encode(), seen.framed
    if drawn:
        head, framed = head.replace(drawn[1], b"drawn"), framed.replace(drawn[1], b"drawn")
    return (seen.method, seen.target, head, framed)


class TestBodies:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Iterator[Upload]:
        path = Upload(tmp_path / "upload.bin")
        yield path
        path.close()

    def check_both_legs(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer, make: Callable[[], dict[str, Any]]
    ) -> Seen:
        url = server.on("/free", lambda ex: ex.answer(200))
        shell.client().request("POST", url, **make())
        server.on("/free", till.sells())
        response = shell.client(buyer).request("POST", url, **make())
        assert response.content == b"the goods"
        bare, first, second = server.requests
        assert normal(bare) == normal(first)
        assert first.body == second.body
        # A one-shot body may be framed anew, under the same header lines.
        assert normal(first)[:3] == normal(second)[:3]
        assert paid(buyer)
        return second

    @pytest.mark.parametrize("name", BODIES)
    def test_arrive_whole_and_alike_on_both_legs(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer, path: Upload, name: str
    ) -> None:
        if (shell.name, name) == ("requests", "one shot with a length"):
            pytest.skip("requests frames it twice, which no server takes: there is no answer to compare")
        seen = self.check_both_legs(shell, server, till, buyer, lambda: BODIES[name](shell, path))
        assert seen.body or name == "empty"

    @pytest.mark.parametrize("name", FILES)
    def test_of_files_arrive_whole(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer, path: Upload, name: str
    ) -> None:
        if name in shell.refuses:
            self.check_fails_alike(shell, server, buyer, lambda: FILES[name](shell, path))
            return
        seen = self.check_both_legs(shell, server, till, buyer, lambda: FILES[name](shell, path))
        assert seen.body == (b"a=b" if "form" in name else DATA)

    def test_of_a_file_start_where_it_stood(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer, path: Upload
    ) -> None:
        def make() -> dict[str, Any]:
            file = path.open()
            file.seek(1000)
            return {"content": file}

        if shell.name not in ("requests", "httpx2", "aiohttp"):  # httpx declares the length of the whole file
            self.check_fails_alike(shell, server, buyer, make)
            return
        assert self.check_both_legs(shell, server, till, buyer, make).body == DATA[1000:]

    def test_what_the_bare_library_refuses_is_refused(self, shell: Driver, server: Server, buyer: Buyer) -> None:
        self.check_fails_alike(shell, server, buyer, lambda: {"content": 7.5})

    def check_fails_alike(
        self, shell: Driver, server: Server, buyer: Buyer, make: Callable[[], dict[str, Any]]
    ) -> None:
        """What a library cannot send, it cannot send through us either, and fails in its own words."""
        url, caught = server.on("/free", lambda ex: ex.answer(200)), []
        for client in (shell.client(), shell.client(buyer)):
            with pytest.raises(Exception) as info:
                client.request("POST", url, **make())
            caught.append((info.type, re.sub("0x[0-9a-f]+", "an address", str(info.value))))
        assert caught[0] == caught[1]
        assert untouched(buyer)

    def test_a_one_shot_body_beyond_the_bound_is_refused_before_signing(
        self, shell: Driver, server: Server, till: Till
    ) -> None:
        buyer = new_buyer(bounds=Bounds(kept_body=1000))
        with pytest.raises(BodyNotReplayable, match="Nothing was paid") as caught:
            shell.client(buyer).request("POST", server.on("/", till.sells()), content=shell.chunks([b"x" * 600] * 2))
        assert caught.value.money == "untouched"
        assert [seen.body for seen in server.requests] == [b"x" * 1200]
        assert untouched(buyer)
        whole = shell.client(buyer).request("POST", server.url("/"), content=shell.chunks([b"x" * 500] * 2))
        assert whole.content == b"the goods"
        assert paid(buyer)

    def test_a_large_upload_to_what_is_free_is_not_kept(self, shell: Driver, server: Server) -> None:
        buyer = new_buyer(bounds=Bounds(kept_body=64 * 1024))
        size = 0

        def count(exchange: Exchange) -> None:
            nonlocal size
            while chunk := int(exchange._source.readline(), 16):
                size += len(exchange.read_some(chunk))
                exchange.read_some(2)
            exchange.read_some(2)
            exchange._read = True
            exchange.answer(200)

        url, client = server.on("/free", count), shell.client(buyer)
        piece = b"x" * 65536

        def upload(pieces: int) -> int:
            tracemalloc.start()
            assert client.request("POST", url, content=shell.chunks(piece for _ in range(pieces))).status_code == 200
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return peak

        upload(2)
        assert upload(320) < upload(20) + 2_000_000
        assert size == 342 * 65536

    def test_nothing_is_read_ahead_of_the_first_send(self, client: Client, shell: Driver, server: Server) -> None:
        arrived = threading.Event()

        def pieces() -> Iterator[bytes]:
            yield b"first"
            assert arrived.wait(PATIENCE), "the second piece was asked for before the first was sent"
            yield b"second"

        def script(exchange: Exchange) -> None:
            exchange.read_some(len(b"5\r\nfirst\r\n"))
            arrived.set()
            exchange.read_some(len(b"6\r\nsecond\r\n0\r\n\r\n"))
            exchange._read = True
            exchange.answer(200)

        url = server.on("/free", script)
        assert client.request("POST", url, content=shell.chunks(pieces())).status_code == 200

    def test_what_the_server_did_not_wait_for_is_sent_with_the_payment(
        self, shell: Driver, server: Server, till: Till
    ) -> None:
        if shell.is_async and shell.backend == "asyncio":
            pytest.skip("asyncio loses an answer that a reset follows, with or without us")
        answered = threading.Event()
        # Where a connection led cannot be told any more once it was reset.
        policy = Policy(per_request="0.05", per_day="50", http_hosts=["127.0.0.1"])
        buyer = new_buyer(policy, bounds=Bounds(kept_body=10_000_000))
        piece = b"y" * 65536

        def pieces() -> Iterator[bytes]:
            yield b"first"
            assert answered.wait(PATIENCE)
            for _ in range(40):
                yield piece

        def impatient(exchange: Exchange) -> None:
            exchange.read_some(4)
            head, body = till.terms()
            exchange.head(402, [*head, ("Connection", "close")], len(body))
            exchange.send(body)
            exchange.leave()
            answered.set()

        url = server.on("/paid", impatient, till.sells())
        response = shell.client(buyer).request("POST", url, content=shell.chunks(pieces()))
        assert response.content == b"the goods"
        assert server.requests[-1].body == b"first" + piece * 40
        assert paid(buyer)

    @pytest.mark.parametrize("name", ["json", "multipart", "one shot", "multipart in memory"])
    def test_the_same_body_is_the_same_purchase(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer, path: Upload, name: str
    ) -> None:
        client = shell.client(buyer)
        url = server.on("/paid", till.sells(lambda ex, till: ex.answer(500), delivered))
        client.request("POST", url, **BODIES[name](shell, path))
        assert unresolved(buyer, till.nonces[0])
        client.request("POST", url, **BODIES[name](shell, path))
        assert len(till.nonces) == 2
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    def test_another_body_is_another_purchase(self, client: Client, server: Server, till: Till) -> None:
        url = server.on("/paid", till.sells(lambda ex, till: ex.answer(500)))
        for body in (b"a", b"b", b""):
            client.request("POST", url, content=body)
        assert len(set(till.nonces)) == 3
