"""A FastAPI service that buys from a paid API and sells on to its own customers. Needs the package `fastapi`.

Each customer has a purse with a budget of its own, in one ledger. A customer's Idempotency-Key becomes the key of the
purchase: an order that is sent twice is bought once, and its report is kept before the purchase counts as delivered.
Every end of a purchase has an HTTP answer of its own.

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


AGAIN = "send the same order again, it is not paid twice"


def told(problem: Exception) -> HTTPException:
    """Return what a customer is told: what became of the order, and whether to send it again."""
    match problem:
        case errors.AlreadyPaid():
            return HTTPException(409, "this order was delivered before")
        case errors.TooExpensive():
            return HTTPException(502, f"it costs {problem.asked} now, and one report may cost {problem.limit}")
        case errors.OverLimit():
            return HTTPException(429, f"your budget is {problem.limit}, and {problem.spent} of it is used")
        case errors.PaidNotDelivered():
            return HTTPException(502, "it was paid, and the seller does not deliver; we look into it")
        case errors.PaymentRefused() if type(problem) is errors.PaymentRefused and problem.money == "untouched":
            return HTTPException(409, "this Idempotency-Key was used for another order; nothing was paid")
        case errors.X402Error() if problem.money == "untouched":
            return HTTPException(503, "it could not be bought, and nothing was paid")
        case errors.X402Error() if problem.money == "spent":
            return HTTPException(502, f"it was paid, and the seller did not deliver yet; {AGAIN}")
        case errors.PaymentRejected():
            return HTTPException(502, f"the seller did not take the payment yet; {AGAIN}")
        case _:  # not known; or the library's own error, before a payment or in the middle of a paid answer
            return HTTPException(504, f"no answer yet; {AGAIN}")


def service(seller: Sandbox) -> FastAPI:
    """In earnest: Buyer(Wallet.from_env(), policy, ledger="redis://...", purse=name) for each customer."""
    asked: dict[tuple[str, str], str] = {}  # in earnest these two are a table of your database
    delivered: dict[tuple[str, str], dict[str, str]] = {}
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
        order = (name, idempotency_key)
        if asked.setdefault(order, city) != city:
            raise HTTPException(422, f"this Idempotency-Key is that of an order for {asked[order]}")
        if order in delivered:
            return delivered[order]
        try:
            with buyers[name].purchase(key=idempotency_key):
                async with clients[name].stream("GET", "/report", params={"city": city}) as bought:
                    paid = outcome(bought)
                    if paid is not None:
                        paid.reject()  # not delivered until it is stored: a crash before that loses no report
                    await bought.aread()
        except (errors.X402Error, httpx.HTTPError) as problem:
            raise told(problem) from None
        if bought.is_error:
            raise HTTPException(502, f"the seller answered {bought.status_code}; {AGAIN}")
        delivered[order] = {"city": city, "report": bought.json()["content"]}
        if paid is not None:
            paid.accept()
            answer.headers["X-Charged"] = f"{paid.hold.price.amount * MARGIN:.4f}"
        return delivered[order]

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


if __name__ == "__main__":
    anyio.run(main)
