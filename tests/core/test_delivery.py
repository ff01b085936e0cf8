"""When a paid answer counts as delivered, where its end is not a plain one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx
import pytest
import requests

from tests.adapters.cash_register import Till
from tests.adapters.checks import new_buyer
from tests.adapters.scripted_server import Server
from x402_client.adapters.httpx_bodies import Library
from x402_client.adapters.requests_adapter import PaymentAdapter
from x402_client.core import asks
from x402_client.core.delivery import Delivery, delivers
from x402_client.core.drive import run
from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance.ledger import order, purchase
from x402_client.model.holds import Busy, Hold, Outcome
from x402_client.model.offers import Receipt

from .scripted_flow import called

ORDER = order(purchase("a"))
HOLD = Hold("1", ORDER.purchase, ORDER.offer, ORDER.price, 0.0, "signed")
LIBRARY = Library(httpx)


def outcome(money: Any = "spent", receipt: Receipt | None = None, mismatches: tuple[str, ...] = ()) -> Outcome:
    return Outcome(money, HOLD, HOLD.offer, receipt, mismatches)


@pytest.mark.parametrize(
    ("status", "found", "yes"),
    [
        (200, outcome("unknown"), True),
        (206, outcome("unknown"), True),
        (302, outcome("spent", Receipt(True, "0xfeed")), True),
        (302, outcome("spent"), False),  # the chain's proof is not the seller's: this may lead to a login
        (302, outcome("spent", Receipt(False, "0xfeed")), False),
        (302, outcome("spent", Receipt(True, "0xfeed"), ("another payer",)), False),
        (302, outcome("unknown", Receipt(True, "0xfeed")), False),
        (404, outcome("spent", Receipt(True, "0xfeed")), False),
    ],
)
def test_what_can_be_the_content(status: int, found: Outcome, yes: bool) -> None:
    assert delivers(status, found) is yes


class _Stubborn:
    """A body whose closing fails, or is cancelled."""

    def __init__(self, failure: BaseException) -> None:
        self.failure = failure

    def __iter__(self) -> Iterator[bytes]:
        yield b"some"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"some"

    def close(self) -> None:
        raise self.failure

    async def aclose(self) -> None:
        raise self.failure


@pytest.mark.parametrize("failure", [OSError("reset"), KeyboardInterrupt(), asyncio.CancelledError()])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_close_that_fails_ends_the_attempt_and_delivers_nothing(failure: BaseException, is_async: bool) -> None:
    """Else its claim would live on, and the same request would sign a second payment."""
    call = called()
    made = LIBRARY.awatched if is_async else LIBRARY.watched
    body = made(_Stubborn(failure), Delivery(call, outcome(), Scripted()), httpx.Response(200))
    with pytest.raises(type(failure)):
        if is_async:
            anyio.run(body.aclose)
        else:
            body.close()
    assert not call.attempt.alive


def test_where_a_redirect_leads_the_delivery_is_its_own_buyers() -> None:
    """Another buyer may be mounted there."""
    with contextlib.closing(Server()) as seller, contextlib.closing(Server()) as store:
        till, buyers = Till(), [new_buyer(ledger=":memory:"), new_buyer(ledger=":memory:")]
        store.on("/goods", lambda ex: ex.answer(200, b"the goods"))
        leads = [till.receipt(), ("Location", store.url("/goods"))]
        url = seller.on("/paid", till.sells(lambda ex, till: ex.answer(303, b"", leads)))
        with requests.Session() as session:
            for server, buyer in zip((seller, store), buyers, strict=True):
                session.mount(server.url(), PaymentAdapter(buyer))
            assert session.get(url).content == b"the goods"
        assert [(len(buyer.holds()), len(buyer.history())) for buyer in buyers] == [(0, 1), (0, 0)]


class Scripted:
    """Answers the asks of a delivery, and keeps them."""

    def __init__(self, claimed: Any = None) -> None:
        self.claimed, self.asked = claimed, list[Any]()

    def __call__(self, ask: asks.Ask[Any]) -> Any:
        self.asked.append(ask)
        if isinstance(ask, asks.Claim) and isinstance(self.claimed, Exception):
            raise self.claimed
        return self.claimed if isinstance(ask, asks.Claim) else None


@pytest.mark.parametrize(
    ("claimed", "alive"),
    [(HOLD, True), (None, False), (Busy(HOLD), False), (HOLD.but(id="2"), False), (LedgerUnavailable("gone"), False)],
)
def test_content_that_a_redirect_led_to_is_watched_under_a_claim_of_its_own(claimed: Any, alive: bool) -> None:
    call, answers = called(), Scripted(claimed)
    call.attempt.end()
    delivery = Delivery(call, outcome(), answers)
    delivery.arrived()
    assert call.attempt.alive is alive
    assert [type(ask) for ask in answers.asked] == [asks.Claim]
    delivery.done()
    assert not call.attempt.alive
    assert asks.Close in [type(ask) for ask in answers.asked]


def test_it_is_resolved_once() -> None:
    answers = Scripted()
    delivery = Delivery(called(), outcome(), answers)
    delivery.done()
    run(delivery.resolved(), answers)
    asyncio.run(delivery.adone())
    asyncio.run(delivery.aclosed())
    delivery.closed()
    delivery.broke(OSError("too late"))
    assert [type(ask) for ask in answers.asked] == [asks.Close, asks.Tell]


def test_of_an_async_client() -> None:
    answers = Scripted(HOLD)
    delivery = Delivery(called(), outcome(), answers)
    asyncio.run(delivery.aarrived())
    asyncio.run(delivery.aclosed())
    assert [type(ask) for ask in answers.asked] == [asks.Claim, asks.Close, asks.Tell]
