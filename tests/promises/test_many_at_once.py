"""Ten thousand payments at once in one process: each ends well, and none is accused of being slow, lost or refused."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import httpx
import pytest

import x402_client.aiohttp
import x402_client.httpx
from tests.soak.benchmarks import terms
from tests.soak.benchmarks.crew import Worker
from tests.soak.benchmarks.turnstile import HOST, Turnstile
from x402_client import Buyer, Policy, Wallet, events, outcome

MANY = 10_000
#: Sockets of the client that has some. The other payments wait for their turn, in a queue.
SOCKETS = 500
PATH = terms.PATHS["evm2"]
Get = Callable[[], Awaitable[Any]]


async def in_process(buyer: Buyer) -> list[object]:
    """With httpx, and a seller that answers at once: all there is to wait for is the loop itself."""
    async with x402_client.httpx.wrap(httpx.AsyncClient(transport=Turnstile()), buyer) as client:
        return await at_once(lambda: client.get(HOST + PATH))


async def over_sockets(buyer: Buyer) -> list[object]:
    """With aiohttp, and a seller in a process of its own."""
    with Worker("seller") as seller:
        url, pool = seller.ask("start", 0.0), aiohttp.TCPConnector(limit=SOCKETS)
        async with x402_client.aiohttp.wrap(aiohttp.ClientSession(connector=pool), buyer) as session:

            async def get() -> Any:
                response = await session.get(url + PATH)
                await response.read()
                return response

            return await at_once(get)


async def at_once(get: Get) -> list[object]:
    """How each payment ended: its status and its money, or what it raised."""

    async def one() -> object:
        try:
            response = await get()
        except Exception as failure:
            return repr(failure)
        status, found = getattr(response, "status_code", None) or response.status, outcome(response)
        return status, found and found.money

    return list(await asyncio.gather(*(one() for _ in range(MANY))))


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("way", [in_process, over_sockets])
def test_ten_thousand_payments_at_once_end_without_one_false_error(way: Callable[[Buyer], Any]) -> None:
    told = Counter[type[events.Event]]()
    policy = Policy(per_request="0.10", per_day="100000", max_payments=f"{MANY}/day")
    buyer = Buyer(Wallet(evm=terms.KEY), policy, ledger=":memory:", on_event=lambda event: told.update([type(event)]))
    assert Counter(asyncio.run(way(buyer))) == {(200, "spent"): MANY}
    bought = told[events.Presented], told[events.Answered], told[events.Delivered]
    assert (bought, buyer.holds()) == ((MANY, MANY, MANY), ())
    strange = {events.Warned, events.Unknown, events.Refused, events.NotDelivered, events.ClockJumped}
    assert not strange & set(told), told
    buyer.close()
