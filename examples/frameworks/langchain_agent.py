"""LangChain: an agent buys within its limits, and reads why it may not.

The model is a stand-in that follows a script, so that this runs without a key. Put your own model in its place.
It needs: pip install langchain

Run it: python examples/frameworks/langchain_agent.py
"""

import json
from typing import Any

import httpx
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage

from x402_client import Policy
from x402_client.agents import as_langchain, payable_tool, tools
from x402_client.sandbox import Sandbox

CITY = {"properties": {"city": {"type": "string", "description": "Its name"}}, "required": ["city"]}


class Script(GenericFakeChatModel):
    """A model that says what stands in a list."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self


def calling(name: str, **arguments: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": f"{name}-{len(arguments)}"}])


with Sandbox() as seller:
    seller.sell("/weather", "0.02", content="Rain.")
    buyer = seller.buyer(Policy(per_request="0.05", per_day="1"))
    with httpx.Client() as client:
        weather = payable_tool(client, buyer, f"{seller.url}/weather", CITY, max_usd="0.03")
        own = tools(client, buyer, hosts=["127.0.0.1"], facilitator=seller.url)
        model = Script(
            messages=iter([
                calling("weather", city="Rome"),
                calling("paid_fetch", url=f"{seller.url}/yacht"),  # a quarter of a million
                calling("weather", town="Rome"),  # models make mistakes
                AIMessage("It will rain."),
            ])
        )  # fmt: skip
        agent = create_agent(model, as_langchain([weather, *own]))
        run = agent.invoke({"messages": [("user", "What will the weather be in Rome?")]})
        for message in run["messages"]:
            if isinstance(message, ToolMessage):
                read = json.loads(str(message.content))
                print(f"{read['body']} ({read['paid']})" if read["ok"] else f"{read['error']}: {read['next']}")
        print(run["messages"][-1].content)
    print("Spent", buyer.spent())
