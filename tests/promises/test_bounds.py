"""Size, time and memory: any 402 is read within the stated bounds, or not at all."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import cache
from typing import Any

import pytest

from tests.adapters.cash_register import Till
from tests.adapters.drivers import Driver
from tests.adapters.scripted_server import PATIENCE, Exchange, Server
from x402_client import errors
from x402_client.wire import Bounds

from .hostile_seller import GOODS, Case, Till402, asking, offer, terms

pytestmark = pytest.mark.slow

TERMS = Till(2).terms()[0]
PLAIN: list[tuple[str, str]] = []
#: Far from what the clients themselves wait for (five seconds), so that it is told whose patience ended.
SOON = Bounds(terms_time=0.2)
MANY = 2_000


class Dripping:
    """Sends a head, and then a byte now and then for as long as anybody listens."""

    def __init__(self, headers: list[tuple[str, str]], start: bytes, byte: bytes, length: int | None = None) -> None:
        self.headers, self.start, self.byte, self.length = headers, start, byte, length
        self.over = threading.Event()
        self.cut_off = False

    def __call__(self, exchange: Exchange) -> None:
        framing = [] if self.length is not None or self.start.startswith(b"!") else self.headers
        if self.start.startswith(b"!"):  # neither length nor chunks: the body ends with the connection
            lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
            exchange.send(f"HTTP/1.1 402 Pay\r\n{lines}Connection: close\r\n\r\n".encode())
        else:
            exchange.head(402, framing or self.headers, self.length)
        try:
            exchange.send(self.start)
            deadline = time.monotonic() + PATIENCE
            while not self.over.wait(0.05) and time.monotonic() < deadline:
                exchange.send(self.byte)
        except OSError:
            self.cut_off = True
        exchange.leave()


DRIPS: dict[str, tuple[list[tuple[str, str]], bytes, bytes, int | None]] = {
    "chunks": (TERMS, b"", b"1\r\nx\r\n", None),
    "the head of a chunk": (TERMS, b"1;", b"x", None),
    "the size of a chunk": (TERMS, b"0", b"0", None),
    "the data of a chunk": (TERMS, b"ffff\r\n", b"x", None),
    "the trailers": (TERMS, b"0\r\nX: ", b"x", None),
    "a body of known length": (TERMS, b"", b"x", 10_000),
    "a body without a length": (TERMS, b"!", b"x", None),
    "nothing of ours, the head of a chunk": (PLAIN, b"1;", b"x", None),
    "nothing of ours, a body of known length": (PLAIN, b"", b"x", 10_000),
    "version 1": ([("Content-Type", "application/json")], b"", b"{", 10_000),
}


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_a_402_that_drips(shell: Driver, server: Server, drip: Any) -> None:
    """Not one of its bytes is late by what an HTTP client measures; all of it is by the clock on the wall."""
    dripping = Dripping(*drip)
    case = Case(shell, server, bounds={"bounds": SOON})
    try:
        with pytest.raises(errors.MalformedQuote, match=r"did not end within 0\.2 seconds") as caught:
            case.get(server.on("/case", dripping))
        assert not dripping.over.is_set()
        assert case.signer.documents == []
        assert caught.value.money == "untouched"
        # The connection is gone, so that the server cannot drip on.
        wait_for(lambda: dripping.cut_off)
    finally:
        dripping.over.set()


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_a_402_that_drips_on_a_client_of_less_patience(shell: Driver, server: Server, drip: Any) -> None:
    """The client's own time-out measures each read, and none of these takes that long."""
    dripping = Dripping(*drip)
    case = Case(shell, server, bounds={"bounds": Bounds(terms_time=1.2)})
    client = shell.client(case.buyer)
    started = time.monotonic()
    try:
        with pytest.raises(errors.MalformedQuote, match=r"did not end within 1\.2 seconds"):
            client.get(server.on("/case", dripping), timeout=0.8)
        assert time.monotonic() - started > 1, "the bound's time was up, not the client's"
        assert not dripping.over.is_set()
    finally:
        dripping.over.set()
        client.close()


def test_a_402_that_drips_and_then_stops(shell: Driver, server: Server) -> None:
    """The client would wait for longer than is left."""
    over = threading.Event()

    def stopping(exchange: Exchange) -> None:
        exchange.head(402, TERMS, 10_000)
        for _ in range(9):
            exchange.send(b"x")
            over.wait(0.1)
        over.wait(PATIENCE)
        exchange.leave()

    case = Case(shell, server, bounds={"bounds": Bounds(terms_time=1.2)})
    client = shell.client(case.buyer)
    try:
        with pytest.raises(errors.MalformedQuote, match=r"did not end within 1\.2 seconds"):
            client.get(server.on("/case", stopping), timeout=0.8)
    finally:
        over.set()
        client.close()


def test_a_402_that_stops(shell: Driver, server: Server) -> None:
    """The client's own time-out ends it, with the client's own error."""
    stopping = Dripping(TERMS, b"", b"", 10_000)
    case = Case(shell, server, bounds={"bounds": Bounds(terms_time=30)})
    client = shell.client(case.buyer)
    try:
        with pytest.raises(Exception) as caught:
            client.get(server.on("/case", stopping), timeout=0.3)
        assert "time" in repr(caught.value).lower()
        assert errors.find(caught.value) is None
        assert case.signer.documents == []
    finally:
        stopping.over.set()
        client.close()


def test_a_dripped_402_takes_no_place_in_the_pool(shell: Driver, server: Server) -> None:
    dripping = Dripping(*DRIPS["the head of a chunk"])
    case = Case(shell, server, bounds={"bounds": SOON})
    client = shell.client(case.buyer, **shell.single())  # type: ignore[attr-defined]
    try:
        for _ in range(2):
            with pytest.raises(errors.MalformedQuote):
                client.get(server.on("/case", dripping))
        till = Till402(asking(2, terms(2, offer())))
        assert client.get(server.on("/paid", till)).content == GOODS
    finally:
        dripping.over.set()
        client.close()


def test_a_second_402_that_drips_is_a_rejection(shell: Driver, server: Server) -> None:
    dripping = Dripping(*DRIPS["the head of a chunk"])
    till = Till402(asking(2, terms(2, offer())), dripping)
    case = Case(shell, server, bounds={"bounds": SOON})
    try:
        with pytest.raises(errors.PaymentRejected) as caught:
            case.get(server.on("/case", till))
        assert caught.value.money == "held"
        assert len(set(till.handed)) == 1
    finally:
        dripping.over.set()


def test_a_quick_402_is_not_hurt_by_the_clock(shell: Driver, server: Server) -> None:
    """After its time the connection that a 402 was read from is still good: it is not watched any more."""
    till = Till402(asking(2, terms(2, offer())))
    case = Case(shell, server, bounds={"bounds": Bounds(terms_time=0.2)})
    client = shell.client(case.buyer)
    assert client.get(server.on("/case", till)).content == GOODS
    time.sleep(0.3)
    assert client.get(server.url("/case")).content == GOODS
    assert server.connections == 1
    client.close()


def endless(exchange: Exchange, headers: list[tuple[str, str]], piece: bytes) -> None:
    exchange.head(402, headers)
    for _ in range(MANY):
        exchange.chunk(piece)
    exchange.leave()


@cache
def bomb() -> bytes:
    return gzip.compress(bytes(50_000_000))


LARGE: dict[str, Callable[[Exchange, list[tuple[str, str]]], Any]] = {
    "an endless chunked body": lambda ex, headers: endless(ex, headers, b"x" * 50_000),
    "a body of a gigabyte": lambda ex, headers: (ex.head(402, headers, 2**30), ex.send(b"x" * 300_000), ex.leave()),
    "a gzip bomb": lambda ex, headers: ex.answer(402, bomb(), [*headers, ("Content-Encoding", "gzip")]),
    "a gzip bomb in a gzip bomb": lambda ex, headers: ex.answer(
        402, gzip.compress(bomb()), [*headers, ("Content-Encoding", "gzip, gzip")]
    ),
}


@pytest.mark.parametrize("large", LARGE.values(), ids=LARGE)
def test_oversized_with_terms_in_its_header(shell: Driver, server: Server, large: Any) -> None:
    case = Case(shell, server)
    with pytest.raises(
        errors.MalformedQuote, match="a body of more than 262144 bytes, whose length is not told or too large"
    ):
        case.get(server.on("/case", lambda ex: large(ex, TERMS)))
    assert case.signer.documents == []
    assert len(server.requests) == 1


@pytest.mark.parametrize("size", [262_145, 2_330_277, 16 * 2**20])
def test_a_page_for_browsers_beside_terms_in_a_header_is_let_be(shell: Driver, server: Server, size: int) -> None:
    """As the official servers answer a browser: all terms are in the header."""
    case = Case(shell, server)

    def page(exchange: Exchange) -> None:
        exchange.head(402, [*TERMS, ("Content-Type", "text/html")], size)
        with suppress(OSError):  # the buyer leaves in the middle of it
            exchange.send(b"<" * size)
        exchange.leave()

    till = Till402(page)
    assert case.get(server.on("/case", till)).content == GOODS
    assert (len(till.handed), len(server.requests)) == (1, 2)


@pytest.mark.parametrize("header", [None, "true", "Payment realm=x", "%%%"])
@pytest.mark.parametrize("large", LARGE.values(), ids=LARGE)
def test_oversized_without_terms_is_handed_back(shell: Driver, server: Server, large: Any, header: str | None) -> None:
    headers = [] if header is None else [("Payment-Required", header)]
    case = Case(shell, server)
    url = server.on("/case", lambda ex: large(ex, headers))
    with ExitStack() as closing:
        client = shell.client(case.buyer)
        answer = client.stream("GET", url)
        closing.callback(answer.close)
        assert answer.native.status_code == 402
        got = 0
        try:
            while got < 40_000 and (piece := answer.following()):
                got += len(piece)
            assert got > 100
        except shell.errors["cut body"]:
            assert shell.name == "aiohttp", "what came before the connection broke can be read"
    assert case.signer.documents == []


STRANGERS: dict[str, tuple[bytes, list[tuple[str, str]]]] = {
    "L402": (b"payment required", [("WWW-Authenticate", 'L402 macaroon="x", invoice="y"')]),
    "the Machine Payments Protocol": (b"{}", [("WWW-Authenticate", 'Payment id="1", realm="x"')]),
    "a quota": (b'{"error": {"message": "You exceeded your current quota", "code": 402}}', []),
    "a header of the same name": (b'{"message": "pay your bill"}', [("Payment-Required", "true")]),
    "a header with a price": (b"", [("X-Payment-Required", "usd=3; account=7")]),
    "a header with JSON": (b"", [("Payment-Required", '{"plan": "pro", "price": 20}')]),
    "base64 of something": (b"", [("Payment-Required", "c2VlIG91ciBwcmljZXM=")]),
    "JSON that speaks of offers": (b'{"accepts": ["cards"]}', []),
    "a page": (b"<html>x402Version</html>", [("Content-Type", "text/html")]),
    "nothing": (b"", []),
    "an encoding that lies": (b"not gzip", [("Content-Encoding", "x-unknown")]),
}


@pytest.mark.parametrize(("body", "headers"), STRANGERS.values(), ids=STRANGERS)
def test_passed_through(shell: Driver, server: Server, body: bytes, headers: list[tuple[str, str]]) -> None:
    case = Case(shell, server)
    response = case.get(server.on("/case", lambda ex: ex.answer(402, body, headers)))
    assert (response.status_code, response.content) == (402, body)
    for name, value in headers:
        assert response.headers[name] == value
    assert len(server.requests) == 1
    case.nothing_left(Till402(lambda ex: None))


MEANT: dict[str, str] = {
    "cut short": TERMS[0][1][:-40],
    "a letter that is none": TERMS[0][1][:100] + "!" + TERMS[0][1][100:],
    "plain JSON, cut short": '{"x402Version": 2, "accepts": [',
}


@pytest.mark.parametrize("value", MEANT.values(), ids=MEANT)
def test_a_broken_header_of_ours_is_a_fault(shell: Driver, server: Server, value: str) -> None:
    case = Case(shell, server)
    with pytest.raises(errors.MalformedQuote, match="payment-required header cannot be read"):
        case.get(server.on("/case", lambda ex: ex.answer(402, b"{}", [("Payment-Required", value)])))
    case.nothing_left(Till402(lambda ex: None))


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _no_thread_is_left_reading() -> Iterator[None]:
    yield
    names = [thread.name for thread in threading.enumerate() if thread.name == "x402-deadlines"]
    assert len(names) <= 1
