"""The price list of the version 2 sellers, in the SDK's own types."""

from __future__ import annotations

from typing import Any

import shop
from x402.extensions.eip2612_gas_sponsoring import declare_eip2612_gas_sponsoring_extension
from x402.extensions.erc20_approval_gas_sponsoring import declare_erc20_approval_gas_sponsoring_extension
from x402.http import PaymentOption, RouteConfig
from x402.schemas import AssetAmount


def routes(orders: dict[str, Any]) -> dict[str, RouteConfig]:
    def option(price: Any, extra: dict[str, Any] | None = None, scheme: str = "exact") -> PaymentOption:
        return PaymentOption(
            scheme=scheme,
            pay_to=orders["pay_to"],
            price=price,
            network=orders["network"],
            max_timeout_seconds=shop.VALID_SECONDS,
            extra=extra,
        )

    def route(*prices: Any) -> RouteConfig:
        return RouteConfig(accepts=[option(price) for price in prices], description="a test", mime_type="text/plain")

    upfront = RouteConfig(accepts=[option(shop.GET_PRICE, {"paymentFlow": "upfront"})], description="paid first")
    by_permit2 = option(shop.GET_PRICE, {"assetTransferMethod": "permit2"})
    ceiling, ways = option(shop.CEILING, scheme="upto"), declare_eip2612_gas_sponsoring_extension()
    transaction = declare_erc20_approval_gas_sponsoring_extension()
    return {
        "GET /sponsored/permit2": RouteConfig(accepts=[by_permit2], extensions=ways | transaction),
        "GET /sponsored/upto": RouteConfig(accepts=[ceiling], extensions=ways),
        "GET /sponsored/transaction": RouteConfig(accepts=[by_permit2], extensions=transaction),
        "GET /sponsored/choice": RouteConfig(accepts=[by_permit2, option("$0.02")], extensions=ways),
        "GET /permit2": RouteConfig(accepts=[by_permit2], description="by Permit2"),
        "GET /upto": RouteConfig(accepts=[option(shop.CEILING, scheme="upto")], description="up to a ceiling"),
        "GET /upfront": upfront,
        "GET /upfront/fails": upfront,
        "GET /paid": route(shop.GET_PRICE),
        "POST /paid": route(shop.POST_PRICE),
        "GET /stream": route(shop.GET_PRICE),
        # An unknown token comes first, then the dearer of two offers in dollars: a buyer has to choose.
        "GET /choice": route(_strange(orders["strange_token"]), "$0.04", "$0.03"),
    }


def _strange(token: dict[str, Any]) -> AssetAmount:
    amount = str(2 * 10 ** (token["decimals"] - 2))
    return AssetAmount(
        amount=amount, asset=token["address"], extra={"name": token["name"], "version": token["version"]}
    )
