"""Agent frameworks take our functions, and a model of theirs buys with them. Each runs in an environment of its own."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.real import environments
from x402_client.agents import as_smolagents, tools
from x402_client.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "frameworks"
#: The environment of each example, and the lines that it says.
SAYS = {
    "langchain_agent.py": ("langchain", ["Rain. (0.02 USD)", "TooExpensive: stop", "NotFetched: stop",
                                         "It will rain.", "Spent 0.02 USD"]),
    "openai_agents.py": ("openai-agents", ["Rain. (0.02 USD); TooExpensive: stop; NotFetched: stop",
                                           "Spent 0.02 USD"]),
    "pydantic_ai_agent.py": ("pydantic-ai", ["Rain. (0.02 USD); TooExpensive: stop; NotFetched: stop",
                                             "Spent 0.02 USD"]),
    "smolagents_agent.py": ("smolagents", ["Rain. (0.02 USD); TooExpensive: stop; NotFetched: stop",
                                           "Spent 0.02 USD"]),
}  # fmt: skip


def run(environment: str, *command: str) -> subprocess.CompletedProcess[str]:
    python = environments.needed(environments.environment, environment)
    surroundings = environments.clean_environ() | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([str(python), *command], capture_output=True, text=True, timeout=110, env=surroundings)


def test_every_example_is_listed() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_an_example_says_what_it_shows_and_how_to_run_it(name: str) -> None:
    words = ast.get_docstring(ast.parse((EXAMPLES / name).read_text("utf-8"))) or ""
    first, *_, needs, blank, last = words.splitlines()
    assert re.fullmatch(r"\w[\w ]+: .{20,}\.", first)
    assert needs.startswith("It needs: pip install ")
    assert (blank, last) == ("", f"Run it: python examples/frameworks/{name}")


@pytest.mark.foreign
@pytest.mark.timeout(1_000)
@pytest.mark.parametrize("name", SAYS)
def test_an_agent_buys_is_refused_and_goes_on(name: str) -> None:
    environment, said = SAYS[name]
    ran = run(environment, str(EXAMPLES / name))
    assert ran.returncode == 0, ran.stderr[-3_000:]
    assert ran.stdout.splitlines() == said


@pytest.mark.foreign
@pytest.mark.timeout(1_000)
@pytest.mark.parametrize("name", SAYS)
def test_an_allowance_and_a_cap_around_a_run_hold_in_its_tools(name: str) -> None:
    text = (EXAMPLES / name).read_text("utf-8")
    around = r'\1\2\n\1session, cap = buyer.allowance("1").__enter__(), buyer.purchase(per_request="{}").__enter__()'
    counted = r'\1print("Spent", buyer.spent(), session.spent)'
    text = re.sub(r'^( +)print\("Spent", buyer.spent\(\)\)$', counted, text, flags=re.MULTILINE)
    said = []
    for cap in ("0.02", "0.01"):
        program = re.sub(r"^( +)(buyer = .*)$", around.format(cap), text, flags=re.MULTILINE)
        ran = run(SAYS[name][0], "-c", program)
        assert ran.returncode == 0, ran.stderr[-3_000:]
        said += ran.stdout.splitlines()[-1:]
    assert said == ["Spent 0.02 USD 0.02 USD", "Spent 0.00 USD 0.00 USD"]


#: Handed over as they are, plain functions get their schema from annotations and docstrings.
PLAIN = {
    "openai-agents": "from agents import function_tool\nmade = [function_tool(one) for one in own]\n"
    "schemas = [one.params_json_schema for one in made]",
    "langchain": "from langchain_core.tools import tool\nmade = [tool(one, parse_docstring=True) for one in own]\n"
    "schemas = [one.args_schema.model_json_schema() for one in made]",
    "pydantic-ai": "from pydantic_ai import Tool\nmade = [Tool(one) for one in own]\n"
    "schemas = [one.function_schema.json_schema for one in made]",
    "smolagents": "from x402_client.agents import as_smolagents\nmade = as_smolagents(own)\n"
    "schemas = [{'properties': one.inputs} for one in made]",
}
PROGRAM = """
import httpx
from x402_client.agents import tools
from x402_client.sandbox import Sandbox
with Sandbox() as seller, httpx.Client() as client:
    own = tools(client, seller.buyer(), hosts=["127.0.0.1"])
{made}
for one, schema in zip(own, schemas, strict=True):
    told = schema["properties"]
    assert all(told[name].get("description") for name in told), (one.__name__, told)
    print(one.__name__, *told)
"""


@pytest.mark.foreign
@pytest.mark.timeout(1_000)
@pytest.mark.parametrize("framework", PLAIN)
def test_plain_functions_are_tools_with_described_arguments(framework: str) -> None:
    made = "\n".join(f"    {line}" for line in PLAIN[framework].splitlines())
    ran = run(framework, "-c", PROGRAM.format(made=made))
    assert ran.returncode == 0, ran.stderr[-3_000:]
    assert ran.stdout.splitlines() == [
        "paid_fetch url method body max_usd", "quote url method body", "budget", "search query max_usd",
    ]  # fmt: skip


WORDS = """
import httpx
from x402_client.agents import {name}, tools
from x402_client.sandbox import Sandbox
with Sandbox() as seller, httpx.Client() as client:
    made = {name}(tools(client, seller.buyer(), hosts=["127.0.0.1"]))[0]
    print(getattr(made, "description", ""), {schema})
"""
SCHEMAS = {
    "openai-agents": ("as_openai_agents", "made.params_json_schema"), "langchain": ("as_langchain", "made.args_schema"),
    "pydantic-ai": ("as_pydantic_ai", "made.function_schema.json_schema"),
    "smolagents": ("as_smolagents", "made.inputs"),
}  # fmt: skip


@pytest.mark.foreign
@pytest.mark.timeout(1_000)
@pytest.mark.parametrize("framework", SCHEMAS)
def test_a_model_is_told_that_a_cap_only_narrows(framework: str) -> None:
    name, schema = SCHEMAS[framework]
    ran = run(framework, "-c", WORDS.format(name=name, schema=schema))
    assert "The user's limits hold in any case." in ran.stdout, ran.stderr[-3_000:]
    assert "It can only lower the user" in ran.stdout


def test_a_framework_that_is_not_there_is_named_by_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smolagents", None)
    with Sandbox() as seller, httpx.Client() as client:
        own = tools(client, seller.buyer(), hosts=["127.0.0.1"])
        with pytest.raises(ModuleNotFoundError, match="which is not installed: pip install smolagents"):
            as_smolagents(own)


ASYNC = """
import httpx
from x402_client import errors
from x402_client.agents import as_smolagents, tools
from x402_client.sandbox import Sandbox
with Sandbox() as seller:
    own = tools(httpx.AsyncClient(), seller.buyer(), hosts=["127.0.0.1"])
    try:
        as_smolagents(own)
    except errors.ConfigurationError as problem:
        print(problem.args[0])
"""


@pytest.mark.foreign
@pytest.mark.timeout(1_000)
def test_smolagents_takes_no_async_function() -> None:
    ran = run("smolagents", "-c", ASYNC)
    assert ran.stdout.startswith("smolagents calls tools without awaiting them, and paid_fetch is async"), ran.stderr
