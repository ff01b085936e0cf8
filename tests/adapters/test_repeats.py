"""One call presents its payment once more, where nothing can be bought twice by it."""

from __future__ import annotations

from typing import Any

import pytest

from x402_client import Buyer, Policy, Wallet, errors

from .cash_register import KEY, Till, delivered
from .checks import outcome, paid, unresolved
from .drivers import Client, Driver
from .scripted_server import Exchange, Server

pytestmark = pytest.mark.slow


def cut(exchange: Exchange, till: Till) -> None:
    exchange.cut()


def again(exchange: Exchange, till: Till) -> None:
    till.challenge(exchange)


def busy(exchange: Exchange, till: Till) -> None:
    exchange.answer(503, b"busy")


def missing(exchange: Exchange, till: Till) -> None:
    exchange.answer(404, b"nothing here")


class TestRepeats:
    @pytest.fixture
    def eager(self) -> Buyer:
        """As users make one."""
        return Buyer(Wallet(evm=KEY), Policy(per_request="0.05", per_day="50"))

    @pytest.fixture
    def payer(self, shell: Driver, eager: Buyer) -> Client:
        return shell.client(eager)

    @pytest.mark.parametrize(
        ("thens", "sends"),
        [
            ([cut, delivered], 2),
            ([busy, cut, delivered], 3),
            ([again, delivered], 2),
            ([missing, delivered], 2),
            ([again, busy, delivered], 3),
        ],
    )
    def test_the_caller_sees_the_content_alone(
        self, payer: Client, server: Server, till: Till, eager: Buyer, thens: Any, sends: int
    ) -> None:
        response = payer.get(server.on("/paid", till.sells(*thens)))
        assert (response.status_code, response.content) == (200, b"the goods")
        assert len(till.headers) == sends
        assert len(set(till.headers)) == 1
        assert paid(eager)

    @pytest.mark.parametrize(
        ("thens", "sends", "status", "body"),
        [
            ([busy], 3, 503, b"busy"),
            ([missing], 2, 404, b"nothing here"),
            ([busy, again], 2, 503, b"busy"),
            ([missing, cut], 3, 404, b"nothing here"),
        ],
    )
    def test_or_the_answer_that_came(
        self,
        payer: Client,
        shell: Driver,
        server: Server,
        till: Till,
        eager: Buyer,
        thens: Any,
        sends: int,
        status: int,
        body: bytes,
    ) -> None:
        response = payer.get(server.on("/paid", till.sells(*thens)))
        assert (response.status_code, response.content) == (status, body)
        found = outcome(shell, response)
        assert found.money == ("held" if thens == [missing] else "unknown")
        assert len(till.headers) == sends
        assert unresolved(eager, till.nonces[0])

    @pytest.mark.parametrize(
        ("thens", "sends", "error"),
        [
            ([cut], 3, errors.PaymentOutcomeUnknown),
            ([cut, again], 2, errors.PaymentOutcomeUnknown),
            ([again], 2, errors.PaymentRejected),
        ],
    )
    def test_or_an_error(
        self, payer: Client, server: Server, till: Till, eager: Buyer, thens: Any, sends: int, error: Any
    ) -> None:
        with pytest.raises(error):
            payer.get(server.on("/paid", till.sells(*thens)))
        assert len(till.headers) == sends
        assert len(set(till.headers)) == 1
        assert unresolved(eager, till.nonces[0])

    def test_a_body_goes_along_each_time(self, payer: Client, server: Server, till: Till, eager: Buyer) -> None:
        bodies: list[bytes] = []

        def script(exchange: Exchange) -> None:
            bodies.append(exchange.read_body())
            if not till.took(exchange.seen):
                till.challenge(exchange)
            elif len(till.headers) < 3:
                exchange.cut()
            else:
                delivered(exchange, till)

        response = payer.request("PUT", server.on("/paid", script), content=payer.driver.chunks([b"one", b"two"]))
        assert response.status_code == 200
        assert bodies == [b"onetwo"] * 4
        assert paid(eager)

    def test_a_post_is_presented_once(self, payer: Client, server: Server, till: Till, eager: Buyer) -> None:
        url = server.on("/paid", till.sells(cut, delivered))
        with pytest.raises(errors.PaymentOutcomeUnknown):
            payer.request("POST", url, content=b"order")
        assert payer.request("POST", url, content=b"order").status_code == 200
        assert len(till.headers) == 2
        assert len(set(till.headers)) == 1
        assert paid(eager)

    def test_one_connection_is_enough(self, shell: Driver, server: Server, till: Till, eager: Buyer) -> None:
        payer = shell.client(eager, **shell.single())
        assert payer.get(server.on("/paid", till.sells(busy, busy, delivered))).content == b"the goods"
        assert payer.get(server.on("/more", till.sells(again, delivered))).content == b"the goods"
        assert server.connections == 1
