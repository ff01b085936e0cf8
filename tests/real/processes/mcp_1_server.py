"""The server of ``x402 mcp`` in an environment of mcp 1.x, which has not what the command needs besides."""

from __future__ import annotations

import sys

import anyio
import httpx

from x402_client import Buyer
from x402_client.agents import tools
from x402_client.agents.server import PersonApprover, ToolCalls, serve_host, watch


def main() -> None:
    approver = PersonApprover()
    buyer = Buyer.from_env(approve=approver, on_event=watch)
    approver.ready(buyer)

    async def run() -> None:
        async with httpx.AsyncClient() as client:
            shop = tools(client, buyer, hosts=["127.0.0.1"], facilitator=sys.argv[1])
            await serve_host(ToolCalls(shop, 60), "0")

    anyio.run(run)
    buyer.close()


if __name__ == "__main__":
    main()
