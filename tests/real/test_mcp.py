"""MCP servers by others are paid by every host, over every transport: one transfer for one result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from . import environments
from .mcp_hosts import HOSTS, Host, run_host
from .programs import FOLDER, Program
from .world import NETWORK, World

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(900)]
PRICE = 10_000


@pytest.fixture(scope="module")
def hosts() -> None:
    try:
        for name in ("mcp1", "mcp2"):
            environments.environment(name)
    except environments.EnvironmentUnavailable as reason:
        pytest.skip(str(reason))


class Official:
    """The official helper's server: one that listens, and the command of one behind pipes."""

    def __init__(self, world: World) -> None:
        self.python = environments.environment("mcp1")
        self.pay_to = str(Account.create().address)
        self.orders = {"facilitator": world.facilitator_url, "pay_to": self.pay_to, "network": NETWORK}
        self.program = Program(self.python, "seller_mcp.py")
        self.url = self.program.order(self.orders)

    def place(self, transport: str) -> dict[str, Any]:
        if transport == "stdio":
            return {"command": [str(self.python), str(FOLDER / "seller_mcp.py"), json.dumps(self.orders)]}
        return {"url": f"{self.url}/{'sse' if transport == 'sse' else 'mcp'}"}


@pytest.fixture(scope="module")
def official(world: World, hosts: None) -> Iterator[Official]:
    shop = Official(world)
    yield shop
    shop.program.stop()


def cases(*transports: str) -> list[Any]:
    return [
        pytest.param(host, transport, id=f"{host.name}, {transport}")
        for host in HOSTS
        for transport in transports
        if transport in host.transports
    ]


@pytest.mark.parametrize(("host", "transport"), cases("http", "sse", "stdio"))
def test_the_official_helper_is_paid_once(
    world: World, official: Official, host: Host, transport: str, tmp_path: Path
) -> None:
    account, since = world.buyer(), world.chain.block()
    steps = [
        ["free", {}],
        ["quote:weather", {"city": "Bern"}],
        ["weather", {"city": "Bern"}],
        ["mcp:weather", {"city": "Basel"}],
        ["mcp:broken", {"city": "Bern"}],
    ]
    orders = {
        "transport": transport, "key": account.key.hex(), "ledger": str(tmp_path / "spend.db"),
        "rpc": {NETWORK: world.chain.url}, "steps": steps, **official.place(transport),
    }  # fmt: skip
    found = run_host(host, orders)
    free, price, bern, basel, broken = found["done"]
    assert (free["text"], free["money"]) == ("For nothing.", None)
    assert price == {"price": "0.01 USD (test)"}
    assert (bern["text"], bern["money"], bern["dumps"]) == ("It rains in Bern.", "spent", True)
    assert (basel["text"], basel["meta"]["money"]) == ("It rains in Basel.", "spent")
    assert (broken["is_error"], broken["money"]) == (True, "unknown")
    done = [one for one in world.chain.transfers(since) if one.sender == account.address.lower()]
    assert [(one.to, one.value) for one in done] == [(official.pay_to.lower(), PRICE)] * 2
    assert {bern["meta"]["transaction"], basel["meta"]["transaction"]} == {one.tx_hash for one in done}
    assert (len(found["paid"]), len(found["held"]), found["spent"]) == (2, 1, "0.00 USD")
    assert all(url.endswith("#weather") for url, _ in found["paid"])
