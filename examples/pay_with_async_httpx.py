"""httpx, async: five requests side by side share one buyer and its budget.

Run it: python examples/pay_with_async_httpx.py
"""

import anyio
import httpx

from x402_client import Policy
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox


async def main() -> None:
    async with Sandbox() as seller:
        buyer = seller.buyer(Policy(per_request="0.10", per_day="5"))
        async with wrap(httpx.AsyncClient(), buyer) as client, anyio.create_task_group() as tasks:
            for day in range(5):
                tasks.start_soon(client.get, f"{seller.url}/weather?day={day}")
        print("Paid", len(seller.settlements), "times, spent", await buyer.aspent())


anyio.run(main)
