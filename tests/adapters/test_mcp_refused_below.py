"""A refusal of an HTTP client under a session reaches its own call alone: the session and its neighbours go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import MCPError

from x402_client import Buyer, Policy, errors
from x402_client.errors import HostNotAllowed, LedgerUnavailable, PaymentRejected, TooExpensive, X402Error
from x402_client.mcp import wrap
from x402_client.sandbox import Sandbox

from .mcp_shop import Shop, Web
from .paying_sessions import paying_session

pytestmark = pytest.mark.anyio
BERN = {"city": "Bern"}
TRANSPORTS = pytest.mark.parametrize("transport", ["mcp", "sse"])


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Asks(Web):
    """A server that asks by HTTP 402 for every tool but ``slow``, which answers once it is let go."""

    def __init__(self, sandbox: Sandbox) -> None:
        sandbox.sell("/weather", "0.01")
        super().__init__(Shop(sandbox.url, by_http=True, free=("slow",), tools={"slow": self._slow}))
        self.begun, self.let_go = threading.Event(), threading.Event()

    def _slow(self, params: Any) -> Any:
        self.begun.set()
        self.let_go.wait(5)
        return {"result": {"content": [{"type": "text", "text": "Done."}]}}


async def _refused(session: Any, tool: str = "yacht", arguments: Any = BERN) -> X402Error:
    with pytest.raises(X402Error) as refused:
        await session.call_tool(tool, arguments)
    return refused.value


@TRANSPORTS
async def test_the_session_and_the_other_calls_go_on(mcp_sandbox: Sandbox, mcp_buyer: Buyer, transport: str) -> None:
    found: dict[str, Any] = {}
    with Asks(mcp_sandbox) as web:
        async with paying_session(transport, web.url, mcp_buyer) as session:
            wrap(session, mcp_buyer)

            async def slow() -> None:
                found["slow"] = await session.call_tool("slow", {})

            async with anyio.create_task_group() as calls:
                calls.start_soon(slow)
                await anyio.to_thread.run_sync(web.begun.wait, 5)
                found["yacht"] = await _refused(session)
                web.let_go.set()
            found["again"] = await session.call_tool("slow", {})
            found["same"] = await _refused(session)
    assert [type(found[one]) for one in ("yacht", "same")] == [TooExpensive] * 2
    assert "one payment may cost 0.05 USD" in str(found["yacht"])
    assert [found[one].content[0].text for one in ("slow", "again")] == ["Done."] * 2
    assert (mcp_buyer.holds(), mcp_sandbox.paid(mcp_buyer)) == ((), [])


@TRANSPORTS
async def test_equal_calls_at_once_are_each_refused(mcp_sandbox: Sandbox, mcp_buyer: Buyer, transport: str) -> None:
    found: list[X402Error] = []
    with Asks(mcp_sandbox) as web:
        async with paying_session(transport, web.url, mcp_buyer) as session, anyio.create_task_group() as calls:
            wrap(session, mcp_buyer)

            async def call() -> None:
                found.append(await _refused(session))

            for _ in range(5):
                calls.start_soon(call)
    assert [type(one) for one in found] == [TooExpensive] * 5
    assert len({id(one) for one in found}) == 5


def _denied(sandbox: Sandbox, path: Path) -> Buyer:
    return sandbox.buyer(Policy(per_day="5", hosts={"127.0.0.1": "deny"}))


def _returned(sandbox: Sandbox, path: Path) -> Buyer:
    return sandbox.buyer(Policy(per_request="0.001", per_day="5"), on_refusal="return")


def _broken(sandbox: Sandbox, path: Path) -> Buyer:
    buyer = sandbox.buyer(Policy(per_day="5"), ledger=str(path / "spend.db"))
    assert buyer.holds() == ()
    for each in filter(Path.is_file, path.iterdir()):
        each.unlink()
    (path / "spend.db").write_bytes(b"This is no ledger." * 1_000)
    return buyer


@TRANSPORTS
@pytest.mark.parametrize(
    ("made", "kind"), [(_denied, HostNotAllowed), (_returned, TooExpensive), (_broken, LedgerUnavailable)]
)
async def test_every_kind_of_refusal_reaches_its_call(
    mcp_sandbox: Sandbox, tmp_path: Path, transport: str, made: Callable[[Sandbox, Path], Buyer], kind: type[X402Error]
) -> None:
    buyer = made(mcp_sandbox, tmp_path)
    with Asks(mcp_sandbox) as web:
        async with paying_session(transport, web.url, buyer) as session:
            refused = await _refused(wrap(session, buyer), "weather")
            web.let_go.set()
            assert not (await session.call_tool("slow", {})).is_error
    assert (type(refused), refused.money) == (kind, "untouched")


async def test_a_rejected_payment_reaches_its_call_and_stays_open(mcp_sandbox: Sandbox) -> None:
    buyer = mcp_sandbox.buyer(Policy(per_day="5"), repeat=())
    with Asks(mcp_sandbox) as web:
        mcp_sandbox.sell("/picky", "0.01", fault=["402-again"] * 9)
        async with paying_session("mcp", web.url, buyer) as session:
            refused = await _refused(wrap(session, buyer), "picky")
            web.let_go.set()
            assert not (await session.call_tool("slow", {})).is_error
    [hold] = buyer.holds()
    assert isinstance(refused, PaymentRejected)
    assert refused.hold is not None
    assert refused.hold.nonce == hold.nonce


async def test_a_server_cannot_make_an_error_look_like_a_refusal(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    data = {"x402-client/refused": "0" * 16}
    with Asks(mcp_sandbox) as web:
        web.shop.free = ("slow", "odd")
        web.shop.tools["odd"] = lambda params: {"error": {"code": -32603, "message": "Odd.", "data": data}}
        async with paying_session("mcp", web.url, mcp_buyer) as session:
            with pytest.raises(MCPError, match="Odd"):
                await wrap(session, mcp_buyer).call_tool("odd", {})


async def test_under_a_session_that_is_not_wrapped_a_refusal_ends_it_as_any_error_of_the_http_client(
    mcp_sandbox: Sandbox, mcp_buyer: Buyer
) -> None:
    with Asks(mcp_sandbox) as web:
        with pytest.raises(BaseExceptionGroup) as ended:
            async with paying_session("mcp", web.url, mcp_buyer) as session:
                await session.call_tool("yacht", BERN)
        assert isinstance(errors.find(ended.value), TooExpensive)
    assert mcp_buyer.holds() == ()
