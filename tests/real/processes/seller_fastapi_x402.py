"""A version 1 seller: FastAPI with fastapi-x402. Orders: {"pay_to", "network", "facilitator"}."""

from __future__ import annotations

from typing import Any

import shop
from fastapi import FastAPI, Request
from fastapi_x402 import init_x402, pay
from serving import read_orders
from storefronts import serve_fastapi


def main() -> None:
    orders = read_orders()
    app = FastAPI()
    init_x402(
        app,
        pay_to=orders["pay_to"],
        network=orders["network"],
        facilitator_url=orders["facilitator"],
        load_dotenv_file=False,
    )

    @app.get("/paid")
    @pay(shop.GET_PRICE)
    async def bought() -> dict[str, Any]:
        return shop.goods()

    @app.post("/paid")
    @pay(shop.POST_PRICE)
    async def sent(request: Request) -> dict[str, Any]:
        return shop.echo(await request.body(), request.headers.get("content-type"))

    serve_fastapi(app)


if __name__ == "__main__":
    main()
