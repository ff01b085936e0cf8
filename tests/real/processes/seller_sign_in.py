"""A version 2 seller with the official extension sign-in-with-x. Orders: {"network", "pay_to"}.

What a payment is worth is not the matter here: its facilitator takes each one at its word.
"""

from __future__ import annotations

from typing import Any

import uvicorn
from fastapi import FastAPI
from serving import HOST, announce, listen, read_orders
from x402 import x402ResourceServer
from x402.extensions.sign_in_with_x import InMemorySIWxStorage, declare_siwx_extension
from x402.extensions.sign_in_with_x.hooks import CreateSIWxRequestHookOptions
from x402.extensions.sign_in_with_x.server import create_siwx_resource_server_extension
from x402.extensions.sign_in_with_x.types import DeclareSIWxOptions
from x402.http import PaymentOption, RouteConfig
from x402.http.middleware.fastapi import payment_middleware
from x402.mechanisms.evm.exact.server import ExactEvmScheme
from x402.schemas import SettleResponse, SupportedKind, SupportedResponse, VerifyResponse

SOLANA = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"


class Trusting:
    """A facilitator that takes each payment at its word, and counts them."""

    def __init__(self, network: str) -> None:
        self.network, self.settled = network, 0

    def get_supported(self) -> SupportedResponse:
        return SupportedResponse(kinds=[SupportedKind(x402_version=2, scheme="exact", network=self.network)])

    async def verify(self, payload: Any, requirements: Any) -> VerifyResponse:
        return VerifyResponse(is_valid=True, payer=payload.payload["authorization"]["from"])

    async def settle(self, payload: Any, requirements: Any) -> SettleResponse:
        self.settled += 1
        payer = payload.payload["authorization"]["from"]
        return SettleResponse(success=True, payer=payer, transaction="0x" + "ab" * 32, network=self.network)


def main() -> None:
    orders, listener = read_orders(), listen()
    origin, network = f"http://{HOST}:{listener.getsockname()[1]}", orders["network"]
    trusting, storage = Trusting(network), InMemorySIWxStorage()
    server = x402ResourceServer(trusting)
    server.register(network, ExactEvmScheme())
    options = CreateSIWxRequestHookOptions(storage=storage, origin=origin)
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
        app.get(path)(lambda: {"settled": trusting.settled})
    app.middleware("http")(payment_middleware(routes, server))
    announce(listener.getsockname()[1])
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    main()
