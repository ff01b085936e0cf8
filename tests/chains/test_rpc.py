"""The JSON-RPC reader: patient with the busy, brief with the broken, and silent about keys in URLs."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.adapters.scripted_server import Exchange, Server
from x402_client import errors
from x402_client.chains import rpc as module
from x402_client.chains.rpc import Endpoints, Rpc

from .scripted_rpc import Answer, Scripted, body, error, result, status


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES", (0.01, 0.02))
    monkeypatch.setattr(module, "_LONGEST_PAUSE", 0.05)


@contextmanager
def reader(*endpoints: Scripted, path: str = "") -> Iterator[Rpc]:
    with closing(Rpc("eip155:8453", [endpoint.url + path for endpoint in endpoints])) as rpc:
        yield rpc


def test_asks_by_the_protocol() -> None:
    with Scripted(result("0x1")) as endpoint, reader(endpoint) as rpc:
        assert rpc.call("eth_call", {"to": "0x0"}, "latest") == "0x1"
        assert rpc.call("eth_chainId") == "0x1"
    first, second = endpoint.asked
    assert first == {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [{"to": "0x0"}, "latest"]}
    assert (second["id"], second["params"]) == (2, [])


@pytest.mark.parametrize(
    "busy",
    [
        status(429),
        status(429, Retry_After="1"),
        status(500),
        status(503),
        error(-32005, "limit exceeded"),
        error(429, "slow down"),
        error(-1, "Too many requests"),
        error(-1, "Rate limit reached"),
        error(-1, "rate-limited"),
        error(-1, "You exceeded your quota"),
    ],
)
def test_a_busy_endpoint_is_asked_again(busy: Answer) -> None:
    with Scripted(busy, busy, result(7)) as endpoint, reader(endpoint) as rpc:
        assert rpc.call("getSlot") == 7
    assert len(endpoint.asked) == 3


def test_patience_ends() -> None:
    with Scripted(status(429)) as endpoint, reader(endpoint) as rpc, pytest.raises(errors.ChainUnavailable) as raised:
        rpc.call("getSlot")
    assert len(endpoint.asked) == 3
    assert "HTTP 429" in str(raised.value)
    assert raised.value.money == "untouched"


@pytest.mark.parametrize(
    "broken",
    [
        status(404),
        status(301, Location="http://127.0.0.1:1/"),
        error(-32601, "method not found"),
        body(b"<html>"),
        body(b"[]"),
        body(b'{"jsonrpc":"2.0","id":99,"result":1}'),
        lambda asked: (200, {}, json.dumps({"id": asked["id"]}).encode()),
        lambda asked: (200, {}, b'{"id":1,"id":2,"result":3}'),
        body(b"[" * 100_000),
        body(b'"' + b"x" * (5 * 1024 * 1024) + b'"'),
    ],
)
def test_a_broken_endpoint_makes_way_for_the_next(broken: Answer) -> None:
    with Scripted(broken) as bad, Scripted(result(7)) as good, reader(bad, good) as rpc:
        assert rpc.call("getSlot") == 7


@pytest.mark.parametrize("said", ["cannot operate", "a separate problem", "accurate to 3 blocks", "migrate first"])
def test_a_refusal_is_not_a_ration(said: str) -> None:
    with (
        Scripted(error(-1, said)) as endpoint,
        reader(endpoint) as rpc,
        pytest.raises(errors.ChainUnavailable, match=said),
    ):
        rpc.call("getSlot")
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    ("start", "byte"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{", b" "),
    ],
    ids=["head", "body", "head of a chunk", "until the end"],
)
def test_an_endpoint_that_drips(start: bytes, byte: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a connection that was good before."""
    monkeypatch.setattr(module, "_TIMEOUT", 0.2)
    over, gone, good = threading.Event(), threading.Event(), iter([True])

    def script(exchange: Exchange) -> None:
        number = json.loads(exchange.read_body())["id"]
        if next(good, False):
            exchange.answer(200, json.dumps({"id": number, "result": 1}).encode())
            return
        exchange.send(start)
        try:
            while not over.wait(0.02):
                exchange.send(byte)
        except OSError:
            gone.set()
        exchange.leave()

    server = Server()
    server.on("/", script)
    try:
        with closing(Rpc("eip155:8453", [server.url()])) as rpc:
            assert rpc.call("getSlot") == 1
            with pytest.raises(errors.ChainUnavailable, match="too slow"):
                rpc.call("getSlot")
        assert gone.wait(10)
    finally:
        over.set()
        server.close()


def test_a_read_can_be_bounded_and_made_once() -> None:
    with Scripted(status(503), result(1)) as endpoint, reader(endpoint) as rpc:
        with pytest.raises(errors.ChainUnavailable, match="503"):
            rpc.call("eth_call", once=True)
        with pytest.raises(errors.ChainUnavailable, match="no time left"):
            rpc.call("eth_call", seconds=0)
        assert len(endpoint.asked) == 1
        assert rpc.call("eth_call") == 1


def test_a_read_is_bounded_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    with (
        Scripted(result(1)) as endpoint,
        reader(endpoint) as rpc,
        pytest.raises(errors.ChainUnavailable, match="no time left"),
    ):
        rpc.call("getSlot")
    assert endpoint.asked == []


def test_an_answer_does_not_unfold_beyond_its_bound() -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    with (
        Scripted(lambda asked: (200, {"Content-Encoding": "gzip"}, bomb)) as endpoint,
        reader(endpoint) as rpc,
        pytest.raises(errors.ChainUnavailable, match="more than 4194304 bytes"),
    ):
        rpc.call("getSlot")
    packed = gzip.compress(b'{"id":1,"result":7}')
    with Scripted(lambda asked: (200, {"Content-Encoding": "gzip"}, packed)) as endpoint, reader(endpoint) as rpc:
        assert rpc.call("getSlot") == 7


def test_nobody_listens() -> None:
    with closing(Rpc("eip155:8453", ["http://127.0.0.1:9"])) as rpc, pytest.raises(errors.ChainUnavailable) as raised:
        rpc.call("getSlot")
    assert "ConnectError" in str(raised.value)


def test_keys_in_urls_are_not_shown() -> None:
    secret = "/v2/sEcReT?key=sEcReT"
    with (
        Scripted(status(404)) as endpoint,
        reader(endpoint, path=secret) as rpc,
        pytest.raises(errors.ChainUnavailable) as raised,
    ):
        rpc.call("getSlot")
    shown = repr(raised.value) + repr(raised.value.__cause__) + repr(raised.value.__context__)
    assert "sEcReT" not in shown
    assert "127.0.0.1" in shown


def test_words_of_an_endpoint_are_bounded_and_printable() -> None:
    long = error(-1, "\x1b[2J" + "x" * 10_000)
    with Scripted(long) as endpoint, reader(endpoint) as rpc, pytest.raises(errors.ChainUnavailable) as raised:
        rpc.call("getSlot")
    assert len(str(raised.value)) < 400
    assert "\x1b" not in str(raised.value)


def test_a_network_without_an_endpoint_says_how_to_name_one() -> None:
    with pytest.raises(errors.ChainUnavailable, match="rpc="):
        Rpc("eip155:999999").call("eth_chainId")


def test_threads_share_a_reader() -> None:
    with Scripted(result(1)) as endpoint, reader(endpoint) as rpc:
        answers: list[int] = []
        threads = [threading.Thread(target=lambda: answers.append(rpc.call("getSlot"))) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [1] * 16
    numbers = [asked["id"] for asked in endpoint.asked]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_uses_a_connection_of_its_own() -> None:
    with Scripted(result(1)) as endpoint, reader(endpoint) as rpc:
        rpc.call("getSlot")
        child = os.fork()
        if child == 0:
            os._exit(0 if rpc.call("getSlot") == 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert rpc.call("getSlot") == 1


def test_endpoints_of_a_network_are_made_once_and_asked_one_by_one() -> None:
    endpoints = Endpoints({"eip155:8453": ("http://a.example", "http://b.example")})
    assert endpoints.of("eip155:8453") is endpoints.of("eip155:8453")
    assert endpoints.each("eip155:8453") == endpoints.each("eip155:8453")
    assert len(endpoints.each("eip155:8453")) == 2
    assert endpoints.each("eip155:999999") == []


def test_an_endpoint_of_the_environment_that_is_not_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES", ())
    monkeypatch.setenv("X402_RPC", "solana=https://s.example base=https://b.example?key=hunter2")
    nowhere = Rpc("eip155:8453", ["http://127.0.0.1:9"])
    with closing(nowhere), pytest.raises(errors.ChainUnavailable) as raised:
        nowhere.call("eth_chainId")
    assert "X402_RPC names one that this buyer does not use: Buyer.from_env(...) reads it." in str(raised.value)
    assert "hunter2" not in str(raised.value)
    monkeypatch.setenv("X402_RPC", "base=http://127.0.0.1:9")
    with closing(nowhere), pytest.raises(errors.ChainUnavailable) as raised:
        nowhere.call("eth_chainId")
    assert "X402_RPC" not in str(raised.value)
