"""What is given to ``quote`` in a wrong place is told before anything is asked, with what to write."""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import httpx2
import pytest
import requests

import x402_client.httpx
import x402_client.httpx2
import x402_client.requests
from x402_client import Buyer, Policy, Wallet
from x402_client.errors import ConfigurationError

FACES: dict[str, tuple[Any, Any, str]] = {
    "httpx": (x402_client.httpx, httpx.Client, "client"),
    "httpx, async": (x402_client.httpx, httpx.AsyncClient, "client"),
    "httpx2": (x402_client.httpx2, httpx2.Client, "client"),
    "requests": (x402_client.requests, requests.Session, "session"),
}
URL = "http://127.0.0.1:9/x"


@pytest.mark.parametrize(("face", "make", "name"), FACES.values(), ids=FACES)
def test_any_wrong_arguments_are_answered_by_what_to_write(face: Any, make: Any, name: str) -> None:
    wallet = Wallet(evm="0x" + "46" * 32)
    buyer = Buyer(wallet, Policy(per_day="1"), ledger=":memory:")
    client = face.wrap(make(), buyer)
    things = [client, buyer, wallet, None, "GET", URL]
    for count in range(4):
        for given in itertools.product(things, repeat=count):
            if count == 3 and given[0] is client and given[1] == "GET":
                continue
            with pytest.raises(ConfigurationError) as refused:
                face.quote(*given)
            assert f'write quote({name}, "GET", "https://api.example.com/weather")' in str(refused.value), given


def test_a_client_of_another_library_is_told_where_to_go() -> None:
    with pytest.raises(ConfigurationError, match=r"use x402_client\.httpx\.quote"):
        x402_client.requests.quote(httpx.Client(), "GET", URL)  # type: ignore[arg-type]
