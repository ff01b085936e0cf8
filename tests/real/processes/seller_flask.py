"""A version 2 seller: Flask with the official middleware."""

from __future__ import annotations

from serving import read_orders
from storefronts import flask_pages, serve_flask
from terms import routes
from x402 import x402ResourceServerSync
from x402.http import FacilitatorConfig, HTTPFacilitatorClientSync
from x402.http.middleware.flask import PaymentMiddleware
from x402.mechanisms.evm.exact.server import ExactEvmScheme
from x402.mechanisms.evm.upto.server import UptoEvmScheme


def main() -> None:
    orders = read_orders()
    server = x402ResourceServerSync(HTTPFacilitatorClientSync(FacilitatorConfig(url=orders["facilitator"])))
    server.register(orders["network"], ExactEvmScheme())
    server.register(orders["network"], UptoEvmScheme())
    app = flask_pages()
    PaymentMiddleware(app, routes(orders), server)
    serve_flask(app)


if __name__ == "__main__":
    main()
