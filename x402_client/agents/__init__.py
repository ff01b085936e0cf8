"""Tools for models: functions that pay within a policy, say what to do next, and never raise.

    functions = tools(httpx.Client(), buyer)              # paid_fetch, quote, budget, search
    weather = payable_tool(httpx.Client(), buyer, "https://api.example.com/weather", schema, max_usd="0.05")

    Agent(tools=as_openai_agents(functions))              # as_langchain, as_pydantic_ai, as_smolagents
    wrap(openai.OpenAI(), buyer)                          # the client inside of an SDK's own object

A model can narrow a limit and never widen one. For a budget of one session pass ``buyer.allowance("0.10", minutes=30)``
where the buyer stands.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .frameworks import as_langchain, as_openai_agents, as_pydantic_ai, as_smolagents
    from .payable import payable_tool
    from .sdks import wrap
    from .toolbox import AsyncTools, Tools, tools

__all__ = [
    "AsyncTools",
    "Tools",
    "as_langchain",
    "as_openai_agents",
    "as_pydantic_ai",
    "as_smolagents",
    "payable_tool",
    "tools",
    "wrap",
]

#: The module of each name. It is loaded when the name is asked for.
_HOMES = {
    "AsyncTools": "toolbox", "Tools": "toolbox", "as_langchain": "frameworks", "as_openai_agents": "frameworks",
    "as_pydantic_ai": "frameworks", "as_smolagents": "frameworks", "payable_tool": "payable", "tools": "toolbox",
    "wrap": "sdks",
}  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
