"""A client is closed before an answer that it paid for was read: what ends with it, and what does not."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

import x402_client.aiohttp
import x402_client.httpx
from tests.ledgers.redis.server import Server as Redis
from x402_client import Buyer

from .aiohttp_driver import Aiohttp
from .cash_register import Till
from .checks import new_buyer, outcome, paid
from .drivers import DRIVERS, AsyncHttpx, Client, Driver, Httpx, Requests, only
from .scripted_server import PATIENCE, Exchange, Server

#: More than the buffers of two sockets and of any library here.
LARGE = 8_000_000
#: The libraries whose clients close the connections of answers that were not read.
ended_with_client = only(*(one for one in (*DRIVERS, Aiohttp) if not one.reads_on))


def of_size(size: int) -> Callable[[Exchange, Till], Any]:
    def then(exchange: Exchange, till: Till) -> None:
        exchange.answer(200, b"x" * size, [till.receipt()])

    return then


def in_one_piece(exchange: Exchange, till: Till) -> None:
    exchange.answer_in_one_piece(200, b"the goods", [till.receipt()])


class Unfinished:
    """An answer whose second half is sent when the test says so."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def __call__(self, exchange: Exchange, till: Till) -> None:
        exchange.head(200, [till.receipt()], 8)
        exchange.send(b"half")
        self.go_on.wait(PATIENCE)
        exchange.send(b"half")


@pytest.fixture
def unfinished() -> Iterator[Unfinished]:
    made = Unfinished()
    yield made
    made.go_on.set()


def assert_let_go(buyer: Buyer, told: Any) -> None:
    """Check that the one open purchase is unresolved, and says of the money what the answer's outcome says."""
    [hold] = buyer.holds()
    assert (hold.in_flight, hold.money, hold.id) == (False, told.money, told.hold.id)


@pytest.fixture(params=[9, LARGE], ids=["small", "large"])
def size(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


@ended_with_client
def test_an_answer_that_ended_with_its_client_is_presented_again_by_the_same_request(
    shell: Driver, server: Server, till: Till, buyer: Buyer, size: int
) -> None:
    url = server.on("/paid", till.sells(of_size(size)))
    client = shell.client(buyer)
    answer = shell.unread(client.native, url)
    [flying] = buyer.holds()
    assert (flying.in_flight, flying.money) == (True, outcome(shell, answer).money), "both say the same before, too"
    client.close()
    assert_let_go(buyer, outcome(shell, answer))
    assert len(shell.client(buyer).get(url).content) == size
    assert len(set(till.nonces)) == 1
    assert paid(buyer)


@ended_with_client
def test_an_answer_that_its_client_left_in_the_middle_is_presented_again(
    shell: Driver, server: Server, till: Till, buyer: Buyer, unfinished: Unfinished
) -> None:
    url = server.on("/paid", till.sells(unfinished, of_size(9)))
    client = shell.client(buyer)
    answer = shell.unread(client.native, url)
    client.close()
    assert_let_go(buyer, outcome(shell, answer))
    assert len(shell.client(buyer).get(url).content) == 9
    assert len(set(till.nonces)) == 1
    assert paid(buyer)


def read(shell: Driver, answer: Any) -> bytes:
    """Read an answer to its end, whose client is closed."""
    if isinstance(shell, Requests):
        found: bytes = answer.content
    elif shell.is_async:
        native = getattr(answer, "native", answer)
        found = shell.call(native.read if shell.name == "aiohttp" else native.aread)
    else:
        found = answer.read()
    return found


@ended_with_client
@pytest.mark.parametrize("begun", [False, True], ids=["unread", "begun"])
def test_an_answer_that_is_closed_after_its_client_was_not_delivered(
    shell: Driver, server: Server, till: Till, buyer: Buyer, begun: bool
) -> None:
    url = server.on("/paid", till.sells(of_size(LARGE), of_size(9)))
    client = shell.client(buyer)
    answer = client.stream("GET", url)
    if begun:
        assert answer.following()
    client.close()
    answer.close()
    assert [hold.in_flight for hold in buyer.holds()] == [False]
    assert len(shell.client(buyer).get(url).content) == 9
    assert len(set(till.nonces)) == 1
    assert paid(buyer)


@pytest.mark.parametrize("begun", [False, True], ids=["before the read", "during the read"])
def test_the_end_of_a_connection_that_aiohttp_closed_is_no_end_of_a_body(
    server: Server, till: Till, buyer: Buyer, unfinished: Unfinished, begun: bool
) -> None:
    """A body without a length ends with its connection. aiohttp reads both ends alike."""

    def half(exchange: Exchange, till: Till) -> None:
        exchange.keep = False
        name, value = till.receipt()
        exchange.send(f"HTTP/1.1 200 Scripted\r\nConnection: close\r\n{name}: {value}\r\n\r\nhalf".encode())
        unfinished.go_on.wait(PATIENCE)

    url = server.on("/paid", till.sells(half, of_size(9)))

    async def made() -> None:
        session = x402_client.aiohttp.wrap(aiohttp.ClientSession(), buyer)
        answer = await session.get(url)
        reading = asyncio.create_task(answer.read()) if begun else None
        await asyncio.sleep(0.1)
        await session.close()
        assert await (answer.read() if reading is None else reading) == b"half"
        assert [(hold.state, hold.in_flight) for hold in await buyer.aholds()] == [("signed", False)]
        async with x402_client.aiohttp.wrap(aiohttp.ClientSession(), buyer) as other, other.get(url) as again:
            assert len(await again.read()) == 9

    asyncio.run(made())
    assert len(set(till.nonces)) == 1
    assert paid(buyer)


def test_what_can_still_be_read_is_delivered_at_its_end(
    shell: Driver, server: Server, till: Till, buyer: Buyer
) -> None:
    url = server.on("/paid", till.sells(in_one_piece))
    client = shell.client(buyer)
    answer = shell.unread(client.native, url)
    client.close()
    assert len(buyer.holds()) == 1
    assert read(shell, answer) == b"the goods"
    assert paid(buyer)


@only(Requests)
def test_a_connection_that_goes_on_keeps_its_payment_in_flight(
    shell: Driver, server: Server, till: Till, buyer: Buyer, size: int
) -> None:
    """requests leaves such a connection open: its answer is as good as before, and another call is another purchase."""
    url = server.on("/paid", till.sells(of_size(size)))
    client = shell.client(buyer)
    answer = shell.unread(client.native, url)
    client.close()
    [hold] = buyer.holds()
    assert (hold.in_flight, hold.money) == (True, outcome(shell, answer).money)
    assert len(shell.client(buyer).get(url).content) == len(read(shell, answer)) == size
    assert len(set(till.nonces)) == 2
    assert paid(buyer, 2)


@ended_with_client
def test_an_exception_that_closes_the_client_changes_nothing(
    shell: Driver, server: Server, till: Till, buyer: Buyer
) -> None:
    url = server.on("/paid", till.sells())
    client = shell.client(buyer)
    answer = shell.unread(client.native, url)
    try:
        raise ValueError("the caller's own")
    except ValueError:
        client.close()
    assert_let_go(buyer, outcome(shell, answer))


class TestSharedTransports:
    """Clients of httpx over one transport: closing one of them closes the transport for all."""

    @pytest.mark.parametrize("twice", [False, True], ids=["one of ours", "two of ours"])
    def test_one_close_ends_the_answers_of_all(self, server: Server, till: Till, buyer: Buyer, twice: bool) -> None:
        url, inner = server.on("/paid", till.sells(of_size(LARGE))), httpx.HTTPTransport()
        ours = x402_client.httpx.PaymentTransport(buyer, inner)
        other = x402_client.httpx.PaymentTransport(buyer, inner) if twice else ours
        one, two = httpx.Client(transport=ours), httpx.Client(transport=other)
        answer = two.send(two.build_request("GET", url), stream=True)
        one.close()
        assert_let_go(buyer, answer.extensions["x402"])
        assert len(two.get(url).content) == LARGE, "the transport opens connections again"
        assert len(set(till.nonces)) == 1
        two.close()

    def test_a_transport_that_stays_open_keeps_its_answers_in_flight(
        self, server: Server, till: Till, buyer: Buyer
    ) -> None:
        class Kept(httpx.HTTPTransport):
            """A transport that a program keeps for all of its clients."""

            def close(self) -> None:
                pass

            def __exit__(self, *_: object) -> None:
                pass

        url, inner = server.on("/paid", till.sells(of_size(LARGE))), Kept()
        with x402_client.httpx.wrap(httpx.Client(transport=inner), buyer) as client:
            answer = client.send(client.build_request("GET", url), stream=True)
        assert [hold.in_flight for hold in buyer.holds()] == [True]
        assert len(answer.read()) == LARGE
        assert paid(buyer)
        httpx.HTTPTransport.close(inner)

    def test_a_later_answer_of_a_transport_that_was_closed_is_in_flight(
        self, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url, inner = server.on("/paid", till.sells(of_size(LARGE))), httpx.HTTPTransport()
        x402_client.httpx.wrap(httpx.Client(transport=inner), buyer).close()
        with x402_client.httpx.wrap(httpx.Client(transport=inner), buyer) as client:
            answer = client.send(client.build_request("GET", url), stream=True)
            assert [hold.in_flight for hold in buyer.holds()] == [True]
            assert len(answer.read()) == LARGE
        assert paid(buyer)


def leads_to_goods(server: Server) -> Callable[[Exchange, Till], Any]:
    """An answer that is paid, and leads to the content."""
    server.on("/goods", lambda exchange: exchange.answer(200, b"x" * LARGE))
    leads = ("Location", server.url("/goods"))
    return lambda exchange, till: exchange.answer(303, b"", [till.receipt(), leads])


@only(Httpx)
def test_an_answer_behind_a_paid_redirect_is_let_go_too(
    shell: Driver, client: Client, server: Server, till: Till, buyer: Buyer
) -> None:
    url = server.on("/paid", till.sells(leads_to_goods(server)))
    request = client.native.build_request("GET", url)
    answer = client.native.send(request, stream=True, follow_redirects=True)
    assert [hold.in_flight for hold in buyer.holds()] == [True]
    client.close()
    assert [hold.in_flight for hold in buyer.holds()] == [False]
    del answer


@pytest.mark.parametrize("owner", [True, False], ids=["its owner", "another"])
def test_the_connector_of_aiohttp_is_closed_with_the_session_that_owns_it(
    server: Server, till: Till, buyer: Buyer, owner: bool
) -> None:
    url = server.on("/paid", till.sells(of_size(LARGE)))

    async def made() -> None:
        connector = aiohttp.TCPConnector()
        plain = aiohttp.ClientSession(connector=connector, connector_owner=owner)
        session = x402_client.aiohttp.wrap(plain, buyer)
        answer = await session.get(url)
        await session.close()
        assert [hold.in_flight for hold in await buyer.aholds()] == [not owner]
        if not owner:
            assert len(await answer.read()) == LARGE
            assert paid(buyer)
        await connector.close()

    asyncio.run(made())


def test_an_answer_of_aiohttp_behind_a_paid_redirect_is_let_go_too(server: Server, till: Till, buyer: Buyer) -> None:
    url = server.on("/paid", till.sells(leads_to_goods(server)))

    async def made() -> None:
        session = x402_client.aiohttp.wrap(aiohttp.ClientSession(), buyer)
        answer = await session.get(url)
        assert [hold.in_flight for hold in await buyer.aholds()] == [True]
        await session.close()
        assert [hold.in_flight for hold in await buyer.aholds()] == [False]
        del answer

    asyncio.run(made())


@pytest.fixture(params=["a file", "a server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "a file":
        yield str(tmp_path / "spend.db")
        return
    redis = Redis(tmp_path)
    yield redis.url
    redis.kill()


@only(Httpx, AsyncHttpx, Aiohttp)
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "as in another program"])
def test_every_ledger_hears_of_it(
    shell: Driver, server: Server, till: Till, place: str, size: int, elsewhere: bool
) -> None:
    """Another buyer of the same ledger presents the payment, as it would in another program."""
    url = server.on("/paid", till.sells(of_size(size)))
    buyer = new_buyer(ledger=place, on_event=bool)
    client = shell.client(buyer)
    answer = shell.unread(client.native, url)
    client.close()
    assert_let_go(buyer, outcome(shell, answer))
    other = new_buyer(ledger=place, on_event=bool) if elsewhere else buyer
    assert len(shell.client(other).get(url).content) == size
    assert len(set(till.nonces)) == 1
    assert paid(other)
    for one in {buyer, other}:
        shell.call(one.aclose if shell.is_async else one.close)


@only(Httpx, AsyncHttpx, Aiohttp)
def test_another_program_hears_of_it_at_once(
    shell: Driver, server: Server, till: Till, size: int, tmp_path: Path
) -> None:
    url, place = server.on("/paid", till.sells(of_size(size))), str(tmp_path / "spend.db")
    buyer = new_buyer(ledger=place, on_event=bool)
    client = shell.client(buyer)
    answer = shell.unread(client.native, url)
    client.close()
    seen: Any = {}
    until = time.monotonic() + PATIENCE
    while seen.get("state") != "unresolved" and time.monotonic() < until:
        command = [sys.executable, "-m", "x402_client", "ledger", "holds", "--json", "--ledger", place]
        [seen] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["holds"]
    assert (seen["state"], seen["money"]) == ("unresolved", outcome(shell, answer).money)
    buyer.close()
