"""A key names one payment, in every program that uses it and each time."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.aiohttp_driver import Aiohttp
from tests.adapters.cash_register import KEY, PRICE
from tests.adapters.drivers import AsyncHttpx, Driver, Httpx, Httpx2, Requests
from tests.adapters.scripted_server import Server
from tests.adapters.test_failures import Holding
from x402_client import Buyer, Policy, Wallet, errors

from .children import Worker
from .moments import Points, watched
from .settling_seller import GOODS, Shop, busy, in_pieces

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
WHOLE = b"".join(GOODS)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def program(ledger: Path) -> Buyer:
    return Buyer(Wallet(evm=KEY), Policy(per_request="0.05", per_day="1"), ledger=ledger, repeat=())


def order(driver: type[Driver], buyer: Buyer, url: str, key: str = "order-42", method: str = "POST") -> str:
    """What became of an order: the status, or the name of the error."""
    with driver() as shell, buyer.purchase(key=key):
        try:
            return str(shell.client(buyer).request(method, url, content=b"one").status_code)
        except errors.X402Error as failure:
            return f"{type(failure).__name__}: {failure}"


def elsewhere(ledger: Path, url: str, **said: Any) -> str:
    worker = Worker(lambda pipe: order(Httpx, program(ledger), url, **said))
    said_there = str(worker.answer())
    worker.end()
    return said_there


@pytest.mark.parametrize("driver", [Httpx, Httpx2, AsyncHttpx, Requests, Aiohttp])
def test_it_is_paid_once_for_ever(server: Server, shop: Shop, tmp_path: Path, driver: type[Driver]) -> None:
    ledger, url = tmp_path / "ledger.db", server.on("/orders", shop.sells())
    buyer = program(ledger)
    assert order(driver, buyer, url) == "200"
    paid = (
        "AlreadyPaid: This key was paid before: 0.01 USD to 127.0.0.1. Nothing was sent; use a new key to buy again. "
        "More: x402 manual errors/already-paid"
    )
    assert order(driver, buyer, url) == paid
    assert elsewhere(ledger, url) == paid
    buyer.close()
    buyer = program(ledger)
    assert order(driver, buyer, url) == paid
    assert len(shop.headers) == len(shop.settled) == 1
    assert order(driver, buyer, url, key="order-43") == "200"
    assert len(shop.settled) == 2
    assert buyer.spent().units == 2 * PRICE
    buyer.close()


@pytest.mark.parametrize("paid", [True, False], ids=["paid", "unresolved"])
def test_another_request_under_it_is_refused(server: Server, shop: Shop, tmp_path: Path, paid: bool) -> None:
    ledger, url = tmp_path / "ledger.db", server.on("/orders", shop.sells(*[] if paid else [busy]))
    other = server.on("/others", shop.sells())
    buyer = program(ledger)
    assert order(Httpx, buyer, url) == ("200" if paid else "503")
    for found in (
        order(Httpx, buyer, other),
        order(Httpx, buyer, url, method="PUT"),
        elsewhere(ledger, other),
    ):
        assert found.startswith("PaymentRefused: This key was used for another request (POST")
    assert len(shop.headers) == 1
    buyer.close()


def test_while_it_is_in_flight_nobody_else_sends(server: Server, shop: Shop, tmp_path: Path) -> None:
    ledger, holding = tmp_path / "ledger.db", Holding()
    url = server.on("/orders", shop.sells(holding, in_pieces))
    worker = Worker(lambda pipe: order(Httpx, program(ledger), url))
    assert holding.reached.wait(10)
    buyer = program(ledger)
    with watched(Points()):  # or it would wait for seconds
        found = order(Httpx, buyer, url)
    assert found.startswith("PaymentOutcomeUnknown: Another attempt at the same purchase may still be running.")
    assert len(shop.headers) == 1
    holding.over.set()
    assert worker.answer().startswith("OutcomeUnknown")  # httpx's own error, too
    worker.end()
    assert order(Httpx, buyer, url) == "200"
    assert len(set(shop.headers)) == len(shop.settled) == 1
    buyer.close()


def test_many_programs_at_once_pay_once(server: Server, shop: Shop, tmp_path: Path) -> None:
    ledger, url = tmp_path / "ledger.db", server.on("/orders", shop.sells())
    workers = [Worker(lambda pipe: order(Httpx, program(ledger), url)) for _ in range(8)]
    said = Counter(worker.answer().partition(":")[0] for worker in workers)
    for worker in workers:
        worker.end()
    assert said == {"200": 1, "AlreadyPaid": 7}
    assert len(shop.headers) == len(shop.settled) == 1


@pytest.mark.parametrize("driver", [Httpx, Httpx2, AsyncHttpx, Requests, Aiohttp])
@pytest.mark.parametrize("key", [None, "upload-7"])
def test_a_multipart_upload_made_again_is_the_same_purchase(
    server: Server, shop: Shop, tmp_path: Path, driver: type[Driver], key: str | None
) -> None:
    """Its boundary is drawn anew with each try."""
    buyer, url = program(tmp_path / "ledger.db"), server.on("/upload", shop.sells(busy, in_pieces))
    with driver() as shell:
        client = shell.client(buyer)
        for expected in (503, 200):
            files = {"file": ("a.txt", io.BytesIO(b"the file"), "text/plain")}
            with buyer.purchase(key=key):
                assert client.request("POST", url, files=files).status_code == expected
    boundaries = {seen.header("content-type") for seen in server.at("/upload")}
    assert len(boundaries) == 2
    assert len(set(shop.headers)) == len(shop.settled) == 1
    assert (buyer.holds(), buyer.spent().units) == ((), PRICE)
    buyer.close()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "not an empty one"), (7, "not a value of type int"), (b"secret", "not a value of type bytes"),
        ("secret\ud800", "not one with half of a character"),
    ],
)  # fmt: skip
def test_a_key_that_is_none_is_named_plainly_and_not_shown(tmp_path: Path, key: Any, said: str) -> None:
    buyer = program(tmp_path / "ledger.db")
    with pytest.raises(errors.ConfigurationError, match=said) as raised:
        buyer.purchase(key=key)
    assert "a text of one character or more, like 'order-42'" in str(raised.value)
    assert "secret" not in str(raised.value)
