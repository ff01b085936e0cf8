"""MCP: paid tools are paid for within limits that go by the server's name, and the price can be asked first.

The server is a stand-in in the same program. It sells what the sandbox sells, in the words of the specification.

Run it: python examples/pay_for_mcp_tools.py
"""

import asyncio
import base64
import json
from typing import Any

import httpx
from mcp import Client
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import CallToolResult, TextContent

from x402_client import Limit, Policy
from x402_client.errors import OverLimit
from x402_client.mcp import outcome, quote, wrap
from x402_client.sandbox import Sandbox


def shop(seller: Sandbox) -> MCPServer:
    server = MCPServer("reports", log_level="ERROR")

    @server.tool()
    async def weather(city: str, ctx: Context) -> CallToolResult:
        """The weather in a city, for a cent."""
        payment = (ctx.request_context.meta or {}).get("x402/payment")
        headers = {} if payment is None else {"PAYMENT-SIGNATURE": packed(payment)}
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{seller.url}/weather", headers=headers)
        if answer.status_code == 402:
            terms = opened(answer.headers["PAYMENT-REQUIRED"])
            return CallToolResult(content=text(json.dumps(terms)), structured_content=terms, is_error=True)
        receipt = opened(answer.headers["PAYMENT-RESPONSE"])
        return CallToolResult(content=text(f"Rain in {city}."), _meta={"x402/payment-response": receipt})

    return server


def packed(document: Any) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def opened(header: str) -> Any:
    return json.loads(base64.b64decode(header))


def text(words: str) -> list[Any]:
    return [TextContent(type="text", text=words)]


async def main() -> None:
    async with Sandbox() as seller:
        buyer = seller.buyer(Policy(per_day="5", hosts={"mcp:reports": Limit(per_request="0.01", per_day="0.02")}))
        async with Client(shop(seller)) as client:
            wrap(client, buyer, name="reports")
            price = await quote(client, "weather", {"city": "Bern"})
            print("It would cost", price.choice and price.choice.price)

            for city in ("Bern", "Basel"):
                result: Any = await client.call_tool("weather", {"city": city})
                print(result.content[0].text, "Paid", result.meta["x402"]["amount"])
            paid = outcome(result)
            print("The money is", paid and paid.money)

            try:
                await client.call_tool("weather", {"city": "Chur"})
            except OverLimit as refusal:
                print(f"Not a third: {refusal.spent} of {refusal.limit} is spent at the server")
        print("Paid", len(seller.settlements), "times")


asyncio.run(main())
