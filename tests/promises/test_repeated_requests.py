"""After any ambiguous end, the same request presents the same payment, in this process and in any other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.adapters.aiohttp_driver import Aiohttp
from tests.adapters.cash_register import KEY, PRICE, Then, Till
from tests.adapters.drivers import AsyncHttpx, Driver, Httpx, Requests
from tests.adapters.scripted_server import Exchange, Server
from tests.adapters.test_failures import Holding, cut_body, leave, reset
from x402_client import Buyer, Policy, Wallet, errors

from .children import Worker
from .settling_seller import GOODS, Shop, in_pieces

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
WHOLE = b"".join(GOODS)


class Elsewhere(Till):
    """Wants to be paid at another address."""

    def offer(self) -> dict[str, Any]:
        return super().offer() | {"payTo": "0x" + "77" * 20}


def status(code: int) -> Then:
    return lambda exchange, till: exchange.answer(code, b"no")


def asks(other: Callable[[Shop], Till]) -> Then:
    """402, and from then on these terms."""

    def then(exchange: Exchange, till: Till) -> None:
        assert isinstance(till, Shop)
        till.asking = other(till)
        till.asking.challenge(exchange)

    return then


UNKNOWN, REJECTED = errors.PaymentOutcomeUnknown, errors.PaymentRejected
#: What the seller answers to the first payment, having settled it; and what the caller sees.
ENDS: dict[str, tuple[Then, Any]] = {
    "reset": (reset, UNKNOWN),
    "dropped": (leave, UNKNOWN),
    "no answer": (Holding(), UNKNOWN),
    "a body cut short": (cut_body, Exception),
    "400": (status(400), 400),
    "404": (status(404), 404),
    "500": (status(500), 500),
    "503": (status(503), 503),
    "402, the same terms": (asks(lambda shop: shop), REJECTED),
    "402, another payee": (asks(lambda shop: Elsewhere()), REJECTED),
    "402, a higher price": (asks(lambda shop: Till(price=PRICE + 1)), REJECTED),
    "402, a price that is not allowed": (asks(lambda shop: Till(price=9 * PRICE)), REJECTED),
}


class Case:
    def __init__(self, server: Server, ledger: Path, end: str) -> None:
        then, self.seen = ENDS[end]
        self.ledger, self.shop = ledger, Shop()
        self.url = server.on("/paid", self.shop.sells(then, in_pieces))
        #: Seconds that are enough for a busy machine, where the end of the case is not that they pass.
        self.patience = 0.5 if end == "no answer" else 10.0
        self.buyer = self.program()

    def program(self) -> Buyer:
        """A buyer as a program makes it when it starts."""
        policy = Policy(per_request="0.05", per_day="0.06")
        return Buyer(Wallet(evm=KEY), policy, ledger=self.ledger, repeat=(), settle_timeout=self.patience)

    def ask(self, driver: type[Driver], buyer: Buyer) -> int:
        """One try; its status, or 0 if it failed as it had to."""
        with driver() as shell:
            client = shell.client(buyer)
            if not self.shop.headers and isinstance(self.seen, type):
                with pytest.raises(self.seen):
                    client.get(self.url, timeout=self.patience)
                return 0
            return int(client.get(self.url, timeout=10).status_code)

    def is_open(self) -> None:
        [hold] = self.buyer.holds()
        assert [hold.nonce] == self.shop.nonces == self.shop.settled
        assert self.buyer.spent().units == PRICE

    def is_over(self) -> None:
        assert len(self.shop.headers) == 2
        assert len(set(self.shop.headers)) == len(self.shop.settled) == 1, "it paid twice"
        assert (self.buyer.holds(), len(self.buyer.history())) == ((), 1)
        assert self.buyer.spent().units == PRICE


def by_a_loop(case: Case) -> None:
    """The user's own: until it works."""
    assert [case.ask(Httpx, case.buyer) for _ in range(2)] == [_first(case), 200]


def by_a_loop_of_requests(case: Case) -> None:
    assert [case.ask(Requests, case.buyer) for _ in range(2)] == [_first(case), 200]


def by_a_loop_of_aiohttp(case: Case) -> None:
    assert [case.ask(Aiohttp, case.buyer) for _ in range(2)] == [_first(case), 200]


def by_another_task(case: Case) -> None:
    async def one(client: httpx.AsyncClient) -> int:
        return (await client.get(case.url)).status_code

    with AsyncHttpx() as shell:
        client = shell.client(case.buyer, timeout=case.patience)

        async def both() -> None:
            [first] = await asyncio.gather(one(client.native), return_exceptions=True)
            assert isinstance(first, case.seen) if isinstance(case.seen, type) else first == case.seen
            case.is_open()
            assert await asyncio.create_task(one(client.native)) == 200

        shell.call(both)


def by_another_process(case: Case) -> None:
    assert case.ask(Httpx, case.buyer) == _first(case)
    case.is_open()
    _elsewhere(lambda: case.ask(Httpx, case.program()))


def by_a_child_with_its_parents_buyer(case: Case) -> None:
    assert case.ask(Httpx, case.buyer) == _first(case)
    _elsewhere(lambda: case.ask(Httpx, case.buyer))


def after_a_restart(case: Case) -> None:
    assert case.ask(Httpx, case.buyer) == _first(case)
    case.buyer.close()
    case.buyer = case.program()
    case.is_open()
    assert case.ask(Requests, case.buyer) == 200


def _first(case: Case) -> int:
    return 0 if isinstance(case.seen, type) else case.seen


def _elsewhere(work: Callable[[], int]) -> None:
    worker = Worker(lambda pipe: work())
    assert worker.answer() == 200
    worker.end()


EVERYWHERE = [
    by_a_loop,
    by_a_loop_of_requests,
    by_a_loop_of_aiohttp,
    by_another_task,
    by_another_process,
    by_a_child_with_its_parents_buyer,
    after_a_restart,
]


@pytest.mark.parametrize("again", EVERYWHERE, ids=lambda again: again.__name__)
@pytest.mark.parametrize("end", ENDS)
def test_the_same_request_presents_the_same_payment(
    server: Server, tmp_path: Path, end: str, again: Callable[[Case], None]
) -> None:
    case = Case(server, tmp_path / "ledger.db", end)
    again(case)
    case.is_over()
    case.buyer.close()
