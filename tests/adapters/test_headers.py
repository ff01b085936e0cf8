"""Header lines and cookies: as the bare library sends them, and on the paid leg exactly one more."""

from __future__ import annotations

from typing import Any

import pytest

from x402_client import Buyer

from .cash_register import PAYMENT, Till
from .checks import paid, without_payment
from .drivers import Client, Driver
from .scripted_server import Exchange, Server

LINES = [("X-Twice", "one"), ("x-ODD-Case", "kept"), ("X-Twice", "two"), ("accept", "text/x-own"), ("X-Empty", "")]


class TestHeaders:
    @pytest.mark.parametrize("version", [1, 2])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_lines_survive_in_case_order_and_number(
        self, shell: Driver, server: Server, buyer: Buyer, method: str, version: int
    ) -> None:
        till = Till(version)
        headers: Any = LINES if shell.duplicates else dict(LINES)
        url = server.on("/paid", lambda ex: ex.answer(200)) + "?a=1&b=%2F"
        shell.client().request(method, url, headers=headers)
        server.on("/paid", till.sells())
        assert shell.client(buyer).request(method, url, headers=headers).content == b"the goods"
        bare, first, second = server.requests
        assert bare.head == first.head
        extra = (PAYMENT[version], till.headers[0])
        assert second.lines == [*first.lines, extra]
        assert second.head.split(b"\r\n", 1)[0] == first.head.split(b"\r\n", 1)[0]

    def test_the_callers_request_is_not_changed(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        headers = {"A": "b"}
        response = client.request("POST", server.on("/paid", till.sells()), content=b"abc", headers=headers)
        bare = shell.client().request("POST", server.url("/paid"), content=b"abc", headers=headers)
        assert list(response.request.headers.items()) == list(bare.request.headers.items())
        assert headers == {"A": "b"}
        if shell.name == "requests":
            assert response.request.body == b"abc"
        elif shell.name != "aiohttp":  # its responses know no body of their request
            assert response.request.content == b"abc"

    def test_bytes_as_header_values(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        headers = {"Range": b"bytes=0-1", "Cookie": b"mine=1", "Content-Type": b"text/plain"}
        url = server.on("/paid", sets(till, "theirs=2"))
        assert client.request("POST", url, content=b"x", headers=headers).status_code == 200
        assert server.requests[1].header("cookie") == "mine=1; theirs=2"
        assert paid(buyer)

    def test_another_range_is_another_purchase(self, client: Client, server: Server, till: Till) -> None:
        url = server.on("/paid", till.sells(lambda ex, till: ex.answer(500)))
        for part in ("bytes=0-1", "bytes=2-3", "bytes=0-1"):
            client.get(url, headers={"Range": part})
        assert len(till.nonces) == 3
        assert till.nonces[0] == till.nonces[2] != till.nonces[1]


class TestCookies:
    def test_of_the_402_go_with_the_payment_and_reach_the_jar(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/paid", sets(till, "session=abc; Path=/", "lang=xx"))
        assert client.get(url, headers={"Cookie": "mine=1; lang=de"}).status_code == 200
        first, second = server.requests
        assert first.all("cookie") == ["mine=1; lang=de"]
        [sent] = second.all("cookie")
        assert sorted(sent.split("; ")) == ["lang=xx", "mine=1", "session=abc"]
        expected = {name: value for name, value in without_payment(first) if name.lower() != "cookie"}
        assert {name: value for name, value in without_payment(second) if name.lower() != "cookie"} == expected
        assert client.cookies() == {"session": "abc", "lang": "xx"}
        assert paid(buyer)

    def test_of_the_answer_win_over_those_of_the_402(self, client: Client, server: Server, till: Till) -> None:
        def then(exchange: Exchange, till: Till) -> None:
            exchange.answer(200, b"", [("Set-Cookie", "lang=yy"), ("Set-Cookie", "own=1")])

        client.get(server.on("/paid", sets(till, "lang=xx", then=then)))
        assert client.cookies() == {"lang": "yy", "own": "1"}

    def test_of_the_jar_are_sent_with_both_legs(self, client: Client, server: Server, till: Till) -> None:
        client.set_cookie("kept", "1")
        client.get(server.on("/paid", sets(till, "fresh=2")))
        sent = [set((seen.header("cookie") or "").split("; ")) for seen in server.requests]
        assert sent == [{"kept=1"}, {"kept=1", "fresh=2"}]
        assert client.cookies() == {"kept": "1", "fresh": "2"}

    @pytest.mark.parametrize(
        "line", ["x=1; Domain=other.example", "x=1; Path=/elsewhere", "x=1; Secure", "x=1; Max-Age=0"]
    )
    def test_that_do_not_belong_here_stay_behind(self, client: Client, server: Server, till: Till, line: str) -> None:
        client.get(server.on("/paid", sets(till, line)), headers={"Cookie": "a=1", "Z": "last"})
        first, second = server.requests
        assert without_payment(second) == first.lines

    def test_of_a_402_that_was_not_paid_are_kept_as_ever(self, client: Client, shell: Driver, server: Server) -> None:
        url = server.on("/else", lambda ex: ex.answer(402, b"", [("Set-Cookie", "a=1")]))
        bare = shell.client()
        client.get(url), bare.get(url)
        assert client.cookies() == bare.cookies() == {"a": "1"}


def sets(till: Till, *lines: str, then: Any = None) -> Any:
    """Sells, and sets cookies with the 402."""

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        if till.took(exchange.seen):
            (then or (lambda ex, till: ex.answer(200, b"", [till.receipt()])))(exchange, till)
        else:
            till.challenge(exchange, *(("Set-Cookie", line) for line in lines))

    return script
