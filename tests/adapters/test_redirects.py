"""Redirects: one call pays at most once, the payment stays where it was asked for, and is never shown."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from x402_client import Buyer, Limit, Policy, receipt
from x402_client import outcome as found_outcome
from x402_client.errors import HostNotAllowed, PaymentRejected, X402Error

from .cash_register import PAYMENT, PRICE, Then, Till, delivered
from .checks import new_buyer, outcome, paid, shows_payment, unresolved, untouched
from .drivers import Client, Driver
from .scripted_server import Script, Server
from .test_failures import cut_body, reset


def to(where: str, status: int = 302) -> Script:
    return lambda ex: ex.answer(status, b"", [("Location", where)])


def settled_and_leads(where: str) -> Then:
    return lambda ex, till: ex.answer(303, b"", [till.receipt(), ("Location", where)])


def payments(server: Server) -> list[str]:
    """The paths that saw a payment."""
    return [seen.path for seen in server.requests if any(seen.header(name) for name in PAYMENT.values())]


class TestRedirects:
    @pytest.fixture
    def other(self) -> Iterator[Server]:
        with Server() as other:
            yield other

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_402_on_the_second_hop_is_paid(
        self, client: Client, server: Server, till: Till, buyer: Buyer, status: int
    ) -> None:
        server.on("/paid", till.sells())
        response = client.request("POST", server.on("/from", to("/paid", status)), content=b"abc", follow=True)
        assert response.content == b"the goods"
        assert payments(server) == ["/paid"]
        assert server.requests[-1].body == (b"abc" if status in (307, 308) else b"")
        assert paid(buyer)

    def test_another_origin_is_not_paid_unasked(
        self, client: Client, server: Server, other: Server, till: Till, buyer: Buyer
    ) -> None:
        other.on("/paid", till.sells())
        with pytest.raises(HostNotAllowed, match="redirect led"):
            client.get(server.on("/from", to(other.url("/paid"))), follow=True)
        assert till.nonces == []
        assert untouched(buyer)
        # Asked for directly it is.
        assert client.get(other.url("/paid")).content == b"the goods"

    def test_another_origin_that_is_listed_is_paid(
        self, shell: Driver, server: Server, other: Server, till: Till
    ) -> None:
        other.on("/paid", till.sells())
        buyer = new_buyer(Policy(per_request="1", hosts={f"127.0.0.1:{other.port}": Limit(per_day="1")}))
        url = server.on("/from", to(other.url("/paid")))
        assert shell.client(buyer).get(url, follow=True).content == b"the goods"
        assert paid(buyer)

    @pytest.mark.parametrize("elsewhere", [False, True])
    def test_after_paying_the_header_stays_behind(
        self, client: Client, shell: Driver, server: Server, other: Server, till: Till, buyer: Buyer, elsewhere: bool
    ) -> None:
        goods = other if elsewhere else server
        goods.on("/goods", lambda ex: ex.answer(200, b"the goods"))
        url = server.on("/paid", till.sells(lambda ex, till: to(goods.url("/goods"))(ex)))
        response = client.get(url, follow=True)
        assert response.content == b"the goods"
        assert payments(server) == ["/paid"]
        assert payments(other) == []
        for hop in (response, *response.history):
            assert not shows_payment(hop.request)
        assert len(till.nonces) == 1
        assert unresolved(buyer, till.nonces[0])

    def test_the_outcome_is_on_the_hop_that_was_paid(
        self, client: Client, shell: Driver, server: Server, till: Till
    ) -> None:
        server.on("/goods", lambda ex: ex.answer(200, b"the goods"))

        def then(exchange: Any, till: Till) -> None:
            exchange.answer(302, b"", [till.receipt(), ("Location", "/goods")])

        response = client.get(server.on("/paid", till.sells(then)), follow=True)
        found = receipt(response)
        assert found is not None
        assert found.success

    @pytest.mark.parametrize("elsewhere", [False, True])
    def test_a_proven_settlement_is_delivered_where_it_leads(
        self, client: Client, server: Server, other: Server, till: Till, buyer: Buyer, elsewhere: bool
    ) -> None:
        goods = other if elsewhere else server
        goods.on("/goods", lambda ex: ex.answer(200, b"the goods"))
        server.on("/on", to(goods.url("/goods")))
        url = server.on("/paid", till.sells(settled_and_leads("/on")))
        for _ in range(2):
            assert client.get(url, follow=True).content == b"the goods"
        assert len(set(till.nonces)) == 2
        assert paid(buyer, 2)

    @pytest.mark.parametrize("end", ["402", "500", "reset", "cut short"])
    def test_a_proven_settlement_that_leads_to_nothing_is_presented_again(
        self, client: Client, server: Server, till: Till, buyer: Buyer, end: str
    ) -> None:
        ends: dict[str, Script] = {
            "402": till.sells(),
            "500": lambda ex: ex.answer(500, b"no"),
            "reset": lambda ex: reset(ex, till),
            "cut short": lambda ex: cut_body(ex, till),
        }
        server.on("/goods", ends[end])
        url = server.on("/paid", till.sells(settled_and_leads("/goods"), delivered))
        with contextlib.suppress(Exception):
            assert client.get(url, follow=True).status_code == 500
        assert unresolved(buyer, till.nonces[0])
        assert client.get(url, follow=True).content == b"the goods"
        assert len(set(till.nonces)) == 1, "it paid twice"
        assert paid(buyer)

    @pytest.mark.parametrize("where", [[], [("Location", "/goods")], [("URI", "/goods")]], ids=["", "Location", "URI"])
    @pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 308, 399])
    def test_a_proven_settlement_without_content_is_presented_again(
        self, client: Client, server: Server, till: Till, buyer: Buyer, status: int, where: list[tuple[str, str]]
    ) -> None:
        """The seller takes the money and answers with a redirect that the library follows nowhere."""

        def leads_nowhere(exchange: Any, till: Till) -> None:
            exchange.answer(status, b"", [till.receipt(), *where])

        server.on("/goods", till.sells())
        url = server.on("/paid", till.sells(leads_nowhere, delivered))
        with contextlib.suppress(PaymentRejected):  # where it is followed after all, money is asked for again
            assert client.get(url, follow=True).status_code == status
        assert unresolved(buyer, till.nonces[0])
        assert client.get(url, follow=True).content == b"the goods"
        assert len(set(till.nonces)) == 1, "it paid twice"
        assert paid(buyer)

    @pytest.mark.parametrize("condition", ["If-None-Match", "If-Modified-Since"])
    def test_a_copy_that_is_still_good_is_what_was_bought(
        self, client: Client, server: Server, till: Till, buyer: Buyer, condition: str
    ) -> None:
        url = server.on("/paid", till.sells(lambda ex, till: ex.answer(304, b"", [till.receipt()])))
        for _ in range(2):
            assert client.get(url, headers={condition: "x"}).status_code == 304
        assert len(set(till.nonces)) == 2
        assert paid(buyer, 2)

    @pytest.mark.parametrize("proof", [True, False], ids=["proven", "unproven"])
    def test_an_error_on_the_way_to_the_content_tells_of_the_money(
        self, client: Client, server: Server, till: Till, buyer: Buyer, proof: bool
    ) -> None:
        """Nothing is said of it by the library, and a caller who reads it alone would think that nothing was paid."""

        def leads(exchange: Any, till: Till) -> None:
            exchange.answer(302, b"", [*([till.receipt()] if proof else []), ("Location", "/goods")])

        server.on("/goods", lambda ex: reset(ex, till))
        url = server.on("/paid", till.sells(leads))
        with pytest.raises(Exception, match=r".*") as caught:
            client.get(url, follow=True)
        found = found_outcome(caught.value)
        assert found is not None
        assert (found.money, found.hold.nonce) == ("spent" if proof else "unknown", till.nonces[0])
        assert not isinstance(caught.value, X402Error)
        assert any("presents the same payment" in note for note in caught.value.__notes__)
        assert unresolved(buyer, till.nonces[0])

    def test_while_the_content_is_read_others_buy_their_own(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        server.on("/goods", lambda ex: ex.chunks(200, b"the ", b"goods"))
        url = server.on("/paid", till.sells(settled_and_leads("/goods"), delivered))
        answer = client.stream("GET", url, follow=True)
        assert answer.following()
        assert client.get(url).content == b"the goods"
        while answer.following():
            pass
        answer.close()
        assert len(set(till.nonces)) == len(till.headers) == 2
        assert paid(buyer, 2)

    def test_followed_by_hand(self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer) -> None:
        server.on("/more", till.sells())
        response = client.get(server.on("/paid", till.sells(lambda ex, till: to("/more")(ex))), follow=False)
        assert response.status_code == 302
        assert outcome(shell, response).money == "unknown"
        following = response.next if shell.name == "requests" else response.next_request
        assert not shows_payment(following)
        with pytest.raises(PaymentRejected, match="at most once"):
            shell.call(client.native.send, following)
        assert len(till.nonces) == 1

    def test_a_second_402_in_one_call_is_not_paid(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        server.on("/more", till.sells())
        url = server.on("/paid", till.sells(lambda ex, till: to("/more")(ex)))
        with pytest.raises(PaymentRejected, match="at most once") as caught:
            client.get(url, follow=True)
        assert caught.value.hold.nonce == till.nonces[0]
        assert len(till.nonces) == 1
        assert unresolved(buyer, till.nonces[0])

    def test_a_loop_of_402s_pays_once(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        server.on("/b", till.sells(lambda ex, till: to("/a")(ex)))
        url = server.on("/a", till.sells(lambda ex, till: to("/b")(ex)))
        for _ in range(3):
            with pytest.raises(PaymentRejected, match="at most once"):
                client.get(url, follow=True)
        assert len(set(till.nonces)) == 1
        assert buyer.spent().units == PRICE

    def test_free_hops_in_between(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        server.on("/c", till.sells())
        server.on("/b", to("/c"))
        url = server.on("/a", till.sells(lambda ex, till: to("/b")(ex)))
        with pytest.raises(PaymentRejected, match="at most once"):
            client.get(url, follow=True)
        assert len(till.nonces) == 1

    @pytest.mark.parametrize("name", ["bytes", "file"])
    def test_bodies_are_sent_again(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer, name: str, tmp_path: Any
    ) -> None:
        server.on("/goods", lambda ex: ex.answer(200, b"the goods"))
        url = server.on("/paid", till.sells(lambda ex, till: to("/goods", 307)(ex)))
        (tmp_path / "f").write_bytes(b"abc")
        with (tmp_path / "f").open("rb") as file:
            body = file if name == "file" else b"abc"
            if name == "file" and shell.name not in ("requests", "aiohttp"):
                # httpx does not rewind a file for a redirect, and takes none in async clients.
                refused = "file" in shell.refuses
                with pytest.raises(Exception, match="AsyncClient" if refused else "Too little data"):
                    client.request("POST", url, content=body, follow=True)
                assert untouched(buyer) if refused else unresolved(buyer, till.nonces[0])
                return
            assert client.request("POST", url, content=body, follow=True).content == b"the goods"
        assert [seen.body for seen in server.requests] == [b"abc"] * 3

    def test_the_next_call_is_a_call_of_its_own(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        server.on("/paid", till.sells())
        url = server.on("/from", to("/paid"))
        for _ in range(3):
            assert client.get(url, follow=True).content == b"the goods"
        assert len(set(till.nonces)) == 3
        assert paid(buyer, 3)

    def test_a_request_object_sent_twice_is_two_calls(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        import requests

        url = server.on("/paid", till.sells())
        request = (
            client.native.prepare_request(requests.Request("POST", url, data=b"abc"))
            if shell.name == "requests"
            else client.native.build_request("POST", url, content=b"abc")
        )
        for _ in range(2):
            assert shell.call(client.native.send, request).content == b"the goods"
        assert not shows_payment(request)
        assert [seen.body for seen in server.requests] == [b"abc"] * 4
        assert paid(buyer, 2)
