"""A version 2 seller with the official extension sign-in-with-x. Orders: {"facilitator", "network", "pay_to"}.

GET /poem is sold once to each payer; GET /evm and /solana have no price, and open to a key of their chain.
"""

from __future__ import annotations

import shop
import uvicorn
from fastapi import FastAPI
from serving import HOST, announce, listen, read_orders
from x402 import x402ResourceServer
from x402.extensions.sign_in_with_x import InMemorySIWxStorage, declare_siwx_extension
from x402.extensions.sign_in_with_x.hooks import CreateSIWxRequestHookOptions
from x402.extensions.sign_in_with_x.server import create_siwx_resource_server_extension
from x402.extensions.sign_in_with_x.types import DeclareSIWxOptions
from x402.http import FacilitatorConfig, HTTPFacilitatorClient, PaymentOption, RouteConfig
from x402.http.middleware.fastapi import payment_middleware
from x402.mechanisms.evm.exact.server import ExactEvmScheme

SOLANA = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"


def main() -> None:
    orders, listener = read_orders(), listen()
    origin, network = f"http://{HOST}:{listener.getsockname()[1]}", orders["network"]
    server = x402ResourceServer(HTTPFacilitatorClient(FacilitatorConfig(url=orders["facilitator"])))
    server.register(network, ExactEvmScheme())
    options = CreateSIWxRequestHookOptions(storage=InMemorySIWxStorage(), origin=origin)
    server.register_extension(create_siwx_resource_server_extension(options))
    price = PaymentOption(scheme="exact", pay_to=orders["pay_to"], price="$0.01", network=network)
    said = DeclareSIWxOptions(statement="Read it again", expiration_seconds=300)
    routes = {
        "GET /poem": RouteConfig(accepts=[price], extensions=declare_siwx_extension(said)),
        "GET /evm": RouteConfig(accepts=[], extensions=declare_siwx_extension(DeclareSIWxOptions(network=network))),
        "GET /solana": RouteConfig(accepts=[], extensions=declare_siwx_extension(DeclareSIWxOptions(network=SOLANA))),
    }
    app = FastAPI()
    for path in ("/poem", "/evm", "/solana"):
        app.get(path)(shop.goods)
    app.middleware("http")(payment_middleware(routes, server))
    announce(listener.getsockname()[1])
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    main()
