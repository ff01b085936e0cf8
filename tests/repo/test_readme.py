"""The README's code runs, as it stands there. Only the address of the seller is another: that of the sandbox."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import x402_client
from x402_client import Policy, Wallet
from x402_client.sandbox import Sandbox

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8")
#: Shown for their shape; tests/repo/test_examples.py runs the program that they are taken from.
SHAPES = ("answer = exchange.send(courier)",)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def seller() -> Iterator[Sandbox]:
    with Sandbox() as seller:
        for path in ("/weather", "/orders"):
            seller.sell(path, "0.01")
        yield seller


def test_the_code(seller: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X402_EVM_KEY", seller.key("evm"))
    monkeypatch.setenv("X402_SOLANA_KEY", seller.key("solana"))

    def buyer(wallet: Wallet, policy: Policy | None = None, **settings: Any) -> Any:
        return seller.buyer(*([policy] if policy else []), wallet=wallet, **settings)

    monkeypatch.setattr(x402_client, "Buyer", buyer)
    names: dict[str, Any] = {}
    ran = 0
    for block in blocks("python"):
        if not any(shape in block for shape in SHAPES):
            exec(compile(block.replace("https://api.example.com", seller.url), str(README), "exec"), names)
            ran += 1
    assert ran == len(blocks("python")) - len(SHAPES)
    assert names["response"].status_code == names["answer"].status_code == 200
    assert names["terms"].choice is not None
    assert {path for _, path in ((visit.method, visit.path) for visit in seller.visits)} >= {"/weather", "/orders"}
    assert len(seller.settlements) == 3
    names["client"].close()
    names["session"].close()


def test_the_policy_file(tmp_path: Path) -> None:
    [text] = blocks("toml")
    assert tomllib.loads(text)
    file = tmp_path / "policy.toml"
    file.write_text(text)
    assert "api.example.com" in map(str, Policy.from_file(file).hosts)


def test_what_it_links_to_is_there() -> None:
    here = README.parent
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXT)
    assert links
    assert [link for link in links if not (here / link).exists()] == []


def test_every_name_of_its_tables_is_there() -> None:
    endings = "Error|Refused|NotSent|Rejected|Unknown|NotDelivered|AlreadyPaid|Limit|Denied|Frozen|Funds|Replayable"
    named = set(re.findall(rf"`(\w*(?:{endings}))`", TEXT)) - {"Limit"}
    assert len(named) > 10
    assert [name for name in named if not hasattr(x402_client.errors, name)] == []
    keywords = set(re.findall(r"`Buyer\((\w+)=", TEXT))
    assert keywords <= set(x402_client.Buyer.__init__.__code__.co_varnames)
