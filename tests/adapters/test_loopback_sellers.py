"""Plain http to this machine is paid however soon the seller closes its connection after the 402."""

from __future__ import annotations

from typing import Any

import httpx
import httpx2
import pytest
import requests

from x402_client.adapters.sockets import httpx_leads_here, requests_leads_here
from x402_client.model.hosts import Origin

from .cash_register import Till
from .drivers import Client
from .scripted_server import Exchange, Server


def closing(till: Till, body: bool, reset: bool) -> Any:
    """A seller that is gone as soon as its 402 is sent, as wsgiref and the servers for development are."""

    def answer(exchange: Exchange) -> None:
        head, terms = till.terms()
        exchange.answer(402, terms if body else b"", [*head, ("Connection", "close")])
        exchange.cut() if reset else exchange.leave()

    return answer


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("body", [True, False], ids=["with a body", "without one"])
class TestLoopbackSellers:
    def test_that_close_are_paid(
        self, client: Client, server: Server, till: Till, host: str, body: bool, reset: bool
    ) -> None:
        for number in range(5):
            url = server.on(f"/paid{number}", then(closing(till, body, reset), till.sells()))
            try:
                answer = client.get(url.replace("127.0.0.1", host))
            except (httpx.TransportError, httpx2.TransportError, requests.RequestException, OSError):
                assert reset, "a reset may reach a client before the head does, bare or not"
                continue
            assert answer.content == b"the goods"


def then(first: Any, second: Any) -> Any:
    """Answer requests that pay nothing in one way, and others in another."""

    def answer(exchange: Exchange) -> None:
        (second if exchange.seen.header("payment-signature") or exchange.seen.header("x-payment") else first)(exchange)

    return answer


class Gone:
    """A stream or socket whose far end is gone."""

    def __init__(self, own: str) -> None:
        self.own = own

    def getpeername(self) -> Any:
        raise OSError(107, "not connected")

    def getsockname(self) -> Any:
        return (self.own, 40_000)

    def get_extra_info(self, name: str) -> Any:
        return self.getpeername() if name == "server_addr" else self.getsockname()


@pytest.mark.parametrize("name", ["localhost", "shop.localhost"])
@pytest.mark.parametrize("straight", [True, False])
@pytest.mark.parametrize("own", ["127.0.0.1", "::1", "10.0.0.7"])
def test_our_own_end_shows_a_loop_where_no_proxy_is_between(name: str, straight: bool, own: str) -> None:
    origin = Origin("http", name, 8402)
    stream = Gone(own)
    answer = httpx.Response(402, extensions={"network_stream": stream})
    assert httpx_leads_here(answer, origin, straight) is (straight and own != "10.0.0.7")


def test_a_recorders_socket_shows_nothing_and_breaks_nothing() -> None:
    """Recorders of traffic put an object without these methods in a socket's place."""
    raw: Any = type("Raw", (), {"_connection": type("Connection", (), {"sock": object()})()})()
    answer: Any = type("Answer", (), {"raw": raw})()
    assert not requests_leads_here(answer, Origin("http", "localhost", 80), straight=True)
    assert requests_leads_here(answer, Origin("http", "127.0.0.1", 80), straight=True)
    assert not requests_leads_here(answer, Origin("http", "127.0.0.1", 80), straight=False)
