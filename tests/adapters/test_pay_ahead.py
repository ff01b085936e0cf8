"""Paying in the first request: one request on the wire, and the ordinary way whenever anything speaks against it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from x402_client import Buyer, Limit, Policy, errors, receipt

from .aiohttp_driver import Aiohttp
from .cash_register import PRICE, Till, delivered
from .checks import new_buyer, outcome
from .drivers import Client, Driver, Httpx, Httpx2, Requests, only
from .scripted_server import Exchange, Server

AHEAD = {"per_request": "0.05", "per_day": "50", "pay_ahead": True}


@pytest.fixture
def buyer() -> Buyer:
    return new_buyer(Policy(**AHEAD))


@pytest.fixture
def proxy() -> Iterator[Server]:
    with Server() as proxy:
        yield proxy


def requests_of(server: Server) -> list[str]:
    """Each request on the wire: paid or not."""
    return ["paid" if seen.all("payment-signature") or seen.all("x-payment") else "bare" for seen in server.requests]


def learnt(client: Client, server: Server, url: str) -> None:
    """One delivery the ordinary way."""
    assert client.get(url).status_code == 200
    assert requests_of(server) == ["bare", "paid"]
    server.requests.clear()


@pytest.mark.parametrize("version", [1, 2])
def test_the_second_purchase_is_one_request(
    shell: Driver, server: Server, client: Client, buyer: Buyer, version: int
) -> None:
    till = Till(version)
    url = server.on("/paid", till.sells())
    learnt(client, server, url)
    for number in range(3):
        response = client.get(f"{url}?page={number}")
        assert (response.status_code, response.content) == (200, b"the goods")
        assert outcome(shell, response).money == "spent"
        found = receipt(response)
        assert found is not None
        assert found.success
        assert "payment" not in str(response.request.headers).lower()
    assert requests_of(server) == ["paid"] * 3
    assert len(set(till.nonces)) == 4
    assert buyer.spent().units == 4 * PRICE
    assert [hold.state for hold in buyer.history()] == ["delivered"] * 4
    assert buyer.holds() == ()


def test_it_is_off_unless_asked_for(shell: Driver, server: Server, till: Till) -> None:
    client = shell.client(new_buyer())
    url = server.on("/paid", till.sells())
    for _ in range(2):
        client.get(url)
    assert requests_of(server) == ["bare", "paid"] * 2


def test_terms_that_changed_end_as_any_second_402(server: Server, till: Till, client: Client, buyer: Buyer) -> None:
    url = server.on("/paid", till.sells())
    learnt(client, server, url)
    dearer = Till(price=20_000)

    def now_dearer(exchange: Exchange) -> None:
        exchange.read_body()
        if till.nonces[-1:] != seen and till.took(exchange.seen):
            seen[:] = till.nonces[-1:]
        dearer.challenge(exchange)

    seen: list[str] = till.nonces[-1:]
    server.on("/paid", now_dearer)
    with pytest.raises(errors.PaymentRejected) as raised:
        client.get(url)
    assert raised.value.money == "held"
    assert raised.value.hold.authorization.expires <= time.time() + 61
    assert requests_of(server) == ["paid"]
    assert buyer.spent().units == 2 * PRICE
    server.requests.clear()
    # Another request goes the ordinary way; the same one presents the same payment, after it asked for terms.
    server.on("/paid", dearer.sells())
    assert client.get(url + "?other").status_code == 200
    assert requests_of(server) == ["bare", "paid"]
    server.requests.clear()
    server.on("/paid", till.sells())
    assert client.get(url).status_code == 200
    assert till.nonces[-1] == raised.value.hold.nonce
    assert requests_of(server) == ["bare", "paid"]
    assert buyer.holds() == ()


def test_a_place_that_refuses_again_and_again_is_asked_each_time(shell: Driver, server: Server, till: Till) -> None:
    client = shell.client(new_buyer(Policy(**AHEAD), breaker_after=None))
    answers: list[Any] = []

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        if not till.took(exchange.seen) or (answers and answers.pop()):
            till.challenge(exchange)
        else:
            delivered(exchange, till)

    url = server.on("/paid", script)
    ways = []
    for number in range(5):
        assert client.get(f"{url}?a{number}").status_code == 200
        server.requests.clear()
        answers.append(True)
        with contextlib.suppress(errors.PaymentRejected):
            client.get(f"{url}?b{number}")
        answers.clear()
        ways.append(requests_of(server))
        server.requests.clear()
    assert ways == [["paid"], ["paid"], *[["bare", "paid"]] * 3]


def test_a_seller_that_wants_no_money_any_more(shell: Driver, server: Server, till: Till, client: Client) -> None:
    url = server.on("/paid", till.sells())
    learnt(client, server, url)
    server.on("/paid", lambda ex: ex.answer(200, b"free"))
    response = client.get(url)
    assert response.content == b"free"
    assert outcome(shell, response).money == "unknown"
    assert client.get(url).content == b"free"
    assert requests_of(server) == ["paid", "bare"]


@pytest.mark.parametrize("status", [404, 500])
def test_a_failure_comes_back_and_the_terms_are_forgotten(
    shell: Driver, server: Server, till: Till, client: Client, status: int
) -> None:
    url = server.on("/paid", till.sells())
    learnt(client, server, url)
    server.on("/paid", till.sells(lambda ex, till: ex.answer(status, b"no"), delivered))
    assert client.get(url).status_code == status
    assert client.get(url).status_code == 200
    assert requests_of(server) == ["paid", "bare", "paid"]
    assert len(set(till.nonces)) == 2


def test_a_line_that_breaks(server: Server, till: Till, client: Client, buyer: Buyer) -> None:
    url = server.on("/paid", till.sells())
    learnt(client, server, url)
    server.on("/paid", till.sells(lambda ex, till: ex.cut(), delivered))
    with pytest.raises(errors.PaymentOutcomeUnknown):
        client.get(url)
    assert client.get(url).status_code == 200
    assert requests_of(server) == ["paid", "bare", "paid"]
    assert len(set(till.nonces)) == 2
    assert buyer.holds() == ()


def test_an_unresolved_request_asks_first(server: Server, till: Till, client: Client, buyer: Buyer) -> None:
    """Its payment may be presented, and nothing else; that is for the ordinary way to do."""
    url = server.on("/paid", till.sells(lambda ex, till: ex.answer(500), delivered))
    client.get(url)
    [hold] = buyer.holds()
    client.get(url + "?other")
    server.requests.clear()
    assert client.get(url).status_code == 200
    assert requests_of(server) == ["bare", "paid"]
    assert till.nonces[-1] == hold.nonce


def test_keys(server: Server, till: Till, client: Client, buyer: Buyer) -> None:
    url = server.on("/paid", till.sells())
    learnt(client, server, url)
    with buyer.purchase(key="order-1"):
        assert client.get(url).status_code == 200
    assert requests_of(server) == ["paid"]
    with buyer.purchase(key="order-1"), pytest.raises(errors.AlreadyPaid):
        client.get(url)
    assert requests_of(server) == ["paid", "bare"]
    assert len(till.nonces) == 2


def test_a_cap_or_a_quote_of_ones_own_asks_first(server: Server, till: Till, client: Client, buyer: Buyer) -> None:
    url = server.on("/paid", till.sells())
    learnt(client, server, url)
    with buyer.purchase(per_request="0.001"), pytest.raises(errors.TooExpensive):
        client.get(url)
    terms = client.quote("GET", url)
    with buyer.purchase(quote=terms):
        assert client.get(url).status_code == 200
    assert requests_of(server) == ["bare", "bare", "bare", "paid"]


def test_limits_hold(shell: Driver, server: Server, till: Till) -> None:
    client = shell.client(new_buyer(Policy(per_request="0.02", per_day="0.02", pay_ahead=True)))
    url = server.on("/paid", till.sells())
    learnt(client, server, url)
    assert client.get(url).status_code == 200
    with pytest.raises(errors.OverLimit):
        client.get(url)
    assert requests_of(server) == ["paid", "bare"]
    server.on("/paid", lambda ex: ex.answer(200, b"free"))
    assert client.get(url).content == b"free"


def test_freezing_holds(server: Server, till: Till, client: Client, buyer: Buyer) -> None:
    url = server.on("/paid", till.sells())
    learnt(client, server, url)
    buyer.freeze("*")
    with pytest.raises(errors.Frozen):
        client.get(url)
    assert requests_of(server) == ["bare"]


def test_who_approves_is_asked_the_ordinary_way(shell: Driver, server: Server, till: Till) -> None:
    policy = Policy(per_request="0.05", per_day="1", approve_above="0.005", pay_ahead=True)
    asked: list[Any] = []
    client = shell.client(new_buyer(policy, approve=lambda approval: bool(asked.append(approval) or True)))
    url = server.on("/paid", till.sells())
    for _ in range(2):
        client.get(url)
    assert requests_of(server) == ["bare", "paid"] * 2
    assert len(asked) == 2


def test_a_body_that_can_be_read_once_asks_first(server: Server, till: Till, client: Client) -> None:
    url = server.on("/paid", till.sells())
    client.request("PUT", url, content=b"text")
    server.requests.clear()
    client.request("PUT", url, content=b"text")
    assert requests_of(server) == ["paid"]
    client.request("PUT", url, content=client.driver.chunks([b"te", b"xt"]))
    assert requests_of(server) == ["paid", "bare", "paid"]
    assert {seen.body for seen in server.requests} == {b"text"}


def test_other_methods_and_paths_are_other_places(server: Server, till: Till, client: Client) -> None:
    url = server.on("/paid", till.sells())
    server.on("/other", till.sells())
    learnt(client, server, url)
    client.get(server.url("/other"))
    client.request("POST", url)
    client.request("HEAD", url)
    assert requests_of(server) == ["bare", "paid", "bare", "paid", "bare"]


def test_a_quote_never_pays(server: Server, till: Till, client: Client, buyer: Buyer) -> None:
    url = server.on("/paid", till.sells())
    learnt(client, server, url)
    assert client.quote("GET", url).choice is not None
    assert requests_of(server) == ["bare"]
    assert buyer.spent().units == PRICE


def test_a_redirect_is_not_paid_ahead(server: Server, till: Till, client: Client, buyer: Buyer) -> None:
    url = server.on("/paid", till.sells())
    learnt(client, server, url)
    moved = server.on("/moved", lambda ex: ex.answer(302, b"", [("Location", "/paid")]))
    assert client.get(moved, follow=True).status_code == 200
    assert requests_of(server) == ["bare", "bare", "paid"]


def test_a_receipt_that_does_not_match_is_not_remembered(server: Server, client: Client) -> None:
    till = Till()
    wrong = till.sells(lambda ex, till: ex.answer(200, b"the goods", [till.receipt(payer="0x" + "11" * 20)]))
    url = server.on("/paid", wrong)
    client.get(url)
    client.get(url)
    assert requests_of(server) == ["bare", "paid"] * 2


def test_a_redirect_back_to_where_it_began_pays_once(server: Server, till: Till, client: Client, buyer: Buyer) -> None:
    url = server.on("/paid", till.sells())
    learnt(client, server, url)
    server.on("/paid", till.sells(lambda ex, till: ex.answer(302, b"", [("Location", url), till.receipt()])))
    with pytest.raises(errors.PaymentRejected, match="at most once"):
        client.get(url, follow=True)
    assert len(till.nonces) == 2
    assert buyer.spent().units == 2 * PRICE
    server.requests.clear()
    server.on("/paid", till.sells())
    client.get(url)
    assert requests_of(server) == ["bare", "paid"], "a redirect teaches nothing"


def test_a_redirect_to_another_known_place_pays_once(server: Server, till: Till, client: Client, buyer: Buyer) -> None:
    """It proves the settlement, so that the terms of the place that it leads to are still remembered."""
    paid, other = (server.on(path, till.sells()) for path in ("/paid", "/other"))
    client.get(paid)
    client.get(other)
    server.requests.clear()
    server.on("/paid", till.sells(lambda ex, till: ex.answer(302, b"", [("Location", other), till.receipt()])))
    with pytest.raises(errors.PaymentRejected, match="at most once"):
        client.get(paid, follow=True)
    assert requests_of(server) == ["paid", "bare"]
    assert buyer.spent().units == 3 * PRICE


def test_the_first_refusal_makes_all_of_the_seller_be_asked_again(server: Server, till: Till, client: Client) -> None:
    urls = [server.on(f"/{name}", till.sells()) for name in "abc"]
    for url in urls:
        client.get(url)
    server.requests.clear()
    for name in "abc":
        server.on(f"/{name}", till.sells(lambda ex, till: till.challenge(ex), delivered))
    with pytest.raises(errors.PaymentRejected):
        client.get(urls[0])
    for url in urls[1:]:
        with pytest.raises(errors.PaymentRejected):
            client.get(url)
    assert requests_of(server) == ["paid", "bare", "paid", "bare", "paid"]


@only(Httpx, Httpx2, Requests, Aiohttp)  # async httpx takes no such files
@pytest.mark.parametrize("in_the_way", ["budget", "frozen"])
def test_a_file_goes_out_whole_when_something_is_in_the_way(
    shell: Driver, server: Server, till: Till, tmp_path: Path, in_the_way: str
) -> None:
    buyer = new_buyer(Policy(per_request="0.01", per_day="0.01", pay_ahead=True))
    client = shell.client(buyer)
    url = server.on("/paid", till.sells())
    (tmp_path / "body").write_bytes(b"whole")
    client.request("PUT", url, content=b"whole")
    if in_the_way == "frozen":
        buyer.freeze("*")
    with open(tmp_path / "body", "rb") as file, pytest.raises((errors.OverLimit, errors.Frozen)):
        client.request("PUT", url, content=file)
    assert [seen.body for seen in server.requests] == [b"whole"] * 3


def test_hosts_have_their_own_caps(shell: Driver, server: Server, till: Till) -> None:
    policy = Policy(per_day="1", hosts={"127.0.0.1": Limit(per_hour="0.01")}, pay_ahead=True)
    client = shell.client(new_buyer(policy))
    url = server.on("/paid", till.sells())
    learnt(client, server, url)
    with pytest.raises(errors.OverLimit):
        client.get(url)
    assert requests_of(server) == ["bare"]


@only(Requests, Aiohttp)
def test_behind_a_proxy_plain_http_is_never_paid_ahead(
    shell: Driver, server: Server, proxy: Server, till: Till, client: Client
) -> None:
    """The proxy's own loopback is somebody else's, and the terms were learnt on this machine's."""
    url = server.on("/paid", till.sells())
    learnt(client, server, url)
    proxy.fallback = till.sells()
    option: Any = {"proxies": {"http": proxy.url()}} if shell.name == "requests" else {"proxy": proxy.url()}
    with pytest.raises(errors.HostNotAllowed, match="was not seen to end on this machine"):
        client.get(f"{url}?page=2", **option)
    assert requests_of(proxy) == ["bare"]


@only(Requests)
def test_proxies_are_seen_by_position_too(
    shell: Driver, server: Server, proxy: Server, till: Till, client: Client
) -> None:
    url = server.on("/paid", till.sells())
    learnt(client, server, url)
    proxy.fallback = till.sells()
    request = requests.Request("GET", f"{url}?page=2").prepare()
    with pytest.raises(errors.HostNotAllowed):
        client.native.get_adapter(url).send(request, False, None, True, None, {"http": proxy.url()})
    assert requests_of(proxy) == ["bare"]
