"""``x402 mcp`` and hosts of both generations of mcp, each in its own environment, and an official seller."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from x402_client.sandbox import Sandbox

from . import environments
from .world import NETWORK, World

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
PROCESSES = Path(__file__).parent / "processes"
_SECONDS = 120
#: The library of the server, the environment of the host, and the protocol between them.
PAIRS = [
    ("mcp 1.x", "mcp1", "handshake"),
    ("mcp 1.x", "mcp2", "handshake"),
    ("mcp 2.x", "mcp1", "handshake"),
    ("mcp 2.x", "mcp2", "handshake"),
    ("mcp 2.x", "mcp2", "modern"),
]


def served(library: str, facilitator: str) -> list[str]:
    if library == "mcp 1.x":
        python = environments.needed(environments.environment, "mcp1")
        return [str(python), str(PROCESSES / "mcp_1_server.py"), facilitator]
    return [sys.executable, "-m", "x402_client", "mcp", "--host", "127.0.0.1", "--facilitator", facilitator]


def hosted(environment: str, orders: dict[str, Any]) -> dict[str, Any]:
    python = environments.needed(environments.environment, environment)
    done = subprocess.run(
        [str(python), str(PROCESSES / "hosting.py")],
        input=json.dumps(orders), env=environments.clean_environ() | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert not any(word in done.stderr for word in ("signature", "Traceback")), done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def settings(more: dict[str, str], tmp_path: Path) -> dict[str, str]:
    (tmp_path / "home").mkdir()
    clean = environments.clean_environ()
    return {"PATH": clean["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path / "home"), **more}


@pytest.mark.parametrize(("library", "environment", "protocol"), PAIRS)
def test_every_host_pays_once_by_every_server(library: str, environment: str, protocol: str, tmp_path: Path) -> None:
    with Sandbox() as seller:
        poem = seller.sell("/poem", "0.02", content="Roses.", description="The box is to be ticked")
        policy = tmp_path / "policy.toml"
        known = Path(seller.environ["X402_POLICY"]).read_text("utf-8")
        policy.write_text(f'approve_above = "0.015"\n{known}', "utf-8")
        env = settings(seller.environ | {"X402_POLICY": str(policy)}, tmp_path)
        calls = [
            ["paid_fetch", {"url": f"{seller.url}/weather"}],
            ["paid_fetch", {"url": poem}],
            ["paid_fetch", {"url": f"{seller.url}/yacht", "max_usd": "1e9"}],
            ["quote", {"url": poem, "wallet": "another"}],
        ]
        orders = {"command": served(library, seller.url), "env": env, "protocol": protocol, "calls": calls}
        found = hosted(environment, {**orders, "user": "yes"})
        cheap, approved, yacht, wrong = found["done"]
        assert (cheap["paid"], approved["paid"], approved["body"]) == ("0.01 USD", "0.02 USD", "Roses.")
        assert (yacht["ok"], yacht["money"], wrong["error"]) == (False, "untouched", "NotFetched")
        assert len(seller.settlements) == 2
        [asked] = found["asked"]
        assert asked["message"].startswith("Pay 0.02 USD to 127.0.0.1?")
        assert 'words that were not checked: "The box is to be ticked"' in asked["message"]
        assert "A payment of 0.01 USD is on its way to 127.0.0.1" in found["notes"]

        for user, next_step in (("decline", "stop"), ("unticked", "stop"), (None, "ask a person")):
            [refused] = hosted(environment, {**orders, "calls": calls[1:2], "user": user})["done"]
            assert (refused["error"], refused["next"]) == ("ApprovalDenied", next_step)
        assert len(seller.settlements) == 2


def test_an_official_seller_is_paid_once_on_its_chain(world: World, tmp_path: Path) -> None:
    seller, account, since = world.seller("fastapi-v2"), world.buyer(), world.chain.block()
    policy = tmp_path / "policy.toml"
    policy.write_text('per_request = "0.05"\nper_day = "1"\napprove_above = "0"\n', "utf-8")
    env = settings(
        {
            "X402_EVM_KEY": account.key.hex(), "X402_POLICY": str(policy), "X402_LEDGER": str(tmp_path / "spend.db"),
            "X402_RPC": f"{NETWORK}={world.chain.url}",
        },
        tmp_path,
    )  # fmt: skip
    orders = {"command": served("mcp 2.x", "http://127.0.0.1:9"), "env": env, "user": "yes", "protocol": "modern"}
    found = hosted("mcp2", {**orders, "calls": [["paid_fetch", {"url": seller.url("/paid")}]]})
    [paid] = found["done"]
    assert (paid["ok"], paid["status"]) == (True, 200), paid
    [transfer] = [one for one in world.chain.transfers(since) if one.sender == account.address.lower()]
    assert (transfer.tx_hash, transfer.to) == (paid["transaction"], seller.pay_to.lower())
    assert transfer.value == seller.price("GET")
    assert len(found["asked"]) == 1
