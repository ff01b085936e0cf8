"""An MCP server that asks by HTTP 402 in each of the ways that servers have, at the messages that it is told to."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from typing import Any

from x402_client.sandbox import Sandbox

from .mcp_shop import Shop, Web, fetch

#: The headers and the body of a 402, made of the headers and the body of a sound one.
Refusal = Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]
_NAME = "PAYMENT-REQUIRED"
REFUSALS: dict[str, Refusal] = {
    "terms in the header": lambda headers, body: ({_NAME: headers["payment-required"]}, b""),
    "terms in both": lambda headers, body: ({_NAME: headers["payment-required"]}, body),
    "no terms": lambda headers, body: ({}, b"Pay me."),
    "broken terms": lambda headers, body: ({_NAME: "e30="}, b"{"),
    "an error of JSON-RPC": lambda headers, body: (
        {"Content-Type": "application/json"},
        b'{"jsonrpc": "2.0", "id": null, "error": {"code": 402, "message": "Pay me."}}',
    ),
    "a page": lambda headers, body: ({_NAME: headers["payment-required"]}, b"x" * 1_000_000),
    "too much": lambda headers, body: ({_NAME: headers["payment-required"]}, b"x" * (17 * 2**20)),
}
#: Where terms are read from, so that a quote has a price.
WITH_TERMS = ("terms in the header", "terms in both", "a page")


class Refuses(Web):
    """Asks for the first call by a result, and answers the next ``refusals`` of a payment by an HTTP 402.

    ``by_http``: it asks for every message without a payment by such a 402. ``again``: for each but the first. ``late``:
    for each, some time after it asked for it by a result in the stream of events.
    """

    again = late = False

    def __init__(self, sandbox: Sandbox, refusal: str, *, refusals: int = 1, by_http: bool = False) -> None:
        sandbox.sell("/weather", "0.01")
        super().__init__(Shop(sandbox.url))
        self.refusal, self.refusals, self.by_http = REFUSALS[refusal], refusals, by_http
        #: The payments that came in messages, in their order.
        self.presented: list[str] = []
        self.asked = 0

    def post(self, handler: Any) -> None:
        connection, body = handler.rfile, handler.rfile.read(int(handler.headers["Content-Length"]))
        handler.rfile = io.BytesIO(body)
        try:
            self._post(handler, json.loads(body))
        finally:
            handler.rfile = connection

    def _post(self, handler: Any, message: Any) -> None:
        if message.get("method") != "tools/call" or message["params"]["name"] != "weather":
            return super().post(handler)
        payment = (message["params"].get("_meta") or {}).get("x402/payment")
        if payment is not None:
            self.presented.append(json.dumps(payment, sort_keys=True))
        if payment is None:
            self.asked += 1
            asks_by_http = self.by_http or self.late or (self.again and self.asked > 1)
        else:
            asks_by_http, self.refusals = self.refusals > 0, self.refusals - 1
        if not asks_by_http:
            return super().post(handler)
        if self.late:
            answer = self.shop.answer(message)
            self.sessions[handler.path.partition("?")[2]].put(json.dumps(answer))
            threading.Event().wait(0.3)
        return self._refuse(handler)

    def _refuse(self, handler: Any) -> None:
        _, found, sound = fetch(f"{self.shop.url}/weather", 2, None)
        headers, answer = self.refusal(found, sound)
        handler.send_response(402)
        for name, value in {"Content-Length": str(len(answer)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer)
