"""smolagents: an agent that writes code buys within its limits, and reads why it may not.

The model is a stand-in that writes one program, so that this runs without a key. Put your own model in its place.
It needs: pip install smolagents

Run it: python examples/frameworks/smolagents_agent.py
"""

from typing import Any

import httpx
from smolagents import ChatMessage, CodeAgent, MessageRole, Model

from x402_client import Policy
from x402_client.agents import as_smolagents, payable_tool, tools
from x402_client.sandbox import Sandbox

CITY = {"properties": {"city": {"type": "string", "description": "Its name"}}, "required": ["city"]}
PROGRAM = """
read = [weather(city="Rome"), paid_fetch("{url}/yacht"), weather(town="Rome")]
told = [one["body"] + " (" + one["paid"] + ")" if one["ok"] else one["error"] + ": " + one["next"] for one in read]
final_answer("; ".join(told))
"""


class Script(Model):
    """A model that writes one program."""

    def __init__(self, program: str) -> None:
        super().__init__(model_id="script")
        self.program = program

    def generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatMessage:
        return ChatMessage(role=MessageRole.ASSISTANT, content=f"Thought: buy.\n<code>{self.program}</code>")


with Sandbox() as seller:
    seller.sell("/weather", "0.02", content="Rain.")
    buyer = seller.buyer(Policy(per_request="0.05", per_day="1"))
    with httpx.Client() as client:
        weather = payable_tool(client, buyer, f"{seller.url}/weather", CITY, max_usd="0.03")
        own = tools(client, buyer, hosts=["127.0.0.1"], facilitator=seller.url)
        model = Script(PROGRAM.format(url=seller.url))
        agent = CodeAgent(tools=as_smolagents([weather, *own]), model=model, verbosity_level=0)
        print(agent.run("What will the weather be in Rome?"))
    print("Spent", buyer.spent())
