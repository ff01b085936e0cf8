"""What only httpx and httpx2 have: mounts, extensions, transports of all kinds."""

from __future__ import annotations

from typing import Any

import pytest

from x402_client import Buyer
from x402_client.errors import AlreadyPaid, ConfigurationError, PaymentOutcomeUnknown, PaymentRefused

from .cash_register import PAYMENT, PRICE, Till, delivered
from .checks import new_buyer, outcome, paid, shows_payment, unresolved
from .drivers import Httpx, Httpx2, only
from .scripted_server import Server


@only(Httpx, Httpx2)
class TestHttpxTransport:
    def test_mounts_pay_too(self, shell: Any, server: Server, till: Till, buyer: Buyer) -> None:
        used: list[str] = []

        class Noting(shell.library.HTTPTransport):  # type: ignore[misc]
            def handle_request(self, request: Any) -> Any:
                used.append(request.url.host)
                return super().handle_request(request)

        url = server.on("/paid", till.sells())
        client = shell.client(buyer, mounts={"all://localhost": Noting(), "all://127.0.0.1": None})
        assert client.get(url.replace("127.0.0.1", "localhost")).content == b"the goods"
        assert used == ["localhost", "localhost"]
        assert client.get(url).content == b"the goods"
        assert paid(buyer, 2)

    def test_a_purchase_said_per_request(self, shell: Any, server: Server, till: Till, buyer: Buyer) -> None:
        client = shell.client(buyer)
        url = server.on("/paid", till.sells())
        with pytest.raises(PaymentRefused):
            client.get(url, extensions={"x402": {"per_request": "0.001"}})
        keyed = {"x402": {"key": "order-1"}}
        assert client.get(url, extensions=keyed).content == b"the goods"
        with pytest.raises(AlreadyPaid):
            client.get(url, extensions=keyed)
        assert keyed == {"x402": {"key": "order-1"}}
        for wrong in ({"keys": "x"}, "order-1", {"key": ""}):
            with pytest.raises(ConfigurationError):
                client.get(url, extensions={"x402": wrong})
        assert paid(buyer)

    def test_extensions_used_again_carry_nothing_over(
        self, shell: Any, server: Server, till: Till, buyer: Buyer
    ) -> None:
        client = shell.client(buyer)
        url = server.on("/paid", till.sells())
        response = client.get(url)
        assert not any("x402" in name for name in response.request.extensions)
        assert client.get(url, extensions=response.request.extensions).content == b"the goods"
        assert paid(buyer, 2)

    def test_a_body_that_no_transport_has_read(self, shell: Any, till: Till, buyer: Buyer) -> None:
        """A stream of an inner transport's own is watched like one from the network."""
        closed: list[bool] = []

        class Own(shell.library.SyncByteStream):  # type: ignore[misc]
            def __iter__(self) -> Any:
                yield from (b"the ", b"goods")

            def close(self) -> None:
                closed.append(True)

        def handle(request: Any) -> Any:
            if PAYMENT[2] in request.headers:
                return shell.library.Response(200, stream=Own(), headers=[till.receipt()])
            head, body = till.terms()
            return shell.library.Response(402, headers=head, content=body)

        client = shell.over(shell.paying(buyer, shell.library.MockTransport(handle)))
        answer = client.stream("GET", "https://localhost/")
        assert not paid(buyer)
        assert answer.rest() == b"the goods"
        assert paid(buyer)
        answer.close()
        assert closed == [True]
        client.close()

    def test_an_inner_transport_that_raises_for_a_status(self, shell: Any, till: Till, buyer: Buyer) -> None:
        def handle(request: Any) -> Any:
            if PAYMENT[2] not in request.headers:
                head, body = till.terms()
                return shell.library.Response(402, headers=head, content=body)
            response = shell.library.Response(500, request=request)
            response.raise_for_status()
            return response

        client = shell.over(shell.paying(buyer, shell.library.MockTransport(handle)))
        with pytest.raises(PaymentOutcomeUnknown) as caught:
            client.get("https://localhost/")
        cause: Any = caught.value.__cause__
        assert not shows_payment(cause.request)
        assert not shows_payment(cause.response.request)
        client.close()

    def test_what_an_inner_transport_did_not_read_is_sent_with_the_payment(
        self, shell: Any, till: Till, buyer: Buyer
    ) -> None:
        bodies: list[bytes] = []

        def handle(request: Any) -> Any:
            if PAYMENT[2] in request.headers:
                bodies.append(request.read())
                return shell.library.Response(200, content=b"the goods")
            head, body = till.terms()
            return shell.library.Response(402, headers=head, content=body)

        class Unread(shell.library.BaseTransport):  # type: ignore[misc]
            def handle_request(self, request: Any) -> Any:
                return handle(request)

        client = shell.over(shell.paying(buyer, Unread()))
        pieces = iter([b"one ", b"two ", b"three"])
        assert client.request("POST", "https://localhost/", content=pieces).content == b"the goods"
        assert bodies == [b"one two three"]
        client.close()

    def test_several_cookie_lines_become_one(self, shell: Any, server: Server, till: Till, buyer: Buyer) -> None:
        from .test_headers import sets

        headers = [("Cookie", "a=1"), ("Cookie", "b=2")]
        shell.client(buyer).get(server.on("/paid", sets(till, "c=3")), headers=headers)
        first, second = server.requests
        assert first.all("cookie") == ["a=1", "b=2"]
        assert second.all("cookie") == ["a=1; b=2; c=3"]

    def test_an_auth_flow_that_sends_its_request_twice(
        self, shell: Any, server: Server, till: Till, buyer: Buyer
    ) -> None:
        class Again(shell.library.Auth):  # type: ignore[misc]
            def auth_flow(self, request: Any) -> Any:
                response = yield request
                if response.status_code == 503:
                    yield request

        url = server.on("/paid", till.sells(lambda ex, till: ex.answer(503), delivered))
        response = shell.client(buyer).get(url, auth=Again())
        assert response.content == b"the goods"
        assert len(till.headers) == 2
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    def test_the_transport_closes_what_is_underneath_and_not_the_buyer(
        self, shell: Any, server: Server, till: Till, buyer: Buyer
    ) -> None:
        closed: list[str] = []

        class Noting(shell.library.HTTPTransport):  # type: ignore[misc]
            def close(self) -> None:
                closed.append("close")
                super().close()

        with shell.paying(buyer, Noting()) as transport:
            client = shell.library.Client(transport=transport)
            assert client.get(server.on("/paid", till.sells())).content == b"the goods"
        transport.close()
        assert closed == ["close"]
        assert buyer.spent().units == PRICE
        assert outcome(shell, shell.client(buyer).get(server.url("/paid"))).money == "spent"

    def test_one_buyer_for_several_clients(self, shell: Any, server: Server, till: Till) -> None:
        buyer = new_buyer()
        url = server.on("/paid", till.sells(lambda ex, till: ex.answer(500), delivered))
        shell.client(buyer).get(url)
        assert unresolved(buyer, till.nonces[0])
        assert shell.client(buyer).get(url).content == b"the goods"
        assert len(set(till.headers)) == 1
        assert paid(buyer)
