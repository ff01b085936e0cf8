"""``wrap`` survives what people do next with their client, and says what it cannot wrap."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import httpx
import httpx2
import pytest
import requests
from requests.adapters import HTTPAdapter

import x402_client.httpx
import x402_client.httpx2
import x402_client.requests
from x402_client import Buyer, Policy
from x402_client.errors import ConfigurationError
from x402_client.receipts import outcome
from x402_client.sandbox import Sandbox


@pytest.fixture
def buyer(x402_sandbox: Sandbox) -> Buyer:
    return x402_sandbox.buyer(Policy(per_request="0.10"))


def pays(session: requests.Session, seller: Sandbox) -> bool:
    with session:
        answer = session.get(f"{seller.url}/weather")
    found = outcome(answer)
    return answer.status_code == 200 and found is not None and found.money == "spent"


def test_what_is_mounted_later_pays_as_well(x402_sandbox: Sandbox, buyer: Buyer) -> None:
    session = x402_client.requests.wrap(requests.Session(), buyer)
    mine = HTTPAdapter(pool_maxsize=3)
    session.mount(f"{x402_sandbox.url}/", mine)
    session.mount("http://", HTTPAdapter())
    session.adapters["https://"] = HTTPAdapter()
    adapter: Any = session.get_adapter(f"{x402_sandbox.url}/weather")
    assert adapter._inner is mine, "the caller's own adapter stays underneath"
    assert pays(session, x402_sandbox)
    assert len(x402_sandbox.settlements) == 1


def test_mounts_keep_their_order(buyer: Buyer) -> None:
    bare, session = requests.Session(), x402_client.requests.wrap(requests.Session(), buyer)
    for prefix in ("https://a.example/", "https://a.example/deep/", "http://"):
        bare.mount(prefix, HTTPAdapter())
        session.mount(prefix, HTTPAdapter())
    assert list(session.adapters) == list(bare.adapters)


def test_a_session_is_wrapped_once(x402_sandbox: Sandbox, buyer: Buyer) -> None:
    session = x402_client.requests.wrap(requests.Session(), buyer)
    before = list(session.adapters.values())
    x402_client.requests.wrap(session, buyer)
    assert list(session.adapters.values()) == before
    with pytest.raises(ConfigurationError, match="another buyer"):
        x402_client.requests.wrap(session, x402_sandbox.buyer())
    with pytest.raises(ConfigurationError, match="another buyer"):
        session.mount("https://", x402_client.requests.PaymentAdapter(x402_sandbox.buyer()))


def test_a_copy_of_a_wrapped_session_pays(x402_sandbox: Sandbox, buyer: Buyer) -> None:
    session = x402_client.requests.wrap(requests.Session(), buyer)
    assert pays(copy.copy(session), x402_sandbox)
    assert pays(copy.deepcopy(session), x402_sandbox)


def test_the_adapters_of_a_wrapped_session_are_copied_as_ever(x402_sandbox: Sandbox, buyer: Buyer) -> None:
    session = x402_client.requests.wrap(requests.Session(), buyer)
    adapters: Any = session.adapters
    session.adapters = adapters.copy() | {f"{x402_sandbox.url}/": HTTPAdapter()}
    assert len(session.adapters) == len(adapters) + 1
    assert pays(session, x402_sandbox)


def test_a_wrapped_session_says_why_it_is_not_pickled(buyer: Buyer) -> None:
    with pytest.raises(TypeError, match=r"This requests\.Session pays.*wrap one where it is used"):
        pickle.dumps(x402_client.requests.wrap(requests.Session(), buyer))


@pytest.mark.parametrize(
    ("face", "given", "wanted"),
    [
        (x402_client.httpx, httpx2.Client, r"use x402_client\.httpx2\.wrap"),
        (x402_client.httpx, httpx2.AsyncClient, r"use x402_client\.httpx2\.wrap"),
        (x402_client.httpx2, httpx.Client, r"use x402_client\.httpx\.wrap"),
        (x402_client.httpx, requests.Session, r"use x402_client\.requests\.wrap"),
        (x402_client.requests, httpx.Client, r"use x402_client\.httpx\.wrap"),
        (x402_client.requests, dict, r"wrap takes a requests\.Session, not dict"),
    ],
)
def test_a_client_of_another_library_is_told_where_to_go(face: Any, given: Any, wanted: str, buyer: Buyer) -> None:
    with pytest.raises(ConfigurationError, match=wanted):
        face.wrap(given(), buyer)


@pytest.mark.parametrize(("face", "library"), [(x402_client.httpx, httpx), (x402_client.httpx2, httpx2)])
def test_a_sync_transport_in_an_async_client_says_so(face: Any, library: Any, buyer: Buyer) -> None:
    with pytest.raises(ConfigurationError, match="HTTPTransport is a sync transport, and this client is async"):
        face.AsyncPaymentTransport(buyer, library.HTTPTransport())
    with pytest.raises(ConfigurationError, match="AsyncClient takes AsyncPaymentTransport"):
        face.PaymentTransport(buyer, library.AsyncHTTPTransport())
    with pytest.raises(ConfigurationError, match="sync transport"):
        face.wrap(library.AsyncClient(transport=library.HTTPTransport()), buyer)


@pytest.mark.anyio
@pytest.mark.parametrize(("face", "library"), [(x402_client.httpx, httpx), (x402_client.httpx2, httpx2)])
async def test_a_payment_transport_of_the_other_colour_says_so(face: Any, library: Any, buyer: Buyer) -> None:
    client = library.AsyncClient(transport=face.PaymentTransport(buyer))
    with pytest.raises(ConfigurationError, match=r"AsyncPaymentTransport\(buyer\)"):
        await client.get("https://api.example.com/")
    with pytest.raises(ConfigurationError, match=r"AsyncPaymentTransport\(buyer\)"):
        await library.AsyncClient(transport=face.PaymentTransport(buyer)).__aenter__()
    sync = library.Client(transport=face.AsyncPaymentTransport(buyer))
    with pytest.raises(ConfigurationError, match=r"PaymentTransport\(buyer\)"):
        sync.get("https://api.example.com/")
    with pytest.raises(ConfigurationError, match=r"PaymentTransport\(buyer\)"):
        library.Client(transport=face.AsyncPaymentTransport(buyer)).__enter__()


@pytest.mark.parametrize(
    ("wrap", "kind", "line"),
    [
        (x402_client.httpx.wrap, httpx.Client, r"wrap\(httpx\.Client\(\), buyer\)"),
        (x402_client.requests.wrap, requests.Session, r"wrap\(requests\.Session\(\), buyer\)"),
    ],
)
def test_a_class_in_place_of_a_client_is_answered_by_the_line_to_write(
    buyer: Buyer, wrap: Any, kind: type, line: str
) -> None:
    with pytest.raises(ConfigurationError, match=line):
        wrap(kind, buyer)
