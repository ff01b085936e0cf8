"""What only aiohttp does: it repeats by itself, shows requests in answers, and has time-outs of its own."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import httpx
import pytest

import x402_client.aiohttp
import x402_client.httpx
from tests.wire.terms import KEY
from x402_client import Buyer, Money, Policy, Wallet, errors
from x402_client.adapters import aiohttp_middleware
from x402_client.errors import ConfigurationError
from x402_client.receipts import outcome
from x402_client.testing import payment_required, payment_response

from .aiohttp_driver import Aiohttp
from .cash_register import PAYMENT, Till, delivered, opens_a_websocket
from .checks import new_buyer, paid, unresolved, untouched
from .drivers import Client, Driver, only
from .scripted_server import Exchange, Server
from .test_failures import Holding
from .test_redirects import payments, settled_and_leads, to

Session = aiohttp.ClientSession
LARGE = b"".join(b"%07d\n" % number for number in range(250_000))


@only(Aiohttp)
class Ours:
    @staticmethod
    def run(client: Client, call: Callable[[Session], Awaitable[Any]]) -> Any:
        """What a coroutine gives on the client's own loop."""
        return client.driver.call(call, client.native)


def lost_once(url: str, then: Callable[[Exchange], Any]) -> Callable[[Exchange], Any]:
    """Closes the connection of the first request unanswered."""
    turns: list[str] = []

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        turns.append(url)
        exchange.leave() if len(turns) == 1 else then(exchange)

    return script


class TestOneCall(Ours):
    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_that_aiohttp_repeats_pays_once(
        self, client: Client, server: Server, till: Till, buyer: Buyer, method: str
    ) -> None:
        url = server.on("/paid", lost_once("/paid", till.sells()))
        assert client.request(method, url, content=b"body").content == b"the goods"
        assert [bool(seen.header(PAYMENT[2])) for seen in server.requests] == [False, False, True]
        assert paid(buyer)

    @pytest.mark.parametrize("way", ["leave", "cut"])
    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_whose_paid_answer_is_lost_is_not_repeated(
        self, client: Client, server: Server, till: Till, buyer: Buyer, method: str, way: str
    ) -> None:
        url = server.on("/paid", till.sells(lambda ex, till: getattr(ex, way)()))
        with pytest.raises(errors.PaymentOutcomeUnknown) as caught:
            client.request(method, url)
        assert isinstance(caught.value, aiohttp.ClientError)
        assert not isinstance(caught.value, (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)), (
            "it repeats these"
        )
        assert len(till.headers) == 1
        assert unresolved(buyer, till.nonces[0])

    def test_led_on_after_paying_pays_no_second_time_though_aiohttp_repeats_the_next_hop(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        server.on("/more", lost_once("/more", till.sells()))
        url = server.on("/paid", till.sells(lambda ex, till: to("/more")(ex)))
        with pytest.raises(errors.PaymentRejected, match="at most once"):
            client.get(url, follow=True)
        assert payments(server) == ["/paid"]
        assert [seen.path for seen in server.requests] == ["/paid", "/paid", "/more", "/more"]
        assert unresolved(buyer, till.nonces[0])

    def test_delivered_where_it_leads_though_aiohttp_repeats_that_hop(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        server.on("/goods", lost_once("/goods", lambda ex: ex.answer(200, b"the goods")))
        url = server.on("/paid", till.sells(settled_and_leads("/goods")))
        assert client.get(url, follow=True).content == b"the goods"
        assert paid(buyer)

    def test_leaves_nothing_behind(self, client: Client, server: Server, till: Till) -> None:
        server.on("/goods", lambda ex: ex.answer(200, b"the goods"))
        url = server.on("/paid", till.sells(settled_and_leads("/goods")))
        gc.collect()
        before = len(aiohttp_middleware._led_on)
        answer = client.get(url, follow=True)
        assert len(aiohttp_middleware._led_on) == before + 1
        del answer
        gc.collect()
        assert len(aiohttp_middleware._led_on) == before

    def test_among_many_at_once_in_one_task_keeps_its_own_hops(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        server.on("/goods", till.sells())
        urls = [server.on(f"/{number}", to("/goods")) for number in range(20)]

        async def all_of_them(session: Session) -> list[bytes]:
            async def one(url: str) -> bytes:
                async with session.get(url) as response:
                    return await response.read()

            return await asyncio.gather(*map(one, urls))

        assert self.run(client, all_of_them) == [b"the goods"] * 20
        assert paid(buyer, 20)


class TestSession(Ours):
    def test_raise_for_status_names_no_payment(self, shell: Driver, server: Server, till: Till) -> None:
        url = server.on("/paid", till.sells(lambda ex, till: ex.answer(500, b"no")))
        for options, said in (({"raise_for_status": True}, {}), ({}, {"raise_for_status": True})):
            client = shell.client(new_buyer(), **options)
            with pytest.raises(aiohttp.ClientResponseError) as caught:
                client.get(url, **said)
            assert caught.value.status == 500
            assert till.headers[-1] not in repr((caught.value, caught.value.request_info, caught.value.history))
            told = outcome(caught.value)
            assert told is not None
            assert told.hold.price == Money("0.01")

    def test_raise_for_status_does_not_see_the_402_that_is_paid(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        client = shell.client(buyer, raise_for_status=True)
        assert client.get(server.on("/paid", till.sells())).content == b"the goods"
        assert paid(buyer)

    def test_raise_for_status_sees_a_refusal_that_is_returned(self, shell: Driver, server: Server, till: Till) -> None:
        client = shell.client(new_buyer(Policy(per_request="0.001"), on_refusal="return"), raise_for_status=True)
        with pytest.raises(aiohttp.ClientResponseError, match="402"):
            client.get(server.on("/paid", till.sells()))
        assert client.quote("GET", server.url("/paid")).choice is None

    def test_traces_see_no_payment(self, shell: Driver, server: Server, till: Till, buyer: Buyer) -> None:
        told: list[str] = []
        config = aiohttp.TraceConfig()

        async def note(session: Any, context: Any, said: Any) -> None:
            told.append(f"{said!r} {getattr(said, 'headers', '')!r}")

        for name in dir(config):
            if name.startswith("on_"):
                getattr(config, name).append(note)
        client = shell.client(buyer, trace_configs=[config])
        url = server.on("/paid", till.sells(lambda ex, till: ex.cut(), delivered))
        with pytest.raises(errors.PaymentOutcomeUnknown):
            client.request("POST", url, content=b"x")
        client.request("POST", url, content=b"x")
        assert sum("TraceRequestHeadersSentParams" in one for one in told) == 4
        assert not [one for one in told if till.headers[0] in one or "PAYMENT-SIGNATURE" in one.upper()]

    def test_other_middlewares_see_one_request_and_no_payment(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        seen: list[tuple[int, bool]] = []

        async def other(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
            request.headers["X-Other"] = "added"
            response: aiohttp.ClientResponse = await handler(request)
            seen.append((response.status, PAYMENT[2] in request.headers or PAYMENT[2] in response.request_info.headers))
            return response

        client = shell.client(buyer, middlewares=[other])
        assert client.get(server.on("/paid", till.sells())).content == b"the goods"
        assert seen == [(200, False)]
        assert [seen.header("x-other") for seen in server.requests] == ["added", "added"]

    def test_middlewares_of_a_request_go_round_ours(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/paid", till.sells())
        assert client.get(url, middlewares=()).status_code == 402
        assert untouched(buyer)
        assert client.get(url, middlewares=None).status_code == 200
        with pytest.raises(ConfigurationError, match="does not pay"):
            client.quote("GET", url, middlewares=())

    def test_responses_keep_their_class(self, shell: Driver, server: Server, till: Till, buyer: Buyer) -> None:
        class Own(aiohttp.ClientResponse):
            async def shout(self) -> str:
                return (await self.text()).upper()

        client = shell.client(buyer, response_class=Own)
        url = server.on("/paid", till.sells())

        async def shouted(session: Session) -> tuple[str, str]:
            async with session.get(url) as response:
                assert isinstance(response, Own)
                return await response.shout(), type(response).__name__

        assert self.run(client, shouted) == ("THE GOODS", "Own")

    def test_a_websocket_is_delivered_when_it_is_open(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/socket", till.sells(opens_a_websocket))

        async def connect(session: Session) -> Any:
            async with session.ws_connect(url) as socket:
                assert paid(buyer, len(till.headers))
                found = outcome(socket._response)
                assert found is not None
                return (await socket.receive()).data, found.money

        assert self.run(client, connect) == ("hello", "spent")
        assert self.run(client, connect) == ("hello", "spent")
        assert paid(buyer, 2)
        assert len(set(till.headers)) == 2

    def test_a_websocket_that_does_not_open_is_not_delivered(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/socket", till.sells(lambda ex, till: ex.answer(503), opens_a_websocket))

        async def connect(session: Session) -> Any:
            async with session.ws_connect(url) as socket:
                return (await socket.receive()).data

        with pytest.raises(aiohttp.WSServerHandshakeError):
            self.run(client, connect)
        assert unresolved(buyer, till.nonces[0])
        assert self.run(client, connect) == "hello"
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    def test_the_outcome_is_an_attribute(self, client: Client, server: Server, till: Till) -> None:
        response = client.get(server.on("/paid", till.sells())).native
        assert response.x402 is outcome(response) is x402_client.aiohttp.outcome(response)
        assert response.x402.money == "spent"

    def test_a_proxy_at_the_port_of_the_address_is_not_this_machine(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        server.fallback = till.sells()
        with pytest.raises(errors.HostNotAllowed, match="was not seen to end on this machine"):
            shell.client(buyer, proxy=server.url()).get(server.url("/paid"))
        assert untouched(buyer)

    def test_proxy_headers_go_through_one_tunnel(self, shell: Driver, server: Server, till: Till, buyer: Buyer) -> None:
        """Connecting writes into them, and a pool finds connections by their hash."""
        proxy = Server()
        proxy.fallback = till.sells()
        policy = Policy(per_request="0.05", http_hosts=["seller.example"])
        client = shell.client(new_buyer(policy), proxy=proxy.url())
        said = {"proxy_headers": {"X-Proxy": "mine"}}
        for _ in range(2):
            assert client.get("http://seller.example/paid", **said).content == b"the goods"
        proxy.close()
        assert len(till.headers) == 2
        assert proxy.connections == 1


class TestWrap(Ours):
    @pytest.mark.parametrize(
        ("face", "given", "wanted"),
        [
            (x402_client.aiohttp, httpx.AsyncClient, r"use x402_client\.httpx\.wrap"),
            (x402_client.aiohttp, dict, r"wrap takes an aiohttp\.ClientSession, not dict"),
            (x402_client.httpx, Session, r"use x402_client\.aiohttp\.wrap"),
        ],
    )
    def test_a_client_of_another_library_is_told_where_to_go(
        self, client: Client, buyer: Buyer, face: Any, given: Any, wanted: str
    ) -> None:
        thing = client.native if given is Session else given()
        with pytest.raises(ConfigurationError, match=wanted):
            face.wrap(thing, buyer)

    def test_no_buyer_is_refused(self, client: Client) -> None:
        with pytest.raises(ConfigurationError, match="buyer is a Buyer or an Allowance, not str"):
            x402_client.aiohttp.wrap(client.native, "buyer")  # type: ignore[arg-type]

    def test_the_callers_own_list_of_middlewares_is_left_alone(self, shell: Driver, buyer: Buyer) -> None:
        own: list[Any] = []
        shell.client(buyer, middlewares=own)
        assert own == []

    @pytest.mark.parametrize("version", ["3.12.15", "3.14.3", "4.0.0a1"])
    def test_another_aiohttp_is_named(
        self, shell: Driver, buyer: Buyer, version: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session = shell.client().native
        monkeypatch.setattr(aiohttp, "__version__", version)
        with pytest.raises(ConfigurationError, match=rf"aiohttp {version}, and x402_client works with aiohttp>=3"):
            x402_client.aiohttp.wrap(session, buyer)

    def test_an_aiohttp_with_other_private_names_is_named(
        self, shell: Driver, buyer: Buyer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session = shell.client().native
        monkeypatch.delattr(aiohttp.ClientResponse, "_raw_cookie_headers")
        monkeypatch.delattr(aiohttp.ClientRequest, "terminate")
        with pytest.raises(
            ConfigurationError, match=r"no ClientRequest\.terminate, ClientResponse\._raw_cookie_headers"
        ):
            x402_client.aiohttp.wrap(session, buyer)


class TestTime(Ours):
    def slow(self, till: Till, seconds: float) -> Callable[[Exchange], Any]:
        """Takes its time for the first payment, and none for later ones."""
        return till.sells(lambda ex, till: (time.sleep(seconds), delivered(ex, till)), delivered)

    def test_a_payment_has_time_to_settle(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        url = server.on("/paid", self.slow(till, 0.5))
        assert client.get(url, timeout=aiohttp.ClientTimeout(sock_read=0.2)).content == b"the goods"
        assert paid(buyer)

    def test_total_covers_the_payment_too(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        url = server.on("/paid", self.slow(till, 1.0))

        async def ask(session: Session) -> int:
            with pytest.raises(errors.PaymentOutcomeUnknown) as caught:
                await session.get(url, timeout=aiohttp.ClientTimeout(total=0.4))
            assert isinstance(caught.value.__cause__, TimeoutError)
            task = asyncio.current_task()
            assert task is not None
            return task.cancelling()

        assert self.run(client, ask) == 0
        assert unresolved(buyer, till.nonces[0])
        assert client.get(url).content == b"the goods"
        assert len(set(till.headers)) == 1

    @pytest.mark.parametrize("answer", ["none", "402", "503"])
    @pytest.mark.parametrize("method", ["GET", "POST"], ids=["in a pause", "while the chain is asked"])
    def test_total_that_is_up_while_something_of_ours_is_awaited(
        self, shell: Driver, server: Server, till: Till, method: str, answer: str
    ) -> None:
        """aiohttp itself sees a bare cancellation there too."""

        class Slow:
            async def read(self, hold: Any) -> str:
                await asyncio.sleep(5)
                return "unknown"

        def no(exchange: Exchange, till: Till) -> None:
            if answer == "none":
                exchange.leave()
            elif answer == "402":
                till.challenge(exchange)
            else:
                exchange.answer(503, b"later")

        buyer = new_buyer(repeat=("GET",), **({"reader": Slow()} if method == "POST" else {}))
        client = shell.client(buyer)
        url = server.on("/paid", till.sells(no, delivered))
        expected = errors.PaymentRejected if (method, answer) == ("POST", "402") else errors.PaymentOutcomeUnknown

        async def ask(session: Session) -> int:
            limit = aiohttp.ClientTimeout(total=0.2)
            if answer == "503":
                response = await session.request(method, url, timeout=limit)
                assert (response.status, outcome(response).money) == (503, "unknown")  # type: ignore[union-attr]
            else:
                with pytest.raises(expected) as caught:
                    await session.request(method, url, timeout=limit)
                assert isinstance(caught.value, TimeoutError) is (method == "GET")
            task = asyncio.current_task()
            assert task is not None
            return task.cancelling()

        assert self.run(client, ask) == 0
        assert unresolved(buyer, till.nonces[0])
        assert client.request(method, url).content == b"the goods"
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    @pytest.mark.parametrize("status", [404, 503])
    def test_an_answer_that_is_kept_stays_readable_when_its_connection_falls_silent(
        self, shell: Driver, server: Server, till: Till, status: int
    ) -> None:
        """The payment is presented again on the same connection, and aiohttp gives its time-out to that content."""
        holding = Holding()
        buyer = new_buyer(repeat=("GET",), settle_timeout=0.2)
        url = server.on("/paid", till.sells(lambda ex, till: ex.answer(status, b"no"), holding))
        answer = shell.client(buyer).get(url, timeout=aiohttp.ClientTimeout(sock_read=0.2))
        holding.over.set()
        assert (answer.status_code, answer.content) == (status, b"no")
        assert len(till.headers) == 2
        assert unresolved(buyer, till.nonces[0])

    def test_total_that_is_up_before_there_is_a_connection(
        self, client: Client, server: Server, till: Till, buyer: Buyer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """aiohttp itself sees a bare cancellation there, and nobody would say what became of the payment."""
        connect, calls = aiohttp.TCPConnector.connect, list[Any]()

        async def late(connector: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append(request)
            if len(calls) == 2:
                await asyncio.sleep(5)
            return await connect(connector, request, *args, **kwargs)

        monkeypatch.setattr(aiohttp.TCPConnector, "connect", late)
        url = server.on("/paid", till.sells())
        with pytest.raises(errors.PaymentNotSent) as caught:
            client.get(url, timeout=aiohttp.ClientTimeout(total=0.4))
        assert isinstance(caught.value, TimeoutError)
        assert (caught.value.money, till.headers, buyer.holds()) == ("untouched", [], ())
        assert client.get(url).content == b"the goods"
        assert paid(buyer)

    def test_a_time_limit_of_the_callers_own_is_that(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/paid", self.slow(till, 1.0))

        async def ask(session: Session) -> bool:
            limit = asyncio.timeout(0.4)
            with pytest.raises(TimeoutError):
                async with limit:
                    await session.get(url)
            return limit.expired()

        assert self.run(client, ask) is True
        assert unresolved(buyer, till.nonces[0])

    def test_a_402_that_drips_ends_by_total(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        holding = Holding()

        def drip(exchange: Exchange) -> None:
            exchange.head(402, till.terms()[0], length=100)
            holding(exchange)

        with pytest.raises(TimeoutError) as caught:
            client.get(server.on("/paid", drip), timeout=aiohttp.ClientTimeout(total=0.3))
        holding.over.set()
        assert errors.find(caught.value) is None
        assert untouched(buyer)


class TestFailures(Ours):
    def kinds(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What the courier says of each failure."""
        found: list[str] = []
        failed = aiohttp_middleware.AsyncCourier.failed

        def noting(courier: Any, failure: Exception) -> Any:
            found.append(failed(courier, failure))
            return found[-1]

        monkeypatch.setattr(aiohttp_middleware.AsyncCourier, "failed", noting)
        return found

    @pytest.mark.parametrize(
        ("then", "kind"),
        [
            (lambda ex, till: ex.leave(), "lost"),
            (lambda ex, till: ex.cut(), "lost"),
            (lambda ex, till: ex.send(b"nonsense\r\n\r\n"), "lost"),
            (lambda ex, till: time.sleep(0.6), "timeout"),
        ],
        ids=["left", "reset", "nonsense", "silent"],
    )
    def test_after_sending(
        self, shell: Driver, server: Server, till: Till, monkeypatch: pytest.MonkeyPatch, then: Any, kind: str
    ) -> None:
        found, client = self.kinds(monkeypatch), shell.client(new_buyer(settle_timeout=0.2))
        with pytest.raises(errors.PaymentOutcomeUnknown):
            client.get(server.on("/paid", till.sells(then)), timeout=0.2)
        assert found == [kind]

    @pytest.mark.parametrize("gone", ["server", "pool"])
    def test_before_a_connection(
        self, shell: Driver, server: Server, till: Till, monkeypatch: pytest.MonkeyPatch, gone: str
    ) -> None:
        found, client = self.kinds(monkeypatch), shell.client(new_buyer())

        def last_words(exchange: Exchange) -> None:
            exchange.keep = False
            if gone == "server":
                server.stop_listening()
            exchange.answer(402, till.terms()[1], [*till.terms()[0], ("Connection", "close")])

        url = server.on("/paid", last_words)
        if gone == "pool":
            connect, calls = aiohttp.TCPConnector.connect, list[Any]()

            async def late(connector: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
                calls.append(request)
                if len(calls) == 2:
                    raise TimeoutError
                return await connect(connector, request, *args, **kwargs)

            monkeypatch.setattr(aiohttp.TCPConnector, "connect", late)
        with pytest.raises(errors.PaymentNotSent) as caught:
            client.get(url)
        assert isinstance(caught.value, aiohttp.ClientConnectionError if gone == "server" else TimeoutError)
        assert found == ["not_sent"]
        assert till.headers == []

    @pytest.mark.parametrize("answer", [b"nonsense %b\r\n\r\n", b"HTTP/1.1 200 OK\r\nbad %b\r\n\r\n"])
    def test_a_head_that_repeats_the_payment(self, client: Client, server: Server, till: Till, answer: bytes) -> None:
        """aiohttp quotes what it cannot read."""
        url = server.on("/paid", till.sells(lambda ex, till: ex.send(answer % till.headers[0].encode())))
        with pytest.raises(errors.PaymentOutcomeUnknown) as caught:
            client.get(url)
        assert till.headers[0] not in "".join(f"{link!r} {link}" for link in errors.causes(caught.value))


@pytest.mark.parametrize("to", ["file:///x", "http://[::1"])
def test_a_paid_redirect_that_leads_nowhere_tells_of_the_money(to: str) -> None:
    def sell(one: Exchange) -> None:
        if one.seen.header("payment-signature") is None:
            one.answer(402, b"", list(payment_required("0.01")["headers"].items()))
        else:
            one.answer(302, b"", [*payment_response(b"")["headers"].items(), ("Location", to)])

    async def call(url: str) -> None:
        buyer = Buyer(Wallet(evm=KEY), Policy(per_day="5"), ledger=":memory:", rpc={}, repeat=())
        async with x402_client.aiohttp.wrap(aiohttp.ClientSession(), buyer) as session:
            with pytest.raises(aiohttp.ClientError) as caught:
                await session.get(url)
        told = outcome(caught.value)
        assert told is not None
        assert [told.hold.id] == [hold.id for hold in await buyer.aholds()]

    with Server() as server:
        asyncio.run(call(server.on("/", sell)))
