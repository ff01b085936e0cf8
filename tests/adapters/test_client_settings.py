"""The settings of the user's client hold for both legs: timeouts, credentials, hooks, proxies, TLS, retries."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests.auth
import urllib3

from x402_client import Buyer, Policy
from x402_client.errors import HostNotAllowed

from .cash_register import PAYMENT, Till
from .checks import new_buyer, paid, shows_payment, untouched, without_payment
from .drivers import Client, Driver
from .scripted_server import Exchange, Server

#: Plain http is said to be fine here: behind a proxy nothing is this machine.
PLAIN = Policy(per_request="0.05", per_day="50", http_hosts=["127.0.0.1"])


def passing_on(exchange: Exchange) -> None:
    """A forward proxy's work: the request of an absolute URL, repeated to where it leads."""
    exchange.read_body()
    seen = exchange.seen
    with httpx.Client(trust_env=False) as client:
        lines = [(name, value) for name, value in seen.lines if name.lower() != "proxy-connection"]
        answer = client.request(seen.method, seen.target, headers=lines, content=seen.body)
    exchange.answer(answer.status_code, answer.content, [h for h in answer.headers.items() if h[0] != "content-length"])


class TestClientSettings:
    @pytest.fixture
    def proxy(self) -> Iterator[Server]:
        with Server() as proxy:
            proxy.fallback = passing_on
            yield proxy

    def test_basic_auth(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        client.get(server.on("/paid", till.sells()), auth=("me", "secret"))
        expected = "Basic " + base64.b64encode(b"me:secret").decode()
        assert [seen.header("authorization") for seen in server.requests] == [expected, expected]
        assert paid(buyer)

    def test_digest_auth(self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer) -> None:
        sells = till.sells()

        def script(exchange: Exchange) -> None:
            if exchange.seen.header("authorization") is None:
                challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'
                return exchange.answer(401, b"", [("WWW-Authenticate", challenge)])
            return sells(exchange)

        kind = requests.auth.HTTPDigestAuth if shell.name == "requests" else shell.library.DigestAuth
        response = client.get(server.on("/paid", script), auth=kind("me", "secret"))
        assert response.content == b"the goods"
        unknown, asked, bought = (seen.header("authorization") for seen in server.requests)
        assert unknown is None
        assert asked is not None
        assert asked == bought
        assert not shows_payment(response.request)
        assert paid(buyer)

    def test_auth_that_is_asked_for_after_the_payment(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        def script(exchange: Exchange) -> None:
            exchange.read_body()
            if not till.took(exchange.seen):
                till.challenge(exchange)
            elif exchange.seen.header("authorization") is None:
                challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'
                exchange.answer(401, b"", [("WWW-Authenticate", challenge)])
            else:
                exchange.answer(200, b"the goods", [till.receipt()])

        kind = requests.auth.HTTPDigestAuth if shell.name == "requests" else shell.library.DigestAuth
        response = client.get(server.on("/paid", script), auth=kind("me", "secret"))
        assert response.content == b"the goods"
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    def test_hooks_fire_as_often_as_ever_and_see_no_payment(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        seen: list[tuple[str, bool]] = []

        def told(kind: str) -> Any:
            def hook(thing: Any, *_: Any, **__: Any) -> None:
                seen.append((kind, shows_payment(getattr(thing, "request", thing))))

            async def awaited(thing: Any) -> None:
                hook(thing)

            return awaited if shell.is_async else hook

        if shell.name == "requests":
            client = shell.client(buyer, hooks={"response": [told("response")]})
            expected = [("response", False)]
        else:
            client = shell.client(buyer, event_hooks={"request": [told("request")], "response": [told("response")]})
            expected = [("request", False), ("response", False)]
        client.get(server.on("/paid", till.sells()))
        assert seen == expected
        client.get(server.on("/free", lambda ex: ex.answer(200)))
        assert seen == expected * 2

    def test_a_forward_proxy_carries_both_legs(self, shell: Driver, server: Server, proxy: Server, till: Till) -> None:
        buyer = new_buyer(PLAIN)
        options: Any = {"proxies": {"http": proxy.url()}} if shell.name == "requests" else {"proxy": proxy.url()}
        response = shell.client(buyer, **options).get(server.on("/paid", till.sells()))
        assert response.content == b"the goods"
        assert len(proxy.requests) == len(server.requests) == 2
        assert {seen.target for seen in proxy.requests} == {server.url("/paid")}
        assert [bool(seen.header(PAYMENT[2])) for seen in proxy.requests] == [False, True]
        assert without_payment(proxy.requests[1]) == proxy.requests[0].lines
        assert paid(buyer)

    @pytest.mark.parametrize("by", ["option", "environment"])
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "shop.localhost"])
    def test_behind_a_proxy_no_name_is_this_machine(
        self, shell: Driver, server: Server, proxy: Server, till: Till, buyer: Buyer, host: str, by: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        """The proxy's own loopback is somebody else's, and the payment would travel there in the open."""
        proxy.fallback = till.sells()
        options: Any = {"proxies": {"http": proxy.url()}} if shell.name == "requests" else {"proxy": proxy.url()}
        if by == "environment":
            for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "HTTP_PROXY"):
                monkeypatch.delenv(name, raising=False)
            monkeypatch.setenv("http_proxy", proxy.url())
            options = {"trust_env": True}
        server.on("/paid", till.sells())
        with pytest.raises(HostNotAllowed, match="was not seen to end on this machine"):
            shell.client(buyer, **options).get(server.url("/paid", host))
        assert len(proxy.requests) == 1
        assert till.headers == []
        assert untouched(buyer)

    @pytest.mark.parametrize("trust", [True, False])
    def test_the_environments_proxy(
        self, shell: Driver, server: Server, proxy: Server, till: Till, trust: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        buyer = new_buyer(PLAIN)
        for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "HTTP_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", proxy.url())
        response = shell.client(buyer, trust_env=trust).get(server.on("/paid", till.sells()))
        assert response.content == b"the goods"
        assert len(proxy.requests) == (2 if trust else 0)
        assert paid(buyer)

    @pytest.mark.parametrize(
        ("own", "settle", "expected"),
        [(5.0, 60.0, 60.0), (90.0, 60.0, 90.0), (5.0, None, 5.0), (None, 60.0, None)],
    )
    def test_the_paid_leg_waits_for_settlement(
        self, shell: Driver, own: float | None, settle: float | None, expected: float | None
    ) -> None:
        till, asked = Till(), []
        buyer = new_buyer(settle_timeout=settle)
        client = shell.over(shell.paying(buyer, timing(shell, till, asked)))
        assert client.get("https://localhost/", timeout=own).status_code == 200
        assert [read for read, _ in asked] == [own, expected]
        assert {rest for _, rest in asked} == {own}
        client.close()


def timing(shell: Driver, till: Till, asked: list[tuple[Any, Any]]) -> Any:
    """The user's own inner transport, which answers from memory and notes which timeouts it was given."""

    def answer(headers: Any) -> tuple[int, list[tuple[str, str]], bytes]:
        if any(name in headers for name in PAYMENT.values()):
            return 200, [till.receipt()], b"the goods"
        head, body = till.terms()
        return 402, head, body

    if shell.name == "requests":
        return MemoryAdapter(answer, asked)

    def handle(request: Any) -> Any:
        timeout = request.extensions["timeout"]
        asked.append((timeout["read"], timeout["connect"]))
        status, headers, body = answer(request.headers)
        return shell.library.Response(status, headers=headers, content=body)

    return shell.library.MockTransport(handle)


class MemoryAdapter(requests.adapters.BaseAdapter):
    def __init__(self, answer: Any, asked: list[tuple[Any, Any]]) -> None:
        super().__init__()
        self.answer, self.asked = answer, asked

    def send(self, request: Any, stream: Any = False, timeout: Any = None, **_: Any) -> requests.Response:
        if isinstance(timeout, urllib3.Timeout):
            self.asked.append((timeout.read_timeout, timeout.connect_timeout))
        else:
            connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
            self.asked.append((read, connect))
        response = requests.Response()
        response.status_code, headers, response._content = self.answer(request.headers)
        response.headers.update(headers)
        response.request, response.url = request, request.url
        return response

    def close(self) -> None:
        pass
