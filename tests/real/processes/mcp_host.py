"""A host of MCP tools that pays: mcp 1.x, mcp 2.x or fastmcp, over any transport, and what it got as JSON.

The orders come on stdin: ``host`` is "mcp", "client" (of mcp 2.x) or "fastmcp". A step is a call, or "reconnect".
"left:TOOL" is one whose caller gives up after a second.
"""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import anyio

from x402_client import Buyer, Policy, Token, Wallet, errors, outcome
from x402_client.mcp import quote, wrap


def buyer_of(orders: dict[str, Any]) -> Buyer:
    tokens = [Token(**token) for token in orders.get("tokens", [])]
    policy = Policy(per_request="0.05", per_day="1", tokens=tokens)
    return Buyer(Wallet(evm=orders["key"]), policy, ledger=orders["ledger"], rpc=orders["rpc"], settle_timeout=30)


def http_client_of(orders: dict[str, Any], buyer: Buyer) -> Any:
    """An HTTP client that pays, too, if the orders say so."""
    return client_factory(buyer)() if orders.get("pays_by_http") else None


def client_factory(buyer: Buyer) -> Any:
    """What makes HTTP clients that pay, of the library that the installed mcp uses."""
    if version("mcp").startswith("1."):
        import httpx

        import x402_client.httpx

        return lambda **settings: x402_client.httpx.wrap(httpx.AsyncClient(**settings), buyer)
    import httpx2

    import x402_client.httpx2

    return lambda **settings: x402_client.httpx2.wrap(httpx2.AsyncClient(**settings), buyer)


@asynccontextmanager
async def streams_of(orders: dict[str, Any], buyer: Buyer) -> Any:
    if orders["transport"] == "stdio":
        from mcp import StdioServerParameters, stdio_client

        command, *args = orders["command"]
        opened: Any = stdio_client(StdioServerParameters(command=command, args=args, env=orders.get("env")))
    elif orders["transport"] == "sse":
        from mcp.client.sse import sse_client

        factory = {"httpx_client_factory": client_factory(buyer)} if orders.get("pays_by_http") else {}
        opened = sse_client(orders["url"], **factory)
    else:
        from mcp.client.streamable_http import streamable_http_client

        opened = streamable_http_client(orders["url"], http_client=http_client_of(orders, buyer))
    async with opened as streams:
        yield streams[:2]


def wrapped(session: Any, orders: dict[str, Any], buyer: Buyer, name: str | None) -> Any:
    """The session, wrapped by the buyer, or by an allowance of each of these amounts in turn."""
    payers = [buyer.allowance(amount, name=f"of {amount}") for amount in orders.get("allowances", [])]
    for payer in payers or [buyer]:
        session = wrap(session, payer, name)
    return session


@asynccontextmanager
async def session_of(orders: dict[str, Any], buyer: Buyer) -> Any:
    """What tools are called on, wrapped."""
    name = "shop" if orders["transport"] == "stdio" else None
    if orders["host"] == "fastmcp":
        import fastmcp
        from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport

        command = orders.get("command") or [""]
        factory = {"httpx_client_factory": client_factory(buyer)} if orders.get("pays_by_http") else {}
        kinds: dict[str, Any] = {
            "stdio": lambda: StdioTransport(command[0], command[1:], env=orders.get("env"), keep_alive=False),
            "sse": lambda: SSETransport(orders["url"], **factory),
            "http": lambda: StreamableHttpTransport(orders["url"], **factory),
        }
        async with wrapped(fastmcp.Client(kinds[orders["transport"]]()), orders, buyer, name).new() as client:
            yield client
    elif orders["host"] == "client":
        from mcp import Client

        async with wrapped(Client(orders["url"]), orders, buyer, None) as client:
            yield client
    else:
        from mcp import ClientSession

        async with streams_of(orders, buyer) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            yield wrapped(session, orders, buyer, name)


async def called(session: Any, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """One call of a tool, or of "quote:TOOL", or of "mcp:TOOL" for fastmcp's own result."""
    if tool.startswith("quote:"):
        found = await quote(session, tool.partition(":")[2], arguments)
        return {"price": str(found.choice.price) if found.choice else None}
    if tool.startswith("left:"):
        with anyio.move_on_after(1):
            await session.call_tool(tool.removeprefix("left:"), arguments)
        return {"left": True}
    method = getattr(session, "call_tool_mcp", session.call_tool) if tool.startswith("mcp:") else session.call_tool
    result = await method(tool.removeprefix("mcp:"), arguments)
    told = outcome(result)
    dumped = json.loads(result.model_dump_json()) if hasattr(result, "model_dump_json") else None
    is_error = getattr(result, "isError", None) or getattr(result, "is_error", None)
    return {
        "text": result.content[0].text if result.content else "",
        "is_error": bool(is_error),
        "meta": (result.meta or {}).get("x402"),
        "money": told.money if told else None,
        "dumps": dumped is None or bool(dumped),
    }


def raised(failure: BaseException) -> dict[str, Any]:
    found, told = errors.find(failure), outcome(failure)
    return {
        "raised": type(failure).__name__,
        "found": type(found).__name__ if found else None,
        "money": found.money if found else told.money if told else None,
        "says": str(failure)[:400],
    }


async def main() -> None:
    orders = json.loads(sys.stdin.read())
    buyer = buyer_of(orders)
    done: list[dict[str, Any]] = []
    steps = list(orders["steps"])
    while steps:
        try:
            async with session_of(orders, buyer) as session:
                while steps:
                    step = steps.pop(0)
                    if step == "reconnect":
                        break
                    try:
                        done.append(await called(session, *step))
                    except Exception as failure:
                        done.append(raised(failure))
        except Exception as failure:  # a session that ends with its call
            done.append(raised(failure))
    held = [hold.nonce for hold in buyer.holds()]
    paid = [[hold.url, hold.nonce] for hold in buyer.history()]
    paths = [hold.path for hold in buyer.history()]
    print(json.dumps({"done": done, "held": held, "paid": paid, "paths": paths, "spent": str(buyer.spent())}))


if __name__ == "__main__":
    anyio.run(main)
