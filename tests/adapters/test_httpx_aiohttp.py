"""httpx clients over aiohttp's connections: the transport of httpx-aiohttp, which is no transport of httpx's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import pytest

from x402_client import Buyer, errors
from x402_client.adapters.failures import links
from x402_client.adapters.sockets import connects_straight

from . import (
    test_bodies,
    test_concurrency,
    test_headers,
    test_loopback_sellers,
    test_paying,
    test_redirects,
    test_streams,
    test_under_way,
)
from .cash_register import Till, delivered
from .checks import new_buyer, paid, unresolved, without_payment
from .drivers import HttpxOverAiohttp, only
from .scripted_server import Exchange, Server
from .test_failures import Holding, garbage, leave, reset

over_aiohttp = only(HttpxOverAiohttp)


class Echo:
    """Answers with the payment, in a head that makes no sense."""

    def __call__(self, exchange: Exchange, *_: Any) -> None:
        exchange.read_body()
        (payment,) = (value for name, value in exchange.seen.lines if "payment" in name.lower())
        exchange.send(payment.encode() + b"\r\n\r\n")
        exchange.leave()


@over_aiohttp
class TestPaying(test_paying.TestPaying):
    """What pays with httpx's own transport pays with this one."""


@over_aiohttp
class TestStreams(test_streams.TestStreams):
    """Streams stay streams."""


@over_aiohttp
class TestRedirects(test_redirects.TestRedirects):
    """One call pays at most once, wherever it is led."""


@over_aiohttp
class TestConcurrency(test_concurrency.TestConcurrency):
    """Many at once."""


@over_aiohttp
class TestLoopbackSellers(test_loopback_sellers.TestLoopbackSellers):
    """Plain http to this machine is paid."""


@over_aiohttp
class TestOwnWord(test_under_way.TestOwnWord):
    """What callers say of a delivery."""


@over_aiohttp
class TestBodies(test_bodies.TestBodies):
    """Bodies arrive whole, and framed alike on both legs."""


@over_aiohttp
class TestCookies(test_headers.TestCookies):
    """The cookies of a 402."""


@over_aiohttp
class TestFailures:
    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    def test_a_payment_without_a_body_is_sent_without_one(
        self, shell: HttpxOverAiohttp, server: Server, till: Till, buyer: Buyer, method: str
    ) -> None:
        url = server.on("/paid", till.sells())
        shell.client(buyer).request(method, url)
        first, second = server.at("/paid")
        assert without_payment(second) == first.lines
        assert second.framed == b""

    def test_a_connection_that_cannot_be_made_for_the_payment_proves_nothing(
        self, shell: HttpxOverAiohttp, server: Server, till: Till, buyer: Buyer
    ) -> None:
        """aiohttp repeats a request by itself, so its error may be of a second try, and the payment left in the first.

        DESIGN: "by the library's own transport making one try ... no foreign inner transport".
        """
        client = shell.client(buyer)

        def terms_and_away(exchange: Exchange) -> None:
            head, terms = till.terms()
            exchange.answer(402, terms, [*head, ("Connection", "close")])
            server.stop_listening()
            exchange.leave()

        url = server.on("/paid", terms_and_away)
        with pytest.raises(errors.PaymentOutcomeUnknown) as caught:
            client.get(url)
        assert isinstance(caught.value, httpx.ConnectError | httpx.ConnectTimeout)
        assert caught.value.money == "unknown"
        (hold,) = buyer.holds()
        assert hold.nonce == caught.value.hold.nonce

    @pytest.mark.parametrize("script", [leave, reset])
    def test_what_aiohttp_repeats_by_itself_is_one_payment(
        self, shell: HttpxOverAiohttp, server: Server, till: Till, buyer: Buyer, script: Any
    ) -> None:
        url = server.on("/paid", till.sells(script, delivered))
        assert shell.client(buyer).get(url).status_code == 200
        assert len(till.nonces) == 2
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    @pytest.mark.parametrize("script", [leave, reset, garbage, Echo()])
    def test_no_answer_to_a_payment_leaves_it_open_and_shows_it_nowhere(
        self, shell: HttpxOverAiohttp, server: Server, till: Till, buyer: Buyer, script: Any
    ) -> None:
        url = server.on("/paid", till.sells(script, delivered))
        client = shell.client(buyer)
        with pytest.raises(errors.PaymentOutcomeUnknown) as caught:
            client.request("POST", url, content=b"ab")
        assert unresolved(buyer, till.nonces[0])
        for seen in links(caught.value):
            shown = f"{seen!r} {seen} {vars(seen)}"
            assert till.headers[0] not in shown
            assert till.headers[0][-60:] not in shown
        assert client.request("POST", url, content=b"ab").content
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    def test_a_time_out_is_the_librarys_own(self, shell: HttpxOverAiohttp, server: Server, till: Till) -> None:
        holding, buyer = Holding(), new_buyer(settle_timeout=None)
        url = server.on("/paid", till.sells(holding, delivered))
        client = shell.client(buyer)
        with pytest.raises(httpx.ReadTimeout) as caught:
            client.get(url, timeout=0.5)
        holding.over.set()
        assert isinstance(caught.value, errors.PaymentOutcomeUnknown)
        assert unresolved(buyer, till.nonces[0])
        assert client.get(url).status_code == 200
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    def test_the_payment_waits_for_settlement_though_the_client_is_impatient(
        self, shell: HttpxOverAiohttp, server: Server, till: Till, buyer: Buyer
    ) -> None:
        def late(exchange: Exchange, till: Till) -> None:
            time.sleep(0.8)
            delivered(exchange, till)

        url = server.on("/paid", till.sells(late))
        assert shell.client(buyer).get(url, timeout=0.4).status_code == 200

    def test_through_a_proxy_plain_http_is_not_paid(
        self, shell: HttpxOverAiohttp, server: Server, till: Till, buyer: Buyer
    ) -> None:
        server.fallback = till.sells()
        client = shell.client(buyer, proxy=httpx.Proxy(server.url("")))
        with pytest.raises(errors.HostNotAllowed):
            client.get("http://127.0.0.1:9/paid")


class Elsewhere(aiohttp.ThreadedResolver):
    """Leads names wherever it likes."""


class Tunnel(aiohttp.TCPConnector):
    """Connects as it likes."""


with pytest.deprecated_call():

    class ThroughProxy(aiohttp.ClientSession):
        """Sends all through a proxy of its own."""

        async def _request(self, *args: Any, **keywords: Any) -> Any:
            return await super()._request(*args, **{**keywords, "proxy": "http://127.0.0.1:9"})


async def middleware(request: Any, handler: Any) -> Any:
    return await handler(request)


SESSIONS: dict[str, tuple[Callable[[], aiohttp.ClientSession], bool]] = {
    "plain": (lambda: aiohttp.ClientSession(), True),
    "own limits": (lambda: aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)), True),
    "proxy": (lambda: aiohttp.ClientSession(proxy="http://127.0.0.1:9"), False),
    "environment": (lambda: aiohttp.ClientSession(trust_env=True), False),
    "subclass": (lambda: ThroughProxy(), False),
    "unix": (lambda: aiohttp.ClientSession(connector=aiohttp.UnixConnector("/tmp/nobody")), False),
    "connector": (lambda: aiohttp.ClientSession(connector=Tunnel()), False),
    "resolver": (lambda: aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Elsewhere())), False),
    "middleware": (lambda: aiohttp.ClientSession(middlewares=(middleware,)), False),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_that_may_lead_elsewhere_is_not_known_to_lead_here(name: str) -> None:
    transport_class = pytest.importorskip("httpx_aiohttp").AiohttpTransport
    make, straight = SESSIONS[name]

    async def judged() -> bool:
        async with make() as session:
            return connects_straight(transport_class(client=session))

    assert asyncio.run(judged()) is straight


@pytest.mark.parametrize(
    ("said", "straight"),
    [({}, True), ({"uds": "/tmp/nobody"}, False), ({"proxy": httpx.Proxy("http://127.0.0.1:9")}, False),
     ({"client": lambda: None}, False)],
)  # fmt: skip
def test_before_the_first_request_the_settings_show_it(said: dict[str, Any], straight: bool) -> None:
    assert connects_straight(pytest.importorskip("httpx_aiohttp").AiohttpTransport(**said)) is straight


def test_a_transport_of_somebody_elses_is_not_known_to_lead_anywhere() -> None:
    class AiohttpTransport(httpx.AsyncBaseTransport):
        client = proxy = uds = None

    assert not connects_straight(AiohttpTransport())
