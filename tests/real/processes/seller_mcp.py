"""A version 2 seller of MCP tools: mcp 1.x with the official helper, over HTTP (``/mcp``), SSE (``/sse``) or stdio.

Over HTTP the orders come on stdin, as for every seller. Over stdio that is the protocol's, so they are the argument.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import uvicorn
from mcp.server.fastmcp import FastMCP
from serving import announce, listen, read_orders
from x402 import ResourceConfig, x402ResourceServer
from x402.http import FacilitatorConfig, HTTPFacilitatorClient
from x402.mcp import create_payment_wrapper
from x402.mechanisms.evm.exact.server import ExactEvmScheme


def shop(orders: dict[str, Any]) -> FastMCP:
    """A shop with one tool for a cent, one that fails, and one for nothing."""
    server = x402ResourceServer(HTTPFacilitatorClient(FacilitatorConfig(url=orders["facilitator"])))
    server.register(orders["network"], ExactEvmScheme())
    server.initialize()
    price = ResourceConfig(scheme="exact", network=orders["network"], pay_to=orders["pay_to"], price="$0.01")
    paid = create_payment_wrapper(server, accepts=server.build_payment_requirements(price))
    mcp = FastMCP("shop")

    @mcp.tool()
    @paid
    async def weather(city: str) -> str:
        return f"It rains in {city}."

    @mcp.tool()
    @paid
    async def broken(city: str) -> str:
        raise ValueError(f"There is no {city}.")

    @mcp.tool()
    async def free() -> str:
        return "For nothing."

    return mcp


def main() -> None:
    if len(sys.argv) > 1:
        shop(json.loads(sys.argv[1])).run()
        return
    mcp = shop(read_orders())
    app = mcp.streamable_http_app()
    app.router.routes.extend(mcp.sse_app().routes)
    listener = listen()
    announce(listener.getsockname()[1])
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    main()
