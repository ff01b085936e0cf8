"""The first request of a call names its purchase, in every library and wherever a seller's redirects lead."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import httpx
import pytest

import x402_client.httpx
from x402_client import Buyer, Limit, Policy
from x402_client.errors import BodyNotReplayable, PaymentOutcomeUnknown, PaymentRefused, find
from x402_client.wire import Bounds

from .aiohttp_driver import Aiohttp
from .cash_register import PAYMENT, Then, Till, delivered
from .checks import new_buyer, paid, untouched
from .drivers import Client, Driver, Httpx, Requests, only
from .scripted_server import Exchange, Script, Seen, Server
from .test_failures import reset
from .test_redirects import to

SETTLE_AND_DROP: Then = lambda ex, till: reset(ex)  # noqa: E731


def leading_on(where: Callable[[int], str], status: int = 302) -> Script:
    """Lead to another place each time."""
    turns = itertools.count()
    return lambda ex: ex.answer(status, b"", [("Location", where(next(turns)))])


def fails(client: Client, method: str, url: str, **said: Any) -> BaseException:
    with pytest.raises(Exception) as caught:
        client.request(method, url, follow=True, **said)
    return caught.value


def tool(number: int, city: str = "Bern") -> dict[str, Any]:
    params = {"name": "weather", "arguments": {"city": city}, "_meta": {"progressToken": number}}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def goods(exchange: Exchange, till: Till) -> None:
    """Deliver in the way that the request is answered: a tool call by its result."""
    body = exchange.read_body()
    if not body.startswith(b"{"):
        return delivered(exchange, till)
    content = [{"type": "text", "text": "the goods"}]
    answer = {"jsonrpc": "2.0", "id": json.loads(body)["id"], "result": {"content": content}}
    return exchange.answer(200, json.dumps(answer).encode(), [till.receipt()])


class TestRetries:
    """What a client draws anew for each try is the same purchase; all else is another one."""

    BODIES: ClassVar[dict[str, Callable[[int], dict[str, Any]]]] = {
        "json-rpc": lambda turn: {"json": tool(turn)},
        "multipart": lambda turn: {"files": {"f": ("f.txt", b"pay 10")}, "data": {"a": "b"}},
    }

    @pytest.mark.parametrize("status", [None, 303, 307])
    @pytest.mark.parametrize("body", BODIES)
    def test_a_retry_is_the_same_purchase(
        self, client: Client, server: Server, till: Till, buyer: Buyer, body: str, status: int | None
    ) -> None:
        server.on("/paid", till.sells(SETTLE_AND_DROP, SETTLE_AND_DROP, goods))
        url = server.url("/paid") if status is None else server.on("/from", to("/paid", status))
        for turn in range(2):
            assert isinstance(fails(client, "POST", url, **self.BODIES[body](turn)), PaymentOutcomeUnknown)
        assert b"the goods" in client.request("POST", url, follow=True, **self.BODIES[body](3)).content
        assert len(set(till.nonces)) == 1
        assert paid(buyer)

    def test_in_another_spelling_of_its_url_it_is_the_same_purchase(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        seen = till.sells(SETTLE_AND_DROP, delivered)
        url = server.on("/paid", seen)
        assert isinstance(fails(client, "GET", f"{url}?me=%7ea&tags=[1]"), PaymentOutcomeUnknown)
        assert client.request("GET", f"{url}?me=~a&tags=%5b1%5D").content == b"the goods"
        assert len(set(till.nonces)) == 1
        assert paid(buyer)

    def test_version_0_1_named_it_by_the_spelling_that_was_sent(self, server: Server, till: Till) -> None:
        url, buyer = server.on("/paid", till.sells(SETTLE_AND_DROP)), new_buyer(ledger=":memory:")
        client = x402_client.httpx.wrap(httpx.Client(trust_env=False), buyer)
        with client, pytest.raises(PaymentOutcomeUnknown):
            client.get(f"{url}?me=%7ea")
        [hold] = buyer.holds()
        named = f"GET\nhttp://127.0.0.1:{server.port}\n/paid?me=%7ea\n".encode() + b"\0" + hashlib.sha256(b"").digest()
        assert hold.purchase.former is not None
        assert hold.purchase.former[1] == hashlib.sha256(named).hexdigest()

    OTHERS: ClassVar[dict[str, dict[str, Any]]] = {
        "json-rpc": {"json": tool(0, "Basel")},
        "multipart": {"files": {"f": ("f.txt", b"pay 110")}, "data": {"a": "b"}},
    }

    @pytest.mark.parametrize("status", [None, 303, 307])
    @pytest.mark.parametrize("body", BODIES)
    def test_another_body_is_another_purchase(
        self, client: Client, server: Server, till: Till, buyer: Buyer, body: str, status: int | None
    ) -> None:
        server.on("/paid", till.sells(SETTLE_AND_DROP, goods))
        url = server.url("/paid") if status is None else server.on("/from", to("/paid", status))
        fails(client, "POST", url, **self.BODIES[body](0))
        assert b"the goods" in client.request("POST", url, follow=True, **self.OTHERS[body]).content
        assert len(set(till.nonces)) == 2
        assert len(buyer.holds()) == 1

    def test_headers_that_the_buyer_names_are_part_of_the_purchase(
        self, shell: Driver, server: Server, till: Till
    ) -> None:
        buyer = new_buyer(identity_headers=["X-Tenant"])
        client = shell.client(buyer)
        server.on("/paid", till.sells(SETTLE_AND_DROP, delivered))
        url = server.on("/from", leading_on(lambda turn: f"/paid?{turn}"))
        fails(client, "GET", url, headers={"X-Tenant": "one"})
        for tenant in ("two", "one"):
            assert client.request("GET", url, follow=True, headers={"x-tenant": tenant}).content == b"the goods"
        assert len(set(till.nonces)) == 2
        assert paid(buyer, 2)


class TestFreeRedirects:
    """A redirect that costs nothing goes on as without us, whatever its request carried."""

    def bodies(self, shell: Driver) -> dict[str, Any]:
        def broken() -> Iterator[bytes]:
            yield b"one"
            yield b"two"

        return {"large": shell.chunks([b"x" * 100] * 40), "small": shell.chunks(broken()), "bytes": b"x" * 4000}

    @pytest.mark.parametrize("name", ["large", "small", "bytes"])
    def test_it_is_followed(self, shell: Driver, server: Server, name: str) -> None:
        buyer = new_buyer(bounds=Bounds(kept_body=1000))
        server.on("/free", lambda ex: ex.answer(200, b"free"))
        url = server.on("/from", to("/free", 303))
        body = self.bodies(shell)[name]
        assert shell.client(buyer).request("POST", url, content=body, follow=True).content == b"free"
        assert untouched(buyer)

    def test_what_is_too_large_to_be_kept_is_refused_at_the_402(
        self, shell: Driver, server: Server, till: Till
    ) -> None:
        buyer = new_buyer(bounds=Bounds(kept_body=1000))
        server.on("/paid", till.sells())
        url = server.on("/from", to("/paid", 303))
        client = shell.client(buyer)
        assert isinstance(fails(client, "POST", url, content=self.bodies(shell)["large"]), BodyNotReplayable)
        assert untouched(buyer)
        small = client.request("POST", url, content=self.bodies(shell)["small"], follow=True)
        assert small.content == b"the goods"
        assert paid(buyer)

    @only(Httpx)
    def test_a_file_that_was_half_sent_stands_where_it_stood(self, shell: Driver, buyer: Buyer) -> None:
        class Hasty(httpx.BaseTransport):
            """Answers before it read the whole request."""

            def handle_request(self, request: httpx.Request) -> httpx.Response:
                if request.url.path == "/free":
                    return httpx.Response(200)
                assert isinstance(request.stream, httpx.SyncByteStream)
                next(iter(request.stream))
                return httpx.Response(302, headers={"Location": "/free"})

        left = []
        for transport in (Hasty(), x402_client.httpx.PaymentTransport(buyer, Hasty())):
            file = io.BytesIO(b"x" * 200_000)
            with httpx.Client(transport=transport, follow_redirects=True) as client:
                assert client.request("POST", "https://a.example/from", content=file).status_code == 200
            left.append(file.tell())
        assert left[0] == left[1] < 200_000

    @only(Httpx)
    @pytest.mark.parametrize("status", [303, 307])
    def test_a_body_that_was_not_read_is_left_alone(self, shell: Driver, till: Till, buyer: Buyer, status: int) -> None:
        class Lazy(httpx.BaseTransport):
            """Reads a body where it is wanted, and no sooner."""

            def handle_request(self, request: httpx.Request) -> httpx.Response:
                if request.url.path == "/from":
                    return httpx.Response(status, headers={"Location": "/paid"})
                body, headers = request.read(), dict(request.headers)
                if not till.took(Seen(1, b"POST / HTTP/1.1\r\n" + _lines(headers), body)):
                    head, terms = till.terms()
                    return httpx.Response(402, headers=head, content=terms)
                return httpx.Response(200, content=body, headers=[till.receipt()])

        transport = x402_client.httpx.PaymentTransport(buyer, Lazy())
        with httpx.Client(transport=transport, follow_redirects=True) as client:
            request = {"method": "POST", "url": "https://a.example/from", "content": iter([b"a", b"b"])}
            if status == 303:
                with pytest.raises(BodyNotReplayable, match="before it was read"):
                    client.request(**request)
                assert untouched(buyer)
            else:
                assert client.request(**request).content == b"ab"
                assert paid(buyer)

    @only(Aiohttp)
    def test_a_body_that_waits_for_a_word_goes_to_the_next_hop(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        def at_once(exchange: Exchange) -> None:
            exchange.head(307, [("Location", "/paid"), ("Connection", "close")], 0)
            exchange.leave()

        server.on("/paid", lambda ex: (ex.send(b"HTTP/1.1 100 Continue\r\n\r\n"), till.sells()(ex)))
        url = server.on("/from", at_once)
        chunks = client.driver.chunks([b"one ", b"two"])
        answer = client.request("POST", url, content=chunks, follow=True, expect100=True)
        assert answer.content == b"the goods"
        assert [seen.body for seen in server.at("/paid")] == [b"one two"] * 2
        assert paid(buyer)


def _lines(headers: dict[str, str]) -> bytes:
    """The lines of a request, with the names of payments as they are on the wire."""
    named = {name.lower(): name for name in PAYMENT.values()}
    return "".join(f"{named.get(name, name)}: {value}\r\n" for name, value in headers.items()).encode()


class TestByHand:
    @only(Httpx, Requests)
    def test_a_hop_that_is_sent_again_by_hand_presents_the_same_payment(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        server.on("/paid", till.sells(SETTLE_AND_DROP, SETTLE_AND_DROP, SETTLE_AND_DROP, delivered))
        url = server.on("/from", leading_on(lambda turn: f"/paid?{turn}"))
        response = client.request("POST", url, content=b"abc", follow=False)
        following = response.next if shell.name == "requests" else response.next_request
        for _ in range(2):
            with pytest.raises(PaymentOutcomeUnknown):
                shell.call(client.native.send, following)
        fails(client, "POST", url, content=b"abc")
        assert shell.call(client.native.send, following).content == b"the goods"
        assert len(set(till.nonces)) == 1
        assert paid(buyer)

    def test_a_quote_is_for_the_request_that_was_asked_about(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        server.on("/paid", till.sells())
        url = server.on("/from", leading_on(lambda turn: f"/paid?{turn}"))
        follow = {"allow_redirects": True} if shell.name in ("requests", "aiohttp") else {"follow_redirects": True}
        quote = client.quote("GET", f"{url}?a=1", **follow)
        assert quote.choice is not None
        with buyer.purchase(quote=quote):
            for method, other in (("GET", f"{url}?a=2"), ("POST", f"{url}?a=1"), ("GET", server.url("/paid?0"))):
                assert isinstance(fails(client, method, other), PaymentRefused)
            assert untouched(buyer)
            assert client.request("GET", f"{url}?a=1", follow=True).content == b"the goods"
        assert paid(buyer)


class Leader:
    """A seller that leads anywhere and answers a payment in any way. It knows whose call it answers."""

    def __init__(self, seed: int, servers: list[Server], till: Till) -> None:
        self.random, self.servers, self.till = random.Random(seed), servers, till
        self.fresh = itertools.count()
        self.wish = 0
        #: The nonces that were presented for each wish since its last delivery.
        self.nonces: dict[int, set[str]] = {}
        self.settled: Counter[int] = Counter()
        self.trouble: list[str] = []
        for server in servers:
            server.fallback = self.answer

    def somewhere(self) -> str:
        server = self.random.choice(self.servers)
        kind = self.random.choice(["go", "sell", "sell"])
        return server.url(f"/{kind}?{next(self.fresh)}")

    def lead(self, exchange: Exchange, *headers: tuple[str, str]) -> None:
        status = self.random.choice([301, 302, 303, 307, 308])
        exchange.answer(status, b"", [("Location", self.somewhere()), *headers])

    def answer(self, exchange: Exchange) -> None:
        try:
            exchange.read_body()
        except ValueError:  # the library noticed in the middle that it had sent this body already
            exchange.cut()
            return
        if self.till.took(exchange.seen):
            self.take(exchange)
        elif exchange.seen.path == "/sell" or self.random.random() < 0.3:
            self.till.challenge(exchange)
        else:
            self.lead(exchange)

    def take(self, exchange: Exchange) -> None:
        nonce = self.till.nonces[-1]
        known = self.nonces.setdefault(self.wish, set())
        known.add(nonce)
        if len(known) > 1:
            self.trouble.append(f"wish {self.wish} was paid {len(known)} times")
        if exchange.seen.header("host") != f"127.0.0.1:{exchange.server.port}":
            self.trouble.append("another host")
        self.random.choice([
            lambda: reset(exchange), lambda: self.till.challenge(exchange), lambda: exchange.answer(500, b"no"),
            lambda: self.lead(exchange), lambda: self.lead(exchange, self.till.receipt()),
            lambda: exchange.answer(200, b"the goods", [self.till.receipt()]),
        ])()  # fmt: skip


class TestLedAnywhere:
    """Settlements per thing the caller asked for: one, until it was delivered."""

    def wish(self, shell: Driver, number: int, turn: int) -> dict[str, Any]:
        """One thing that the caller asks for, again and again in the same way."""
        bodies: list[dict[str, Any]] = [
            {"method": "GET"},
            {"method": "POST", "content": b"one"},
            {"method": "POST", "content": shell.chunks([b"one", b"by one"])},
            {"method": "PUT", "json": tool(turn)},
            {"method": "POST", "files": {"f": ("f.txt", b"pay 10")}},
        ]
        return bodies[number % len(bodies)]

    @pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))])
    def test_a_wish_is_paid_once(self, shell: Driver, server: Server, till: Till, seed: int) -> None:
        with Server() as other:
            leader = Leader(seed, [server, other], till)
            hosts = {f"127.0.0.1:{one.port}": Limit(per_day="20") for one in (server, other)}
            policy = Policy(per_request="0.05", per_day="50", hosts=hosts, pay_ahead=seed % 2 == 1)
            buyer = new_buyer(policy, breaker_after=None)
            client = shell.client(buyer)
            chance = random.Random(seed)
            for turn in range(60):
                leader.wish = wish = chance.randrange(8)
                said = self.wish(shell, wish, turn)
                method, url = said.pop("method"), server.url(f"/go?wish={wish}")
                key = f"key {wish}" if wish > 5 else None
                with buyer.purchase(key=key):
                    try:
                        answer = client.request(method, url, follow=True, **said)
                    except Exception as trouble:  # a library has its own trouble with a redirect
                        failure = find(trouble)
                        told = failure is None or failure.money != "untouched"
                    else:
                        told = True
                        if answer.content == b"the goods":
                            leader.nonces.pop(wish, None)
                assert leader.trouble == []
                assert told or not leader.nonces.get(wish), "a payment is open, and the error says that there is none"
            open_wishes = {wish for wish, nonces in leader.nonces.items() if nonces}
            assert len(buyer.holds()) <= len(open_wishes) + 1
