"""What is paid ahead at one address that sells many things: what was bought there before, and nothing else."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import anyio
import anyio.to_thread
import pytest
from mcp import MCPError

from x402_client import Policy
from x402_client.mcp import wrap
from x402_client.sandbox import Sandbox

from .cash_register import Till
from .checks import new_buyer
from .drivers import Client, Driver
from .mcp_shop import Shop, Web, fetch
from .paying_sessions import paying_session
from .scripted_server import Exchange, Server
from .staged_shop import TOOL, Asks, Staged

POLICY = Policy(per_request="0.05", per_day="50", pay_ahead=True)
BERN, BASEL = {"city": "Bern"}, {"city": "Basel"}
_numbers = itertools.count(1)


class Body(NamedTuple):
    """A body that is new for each request, and the product that is bought by it. None: it is never paid ahead."""

    make: Callable[[], Any]
    product: str | None
    kind: str = "application/json"

    def content(self) -> bytes:
        made = self.make()
        return made if isinstance(made, bytes) else json.dumps(made).encode()


def message(method: str, params: Any = None, **more: Any) -> Callable[[], Any]:
    """Return what makes a message of JSON-RPC, with an id of its own."""
    asked = {} if params is None else {"params": params}
    return lambda: {"jsonrpc": "2.0", "id": next(_numbers), "method": method, **asked, **more}


def tool(name: str, arguments: Any, **more: Any) -> Callable[[], Any]:
    return message("tools/call", {"name": name, "arguments": arguments}, **more)


def without_id(make: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: {name: value for name, value in make().items() if name != "id"}


def answer() -> Any:
    """A client's own answer to a question of its server."""
    return {"jsonrpc": "2.0", "id": 1, "result": {}}


BODIES = {
    "a tool": Body(tool("weather", BERN), "weather"),
    "its other arguments": Body(tool("weather", BASEL), "weather"),
    "another tool": Body(tool("report", BERN), "report"),
    "a call without id": Body(without_id(tool("weather", BERN)), None),
    "a call with the id null": Body(tool("weather", BERN, id=None), None),
    "a batch": Body(lambda: [tool("weather", BERN)()], None),
    "a list of tools": Body(message("tools/list"), "list"),
    "a ping": Body(message("ping"), "ping"),
    "a cancellation": Body(without_id(message("notifications/cancelled", {"requestId": 1})), None),
    "an answer": Body(answer, None),
    "a resource": Body(message("resources/read", {"uri": "a"}), "a"),
    "another resource": Body(message("resources/read", {"uri": "b"}), "b"),
    "a query": Body(lambda: {"query": "{ weather }"}, "query"),
    "another query": Body(lambda: {"query": "{ report }"}, "other query"),
    "a form": Body(lambda: b"model=small", "form", "application/x-www-form-urlencoded"),
    "another form": Body(lambda: b"model=large", "other form", "application/x-www-form-urlencoded"),
    "bytes": Body(lambda: b"bytes", "bytes", "application/octet-stream"),
    "nothing": Body(lambda: b"", "nothing", "application/json"),
}


def delivered(exchange: Exchange, till: Till) -> None:
    """Deliver as a server of JSON-RPC does: by a result with the id of the call."""
    with suppress(ValueError):
        asked = json.loads(exchange.seen.body)
        if isinstance(asked, dict) and asked.get("id") is not None:
            body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": {"content": []}}).encode()
            return exchange.answer(200, body, [till.receipt(), ("Content-Type", "application/json")])
    return exchange.answer(200, b"the goods", [till.receipt()])


def send(client: Client, url: str, body: Body) -> Any:
    response = client.request("POST", url, content=body.content(), headers={"Content-Type": body.kind})
    assert response.status_code == 200
    return response


def requests_of(server: Server) -> list[str]:
    """Each request since the last look: paid or not."""
    found = ["paid" if seen.all("payment-signature") else "bare" for seen in server.requests]
    server.requests.clear()
    return found


@pytest.mark.parametrize("bought", ["a tool", "a call without id", "a ping", "a query", "nothing"])
def test_what_was_bought_is_paid_ahead_and_nothing_else(shell: Driver, server: Server, till: Till, bought: str) -> None:
    url = server.on("/all", till.sells(delivered))
    ways, expected = {}, {}
    for name, body in BODIES.items():
        client = shell.client(new_buyer(POLICY))
        send(client, url, BODIES[bought])
        assert requests_of(server) == ["bare", "paid"]
        send(client, url, body)
        ways[name] = requests_of(server)
        is_known = body.product is not None and body.product == BODIES[bought].product
        expected[name] = ["paid"] if is_known else ["bare", "paid"]
    assert ways == expected


def test_each_product_has_its_own_price_and_free_ones_have_none(shell: Driver, server: Server) -> None:
    """A till fails the test where it is paid another price."""
    tills = {"weather": Till(price=10_000), "report": Till(price=20_000)}

    def script(exchange: Exchange) -> None:
        asked = json.loads(exchange.read_body())
        till = tills.get(asked.get("params", {}).get("name"))
        if till is None:
            assert not exchange.seen.all("payment-signature")
            exchange.answer(200, b"free")
        elif till.took(exchange.seen):
            delivered(exchange, till)
        else:
            till.challenge(exchange)

    url, buyer = server.on("/mcp", script), new_buyer(POLICY)
    client = shell.client(buyer)
    for name in ("a tool", "another tool", "a ping", "a cancellation", "a list of tools"):
        send(client, url, BODIES[name])
    assert requests_of(server) == ["bare", "paid", "bare", "paid", "bare", "bare", "bare"]
    for name in ("a cancellation", "its other arguments", "a ping", "another tool", "a tool"):
        send(client, url, BODIES[name])
    assert requests_of(server) == ["bare", "paid", "bare", "paid", "paid"]
    assert (buyer.spent().units, buyer.holds(), len(buyer.history())) == (70_000, (), 5)


class Counter(Web):
    """A server that asks by HTTP 402 for two of its tools, and notes each message and whether it was paid."""

    def __init__(self, sandbox: Sandbox) -> None:
        for name, price in (("weather", "0.01"), ("report", "0.02")):
            sandbox.sell(f"/{name}", price)
        self.go, self.cancelled = threading.Event(), threading.Event()
        tools = {"free": _free, "slow": lambda params: (self.go.wait(5), _free(params))[1]}
        super().__init__(Shop(sandbox.url, tools=tools))
        self.seen: list[tuple[str, bool]] = []

    def __exit__(self, *failure: object) -> None:
        self.go.set()
        super().__exit__(*failure)

    def post(self, handler: Any) -> None:
        asked = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        header, name = handler.headers.get("payment-signature"), asked.get("params", {}).get("name")
        self.seen.append((name or asked["method"], header is not None))
        if asked["method"] == "notifications/cancelled":
            self.cancelled.set()
        proof: dict[str, str] = {}
        if name in ("weather", "report"):
            status, headers, body = fetch(f"{self.shop.url}/{name}", 2, header)
            if status == 402:
                return _answer(handler, 402, None, {"PAYMENT-REQUIRED": headers["payment-required"]})
            proof = {"PAYMENT-RESPONSE": headers["payment-response"]}
            found = {"content": [{"type": "text", "text": body.decode()}]}
            made: Any = {"jsonrpc": "2.0", "id": asked["id"], "result": found}
        else:
            made = self.shop.answer(asked)
        path, _, session = handler.path.partition("?")
        if path == "/messages":
            _answer(handler, 202, None, proof)
            return self.sessions[session].put(json.dumps(made)) if made is not None else None
        return _answer(handler, 202 if made is None else 200, made, proof)

    def sold(self) -> list[tuple[str, bool]]:
        """Return the calls of the tools that it sells since the last look. Nothing else may be paid for."""
        found, self.seen[:] = list(self.seen), []
        assert {name for name, paid in found if paid} <= {"weather", "report"}
        return [one for one in found if one[0] in ("weather", "report")]


def _free(params: Any) -> Any:
    return {"result": {"content": [{"type": "text", "text": "free"}]}}


def _answer(handler: Any, status: int, made: Any, more: dict[str, str]) -> None:
    body = b"" if made is None else json.dumps(made).encode()
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **more}.items():
        handler.send_header(name, value)
    handler.end_headers()
    with suppress(OSError):  # the caller gave up
        handler.wfile.write(body)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("transport", ["mcp", pytest.param("sse", marks=pytest.mark.slow)])
@pytest.mark.parametrize("wraps", [False, True])
async def test_a_session_pays_ahead_for_the_tool_that_it_bought(
    mcp_sandbox: Sandbox, transport: str, wraps: bool
) -> None:
    buyer = mcp_sandbox.buyer(POLICY)
    learns = wraps or transport == "mcp"  # over SSE a client that pays alone sees no content, so nothing is delivered
    with Counter(mcp_sandbox) as web:
        async with paying_session(transport, web.url, buyer) as session:
            session = wrap(session, buyer) if wraps else session
            await session.call_tool("weather", BERN)
            assert web.sold() == [("weather", False), ("weather", True)]
            await session.list_tools()
            with suppress(MCPError):
                await session.send_ping()
            await session.call_tool("free", {})
            with anyio.move_on_after(0.3):
                await session.call_tool("slow", {})
            web.go.set()
            assert await anyio.to_thread.run_sync(web.cancelled.wait, 5)
            assert web.sold() == []
            await session.call_tool("report", BERN)
            await session.call_tool("weather", BASEL)
            await session.call_tool("report", BASEL)
            known = [("report", False), ("report", True), ("weather", True), ("report", True)]
            assert web.sold() == (known if learns else [*known[:2], ("weather", False), known[2], *known[:2]])
    assert str(buyer.spent()) == "0.06 USD"
    assert len(mcp_sandbox.paid(buyer)) == len(buyer.history() if learns else buyer.holds()) == 4


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("transport", ["mcp", "sse"])
@pytest.mark.parametrize("asks", ["http", "result"])
async def test_a_session_and_its_client_that_both_pay_ahead_pay_once(
    redelivering: Sandbox, asks: Asks, transport: str
) -> None:
    buyer = redelivering.buyer(POLICY)
    with Staged(redelivering, asks) as web:
        async with paying_session(transport, web.url, buyer) as session:
            wrap(session, buyer)
            for city in ("Bern", "Basel", "Chur"):
                await session.call_tool(TOOL, {"city": city})
    assert len(web.presented) == len(set(web.presented)) == 3
    assert (len(buyer.history()), buyer.holds(), len(redelivering.paid(buyer))) == (3, (), 3)
