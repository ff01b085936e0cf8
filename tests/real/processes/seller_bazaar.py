"""A seller by FastAPI with the official middleware and the official Bazaar extension, on all its routes."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from serving import read_orders
from storefronts import serve_fastapi
from x402 import x402ResourceServer
from x402.extensions.bazaar import OutputConfig, bazaar_resource_server_extension, declare_discovery_extension
from x402.http import FacilitatorConfig, HTTPFacilitatorClient, PaymentOption, RouteConfig
from x402.http.middleware.fastapi import payment_middleware
from x402.mechanisms.evm.exact.server import ExactEvmScheme

CITY = {"properties": {"city": {"type": "string", "description": "Its name"}}, "required": ["city"]}
TEXT = {"properties": {"text": {"type": "string"}, "loud": {"type": "boolean"}}, "required": ["text"]}


def routes(orders: dict[str, Any]) -> dict[str, RouteConfig]:
    def route(price: str, description: str, extension: dict[str, Any]) -> RouteConfig:
        option = PaymentOption(scheme="exact", pay_to=orders["pay_to"], price=price, network=orders["network"])
        return RouteConfig(
            accepts=[option], description=description, mime_type="application/json", extensions=extension
        )

    output = OutputConfig(example={"weather": "foggy"})
    return {
        "GET /weather": route(
            "$0.01",
            "The weather of a city",
            declare_discovery_extension(input={"city": "Rome"}, input_schema=CITY, output=output),
        ),
        "POST /say": route(
            "$0.02", "Says a text", declare_discovery_extension({"text": "a"}, input_schema=TEXT, body_type="json")
        ),
        "GET /users/[name]": route("$0.03", "A user", declare_discovery_extension(path_params_schema={
            "properties": {"name": {"type": "string"}}, "required": ["name"]
        })),
    }  # fmt: skip


def say(body: dict[str, Any]) -> dict[str, Any]:
    return body


def main() -> None:
    orders = read_orders()
    server = x402ResourceServer(HTTPFacilitatorClient(FacilitatorConfig(url=orders["facilitator"])))
    server.register(orders["network"], ExactEvmScheme())
    server.register_extension(bazaar_resource_server_extension)
    app = FastAPI()
    app.get("/weather")(lambda city: {"city": city, "weather": "foggy"})
    app.post("/say")(say)
    app.get("/users/{name}")(lambda name: {"name": name})
    app.middleware("http")(payment_middleware(routes(orders), server))
    serve_fastapi(app)


if __name__ == "__main__":
    main()
