"""A FastAPI service that buys from a paid API and sells on to its own customers. Needs the package `fastapi`.

Each customer has a purse with a budget of its own, in one ledger. A customer's Idempotency-Key becomes the key of the
purchase: an order that is sent twice is bought once. What went wrong upstream is told in terms of HTTP.

Run it: python examples/resell_with_fastapi.py
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated

import anyio
import httpx

try:
    from fastapi import Depends, FastAPI, Header, HTTPException, Response
except ImportError:
    sys.exit("This example needs FastAPI: pip install fastapi")

from x402_client import Buyer, Policy, errors, outcome
from x402_client.httpx import wrap
from x402_client.ledgers.memory import MemoryLedger
from x402_client.sandbox import Sandbox

CUSTOMERS = {"key-of-ann": "ann", "key-of-ben": "ben"}
MARGIN = Decimal("1.25")


def service(seller: Sandbox) -> FastAPI:
    """In earnest: Buyer(Wallet.from_env(), policy, ledger="redis://...", purse=name) for each customer."""
    ledger, wallet, policy = MemoryLedger(), seller.wallet(), Policy(per_request="0.10", per_day="0.10")
    buyers: dict[str, Buyer] = {
        name: seller.buyer(policy, wallet=wallet, ledger=ledger, purse=name) for name in CUSTOMERS.values()
    }
    clients = {name: wrap(httpx.AsyncClient(base_url=seller.url), buyer) for name, buyer in buyers.items()}

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        yield
        for client in clients.values():
            await client.aclose()

    app = FastAPI(lifespan=running)

    def customer(x_api_key: Annotated[str, Header()]) -> str:
        if x_api_key not in CUSTOMERS:
            raise HTTPException(401, "unknown key")
        return CUSTOMERS[x_api_key]

    @app.get("/report")
    async def report(
        city: str,
        answer: Response,
        name: Annotated[str, Depends(customer)],
        idempotency_key: Annotated[str, Header()],
    ) -> dict[str, str]:
        try:
            with buyers[name].purchase(key=idempotency_key):
                bought = await clients[name].get("/report", params={"city": city})
        except errors.AlreadyPaid:
            raise HTTPException(409, "this order was delivered before") from None
        except errors.OverLimit as limit:
            raise HTTPException(429, f"the budget of {limit.limit} is used up") from None
        except errors.PaymentRefused as refusal:
            raise HTTPException(502, str(refusal)) from None
        except errors.PaymentOutcomeUnknown:
            raise HTTPException(504, "no answer yet; send the same order again, it is not paid twice") from None
        paid = outcome(bought)
        if paid is not None:
            answer.headers["X-Charged"] = f"{paid.hold.price.amount * MARGIN:.4f}"
        return {"city": city, "report": bought.json()["content"]}

    return app


async def main() -> None:
    async with Sandbox() as seller:
        seller.sell("/report", "0.05", fault=[None, *["drop-before-settling"] * 3])
        app = service(seller)
        shop = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://resale.example")
        async with app.router.lifespan_context(app), shop:
            for key, order in [("ann", "1"), ("ann", "1"), ("ben", "7"), ("ben", "7"), ("ann", "2"), ("ann", "3")]:
                headers = {"X-Api-Key": f"key-of-{key}", "Idempotency-Key": order}
                answer = await shop.get("/report", params={"city": "Lisbon"}, headers=headers)
                charged = answer.headers.get("X-Charged", "nothing")
                print(key, order, answer.status_code, "charged", charged, answer.json().get("detail", ""))
        print("Bought", len(seller.settlements), "reports for", seller.earned)


anyio.run(main)
