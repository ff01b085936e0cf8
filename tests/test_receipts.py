"""``outcome`` and ``receipt`` refuse what is a clear mistake, and have no word for what they do not know."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

import x402_client.aiohttp
import x402_client.httpx
import x402_client.requests
from x402_client import outcome, receipt
from x402_client.sandbox import Sandbox

ASKED = [outcome, receipt]


@pytest.fixture(scope="module")
def seller() -> Iterator[Sandbox]:
    with Sandbox() as seller:
        yield seller


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("make", [httpx.Client, httpx.AsyncClient, requests.Session])
def test_a_client_or_a_buyer_is_a_mistake(
    seller: Sandbox, make: Callable[[], Any], asked: Callable[[object], object]
) -> None:
    client = make()
    wrap = x402_client.requests.wrap if make is requests.Session else x402_client.httpx.wrap
    for given_one in (client, wrap(make(), seller.buyer()), seller.buyer()):
        with pytest.raises(TypeError, match="is neither a response nor an exception"):
            asked(given_one)


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("library", ["httpx", "aiohttp"])
def test_a_forgotten_await_is_a_mistake(seller: Sandbox, library: str, asked: Callable[[object], object]) -> None:
    async def forget() -> None:
        if library == "httpx":
            async with x402_client.httpx.wrap(httpx.AsyncClient(), seller.buyer()) as client:
                await check(client.get(f"{seller.url}/weather"))
        else:
            async with x402_client.aiohttp.wrap(aiohttp.ClientSession(), seller.buyer()) as session:
                with pytest.raises(TypeError, match="is neither a response nor an exception"):
                    asked(session)
                await check(session.get(f"{seller.url}/weather"))

    async def check(coroutine: Coroutine[Any, Any, Any]) -> None:
        with pytest.raises(TypeError, match=r"await it, and give the response"):
            asked(coroutine)
        answer = await coroutine
        assert asked(answer) is not None
        answer.close() if library == "aiohttp" else None

    asyncio.run(forget())


_PLAIN = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3) | st.tuples(inner, inner)
    ),
    max_leaves=5,
)


@given(_PLAIN)
def test_a_body_is_no_response_and_is_not_taken_for_an_unpaid_one(value: Any) -> None:
    for asked in ASKED:
        with pytest.raises(TypeError, match=r"give the response itself, not its body, its \.json\(\)"):
            asked(value)


@given(st.none() | _PLAIN)
def test_what_is_unknown_has_no_outcome(value: Any) -> None:
    for one in (SimpleNamespace(history=value), SimpleNamespace(extensions=value, x402=value, response=value), None):
        assert (outcome(one), receipt(one)) == (None, None)


@pytest.mark.parametrize(
    "one", [httpx.Response(200), OrderedDict(), requests.Response(), ValueError("x"), httpx.Client, object()]
)
def test_what_was_not_paid_has_no_outcome(one: object) -> None:
    assert (outcome(one), receipt(one)) == (None, None)
