"""The README's code runs, as it stands there. Only the addresses of the sellers are others: those of a sandbox."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from typer.main import get_command

import x402_client
from tests.adapters.mcp_sessions import over_http
from tests.adapters.mcp_shop import Shop, Web
from x402_client import Policy, Wallet
from x402_client.cli.app import app
from x402_client.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 0,
    "model": "sandbox",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Forty-two."}}],
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def seller() -> Iterator[Sandbox]:
    with Sandbox() as seller:
        # The README's seller of version 1 pays the chain's fees itself.
        vars(seller._shop.solana)["seller"] = seller._shop.solana.fee_payer
        seller.sell("/v1/chat/completions", "0.02", content=ANSWER)
        seller.sell("/paid", "0.01", version=1, chains="solana")
        yield seller


@pytest.fixture
def seller_by_symbol(seller: Sandbox) -> Iterator[str]:
    """Yield the address of a seller that asks with the README's own JSON: its token is a symbol, not a mint."""
    [written] = blocks("json")
    asked = json.loads(written)

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paid = {name: value for name, value in self.headers.items() if name.lower() == "x-payment"}
            answer = httpx.get(seller.url + "/paid", headers=paid)
            content = answer.content
            if answer.status_code == 402:
                [offer] = answer.json()["accepts"]
                [written] = asked["accepts"]
                assert (written["payTo"] == written["extra"]["feePayer"]) is (
                    offer["payTo"] == offer["extra"]["feePayer"]
                )
                there = {name: offer[name] for name in ("payTo", "maxAmountRequired", "extra")}
                content = json.dumps(asked | {"accepts": [written | there]}).encode()
            self.send_response(answer.status_code)
            for name in answer.headers.keys() & {"content-type", "x-payment-response"}:
                self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def fitted(seller: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set up the environment as ``x402 sandbox`` does; what is built from code knows the sandbox's tokens, too."""
    for name, value in (seller.environ | {"X402_LEDGER": str(tmp_path / "ledger.db")}).items():
        monkeypatch.setenv(name, value)

    def buyer(wallet: Wallet, policy: Policy | None = None, **settings: Any) -> Any:
        return seller.buyer(*([policy] if policy else []), wallet=wallet, **settings)

    buyer.from_env = x402_client.Buyer.from_env  # type: ignore[attr-defined]
    monkeypatch.setattr(x402_client, "Buyer", buyer)


async def tool_of(seller: Sandbox, tool: Any) -> Any:
    """Call the README's tool in a session whose server has a URL."""
    with Web(Shop(seller.url)) as web:
        async with over_http(f"{web.url}/mcp") as session:
            return await tool(session)


@pytest.mark.filterwarnings("ignore:X402_POLICY names a sandbox")  # the program has a policy of its own
@pytest.mark.usefixtures("fitted")
def test_the_code(seller: Sandbox, seller_by_symbol: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in blocks("python"):
        code = block.replace("https://api.example.com", seller.url).replace("https://seller.example", seller_by_symbol)
        exec(compile(code, str(README), "exec"), names)
    assert "worth it" in capsys.readouterr().out
    assert asyncio.run(names["weather"]())["content"] == "worth it"
    assert names["response"].status_code == names["answer"].status_code == 200
    said = names["ai"].chat.completions.create(model="sandbox", messages=[{"role": "user", "content": "?"}])
    assert said.choices[0].message.content == "Forty-two."
    result = asyncio.run(tool_of(seller, names["tool"]))
    assert result.meta["x402"]["money"] == "spent"
    assert names["paid"].status_code == 200
    assert x402_client.receipt(names["paid"]).network.startswith("solana")
    assert sorted(str(done.price) for done in seller.settlements) == [*["0.01 USD"] * 5, "0.02 USD"]
    for client in (names["client"], names["session"], names["ai"]):
        client.close()


@pytest.mark.filterwarnings("ignore:X402_POLICY names a sandbox")  # the program has a policy of its own
@pytest.mark.usefixtures("fitted")
def test_its_first_program_survives_an_answer_that_was_free(
    seller: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    seller.free("/weather", {"content": "a gift"})
    code = blocks("python")[0].replace("https://api.example.com", seller.url)
    names: dict[str, Any] = {}
    exec(compile(code, str(README), "exec"), names)
    names["client"].close()
    assert "200 {'content': 'a gift'} not paid" in capsys.readouterr().out
    assert seller.settlements == []


def test_the_two_commands_are_those_of_the_workflow() -> None:
    commands = [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]
    assert [line for line in commands if line.startswith("python3 -m venv")] == [
        "python3 -m venv .venv && .venv/bin/pip install -q '.[cli]' && .venv/bin/x402 demo",
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && "
        ".venv/bin/python -m pytest -n auto --dist loadfile",
    ]
    assert commands[1] in (ROOT / ".ci" / "run").read_text("utf-8")


def test_what_it_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXT)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_name_of_its_tables_is_there() -> None:
    endings = "Error|Refused|NotSent|Rejected|Unknown|NotDelivered|AlreadyPaid|Offer|Limit|Allowed|Denied|Frozen"
    named = set(re.findall(rf"`(\w*(?:{endings}|Unavailable))`", TEXT)) - {"Limit"}
    assert len(named) > 10
    assert [name for name in named if not hasattr(x402_client.errors, name)] == []


def test_its_commands_are_there() -> None:
    lines = [line for block in blocks("console") for line in block.splitlines() if line.startswith("$ x402 ")]
    assert lines
    for line in lines:
        words, command = line.partition("#")[0].split()[2:], get_command(app)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]  # type: ignore[attr-defined]
        known = {name for parameter in command.params for name in parameter.opts}
        assert not hasattr(command, "commands") or getattr(command, "invoke_without_command", False), line
        assert {word for word in words if word.startswith("--")} <= known, line


def test_it_is_short_and_so_are_its_sentences() -> None:
    assert len(TEXT.splitlines()) <= 180
    text = re.sub(r"^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`]*`", "code", re.sub(r"^[#|].*$|\]\([^)]*\)", "", text, flags=re.MULTILINE))
    lengths = [len(sentence.split()) for sentence in re.split(r"(?<=[.!?])\s+|\n\s*\n", text) if sentence.split()]
    assert sum(lengths) <= 20 * len(lengths)
