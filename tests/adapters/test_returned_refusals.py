"""A refusal that is handed back as the 402: its body says why, and the refusal hangs on it."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from x402_client import Policy, errors

from .cash_register import Till
from .checks import new_buyer, untouched
from .drivers import Driver
from .scripted_server import Exchange, Server


def asking(body: bytes, *headers: tuple[str, str], version: int = 2) -> Any:
    """A seller whose 402 has its terms in a header, beside this body."""

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.answer(402, body, [*Till(version).terms()[0], *headers])

    return script


BODIES: dict[str, tuple[bytes, list[tuple[str, str]], dict[str, Any]]] = {
    "none": (b"", [], {}),
    "an object": (
        b'{"error": "pay first", "shop": "ours"}',
        [("ETag", "w/1"), ("X-Name", "caf\xe9")],
        {"shop": "ours"},
    ),
    "a list": (b"[1]", [], {}),
    "a page": ("<h1>Bezahlen für Zugang</h1>".encode(), [("Content-Type", "text/html")], {}),
    "compressed": (gzip.compress(b'{"shop": "ours"}', mtime=0), [("Content-Encoding", "gzip")], {"shop": "ours"}),
    "nested": (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, [], {}),
}


@pytest.mark.parametrize("name", BODIES)
def test_the_body_says_why_and_its_head_fits(shell: Driver, server: Server, name: str) -> None:
    body, headers, rest = BODIES[name]
    client = shell.client(new_buyer(Policy(per_request="0.001"), on_refusal="return"))
    url = server.on("/paid", asking(body, *headers))
    for _ in range(2):
        response = client.get(url)
        said = json.loads(response.content)
        assert "one payment may cost 0.001 USD" in said["error"].pop("message")
        assert said.pop("error") == {"type": "payment_refused"}
        assert said == rest
        assert response.headers["Content-Length"] == str(len(response.content))
        assert response.headers["Content-Type"] == "application/json"
        assert {name.lower() for name in response.headers}.isdisjoint({"etag", "content-encoding"})
        streamed = client.stream("GET", url)
        assert json.loads(streamed.rest())["error"]["message"]
        streamed.close()


def test_the_terms_of_version_1_stay_in_the_body(shell: Driver, server: Server) -> None:
    till = Till(1)
    buyer = new_buyer(Policy(per_request="0.001"), on_refusal="return")
    said = json.loads(shell.client(buyer).get(server.on("/paid", till.sells())).content)
    assert said["accepts"] == [till.offer()]
    assert said["x402Version"] == 1
    assert untouched(buyer)


def test_the_refusal_is_found_in_what_raise_for_status_raises(shell: Driver, server: Server) -> None:
    buyer = new_buyer(Policy(per_request="0.001"), on_refusal="return")
    response = shell.client(buyer).get(server.on("/paid", Till().sells()))
    with pytest.raises(Exception, match="402") as raised:
        response.raise_for_status()
    found = errors.find(raised.value)
    if shell.name == "aiohttp":  # its error holds no response
        found = response.native.x402_refusal
    assert isinstance(found, errors.TooExpensive)
    assert (found.money, found.__traceback__) == ("untouched", None)
    assert json.loads(response.content)["error"]["message"] == str(found)


def test_a_402_that_was_not_refused_is_left_as_it_is(shell: Driver, server: Server) -> None:
    buyer = new_buyer(Policy(per_request="0.001"), on_refusal="return")
    response = shell.client(buyer).get(server.on("/else", lambda ex: ex.answer(402, b"[]", [("X-Own", "1")])))
    assert (response.content, response.headers["X-Own"]) == (b"[]", "1")
    with pytest.raises(Exception, match="402") as raised:
        response.raise_for_status()
    assert errors.find(raised.value) is None


def test_a_request_for_a_quote_gets_the_sellers_own_body(shell: Driver, server: Server) -> None:
    buyer = new_buyer(Policy(per_request="0.001"), on_refusal="return")
    quote = shell.client(buyer).quote("GET", server.on("/paid", Till().sells()))
    assert quote.choice is None
    assert base64.b64decode(Till().terms()[0][0][1])
