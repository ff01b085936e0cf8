"""A version 2 seller on Solana: FastAPI with the official middleware. One offer, /both, is on an EVM chain as well."""

from __future__ import annotations

from typing import Any

import shop
from serving import read_orders
from storefronts import fastapi_pages, serve_fastapi
from x402 import x402ResourceServer
from x402.http import FacilitatorConfig, HTTPFacilitatorClient, PaymentOption, RouteConfig
from x402.http.middleware.fastapi import payment_middleware
from x402.mechanisms.evm.exact.server import ExactEvmScheme
from x402.mechanisms.svm.exact.server import ExactSvmScheme
from x402.schemas import AssetAmount


def routes(orders: dict[str, Any]) -> dict[str, RouteConfig]:
    def option(price: Any, **extra: Any) -> PaymentOption:
        return _option(orders["network"], orders["pay_to"], price, extra)

    in_pyusd = AssetAmount(amount="10000", asset=orders["token2022"], extra={})
    return {
        "GET /upfront": _route(option(shop.GET_PRICE, paymentFlow="upfront")),
        "GET /upfront/fails": _route(option(shop.GET_PRICE, paymentFlow="upfront")),
        "GET /paid": _route(option(shop.GET_PRICE)),
        "POST /paid": _route(option(shop.POST_PRICE)),
        "GET /stream": _route(option(shop.GET_PRICE)),
        "GET /token2022": _route(option(in_pyusd)),
        "GET /memo": _route(option(shop.GET_PRICE, memo=orders["memo"])),
    }


def both(orders: dict[str, Any]) -> dict[str, RouteConfig]:
    on_evm = _option(orders["evm_network"], orders["evm_pay_to"], shop.GET_PRICE, {})
    return {"GET /both": _route(on_evm, _option(orders["network"], orders["pay_to"], shop.GET_PRICE, {}))}


def hinted(orders: dict[str, Any]) -> dict[str, RouteConfig]:
    return {"GET /hint": _route(_option(orders["network"], orders["pay_to"], shop.GET_PRICE, {}))}


def _option(network: str, pay_to: str, price: Any, extra: dict[str, Any]) -> PaymentOption:
    return PaymentOption("exact", pay_to, price, network, shop.VALID_SECONDS, extra or None)


def _route(*options: PaymentOption) -> RouteConfig:
    return RouteConfig(accepts=list(options), description="a test", mime_type="text/plain")


def main() -> None:
    orders = read_orders()
    svm, evm = (
        HTTPFacilitatorClient(FacilitatorConfig(url=orders[name])) for name in ("facilitator", "evm_facilitator")
    )
    plain = x402ResourceServer(svm).register(orders["network"], ExactSvmScheme())
    # A scheme hints at a blockhash on all its routes or on none: /hint needs a server of its own. /both has one too,
    # for a server asks all its facilitators what they can do before it answers anything.
    hinting = x402ResourceServer(svm).register(orders["network"], ExactSvmScheme(orders["rpc"] + "/seller"))
    two = x402ResourceServer([evm, svm]).register(orders["network"], ExactSvmScheme())
    two.register(orders["evm_network"], ExactEvmScheme())

    app = fastapi_pages()
    for path in ("/token2022", "/memo", "/hint", "/both"):
        app.get(path)(shop.goods)
    for server, gates in ((plain, routes(orders)), (hinting, hinted(orders)), (two, both(orders))):
        app.middleware("http")(payment_middleware(gates, server))
    serve_fastapi(app)


if __name__ == "__main__":
    main()
