"""What is imported when: nothing before it is needed, and nothing in the middle of a payment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec

import pytest

from tests.soak.benchmarks.crew import Worker

HEAVY = {
    "aiohttp", "coincurve", "Crypto", "difflib", "eth_account", "eth_keys", "httpx", "httpx2", "opentelemetry",
    "py_ecc", "pydantic", "pydantic_core", "redis", "requests", "rich", "sha3", "solders", "sqlite3", "tomllib",
    "typer", "web3",
}  # fmt: skip
if find_spec("click") and find_spec("pygments"):  # then httpx imports rich itself, for a command of its own
    HEAVY.remove("rich")
EVM, SOLANA = "evm=terms.KEY", "solana=terms.SEED"
#: Ours that a program may well do without.
ROOMS = {
    "agents.toolbox", "buyer.buyer", "chains.solana", "cli", "discovery.search", "ledgers.memory",
    "ledgers.redis.ledger", "ledgers.sqlite.ledger", "otel", "policy.toml", "sandbox", "schemes.exact_evm",
    "schemes.exact_solana", "signers.keystore", "wire.shapes",
}  # fmt: skip
#: What every buyer brings with it, besides what its keys and its ledger take.
BUYER = {"buyer.buyer", "pydantic_core", "wire.shapes"}
#: What signs and hashes where this runs: the fast libraries are not there for every Python and system.
CURVE = {"coincurve"} if find_spec("coincurve") else {"eth_keys", "pydantic"}  # eth_keys brings pydantic
SIGNS = {
    EVM: {*CURVE, "sha3" if find_spec("sha3") else "Crypto", "schemes.exact_evm"},
    SOLANA: {"solders", "schemes.exact_solana", "chains.solana", "httpx"},
}
MEMORY = 'ledger=":memory:", rpc={terms.DEVNET: URL + "/rpc"}'


def buyer(keys: str, more: str = MEMORY) -> str:
    return f"""
from tests.soak.benchmarks import terms
from x402_client import Buyer, Policy, Wallet
buyer = Buyer(Wallet({keys}), Policy(per_day="1"), {more})
"""


WRAPPED = {
    "httpx": "import httpx, x402_client.httpx as shell\nclient = shell.wrap(httpx.Client(), buyer)",
    "httpx2": "import httpx2, x402_client.httpx2 as shell\nclient = shell.wrap(httpx2.Client(), buyer)",
    "requests": "import requests, x402_client.requests as shell\nclient = shell.wrap(requests.Session(), buyer)",
    "aiohttp": """
import aiohttp, asyncio, types, x402_client.aiohttp as shell
class Once:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.session = self.loop.run_until_complete(self.made())
    async def made(self):
        return shell.wrap(aiohttp.ClientSession(), buyer)
    async def asked(self, url):
        async with self.session.get(url) as response:
            await response.read()
            return types.SimpleNamespace(status_code=response.status)
    def get(self, url):
        return self.loop.run_until_complete(self.asked(url))
client = Once()
""",
    "mcp": """
import asyncio, types, x402_client.mcp as shell
from tests.adapters.mcp_sessions import DIALECTS, over_memory
from tests.adapters.mcp_shop import Shop
class Once:
    def __init__(self):
        self.shop, self.loop = Shop(URL), asyncio.new_event_loop()
        self.loop.run_until_complete(self.open())
    async def open(self):
        self.opened = over_memory(self.shop)
        self.session = shell.wrap(await self.opened.__aenter__(), buyer, "reports")
        await self.session.list_tools()
    def get(self, url):
        tool = url.rpartition("/")[2]
        self.shop.dialect = DIALECTS["version 1" if tool == "evm1" else "specification"]
        result = self.loop.run_until_complete(self.session.call_tool(tool))
        return types.SimpleNamespace(status_code=402 if result.is_error else 200)
client = Once()
""",
    "httpx, async": """
import asyncio, httpx, x402_client.httpx as shell
class Once:
    def __init__(self):
        self.client, self.loop = shell.wrap(httpx.AsyncClient(), buyer), asyncio.new_event_loop()
    def get(self, url):
        return self.loop.run_until_complete(self.client.get(url))
client = Once()
""",
}


def modules(code: str, url: str = "http://127.0.0.1:9") -> set[str]:
    """What a program has imported at its end, unless it says otherwise in ``found``."""
    shown = f"import sys\nURL = {url!r}\nfound = None\n{code}\nprint(*(sys.modules if found is None else found))"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@cache
def brought_by_httpx() -> set[str]:
    """What httpx imports for a command of its own, where click is installed. mcp brings click along."""
    return (HEAVY & modules("import httpx")) - {"httpx"}


def noted(found: set[str]) -> set[str]:
    """Those of them that weigh something."""
    if "httpx" in found:
        found = found - brought_by_httpx()
    return (HEAVY & found) | {room for room in ROOMS if f"x402_client.{room}" in found}


@pytest.mark.parametrize("library", ["httpx", "httpx2", "requests", "aiohttp"])
def test_a_shell_alone_brings_its_library_only(library: str) -> None:
    assert noted(modules(f"import x402_client.{library}")) == {library}


def test_the_shell_for_mcp_waits_for_its_library() -> None:
    assert noted(modules("import x402_client.mcp\nassert 'mcp' not in sys.modules")) == set()


def test_tools_and_discovery_bring_nothing_before_they_are_used() -> None:
    names = "tools, payable_tool, wrap, as_langchain, as_openai_agents, as_pydantic_ai, as_smolagents"
    assert noted(modules("from x402_client.discovery import discover, adiscover, Listing")) == {"discovery.search"}
    assert noted(modules("import x402_client.agents, x402_client.discovery")) == set()
    assert noted(modules(f"from x402_client.agents import {names}")) == {
        "agents.toolbox",
        "discovery.search",
        "buyer.buyer",
    }


@pytest.mark.parametrize("keys", [EVM, SOLANA])
def test_a_buyer_brings_what_its_key_signs_with(keys: str) -> None:
    assert noted(modules(buyer(keys))) == BUYER | SIGNS[keys] | {"ledgers.memory"}


def test_a_buyer_with_both_keys_brings_no_more_than_the_two() -> None:
    found = modules(buyer(f"{EVM}, {SOLANA}") + WRAPPED["httpx"])
    assert noted(found) == BUYER | SIGNS[EVM] | SIGNS[SOLANA] | {"ledgers.memory"}


def test_a_buyer_brings_its_ledger_only(tmp_path: object) -> None:
    found = noted(modules(buyer(EVM, f"ledger={f'{tmp_path}/spend.db'!r}")))
    assert found == BUYER | SIGNS[EVM] | {"ledgers.sqlite.ledger", "sqlite3"}


@pytest.fixture(scope="module")
def seller() -> Iterator[str]:
    with Worker("seller") as worker:
        yield worker.ask("start", 0.0)


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize(("keys", "path"), [(EVM, "/evm1"), (EVM, "/evm2"), (SOLANA, "/solana")])
def test_a_first_payment_imports_nothing_that_weighs(wrapped: str, keys: str, path: str, seller: str) -> None:
    """What the buyer did not bring would hold up a loop for as long as a hundred payments take."""
    code = f"""{buyer(keys)}
{wrapped}
assert client.get(URL + "/free").status_code == 200
before = set(sys.modules)
assert client.get(URL + {path!r}).status_code == 200
found = set(sys.modules) - before
"""
    found = modules(code, seller)
    ours = {name for name in found if name.startswith("x402_client")}
    packages = {name for name in found if "." not in name} - sys.stdlib_module_names
    assert (ours, packages) == (set(), set())
