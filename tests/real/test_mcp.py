"""MCP servers by others are paid by every host, over every transport: one transfer for one result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from tests.adapters.mcp_shop import DIALECTS, Web, crashed, lost
from tests.adapters.mcp_shop import Shop as Server
from tests.adapters.refusing_shop import Refuses
from tests.adapters.staged_shop import Moment, Staged
from tests.soak.matrix import npm
from x402_client import Token
from x402_client.sandbox import Sandbox

from . import environments
from .mcp_hosts import HOSTS, Host, run_host
from .programs import FOLDER, Program
from .world import NETWORK, NETWORK_V1, World

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(900)]
PRICE = 10_000


@pytest.fixture(scope="module")
def hosts() -> None:
    for name in ("mcp1", "mcp2"):
        environments.needed(environments.environment, name)


class Shop:
    """A server by others: one that listens, and the command of one behind pipes."""

    def __init__(self, program: Program, behind_pipes: list[str], orders: dict[str, Any]) -> None:
        self.program, self.behind_pipes = program, behind_pipes
        self.pay_to = str(Account.create().address)
        self.orders = {**orders, "pay_to": self.pay_to}
        self.url = program.order(self.orders)

    def place(self, transport: str) -> dict[str, Any]:
        if transport == "stdio":
            return {"command": [*self.behind_pipes, json.dumps(self.orders)]}
        return {"url": f"{self.url}/{'sse' if transport == 'sse' else 'mcp'}"}


@pytest.fixture(scope="module")
def official(world: World, hosts: None) -> Iterator[Shop]:
    python = environments.environment("mcp1")
    script = str(FOLDER / "seller_mcp.py")
    shop = Shop(Program(python, "seller_mcp.py"), [str(python), script], facilitated(world, NETWORK))
    yield shop
    shop.program.stop()


@pytest.fixture(scope="module")
def agents(world: World, hosts: None) -> Iterator[Shop]:
    shop = on_node("mcp-agents", facilitated(world, NETWORK))
    yield shop
    shop.program.stop()


@pytest.fixture(scope="module")
def version_1(world: World, hosts: None) -> Iterator[Shop]:
    shop = on_node("mcp-v1", facilitated(world, NETWORK_V1))
    yield shop
    shop.program.stop()


def facilitated(world: World, network: str) -> dict[str, Any]:
    return {"facilitator": world.facilitator_url, "network": network}


def on_node(kit: str, orders: dict[str, Any]) -> Shop:
    return Shop(environments.needed(npm.launch, kit, "seller.mjs"), npm.command(kit, "seller.mjs"), orders)


def cases(*transports: str) -> list[Any]:
    return [
        pytest.param(host, transport, id=f"{host.name}, {transport}")
        for host in HOSTS
        for transport in transports
        if transport in host.transports
    ]


def orders_of(world: World, shop: Shop, transport: str, tmp_path: Path, steps: list[Any]) -> dict[str, Any]:
    account = world.buyer()
    return {
        "transport": transport, "key": account.key.hex(), "ledger": str(tmp_path / "spend.db"),
        "rpc": {NETWORK: world.chain.url}, "steps": steps, "account": account.address, **shop.place(transport),
    }  # fmt: skip


def paid_once(world: World, shop: Shop, host: Host, transport: str, tmp_path: Path) -> None:
    """Buy two different things and one that fails, and look at the chain."""
    since = world.chain.block()
    steps = [
        ["free", {}],
        ["quote:weather", {"city": "Bern"}],
        ["weather", {"city": "Bern"}],
        ["mcp:weather", {"city": "Basel"}],
        ["mcp:broken", {"city": "Bern"}],
    ]
    orders = orders_of(world, shop, transport, tmp_path, steps)
    found = run_host(host, orders)
    free, price, bern, basel, broken = found["done"]
    assert (free["text"], free["money"]) == ("For nothing.", None)
    assert price == {"price": "0.01 USD (test)"}
    assert (bern["text"], bern["money"], bern["dumps"]) == ("It rains in Bern.", "spent", True)
    assert (basel["text"], basel["meta"]["money"]) == ("It rains in Basel.", "spent")
    assert (broken["is_error"], broken["money"]) == (True, "unknown")
    done = [one for one in world.chain.transfers(since) if one.sender == orders["account"].lower()]
    assert [(one.to, one.value) for one in done] == [(shop.pay_to.lower(), PRICE)] * 2
    assert {bern["meta"]["transaction"], basel["meta"]["transaction"]} == {one.tx_hash for one in done}
    assert (len(found["paid"]), len(found["held"]), found["spent"]) == (2, 1, "0.00 USD")
    assert all(url.endswith("#weather") for url, _ in found["paid"])


@pytest.mark.parametrize(("host", "transport"), cases("http", "sse", "stdio"))
def test_the_official_helper_is_paid_once(
    world: World, official: Shop, host: Host, transport: str, tmp_path: Path
) -> None:
    paid_once(world, official, host, transport, tmp_path)


@pytest.mark.parametrize(("host", "transport"), cases("http", "sse", "stdio"))
def test_the_agents_of_cloudflare_are_paid_once(
    world: World, agents: Shop, host: Host, transport: str, tmp_path: Path
) -> None:
    paid_once(world, agents, host, transport, tmp_path)


@pytest.mark.parametrize(("host", "transport"), cases("http"))
def test_x402_mcp_is_paid_once_in_version_1(
    world: World, version_1: Shop, host: Host, transport: str, tmp_path: Path
) -> None:
    paid_once(world, version_1, host, transport, tmp_path)


@pytest.mark.parametrize(
    ("host", "transport", "dialect"),
    [
        pytest.param(host, transport, dialect, id=f"{host.name}, {transport}, {dialect}")
        for host in HOSTS
        for transport, dialect in (("http", "specification"), ("http", "agents"), ("sse", "error 402"))
        if transport in host.transports
    ],
)
def test_a_lost_answer_is_made_up_for_by_the_same_payment(
    hosts: None, host: Host, transport: str, dialect: str, tmp_path: Path
) -> None:
    """Over HTTP the session ends with it. Over SSE the call would wait for ever, so it fails instead."""
    how = lost if transport == "http" else crashed
    with Sandbox(redeliver=True) as sandbox, Web(Server(sandbox.url, DIALECTS[dialect], faults=[how])) as web:
        orders = sandboxed(sandbox, web, transport, tmp_path)
        found = run_host(host, {**orders, "steps": [BERN, "reconnect", BERN, BERN]})
        *failed, first, second = found["done"]
        assert failed
        assert {one.get("money") for one in failed} <= {"spent", "unknown", None}
        assert (first["money"], second["money"]) == ("spent", "spent")
        assert found["held"] == []
        nonces = [nonce for _, nonce in found["paid"]]
        assert len(set(nonces)) == len(nonces) == len(sandbox.settlements) == 2
        assert {one["payload"]["authorization"]["nonce"] for one in web.shop.payments} == set(nonces)


BERN = ["weather", {"city": "Bern"}]
PATHS = {"http": "mcp", "sse": "sse"}


def sandboxed(sandbox: Sandbox, web: Web, transport: str, tmp_path: Path) -> dict[str, Any]:
    tokens = [{name: getattr(token, name) for name in Token.__slots__} for token in sandbox.tokens]
    return {
        "transport": transport, "key": sandbox.key(), "ledger": str(tmp_path / "spend.db"), "rpc": sandbox.rpc,
        "tokens": tokens, "url": f"{web.url}/{PATHS[transport]}",
    }  # fmt: skip


OVER_HTTP = pytest.mark.parametrize(
    ("host", "transport"),
    [
        pytest.param(host, transport, id=f"{host.name}, {transport}")
        for host in HOSTS
        for transport in ("http", "sse")
        if transport in host.transports and host.kind != "client"  # it makes its HTTP client itself
    ],
)


@OVER_HTTP
def test_a_402_that_is_not_paid_by_http_ends_its_call_and_no_session(
    hosts: None, host: Host, transport: str, tmp_path: Path
) -> None:
    """A session that ended would be connected again, and would have told its end besides."""
    for by_http in (True, False):
        with Sandbox(redeliver=True) as sandbox, Refuses(sandbox, "terms in both", by_http=by_http) as web:
            web.shop.tools["free"] = lambda params: {"result": {"content": []}}
            orders = {**sandboxed(sandbox, web, transport, tmp_path / str(by_http)), "pays_by_http": True}
            (tmp_path / str(by_http)).mkdir()
            first = ["quote:weather", {"city": "Bern"}] if by_http else BERN
            found = run_host(host, {**orders, "steps": [first, ["free", {}], first, ["free", {}]]})
            if by_http:
                assert [one.get("price") for one in found["done"]] == ["0.01 USD", None] * 2
                assert (web.presented, found["held"], found["paid"]) == ([], [], [])
            else:
                told = [(one.get("found"), one["money"]) for one in found["done"]]
                assert told == [("PaymentRejected", "held"), (None, None), (None, "spent"), (None, None)]
                assert (len(web.presented), len(set(web.presented)), found["held"]) == (2, 1, [])


class AsksTwice(Web):
    """Asks for the first call by a result, and by HTTP where the payment comes."""

    def post(self, handler: Any) -> None:
        self.shop.by_http = bool(self.shop.calls)
        super().post(handler)


@pytest.mark.parametrize("made", [Web, AsksTwice], ids=["by HTTP", "by a result, then by HTTP"])
def test_a_session_of_mcp_1_over_an_http_client_that_pays_pays_once(hosts: None, made: Any, tmp_path: Path) -> None:
    """It sends from another task than its caller's, so that only the name of the purchase ties the two together."""
    with Sandbox() as sandbox, made(Server(sandbox.url, by_http=made is Web)) as web:
        orders = {**sandboxed(sandbox, web, "http", tmp_path), "pays_by_http": True}
        quoted = run_host(HOSTS[0], {**orders, "steps": [["quote:weather", {"city": "Bern"}]]})
        assert (quoted["paid"], quoted["held"], sandbox.settlements) == ([], [], [])
        web.shop.calls.clear()
        found = run_host(HOSTS[0], {**orders, "steps": [BERN]})
        assert len(found["paid"]) == len(sandbox.settlements) == (made is Web)
        assert len(found["held"]) == (made is AsksTwice)


@pytest.mark.parametrize("moment", ["asks", "paid", "headers"])
@OVER_HTTP
def test_what_a_caller_left_is_presented_again(
    hosts: None, host: Host, transport: str, moment: Moment, tmp_path: Path
) -> None:
    with Sandbox(redeliver=True) as sandbox, Staged(sandbox, "http", moment) as web:
        web.patience = 3.0
        orders = {**sandboxed(sandbox, web, transport, tmp_path), "pays_by_http": True}
        found = run_host(host, {**orders, "steps": [["left:weather", {"city": "Bern"}], BERN, ["free", {}], BERN]})
        left, first, free, second = found["done"]
        assert (left, first["money"], free["money"], second["money"]) == ({"left": True}, "spent", None, "spent")
        nonces = [nonce for _, nonce in reversed(found["paid"])]
        assert web.presented == [*nonces[:1] * (1 if moment == "asks" else 2), nonces[1]]
        assert (len(set(nonces)), found["held"], len(sandbox.settlements)) == (2, [], 2)


@pytest.mark.parametrize(
    ("host", "by_http"),
    [
        pytest.param(host, by_http, id=f"{host.name}, {'by HTTP' if by_http else 'by a result'}")
        for host in HOSTS
        for by_http in (False, True)
        if not by_http or host.kind != "client"
    ],
)
def test_every_host_pays_under_each_allowance_that_it_was_wrapped_with(
    hosts: None, host: Host, by_http: bool, tmp_path: Path
) -> None:
    """That of fastmcp is a copy of the client that was wrapped, as fastmcp makes them.

    The HTTP client below was wrapped with the buyer alone.
    """
    with Sandbox() as sandbox, Web(Server(sandbox.url, by_http=by_http)) as web:
        orders = {**sandboxed(sandbox, web, "http", tmp_path), "pays_by_http": by_http}
        found = run_host(host, {**orders, "allowances": ["1", "0.01"], "steps": [BERN, ["weather", {"city": "Basel"}]]})
        paid, refused = found["done"]
        assert (paid["money"], refused["found"], refused["money"]) == ("spent", "OverLimit", "untouched")
        assert "the allowance 'of 0.01'" in refused["says"]
        assert found["paths"] == [["allowance of 1", "allowance of 0.01"]]
        assert len(sandbox.settlements) == 1
