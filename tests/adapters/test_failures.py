"""What breaks: the library's own errors pass; nothing is paid twice, and the same call presents the same payment."""

from __future__ import annotations

import pickle
import socket
import threading
import time
import traceback
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests

from x402_client import Buyer, errors
from x402_client.errors import PaymentNotSent, PaymentOutcomeUnknown

from .cash_register import Till, delivered
from .checks import new_buyer, paid, shows_payment, unresolved, untouched
from .drivers import Client, Driver
from .scripted_server import PATIENCE, Exchange, Server


class Holding:
    """Answers nothing until the test is over."""

    def __init__(self) -> None:
        self.reached, self.over = threading.Event(), threading.Event()

    def __call__(self, exchange: Exchange, *_: Any) -> None:
        exchange.read_body()
        self.reached.set()
        self.over.wait(PATIENCE)
        exchange.leave()


def cut_body(exchange: Exchange, *_: Any) -> None:
    exchange.read_body()
    exchange.head(200, length=1000)
    exchange.send(b"half")
    exchange.leave()


def cut_chunks(exchange: Exchange, *_: Any) -> None:
    exchange.read_body()
    exchange.head(200)
    exchange.chunk(b"half")
    exchange.leave()


def leave(exchange: Exchange, *_: Any) -> None:
    exchange.read_body()
    exchange.leave()


def reset(exchange: Exchange, *_: Any) -> None:
    exchange.read_body()
    exchange.cut()


def garbage(exchange: Exchange, *_: Any) -> None:
    exchange.read_body()
    exchange.send(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
    exchange.leave()


class TestFailures:
    @pytest.mark.parametrize("script", [leave, garbage, reset, cut_body, cut_chunks])
    @pytest.mark.parametrize("one_shot", [False, True])
    def test_of_the_first_leg_pass_as_they_are(
        self, shell: Driver, server: Server, buyer: Buyer, script: Any, one_shot: bool
    ) -> None:
        url, caught = server.on("/free", script), []
        for client in (shell.client(), shell.client(buyer)):
            body = shell.chunks([b"a", b"b"]) if one_shot else b"ab"
            with pytest.raises(Exception) as info:
                client.request("POST", url, content=body)
            caught.append(info)
        assert caught[0].type is caught[1].type
        assert str(caught[0].value) == str(caught[1].value)
        request = getattr(caught[1].value, "request", None)
        assert type(request) is type(getattr(caught[0].value, "request", None))
        if one_shot and request is not None and shell.name == "requests":
            assert "x402" not in type(request.body).__module__
        assert untouched(buyer)

    def test_nobody_there(self, client: Client, shell: Driver, buyer: Buyer) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}/"
            with pytest.raises(shell.errors["connect"]) as caught:
                client.get(url)
        assert errors.find(caught.value) is None
        assert untouched(buyer)

    def test_a_slow_first_leg(self, client: Client, shell: Driver, server: Server, buyer: Buyer) -> None:
        holding = Holding()
        with pytest.raises(shell.errors["slow"]):
            client.get(server.on("/free", holding), timeout=0.05)
        holding.over.set()
        assert untouched(buyer)

    def test_a_402_that_breaks_off(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        def cut(exchange: Exchange) -> None:
            exchange.head(402, till.terms()[0], length=1000)
            exchange.send(b"half")
            exchange.leave()

        url = server.on("/paid", cut, till.sells())
        with pytest.raises(shell.errors["cut body"]):
            client.get(url)
        assert untouched(buyer)
        assert client.get(url).content == b"the goods"

    @pytest.mark.parametrize("one_shot", [False, True])
    @pytest.mark.parametrize(
        ("script", "kind"),
        [(leave, "cut head"), (garbage, "cut head"), (reset, "reset")],
        ids=["leave", "garbage", "reset"],
    )
    def test_no_answer_to_a_payment(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer, script: Any, kind: str,
        one_shot: bool,
    ) -> None:  # fmt: skip
        url = server.on("/paid", till.sells(script, delivered))

        def ask() -> Any:
            return client.request("POST", url, content=shell.chunks([b"a", b"b"]) if one_shot else b"ab")

        with pytest.raises(PaymentOutcomeUnknown) as caught:
            ask()
        error = caught.value
        assert error.money == "unknown"
        assert error.wait_until is not None
        assert isinstance(error.__cause__, shell.errors[kind])
        self.shows_nothing(error, till)
        assert unresolved(buyer, till.nonces[0])
        assert ask().content == b"the goods"
        assert len(till.headers) == 2
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    @staticmethod
    def shows_nothing(error: BaseException, till: Till) -> None:
        """Nothing in the chain of causes leads to a request with the payment on it, or prints it."""
        seen: BaseException | None = error
        while seen is not None:
            for name in ("request", "response"):
                thing = getattr(seen, "_" + name, None) or getattr(seen, name, None)
                if thing is not None:
                    assert not shows_payment(getattr(thing, "request", thing))
            assert till.headers[0] not in f"{seen!r} {seen} {vars(seen)!r}"
            seen = seen.__cause__ or seen.__context__
        assert till.headers[0] not in "".join(traceback.format_exception(error))

    def test_a_slow_answer_to_a_payment(self, shell: Driver, server: Server, till: Till) -> None:
        buyer, holding = new_buyer(settle_timeout=0.3), Holding()
        client = shell.client(buyer)
        url = server.on("/paid", till.sells(holding, delivered))
        with pytest.raises(PaymentOutcomeUnknown) as caught:
            client.get(url, timeout=0.3)
        holding.over.set()
        assert isinstance(caught.value.__cause__, shell.errors["slow"])
        while not till.headers:  # a busy machine reads it later than we gave up
            time.sleep(0.01)
        self.shows_nothing(caught.value, till)
        assert unresolved(buyer, till.nonces[0])
        assert client.get(url).content == b"the goods"
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    @pytest.mark.parametrize("script", [cut_body, cut_chunks])
    @pytest.mark.parametrize("streaming", [False, True])
    def test_a_paid_answer_that_breaks_off(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer, script: Any, streaming: bool
    ) -> None:
        url = server.on("/paid", till.sells(script, delivered))
        with pytest.raises(shell.errors["cut body"]) as caught:
            client.stream("GET", url).rest() if streaming else client.get(url)
        assert errors.find(caught.value) is None
        self.shows_nothing(caught.value, till)
        assert unresolved(buyer, till.nonces[0])
        assert client.get(url).content == b"the goods"
        assert len(till.headers) == 2
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    def test_a_paid_answer_that_hangs(self, shell: Driver, server: Server, till: Till) -> None:
        buyer, over = new_buyer(settle_timeout=0.5), threading.Event()

        def hang(exchange: Exchange, till: Till) -> None:
            exchange.head(200, length=1000)
            exchange.send(b"half")
            over.wait(PATIENCE)
            exchange.leave()

        url = server.on("/paid", till.sells(hang, delivered))
        client = shell.client(buyer)
        with pytest.raises(shell.errors["slow body"]):
            client.get(url, timeout=0.5)
        over.set()
        assert unresolved(buyer, till.nonces[0])
        assert client.get(url).content == b"the goods"
        assert len(set(till.headers)) == 1

    def test_the_seller_goes_away_before_the_payment(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        def last_words(exchange: Exchange) -> None:
            head, body = till.terms()
            server.stop_listening()
            exchange.head(402, [*head, ("Connection", "close")], len(body))
            exchange.send(body)
            exchange.leave()

        with pytest.raises(PaymentNotSent) as caught:
            client.get(server.on("/paid", last_words))
        assert isinstance(caught.value.__cause__, shell.errors["connect"])
        assert isinstance(
            caught.value,
            (httpx.ConnectError, httpx2.ConnectError, requests.ConnectionError, aiohttp.ClientConnectionError),
        )
        assert caught.value.money == "untouched"
        assert (buyer.holds(), buyer.spent().units) == ((), 0)
        assert type(pickle.loads(pickle.dumps(caught.value))) is type(caught.value)

    def test_a_402_that_drips(self, shell: Driver, server: Server, till: Till) -> None:
        from x402_client.wire import Bounds

        over = threading.Event()

        def drip(exchange: Exchange) -> None:
            exchange.head(402, till.terms()[0])
            while not over.wait(0.02):
                exchange.chunk(b"x")
            exchange.leave()

        buyer = new_buyer(bounds=Bounds(terms_time=0.2))
        with pytest.raises(errors.MalformedQuote, match="did not end within"):
            shell.client(buyer, **shell.single()).get(server.on("/paid", drip))
        over.set()
        assert untouched(buyer)
