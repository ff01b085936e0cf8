"""A version 1 seller: Django with django-x402. Orders: {"pay_to", "network"} and {"facilitator"} or {"rpc", "fund"}.

Without a facilitator it settles by itself, which fails: it signs its transactions without a chain id, and nodes do not
take those.

Its middleware knows one price, so GET and POST of the same path each get a gate of their own.
"""

from __future__ import annotations

from typing import Any

import django
import shop
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from eth_account import Account
from serving import fund, read_orders
from storefronts import serve_flask

PRICES = {"GET": shop.GET_PRICE, "POST": shop.POST_PRICE}


def paid(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return JsonResponse(shop.goods())
    return JsonResponse(shop.echo(request.body, request.content_type))


urlpatterns = [path("paid", paid)]


def gates(get_response: Any) -> Any:
    """Django's name for a middleware; X402Middleware reads its settings once, when it is made."""
    from django_x402.middleware import X402Middleware

    made = {}
    for method, price in PRICES.items():
        settings.X402 = settings.X402 | {"price": price}
        made[method] = X402Middleware(get_response)
    return lambda request: made[request.method](request)


def settling(orders: dict[str, Any]) -> dict[str, Any]:
    if "facilitator" in orders:
        return {"mode": "remote", "facilitator_config": {"url": orders["facilitator"]}}
    account = Account.create()
    fund(orders["fund"], account.address, 10**18)
    settings.X402_SIGNER_KEY, settings.X402_RPC_URL = account.key.hex(), orders["rpc"]
    return {"mode": "local", "local": {"wait_for_receipt": True}}


def main() -> None:
    orders = read_orders()
    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, MIDDLEWARE=[f"{__name__}.gates"])
    terms = {"paths": "/paid", "network": orders["network"], "pay_to_address": orders["pay_to"]}
    settings.X402 = terms | settling(orders)
    django.setup()
    serve_flask(WSGIHandler())


if __name__ == "__main__":
    main()
