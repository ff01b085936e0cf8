"""What a transport of MCP sends by itself is not paid for, whatever a server asks for it. What a caller asks for is."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import anyio
import anyio.to_thread
import pytest

from x402_client import Policy
from x402_client.errors import PaymentOutcomeUnknown
from x402_client.mcp import wrap
from x402_client.sandbox import Sandbox

from .cash_register import Till
from .checks import new_buyer, untouched
from .drivers import Driver
from .mcp_shop import Shop, Web, fetch
from .paying_sessions import paying_session
from .scripted_server import Server

BERN = {"city": "Bern"}
RESUMED, CANCELLED = "GET after an event", "notifications/cancelled"
OWN = ("GET", RESUMED, "DELETE", CANCELLED)


class AsksForAll(Web):
    """Asks by HTTP 402 for calls of tools, and for these further requests. It ends each stream of events at once."""

    def __init__(self, sandbox: Sandbox, *further: str, resumes: bool) -> None:
        sandbox.sell("/weather", "0.01")
        super().__init__(Shop(sandbox.url))
        self.asks_for, self.resumes = ("tools/call", *further), resumes
        #: The requests that came with a payment and without one.
        self.paid: list[str] = []
        self.bare: list[str] = []
        self.reached, self.go = threading.Event(), threading.Event()
        self._number = 0
        setattr(self._server.RequestHandlerClass, "do_DELETE", lambda handler: self.delete(handler))  # noqa: B010

    def post(self, handler: Any) -> None:
        message = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self._sell(handler, message["method"], message)

    def get(self, handler: Any) -> None:
        self._sell(handler, RESUMED if "last-event-id" in handler.headers else "GET", None)

    def delete(self, handler: Any) -> None:
        self._sell(handler, "DELETE", None)

    def _sell(self, handler: Any, what: str, message: Any) -> None:
        header = handler.headers.get("payment-signature")
        (self.bare if header is None else self.paid).append(what)
        proof = {"mcp-session-id": "a"}
        if what in self.asks_for:
            status, headers, _ = fetch(f"{self.shop.url}/weather", 2, header)
            if status == 402:
                return _send(handler, 402, "", PAYMENT_REQUIRED=headers["payment-required"])
            proof["PAYMENT-RESPONSE"] = headers["payment-response"]
        if what == "tools/call":
            self.reached.set()
            self._number = message["id"]
            if self.resumes:
                return _send(handler, 200, "id: 1\nretry: 50\ndata: \n\n", "text/event-stream", **proof)
            self.go.wait(5)
        if what == RESUMED:
            return _send(handler, 200, f"event: message\ndata: {json.dumps(self._result())}\n\n", "text/event-stream")
        if message is None:
            return _send(handler, 200, "retry: 50\n: nothing\n\n", "text/event-stream")
        made = self._result() if what == "tools/call" else self.shop.answer(message)
        return _send(handler, 202 if made is None else 200, json.dumps(made) if made else "", **proof)

    def _result(self) -> Any:
        return {"jsonrpc": "2.0", "id": self._number, "result": {"content": [{"type": "text", "text": "Sun."}]}}


def _send(handler: Any, status: int, body: str, kind: str = "application/json", **more: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **more}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body.encode())


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("further", [(), *((one,) for one in OWN), OWN], ids=", ".join)
async def test_a_call_whose_answer_is_resumed_is_paid_once(
    redelivering: Sandbox, anyio_backend: str, further: tuple[str, ...]
) -> None:
    buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"))
    with AsksForAll(redelivering, *further, resumes=True) as web:
        async with paying_session("mcp", web.url, buyer) as session:
            wrap(session, buyer)
            with anyio.fail_after(10):
                if RESUMED in further:
                    with pytest.raises(PaymentOutcomeUnknown):
                        await session.call_tool("weather", BERN)
                    web.resumes = False
                    web.go.set()
                assert not (await session.call_tool("weather", BERN)).is_error
            await anyio.sleep(0.3)  # the stream of events is asked for again and again
    assert set(web.paid) == {"tools/call"}
    assert {"GET", RESUMED, "DELETE"} <= set(web.bare)
    assert (str(buyer.spent()), buyer.holds(), len(buyer.history())) == ("0.01 USD", (), 1)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_word_of_a_cancellation_is_not_paid_for(redelivering: Sandbox, anyio_backend: str) -> None:
    buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"))
    with AsksForAll(redelivering, *OWN, resumes=False) as web:
        async with paying_session("mcp", web.url, buyer) as session:
            call = asyncio.create_task(wrap(session, buyer).call_tool("weather", BERN))
            await anyio.to_thread.run_sync(web.reached.wait, 5)
            call.cancel()
            await asyncio.wait([call])
            web.go.set()
            with anyio.fail_after(10):
                assert not (await session.call_tool("weather", BERN)).is_error
    assert (set(web.paid), CANCELLED in web.bare) == ({"tools/call"}, True)
    assert (str(buyer.spent()), buyer.holds(), len(buyer.history())) == ("0.01 USD", (), 1)


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
@pytest.mark.parametrize("name", ["Mcp-Session-Id", "MCP-Protocol-Version", "Other"])
def test_a_clients_own_requests_are_paid_for(shell: Driver, server: Server, till: Till, method: str, name: str) -> None:
    url, buyer = server.on("/mcp", till.sells()), new_buyer(Policy(per_request="0.05", per_day="5", pay_ahead=True))
    client = shell.client(buyer)
    statuses = [client.request(method, url, headers={name: "a"}).status_code for _ in range(2)]
    is_free = method != "POST" and name != "Other"
    assert statuses == [402 if is_free else 200] * 2
    assert untouched(buyer) == is_free
