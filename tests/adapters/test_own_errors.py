"""What is raised after a payment is the library's own error too, so that loops that repeat finish the purchase."""

from __future__ import annotations

import pickle
import threading
import traceback
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests

from x402_client import Buyer, errors, outcome
from x402_client.errors import PaymentNotSent, PaymentOutcomeUnknown

from .cash_register import Till, delivered
from .checks import new_buyer, paid, unresolved, untouched
from .drivers import Client, Driver
from .scripted_server import PATIENCE, Exchange, Server

OWN = (httpx.TransportError, httpx2.TransportError, requests.RequestException, aiohttp.ClientError)
OVER = threading.Event()
SILENT = (httpx.ReadTimeout, httpx2.ReadTimeout, requests.ReadTimeout, aiohttp.ServerTimeoutError)


def leave(exchange: Exchange, *_: Any) -> None:
    exchange.read_body()
    exchange.leave()


def silent(exchange: Exchange, *_: Any) -> None:
    exchange.read_body()
    OVER.wait(PATIENCE)
    exchange.leave()


def cut_body(exchange: Exchange, *_: Any) -> None:
    exchange.read_body()
    exchange.head(200, length=1000)
    exchange.send(b"half")
    exchange.leave()


class TestOwnErrors:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_a_loop_that_knows_the_library_alone_buys_once(
        self, client: Client, server: Server, till: Till, buyer: Buyer, method: str
    ) -> None:
        url = server.on("/paid", till.sells(*[leave] * 4, delivered))
        failures: list[Any] = []
        for _ in range(6):
            try:
                answer = client.request(method, url)
                break
            except OWN as failure:
                failures.append(failure)
        assert failures
        assert all(errors.find(failure) is failure and failure.money == "unknown" for failure in failures)
        assert all("Make the same request again" in str(failure) for failure in failures)
        assert answer.content == b"the goods"
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    def test_a_time_out_is_a_time_out(self, shell: Driver, server: Server, till: Till) -> None:
        client = shell.client(new_buyer(settle_timeout=0.2))
        with pytest.raises(SILENT) as caught:
            client.get(server.on("/paid", till.sells(silent)), timeout=0.2)
        assert "settle_timeout" in str(caught.value)
        again = pickle.loads(pickle.dumps(caught.value))
        assert (type(again), again.money, again.hold) == (type(caught.value), "unknown", caught.value.hold)
        assert till.headers[0] not in "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))

    def test_what_cannot_be_had_by_repeating_is_no_error_of_the_library(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/paid", till.sells(lambda ex, till: ex.answer(402, till.terms()[1], till.terms()[0])))
        with pytest.raises(errors.PaymentRejected) as caught:
            client.request("POST", url)
        assert not isinstance(caught.value, OWN)

    def test_a_server_that_comes_back_gets_a_payment_of_its_own(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        """Nothing left this machine the first time."""

        def last_words(exchange: Exchange) -> None:
            head, body = till.terms()
            server.stop_listening()
            exchange.answer(402, body, [*head, ("Connection", "close")])
            exchange.leave()

        with pytest.raises(OWN) as caught:
            client.get(server.on("/paid", last_words))
        assert isinstance(caught.value, PaymentNotSent)
        assert errors.find(caught.value) is caught.value
        assert untouched(buyer)
        assert till.headers == []

    def test_a_second_time_that_cannot_connect_stays_unresolved(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/paid", till.sells(leave))
        with pytest.raises(PaymentOutcomeUnknown):
            client.request("POST", url)

        def last_words(exchange: Exchange) -> None:
            head, body = till.terms()
            server.stop_listening()
            exchange.answer(402, body, [*head, ("Connection", "close")])
            exchange.leave()

        server.on("/paid", last_words)
        with pytest.raises(PaymentOutcomeUnknown):
            client.request("POST", url)
        assert unresolved(buyer, till.nonces[0])

    @pytest.mark.parametrize("status", [401, 407])
    def test_a_question_for_credentials_is_for_the_library(
        self, client: Client, server: Server, till: Till, buyer: Buyer, status: int
    ) -> None:
        ask = [("WWW-Authenticate", "Basic"), ("Proxy-Authenticate", "Basic")]
        url = server.on("/paid", till.sells(lambda ex, till: ex.answer(status, b"who?", ask), delivered))
        assert client.get(url).status_code == status
        assert len(till.headers) == 1
        assert unresolved(buyer, till.nonces[0])
        assert client.get(url).content == b"the goods"
        assert len(set(till.headers)) == 1

    def test_an_error_amid_the_goods_says_what_became_of_the_money(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/paid", till.sells(cut_body, delivered))
        with pytest.raises(OWN) as caught:
            client.get(url)
        found = outcome(caught.value)
        assert found is not None
        assert found.hold.nonce == till.nonces[0]
        [note] = caught.value.__notes__
        assert "0.01 USD" in note
        assert "presents the same payment again" in note
        assert till.headers[0] not in "".join(traceback.format_exception(caught.value))
        assert client.get(url).content == b"the goods"
        assert len(set(till.headers)) == 1
