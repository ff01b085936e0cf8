"""Whatever is given to ``wrap`` in a wrong place, its message says a line to write, and that line is right."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import httpx2
import mcp
import pytest
import requests

import x402_client.aiohttp
import x402_client.httpx
import x402_client.httpx2
import x402_client.mcp
import x402_client.requests
from x402_client import Buyer, Policy, Wallet
from x402_client.errors import ConfigurationError

KEY = "0x" + "46" * 32
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]
#: The faces, each with what makes a client of it, and what its clients are.
FACES: dict[str, tuple[Any, Any, Callable[[], Any], Any]] = {
    "httpx": (x402_client.httpx, httpx, httpx.Client, httpx.Client),
    "httpx, async": (x402_client.httpx, httpx, httpx.AsyncClient, httpx.AsyncClient),
    "httpx2": (x402_client.httpx2, httpx2, httpx2.Client, httpx2.Client),
    "httpx2, async": (x402_client.httpx2, httpx2, httpx2.AsyncClient, httpx2.AsyncClient),
    "requests": (x402_client.requests, requests, requests.Session, requests.Session),
    "aiohttp": (x402_client.aiohttp, aiohttp, aiohttp.ClientSession, aiohttp.ClientSession),
    "mcp": (x402_client.mcp, mcp, lambda: mcp.Client("http://127.0.0.1:9/mcp"), mcp.Client),
}
#: What may stand in the place of a client or of a buyer, besides those themselves.
THINGS = ("client", "buyer", "allowance", "wallet", "policy", "module", "class", "Buyer", "maker", "None", "key", "get")


@pytest.fixture
async def things(face: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("X402_EVM_KEY", KEY)
    monkeypatch.setenv("X402_LEDGER", ":memory:")
    _, library, make, kind = FACES[face]
    wallet, policy = Wallet(evm=KEY), Policy(per_day="1")
    buyer = Buyer(wallet, policy, ledger=":memory:")
    return {
        "client": make(), "buyer": buyer, "allowance": buyer.allowance("1"), "wallet": wallet, "policy": policy,
        "module": library, "class": kind, "Buyer": Buyer, "maker": Buyer.from_env, "None": None, "key": KEY,
        "get": getattr(library, "get", httpx.get),
    }  # fmt: skip


async def closed(client: Any) -> None:
    if isinstance(client, aiohttp.ClientSession):
        await client.close()


def line_of(failure: Exception) -> str:
    found = re.search(r"; write (.+)\.(?: More: |$)", str(failure))
    assert found, f"it says nothing to write: {failure}"
    return found[1]


def written(line: str, face: str, things: dict[str, Any]) -> Any:
    """What the line makes, where a program has what the words name."""
    module, library, make, _ = FACES[face]
    words: dict[str, Any] = {
        "wrap": module.wrap, "Buyer": Buyer, "buyer": things["buyer"], "wallet": things["wallet"],
        "policy": things["policy"], library.__name__: library,
    }  # fmt: skip
    if "wrap(client," in line or "wrap(session," in line:
        words["client"] = words["session"] = make()
    return eval(line, words)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("count", [0, 1, 2, 3])
async def test_any_wrong_arguments_are_answered_by_a_line_that_is_right(
    face: str, count: int, things: dict[str, Any]
) -> None:
    module, lines = FACES[face][0], {}
    for names in itertools.product(THINGS, repeat=count):
        if names in (("client", "buyer"), ("client", "allowance")) or (count == 3 and face == "mcp"):
            continue  # these are right, or the third is mcp's name of a server
        with pytest.raises(ConfigurationError) as refused:
            module.wrap(*(things[name] for name in names))
        said = str(refused.value)
        line = line_of(refused.value)
        lines[line] = names
        assert KEY not in said
        payer = bool({"buyer", "allowance"} & set(names))
        assert line.endswith(", buyer)") == payer
        assert ("Buyer(wallet" in line) == ("wallet" in names and not payer)
        assert ("policy" in line) == ("policy" in names and not payer)
        assert (line.startswith(("wrap(client,", "wrap(session,"))) == ("client" in names or face == "mcp")
    for line, names in lines.items():
        made = written(line, face, things)
        assert type(made).__module__ == type(things["client"]).__module__, (line, names)
        await closed(made)
    await closed(things["client"])


@pytest.mark.parametrize("face", FACES)
async def test_right_arguments_are_taken_by_name_too(face: str, things: dict[str, Any]) -> None:
    module = FACES[face][0]
    first = "client" if face.startswith("httpx") else "session"
    assert module.wrap(buyer=things["buyer"], **{first: things["client"]}) is things["client"]
    with pytest.raises(ConfigurationError, match=r"write wrap\("):
        module.wrap(things["client"], wallet=things["wallet"])
    await closed(things["client"])


def test_a_client_of_an_sdk_is_told_where_its_http_client_goes(anyio_backend: str) -> None:
    kind = type("AsyncOpenAI", (), {"__module__": "openai._client"})
    buyer = Buyer(Wallet(evm=KEY), Policy(per_day="1"), ledger=":memory:")
    with pytest.raises(ConfigurationError, match=r"write AsyncOpenAI\(http_client=wrap\(httpx\.AsyncClient\(\), buyer"):
        x402_client.httpx.wrap(kind(), buyer)
    with pytest.raises(ConfigurationError, match=r"write wrap\(requests\.Session\(\), buyer\)"):
        x402_client.requests.wrap(kind(), buyer)
