"""A client that pays for some hosts only, and a redirect that leads into it: said once, as a warning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import httpx
import httpx2
import pytest
import requests

import x402_client.httpx
import x402_client.httpx2
import x402_client.requests
from x402_client import Buyer, errors, events
from x402_client.sandbox import Sandbox

from .cash_register import Till
from .checks import new_buyer
from .scripted_server import Exchange, Server

Get = Callable[[Buyer, str, str], None]


def with_requests(buyer: Buyer, mount: str, url: str) -> None:
    with requests.Session() as session:
        session.mount(mount, x402_client.requests.PaymentAdapter(buyer))
        session.get(url)


def with_httpx(library: Any, face: Any) -> Get:
    def get(buyer: Buyer, mount: str, url: str) -> None:
        with library.Client(mounts={mount: face.PaymentTransport(buyer)}, follow_redirects=True) as client:
            client.get(url)

    return get


def with_async_httpx(library: Any, face: Any) -> Get:
    def get(buyer: Buyer, mount: str, url: str) -> None:
        async def ask() -> None:
            mounts = {mount: face.AsyncPaymentTransport(buyer)}
            async with library.AsyncClient(mounts=mounts, follow_redirects=True) as client:
                await client.get(url)

        anyio.run(ask)

    return get


GETS: dict[str, Get] = {
    "requests": with_requests,
    "httpx": with_httpx(httpx, x402_client.httpx),
    "httpx2": with_httpx(httpx2, x402_client.httpx2),
    "async httpx": with_async_httpx(httpx, x402_client.httpx),
    "async httpx2": with_async_httpx(httpx2, x402_client.httpx2),
}


def warnings(told: list[events.Event]) -> list[str]:
    return [str(event) for event in told if isinstance(event, events.Warned)]


def leads_to(url: str) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.answer(302, b"", [("Location", url)])


@pytest.mark.parametrize("name", GETS)
def test_a_redirect_into_the_mount_is_warned_about(server: Server, till: Till, name: str) -> None:
    told: list[events.Event] = []
    buyer = new_buyer(on_event=told.append)
    paid = server.on("/paid", till.sells())
    away = server.url("", "localhost") + "/away"
    server.on("/away", leads_to(paid))
    GETS[name](buyer, server.url(""), away)
    [said] = warnings(told)
    assert "a redirect led here from an address that this client does not pay for" in said
    assert "give the purchase a key" in said
    assert len(till.nonces) == 1


@pytest.mark.parametrize("name", GETS)
def test_calls_that_begin_in_the_mount_are_not(server: Server, till: Till, name: str) -> None:
    told: list[events.Event] = []
    buyer = new_buyer(on_event=told.append)
    paid = server.on("/paid", till.sells())
    server.on("/here", leads_to(paid))
    for url in (paid, server.url("/here")):
        GETS[name](buyer, server.url(""), url)
    assert warnings(told) == []
    assert len(till.nonces) == 2


@pytest.mark.parametrize("name", GETS)
@pytest.mark.parametrize("fault", ["redirect-to-another-host-after-paying", "redirect-after-paying"])
def test_calls_that_paid_and_are_led_on_are_not(name: str, fault: str) -> None:
    told: list[events.Event] = []
    with Sandbox() as seller:
        buyer = seller.buyer(wallet=seller.wallet(solana=False), on_event=told.append)
        if "another" in fault:
            with pytest.raises(errors.PaymentRejected):
                GETS[name](buyer, "http://", seller.fault_url(fault, "/evm/weather"))
        else:
            GETS[name](buyer, "http://", seller.fault_url(fault, "/evm/weather"))
        assert len(seller.settlements) == 1
    assert "a redirect led here" not in str(warnings(told))


def test_a_call_made_while_another_is_redirected_is_one_of_its_own(server: Server, till: Till) -> None:
    """A hook of the caller's that asks by itself, in the middle of a redirect."""
    told: list[events.Event] = []
    buyer = new_buyer(on_event=told.append)
    paid = server.on("/paid", till.sells())
    server.on("/away", leads_to(server.on("/plain", lambda exchange: exchange.answer(200))))
    with requests.Session() as session, requests.Session() as other:
        other.mount(server.url(""), x402_client.requests.PaymentAdapter(buyer))

        def ask(response: requests.Response, **_: Any) -> None:
            if response.status_code == 200:
                other.get(paid)

        session.hooks["response"].append(ask)
        session.get(server.url("/away"))
    assert len(till.nonces) == 1
    assert warnings(told) == []
