"""A version 2 seller: FastAPI with the official middleware."""

from __future__ import annotations

from serving import read_orders
from storefronts import fastapi_pages, serve_fastapi
from terms import routes
from x402 import x402ResourceServer
from x402.http import FacilitatorConfig, HTTPFacilitatorClient
from x402.http.middleware.fastapi import payment_middleware
from x402.mechanisms.evm.exact.server import ExactEvmScheme
from x402.mechanisms.evm.upto.server import UptoEvmScheme


def main() -> None:
    orders = read_orders()
    server = x402ResourceServer(HTTPFacilitatorClient(FacilitatorConfig(url=orders["facilitator"])))
    server.register(orders["network"], ExactEvmScheme())
    server.register(orders["network"], UptoEvmScheme())
    app = fastapi_pages()
    app.middleware("http")(payment_middleware(routes(orders), server))
    serve_fastapi(app)


if __name__ == "__main__":
    main()
