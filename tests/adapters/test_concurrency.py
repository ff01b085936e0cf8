"""Many at once, each its own purchase; and in-memory answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio

from x402_client import Buyer

from .cash_register import Till, delivered
from .checks import outcome, paid
from .drivers import Driver
from .scripted_server import Exchange, Server
from .test_client_settings import timing

CROWD = 50


class TestConcurrency:
    def test_fifty_alike_are_fifty_purchases(self, shell: Driver, server: Server, till: Till, buyer: Buyer) -> None:
        url = server.on("/paid", till.sells())
        client = shell.client(buyer)

        async def all_at_once() -> list[int]:
            found: list[int] = []

            async def one() -> None:
                found.append((await client.arequest("GET", url, timeout=30)).status_code)

            async with anyio.create_task_group() as tasks:
                for _ in range(CROWD):
                    tasks.start_soon(one)
            return found

        if shell.is_async:
            found = shell.call(all_at_once)
        else:
            with ThreadPoolExecutor(CROWD) as pool:
                found = list(pool.map(lambda _: client.get(url, timeout=30).status_code, range(CROWD)))
        assert found == [200] * CROWD
        assert len(till.nonces) == len(set(till.nonces)) == CROWD
        assert paid(buyer, CROWD)

    def test_in_memory_answers_are_paid_and_delivered_at_once(self, shell: Driver, buyer: Buyer) -> None:
        client = shell.over(shell.paying(buyer, timing(shell, Till(), [])))
        response = client.get("https://localhost/paid")
        assert response.content == b"the goods"
        assert outcome(shell, response).money == "spent"
        assert paid(buyer)
        answer: Any = client.driver.call(client.native.get, "https://localhost/paid")
        assert answer.content == b"the goods"
        client.close()

    def test_many_calls_that_break_present_one_payment_each(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        def script(exchange: Exchange, till: Till) -> None:
            exchange.answer(503) if till.headers.count(till.headers[-1]) < 3 else delivered(exchange, till)

        client = shell.client(buyer)
        url = server.on("/paid", till.sells(script))
        assert [client.get(url).status_code for _ in range(6)] == [503, 503, 200] * 2
        assert len(till.headers) == 6
        assert len(set(till.headers)) == 2
        assert paid(buyer, 2)
