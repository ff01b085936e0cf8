"""Streams: the first chunk reaches the caller before the second is sent, and the end of one is a delivery."""

from __future__ import annotations

import gc
import gzip
import threading
from typing import Any

import pytest

from x402_client import Buyer

from .cash_register import Till, delivered, opens_a_websocket
from .checks import outcome, paid, unresolved
from .drivers import AsyncHttpx, AsyncHttpx2, Client, Driver, Httpx, Httpx2, TrioHttpx, only
from .scripted_server import PATIENCE, Exchange, Server


class Slowly:
    """An answer in pieces, each sent when the caller has the one before."""

    def __init__(self, *pieces: bytes, chunked: bool = True, status: int = 200) -> None:
        self.pieces, self.chunked, self.status = pieces, chunked, status
        self.got = threading.Semaphore(1)

    def __call__(self, exchange: Exchange, till: Till | None = None) -> None:
        exchange.head(
            self.status, [till.receipt()] if till else [], None if self.chunked else len(b"".join(self.pieces))
        )
        for piece in self.pieces:
            assert self.got.acquire(timeout=PATIENCE), "the caller waited for more than was sent"
            exchange.chunk(piece) if self.chunked else exchange.send(piece)
        if self.chunked:
            exchange.chunk(b"")


def first_piece(streamed: Any, size: int) -> bytes:
    """As many bytes as the first piece has, however they come."""
    found = b""
    while len(found) < size:
        found += streamed.following() or b"!"
    return found


class TestStreams:
    @pytest.mark.parametrize("chunked", [True, False])
    @pytest.mark.parametrize("paying", [False, True])
    def test_still_stream(
        self, client: Client, server: Server, till: Till, buyer: Buyer, chunked: bool, paying: bool
    ) -> None:
        slowly = Slowly(b"first", b"second", b"third", chunked=chunked)
        url = server.on("/stream", till.sells(slowly) if paying else slowly)
        answer = client.stream("GET", url)
        assert first_piece(answer, 5) == b"first"
        assert len(buyer.holds()) == paying, "delivered before its end"
        slowly.got.release()
        assert first_piece(answer, 6) == b"second"
        slowly.got.release()
        assert answer.rest() == b"third"
        answer.close()
        assert paid(buyer, int(paying))

    def test_a_large_402_of_another_kind_still_streams(self, client: Client, server: Server, buyer: Buyer) -> None:
        head = b"x" * 300_000
        slowly = Slowly(head, b"second", status=402)
        answer = client.stream("GET", server.on("/else", slowly))
        assert first_piece(answer, len(head))[: len(head)] == head
        slowly.got.release()
        assert answer.rest().endswith(b"second")
        answer.close()

    def test_the_end_is_a_delivery_without_a_close(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        answer = client.stream("GET", server.on("/paid", till.sells()))
        assert answer.rest() == b"the goods"
        assert paid(buyer)
        answer.close()
        assert paid(buyer)

    def test_closing_early_is_a_delivery(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        slowly = Slowly(b"first", b"second")
        answer = client.stream("GET", server.on("/paid", till.sells(slowly)))
        assert first_piece(answer, 5) == b"first"
        assert not paid(buyer)
        answer.close()
        assert paid(buyer)
        slowly.got.release()

    def test_closing_unread_is_a_delivery(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        answer = client.stream("GET", server.on("/paid", till.sells()))
        assert unresolved(buyer, till.nonces[0])
        answer.close()
        assert paid(buyer)

    def test_while_a_stream_is_open_the_same_call_is_another_purchase(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/paid", till.sells())
        one, other = client.stream("GET", url), client.stream("GET", url)
        assert len(set(till.nonces)) == 2
        one.close(), other.close()
        assert paid(buyer, 2)

    def test_what_is_dropped_unread_is_not_delivered(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/paid", till.sells())
        answer = shell.unread(client.native, url)
        del answer
        gc.collect()
        assert unresolved(buyer, till.nonces[0])
        assert client.get(url).content == b"the goods"
        assert len(till.headers) == 2
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    def test_what_was_dropped_unread_is_noticed_by_the_same_request(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/paid", till.sells())
        gc.disable()  # so that it does not come by chance
        try:
            answer = shell.unread(client.native, url)
            del answer
            assert client.get(url).content == b"the goods"
        finally:
            gc.enable()
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    def test_encoded_answers_are_decoded_as_ever(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        def then(exchange: Exchange, till: Till) -> None:
            exchange.answer(200, gzip.compress(b"the goods" * 1000), [("Content-Encoding", "gzip")])

        assert client.get(server.on("/paid", till.sells(then))).content == b"the goods" * 1000
        assert paid(buyer)

    def test_what_cannot_be_decoded_is_not_delivered(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        def then(exchange: Exchange, till: Till) -> None:
            exchange.answer(200, b"no gzip", [("Content-Encoding", "gzip")])

        url = server.on("/paid", till.sells(then, delivered))
        with pytest.raises(shell.errors["decoding"]):
            client.get(url)
        assert unresolved(buyer, till.nonces[0])
        assert client.get(url).content == b"the goods"
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    def test_an_interrupt_is_none(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        answer = shell.unread(client.native, server.on("/paid", till.sells()))

        async def closing() -> None:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt:
                await answer.aclose()

        if shell.is_async:
            shell.call(closing)
        else:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt:
                answer.close()
        assert unresolved(buyer, till.nonces[0])


@only(Httpx, Httpx2, AsyncHttpx, TrioHttpx, AsyncHttpx2)
def test_an_upgrade_is_delivered_when_it_is_made(
    client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer
) -> None:
    url = server.on("/socket", till.sells(opens_a_websocket))
    asked = {
        "headers": {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    }
    for number in (1, 2):
        answer = client.stream("GET", url, **asked)
        assert answer.native.status_code == 101
        assert paid(buyer, number)
        assert outcome(shell, answer.native).money == "spent"
        socket = answer.native.extensions["network_stream"]
        read = shell.call(socket.read, 64, 5)
        assert read.endswith(b"hello")
        answer.close()
    assert len(set(till.headers)) == 2
