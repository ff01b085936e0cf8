"""aiohttp: a session that pays, asks the price first, uploads a file, streams the answer. Needs the extra `aiohttp`.

Run it: python examples/pay_with_aiohttp.py
"""

import asyncio
import sys
import tempfile

try:
    import aiohttp
except ImportError:
    sys.exit('This example needs aiohttp: pip install "x402-buyer[aiohttp]" (in a clone: pip install ".[aiohttp]")')

from x402_client import Policy
from x402_client.aiohttp import outcome, quote, wrap
from x402_client.sandbox import Sandbox


async def main() -> None:
    async with Sandbox() as seller:
        buyer = seller.buyer(Policy(per_request="0.10", per_day="5"))
        async with wrap(aiohttp.ClientSession(), buyer) as session:
            terms = await quote(session, "GET", f"{seller.url}/weather")
            print("It would cost", terms.choice and terms.choice.price)

            async with session.get(f"{seller.url}/weather") as response:
                paid = outcome(response)
                print("Got", await response.text(), "and the money is", paid and paid.money)

            with tempfile.TemporaryFile() as file:
                file.write(b"a photograph " * 10_000)
                file.seek(0)
                async with session.post(f"{seller.url}/weather", data=file) as response:
                    pieces = [piece async for piece in response.content.iter_any()]
            print("Streamed", b"".join(pieces).decode())
        print("Paid", len(seller.settlements), "times, spent", await buyer.aspent())


asyncio.run(main())
