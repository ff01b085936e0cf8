"""A seller whose payments bring nothing, one after the other, gets no new one for a while; old ones are presented."""

from __future__ import annotations

import pytest

from tests.adapters.cash_register import PRICE
from tests.adapters.checks import new_buyer
from tests.adapters.drivers import Httpx
from tests.adapters.scripted_server import Server
from x402_client import errors

from .settling_seller import Shop, busy, in_pieces


def test_after_two_in_a_row(server: Server) -> None:
    shop, buyer = Shop(), new_buyer(breaker_after=2, breaker_rest=60)
    urls = [server.on(f"/{name}", shop.sells(busy, in_pieces)) for name in "abc"]
    with Httpx() as shell:
        client = shell.client(buyer)
        assert [client.get(url).status_code for url in urls[:2]] == [503, 503]
        with pytest.raises(errors.HostNotAllowed, match=r"are paused until .* Nothing new was paid"):
            client.get(urls[2])
        assert buyer.spent().units == 2 * PRICE
        assert client.get(urls[0]).status_code == 200, "a payment that was made is presented as ever"
        assert client.get(urls[2]).status_code == 503, "who delivers is trusted again"
        assert client.get(urls[1]).status_code == 200
    assert len(set(shop.nonces)) == 3


def test_what_is_presented_again_counts_once(server: Server) -> None:
    shop, buyer = Shop(), new_buyer(breaker_after=2, breaker_rest=60)
    url, other = (server.on(f"/{name}", shop.sells(busy)) for name in "ab")
    with Httpx() as shell:
        client = shell.client(buyer)
        assert [client.get(url).status_code for _ in range(3)] == [503] * 3
        assert client.get(other).status_code == 503
        with pytest.raises(errors.HostNotAllowed):
            client.get(server.on("/c", shop.sells()))
