"""OpenAI Agents SDK: an agent buys within its limits, and reads why it may not.

The model is a stand-in that follows a script, so that this runs without a key. Put your own model in its place.
It needs: pip install openai-agents

Run it: python examples/frameworks/openai_agents.py
"""

import asyncio
import json
from typing import Any

import httpx
from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from x402_client import Policy
from x402_client.agents import as_openai_agents, payable_tool, tools
from x402_client.sandbox import Sandbox

CITY = {"properties": {"city": {"type": "string", "description": "Its name"}}, "required": ["city"]}


class Script(Model):
    """A model that calls tools in the order of a list, and then says what came of it."""

    def __init__(self, calls: list[tuple[str, dict[str, Any]]]) -> None:
        self.calls = calls

    async def get_response(self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any) -> ModelResponse:
        seen = [json.loads(item["output"]) for item in input if item.get("type") == "function_call_output"]
        if len(seen) < len(self.calls):
            name, arguments = self.calls[len(seen)]
            call = ResponseFunctionToolCall(
                call_id=str(len(seen)), name=name, arguments=json.dumps(arguments), type="function_call"
            )
            return ModelResponse(output=[call], usage=Usage(), response_id=None)
        told = [f"{one['body']} ({one['paid']})" if one["ok"] else f"{one['error']}: {one['next']}" for one in seen]
        text = ResponseOutputText(text="; ".join(told), type="output_text", annotations=[])
        said = ResponseOutputMessage(id="1", content=[text], role="assistant", status="completed", type="message")
        return ModelResponse(output=[said], usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


async def main() -> None:
    set_tracing_disabled(True)
    with Sandbox() as seller:
        seller.sell("/weather", "0.02", content="Rain.")
        buyer = seller.buyer(Policy(per_request="0.05", per_day="1"))
        async with httpx.AsyncClient() as client:
            weather = payable_tool(client, buyer, f"{seller.url}/weather", CITY, max_usd="0.03")
            own = tools(client, buyer, hosts=["127.0.0.1"], facilitator=seller.url)
            model = Script([
                ("weather", {"city": "Rome"}),
                ("paid_fetch", {"url": f"{seller.url}/yacht"}),  # a quarter of a million
                ("weather", {"town": "Rome"}),  # models make mistakes
            ])  # fmt: skip
            agent = Agent(name="Planner", model=model, tools=as_openai_agents([weather, *own]))
            result = await Runner.run(agent, "What will the weather be in Rome?")
            print(result.final_output)
        print("Spent", buyer.spent())


asyncio.run(main())
