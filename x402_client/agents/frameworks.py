"""Hands our functions to agent frameworks as tools of their own. Each framework is imported where it is asked for.

Any framework that takes plain functions takes ours as they are. These adapters add what differs: the arguments' schema
as we know it, results as JSON, and wrong arguments as a result that a model can read, not as an exception.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from importlib import import_module
from typing import Any

from ..errors import ConfigurationError
from . import results
from .arguments import bound
from .hosts import NotFetched
from .schemas import description_of, parameters_of

Function = Callable[..., Any]


def as_openai_agents(functions: Iterable[Function]) -> list[Any]:
    """Return functions as tools of the OpenAI Agents SDK, for ``Agent(tools=...)``.

    Args:
        functions: Those of ``tools(...)`` and of ``payable_tool(...)``. Sync ones run in a thread.
    """
    tool = _framework("agents", "openai-agents").FunctionTool

    def made(function: Function) -> Any:
        async def invoke(context: Any, text: str) -> str:
            try:
                given = json.loads(text or "{}")
            except ValueError:
                given = None
            return json.dumps(await call_awaited(function, given))

        return tool(
            name=function.__name__,
            description=description_of(function),
            params_json_schema=parameters_of(function),
            on_invoke_tool=invoke,
            strict_json_schema=False,
        )

    return [made(function) for function in functions]


def as_langchain(functions: Iterable[Function]) -> list[Any]:
    """Return functions as tools of LangChain, for ``create_agent(model, tools)`` and LangGraph.

    Args:
        functions: Those of ``tools(...)`` and of ``payable_tool(...)``. Async ones need an agent that is awaited.
    """
    tool = _framework("langchain_core.tools", "langchain").StructuredTool

    def made(function: Function) -> Any:
        async def call_later(**given: Any) -> str:
            return json.dumps(await call_awaited(function, given))

        def call(**given: Any) -> str:
            return json.dumps(_called(function, given))

        return tool.from_function(
            func=None if _is_async(function) else call,
            coroutine=call_later,
            name=function.__name__,
            description=description_of(function),
            args_schema=parameters_of(function),
        )

    return [made(function) for function in functions]


def as_pydantic_ai(functions: Iterable[Function]) -> list[Any]:
    """Return functions as tools of Pydantic AI, for ``Agent(model, tools=...)``.

    Args:
        functions: Those of ``tools(...)`` and of ``payable_tool(...)``. Sync ones run in a thread.
    """
    tool = _framework("pydantic_ai", "pydantic-ai-slim").Tool

    def made(function: Function) -> Any:
        async def call_later(**given: Any) -> Any:
            return await call_awaited(function, given)

        def call(**given: Any) -> Any:
            return _called(function, given)

        return tool.from_schema(
            call_later if _is_async(function) else call,
            name=function.__name__,
            description=description_of(function),
            json_schema=parameters_of(function),
        )

    return [made(function) for function in functions]


def as_smolagents(functions: Iterable[Function]) -> list[Any]:
    """Return functions as tools of smolagents, for ``CodeAgent(tools=...)`` and ``ToolCallingAgent``.

    Args:
        functions: Those of ``tools(...)`` and of ``payable_tool(...)``, of a sync client.
    """
    tool = _framework("smolagents", "smolagents").Tool
    _carry_scopes()

    def made(function: Function) -> Any:
        if _is_async(function):
            raise ConfigurationError(
                f"smolagents calls tools without awaiting them, and {function.__name__} is async; give tools(...) a "
                "sync client, like httpx.Client()."
            )
        schema = parameters_of(function)
        needed, properties = schema["required"], schema["properties"]
        inputs = {
            name: {"type": "any", **told, **({} if name in needed else {"nullable": True})}
            for name, told in properties.items()
        }

        def forward(self: Any, *args: Any, **given: Any) -> Any:
            return _called(function, {**dict(zip(properties, args, strict=False)), **given})

        fields = {
            "name": function.__name__, "description": description_of(function), "inputs": inputs,
            "output_type": "object", "skip_forward_signature_validation": True, "forward": forward,
        }  # fmt: skip
        return type(f"X402_{function.__name__}", (tool,), fields)()

    return [made(function) for function in functions]


class _CarryingPool(ThreadPoolExecutor):
    """A pool whose threads go on in the context of who hands them work."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return super().submit(copy_context().run, function, *args, **kwargs)


def _carry_scopes() -> None:
    """Let what stands around a run of an agent hold inside of the programs that a model writes, too.

    smolagents runs each program in a thread of its own, without the context: an allowance or a cap around the run would
    limit nothing there. For calls of tools it carries the context itself.
    """
    programs = import_module("smolagents.local_python_executor")
    if getattr(programs, "ThreadPoolExecutor", None) is ThreadPoolExecutor:
        programs.ThreadPoolExecutor = _CarryingPool  # type: ignore[attr-defined]


def _framework(module: str, package: str) -> Any:
    """Import a framework. If it is not there, say what to install."""
    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        text = f"This needs {package}, which is not installed: pip install {package}."
        raise ModuleNotFoundError(text, name=missing.name) from None


def _is_async(function: Function) -> bool:
    return inspect.iscoroutinefunction(function)


def _called(function: Function, given: Any) -> Any:
    """Call a function. Wrong arguments are a result."""
    problem = _problem(function, given)
    return problem if problem is not None else function(**given)


async def call_awaited(function: Function, given: Any) -> Any:
    """Call a function, in a thread if it is sync."""
    problem = _problem(function, given)
    if problem is not None:
        return problem
    if _is_async(function):
        return await function(**given)
    import anyio.to_thread

    return await anyio.to_thread.run_sync(lambda: function(**given))


def _problem(function: Function, given: Any) -> Any:
    try:
        if not isinstance(given, dict):
            raise NotFetched("Its arguments are no JSON object.")
        bound(inspect.signature(function), (), given)
    except NotFetched as problem:
        return results.failed(problem)
    return None
