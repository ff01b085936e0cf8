"""Connections go back to the pool after every end of a payment: a pool of one serves them all."""

from __future__ import annotations

from typing import Any

import pytest

from x402_client import Policy, errors

from .cash_register import Till, delivered
from .checks import new_buyer, paid
from .drivers import Driver
from .scripted_server import Exchange, Server
from .test_streams import Slowly, first_piece


class TestPools:
    @pytest.mark.parametrize("version", [1, 2])
    def test_a_hundred_payments_over_one_connection(self, shell: Driver, server: Server, version: int) -> None:
        buyer, till = new_buyer(), Till(version)
        client = shell.client(buyer, **shell.single())
        url = server.on("/paid", till.sells())
        for _ in range(50):
            assert client.get(url).content == b"the goods"
            assert client.request("POST", url, content=shell.chunks([b"one shot"])).content == b"the goods"
        assert len(set(till.nonces)) == 100
        assert paid(buyer, 100)
        assert server.connections == 1

    @pytest.mark.parametrize("on_refusal", ["raise", "return"])
    @pytest.mark.parametrize("version", [1, 2])
    def test_refusals(self, shell: Driver, server: Server, version: int, on_refusal: Any) -> None:
        buyer = new_buyer(Policy(per_request="0.001"), on_refusal=on_refusal)
        client = shell.client(buyer, **shell.single())
        url = server.on("/paid", Till(version).sells())
        for _ in range(10):
            if on_refusal == "return":
                assert client.get(url).status_code == 402
            else:
                with pytest.raises(errors.PaymentRefused) as refused:
                    client.get(url)
                assert refused.value.response.status_code == 402
        assert server.connections == 1

    @pytest.mark.parametrize("size", [0, 10, 300_000])
    def test_402s_of_another_kind(self, shell: Driver, server: Server, size: int) -> None:
        client = shell.client(new_buyer(), **shell.single())
        url = server.on("/else", lambda ex: ex.answer(402, b"x" * size))
        for _ in range(10):
            assert len(client.get(url).content) == size
            answer = client.stream("GET", url)
            assert len(answer.rest()) == size
            answer.close()
        assert server.connections == 1

    def test_a_large_402_that_is_closed_early(self, shell: Driver, server: Server) -> None:
        client = shell.client(new_buyer(), **shell.single())
        slowly = Slowly(b"x" * 300_000, b"never read", status=402)
        answer = client.stream("GET", server.on("/else", slowly))
        first_piece(answer, 10)
        answer.close()
        slowly.got.release()
        assert client.get(server.on("/free", lambda ex: ex.answer(200, b"free"))).content == b"free"

    def test_rejections(self, shell: Driver, server: Server, till: Till) -> None:
        client = shell.client(new_buyer(), **shell.single())
        url = server.on("/paid", till.sells(lambda ex, till: till.challenge(ex)))
        for _ in range(10):
            with pytest.raises(errors.PaymentRejected):
                client.get(url)
        assert server.connections == 1
        assert len(set(till.headers)) == 1

    def test_terms_that_make_no_sense(self, shell: Driver, server: Server) -> None:
        client = shell.client(new_buyer(), **shell.single())
        url = server.on("/odd", lambda ex: ex.answer(402, b'{"x402Version":1,"accepts":7}'))
        for _ in range(10):
            with pytest.raises(errors.QuoteError):
                client.get(url)
        assert server.connections == 1

    def test_errors_do_not_keep_the_connection(self, shell: Driver, server: Server, till: Till) -> None:
        """An error that is kept keeps no place in the pool."""
        client = shell.client(new_buyer(), **shell.single())
        large = b"{" + b" " * 300_000 + b"}"
        kept = []

        def endless(ex: Exchange) -> None:  # its length is not told
            ex.head(402, till.terms()[0])
            ex.chunk(large)
            ex.leave()

        for _ in range(3):
            url = server.on("/paid", endless)
            with pytest.raises(errors.MalformedQuote) as caught:
                client.get(url)
            kept.append(caught.value)
        assert client.get(server.on("/free", lambda ex: ex.answer(200, b"free"))).content == b"free"

    def test_failures_after_paying(self, shell: Driver, server: Server, till: Till) -> None:
        client = shell.client(new_buyer(), **shell.single())
        cut = till.sells(lambda ex, till: ex.cut(), lambda ex, till: ex.answer(500, b"sorry"), delivered)
        url = server.on("/paid", cut)
        with pytest.raises(errors.PaymentOutcomeUnknown):
            client.get(url)
        assert client.get(url).status_code == 500
        assert client.get(url).content == b"the goods"
        assert len(set(till.headers)) == 1

    def test_questions(self, shell: Driver, server: Server, till: Till) -> None:
        client = shell.client(new_buyer(), **shell.single())
        url = server.on("/paid", till.sells())
        for method in ("GET", "HEAD", "OPTIONS"):
            client.request(method, url) if method != "GET" else client.quote(method, url)
        assert server.connections == 1
