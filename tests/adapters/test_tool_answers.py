"""The answer to an MCP ``tools/call`` that was paid by HTTP: an error in it is no delivery, by any client."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import requests

import x402_client.requests
from x402_client import Buyer

from .cash_register import Then, Till
from .drivers import Driver
from .scripted_server import Exchange, Server

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "weather", "arguments": {"city": "Bern"}}}
FAILS = {"jsonrpc": "2.0", "id": 1, "result": {"isError": True, "content": []}}
BREAKS = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "Internal error"}}
GOOD = {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "Sun."}]}}
TOLD = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}


def _json(message: Any) -> tuple[bytes, dict[str, str]]:
    return json.dumps(message).encode(), {"Content-Type": "application/json"}


def _events(message: Any) -> tuple[bytes, dict[str, str]]:
    lines = (f"event: message\ndata: {json.dumps(one)}\n\n" for one in (TOLD, message))
    return "".join(lines).encode(), {"Content-Type": "text/event-stream"}


def _gzip(message: Any) -> tuple[bytes, dict[str, str]]:
    return gzip.compress(_json(message)[0]), {"Content-Encoding": "gzip"}


def _deflate(message: Any) -> tuple[bytes, dict[str, str]]:
    return zlib.compress(_json(message)[0]), {"Content-Encoding": "deflate"}


def answers(form: Any, message: Any) -> Then:
    body, headers = form(message)

    def answer(exchange: Exchange, till: Till) -> None:
        exchange.answer(200, body, [till.receipt(), *headers.items()])

    return answer


def in_pieces(form: Any, message: Any) -> Then:
    body, headers = form(message)

    def answer(exchange: Exchange, till: Till) -> None:
        cuts = [body[place : place + 20] for place in range(0, len(body), 20)]
        exchange.chunks(200, *cuts, headers=[till.receipt(), *headers.items()])

    return answer


class TestToolAnswers:
    @pytest.mark.parametrize("message", [FAILS, BREAKS], ids=["isError", "error"])
    @pytest.mark.parametrize("form", [_json, _events, _gzip, _deflate])
    def test_an_error_is_no_delivery_and_the_same_call_presents_the_same_payment(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer, form: Any, message: Any
    ) -> None:
        thens = [answers(form, message), in_pieces(form, message), answers(form, GOOD)]
        client, url = shell.client(buyer), server.on("/mcp", till.sells(*thens))
        for _ in range(2):
            response = client.request("POST", url, json=CALL)
            assert response.status_code == 200
            assert (str(buyer.spent()), buyer.history(), len(buyer.holds())) == ("0.01 USD", (), 1)
        client.request("POST", url, json=CALL)
        assert (buyer.holds(), len(buyer.history()), len(set(till.nonces))) == ((), 1, 1)

    def test_an_error_in_a_stream_that_is_left_early_is_no_delivery(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        body, headers = _events(FAILS)

        def then(exchange: Exchange, till: Till) -> None:
            exchange.chunks(200, body, b": more\n\n" * 10_000, headers=[till.receipt(), *headers.items()])

        client, url = shell.client(buyer), server.on("/mcp", till.sells(then, answers(_events, GOOD)))
        streamed = client.stream("POST", url, json=CALL)
        assert (streamed.following() or b"").startswith(b"event: message")
        streamed.close()
        assert (buyer.history(), len(buyer.holds())) == ((), 1)

    def test_an_error_may_be_wanted(self, shell: Driver, server: Server, till: Till, buyer: Buyer) -> None:
        client, url = shell.client(buyer), server.on("/mcp", till.sells(answers(_json, FAILS)))
        found = shell.outcome(client.request("POST", url, json=CALL))
        assert found is not None
        assert found.accept()
        assert (buyer.holds(), len(buyer.history())) == ((), 1)

    def test_only_a_tool_call_is_read_along(self, shell: Driver, server: Server, till: Till, buyer: Buyer) -> None:
        client, url = shell.client(buyer), server.on("/mcp", till.sells(answers(_json, FAILS)))
        client.request("POST", url, json=CALL | {"method": "resources/read"})
        assert (buyer.holds(), len(buyer.history())) == ((), 1)


WAYS: dict[str, Callable[[requests.Response], Any]] = {
    "content": lambda one: one.content,
    "iter_content": lambda one: list(one.iter_content(7)),
    "iter_lines": lambda one: list(one.iter_lines()),
    "raw": lambda one: list(one.raw),
    "raw.read": lambda one: one.raw.read(),
    "raw.read1": lambda one: list(iter(lambda: one.raw.read1(10), b"")),
    "raw.stream": lambda one: list(one.raw.stream(10)),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_read_an_answer_of_requests_is_read_along_once(
    way: str, server: Server, till: Till, buyer: Buyer
) -> None:
    url = server.on("/mcp", till.sells(in_pieces(_json, FAILS), answers(_json, FAILS)))
    with x402_client.requests.wrap(requests.Session(), buyer) as session:
        for _ in range(2):
            WAYS[way](session.post(url, json=CALL, stream=True))
            assert (buyer.history(), len(buyer.holds())) == ((), 1)
