"""Pydantic AI: an agent buys within its limits, and reads why it may not.

The model is a stand-in that follows a script, so that this runs without a key. Put your own model in its place.
It needs: pip install pydantic-ai-slim

Run it: python examples/frameworks/pydantic_ai_agent.py
"""

import asyncio
from typing import Any

import httpx
from pydantic_ai import Agent, ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from x402_client import Policy
from x402_client.agents import as_pydantic_ai, payable_tool, tools
from x402_client.sandbox import Sandbox

CITY = {"properties": {"city": {"type": "string", "description": "Its name"}}, "required": ["city"]}


def script(calls: list[tuple[str, dict[str, Any]]]) -> FunctionModel:
    """Return a model that calls tools in the order of a list, and then says what came of it."""

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen: list[Any] = [
            part.content for message in messages for part in message.parts if isinstance(part, ToolReturnPart)
        ]
        if len(seen) < len(calls):
            name, arguments = calls[len(seen)]
            return ModelResponse(parts=[ToolCallPart(name, arguments)])
        told = [f"{one['body']} ({one['paid']})" if one["ok"] else f"{one['error']}: {one['next']}" for one in seen]
        return ModelResponse(parts=[TextPart("; ".join(told))])

    return FunctionModel(answer)


async def main() -> None:
    with Sandbox() as seller:
        seller.sell("/weather", "0.02", content="Rain.")
        buyer = seller.buyer(Policy(per_request="0.05", per_day="1"))
        async with httpx.AsyncClient() as client:
            weather = payable_tool(client, buyer, f"{seller.url}/weather", CITY, max_usd="0.03")
            own = tools(client, buyer, hosts=["127.0.0.1"], facilitator=seller.url)
            model = script([
                ("weather", {"city": "Rome"}),
                ("paid_fetch", {"url": f"{seller.url}/yacht"}),  # a quarter of a million
                ("weather", {"town": "Rome"}),  # models make mistakes
            ])  # fmt: skip
            agent = Agent(model, tools=as_pydantic_ai([weather, *own]))
            result = await agent.run("What will the weather be in Rome?")
            print(result.output)
        print("Spent", buyer.spent())


asyncio.run(main())
