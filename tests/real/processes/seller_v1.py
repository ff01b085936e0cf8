"""A version 1 seller, with the middleware of x402 1.0: FastAPI, or Flask if the first argument says so.

That middleware knows paths but no methods, so GET and POST of the same path each get a gate of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import shop
from fastapi import FastAPI, Request, Response
from serving import read_orders
from storefronts import fastapi_pages, flask_pages, serve_fastapi, serve_flask
from x402.fastapi.middleware import require_payment
from x402.flask.middleware import PaymentMiddleware

PRICES = {"GET": (shop.GET_PRICE, ["/paid", "/stream"]), "POST": (shop.POST_PRICE, ["/paid"])}


def terms(orders: dict[str, Any], method: str) -> dict[str, Any]:
    price, paths = PRICES[method]
    return {
        "price": price,
        "path": paths,
        "pay_to_address": orders["pay_to"],
        "network": orders["network_v1"],
        "max_deadline_seconds": shop.VALID_SECONDS,
        "facilitator_config": {"url": orders["facilitator"]},
        "description": "a test",
    }


def fastapi_seller(orders: dict[str, Any]) -> FastAPI:
    app = fastapi_pages()
    gates = {method: require_payment(**terms(orders, method)) for method in PRICES}

    @app.middleware("http")
    async def gate(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        paying = gates.get(request.method)
        answer: Response = await (paying(request, call_next) if paying else call_next(request))
        return answer

    return app


def flask_seller(orders: dict[str, Any]) -> Callable[[dict[str, Any], Any], Any]:
    shops = {}
    for method in PRICES:
        shops[method] = flask_pages()
        PaymentMiddleware(shops[method]).add(**terms(orders, method))

    def choose(environ: dict[str, Any], start_response: Any) -> Any:
        return shops.get(environ["REQUEST_METHOD"], shops["GET"])(environ, start_response)

    return choose


def main() -> None:
    orders = read_orders()
    if sys.argv[1:] == ["flask"]:
        serve_flask(flask_seller(orders))
    else:
        serve_fastapi(fastapi_seller(orders))


if __name__ == "__main__":
    main()
