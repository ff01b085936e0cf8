"""An MCP server that sells one tool and stands still at a moment of a call, until it is let go."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any, Literal, get_args

from x402_client.sandbox import Sandbox

from .mcp_shop import Shop, Web, fetch

#: How it asks: by HTTP 402, by a result, or by both at once.
Asks = Literal["http", "result", "both"]
#: Where it stands still: before it asks, with the payment in its hands, before the body of its answer, in the middle of
#: that, and before it says what results are like, which a session asks once it has one. "approve" is not its own.
Moment = Literal["asks", "approve", "paid", "headers", "body", "listed"]
ASKS, MOMENTS = get_args(Asks), get_args(Moment)
TOOL = "weather"
NOTE = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "working"}}


class Staged(Web):
    """The server. It answers like any other once ``go`` is set."""

    def __init__(self, sandbox: Sandbox, asks: Asks = "http", moment: Moment | None = None) -> None:
        sandbox.sell(f"/{TOOL}", "0.01")
        super().__init__(Shop(sandbox.url, schemas={TOOL: {"type": "object", "required": ["sky"]}}))
        self.asks, self.moment = asks, moment
        self.reached, self.go = threading.Event(), threading.Event()
        #: The nonces of the payments that came, in their order.
        self.presented: list[str] = []
        #: Seconds after which it goes on by itself.
        self.patience: float = 10.0
        #: Seconds that pass before a paid answer.
        self.works: float = 0.0
        #: True where the result of a paid call over SSE comes before the answer to its message.
        self.is_early: bool = False
        #: True where over SSE it asks by a result once it stands still, which it was asked for by HTTP before.
        self.is_late: bool = False

    def __exit__(self, *failure: object) -> None:
        self.go.set()
        super().__exit__(*failure)

    def stand_still(self, moment: Moment) -> None:
        """Stand still here, the first time, if this is the moment."""
        if moment == self.moment:
            self.moment = None
            self.reached.set()
            self.go.wait(self.patience)

    def post(self, handler: Any) -> None:
        message = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        path, _, session = handler.path.partition("?")
        if message.get("method") == "tools/list":
            self.stand_still("listed")
        if message.get("method") != "tools/call" or message["params"]["name"] != TOOL:
            answer = self.shop.answer(message)
            if answer is None or path == "/messages":
                self._send_answer(handler, session, answer)
            else:
                self._write(handler, path, [answer])
            return
        try:
            self._sell(handler, path, session, message)
        except OSError:  # the buyer is gone
            handler.close_connection = True

    def _sell(self, handler: Any, path: str, session: str, message: Any) -> None:
        header = handler.headers.get("payment-signature")
        in_body = (message["params"].get("_meta") or {}).get("x402/payment")
        if header is None and in_body is not None:
            header = base64.b64encode(json.dumps(in_body).encode()).decode()
        if header is None:
            self.stand_still("asks")
        else:
            payment = json.loads(base64.b64decode(header))
            self.presented.append(payment["payload"]["authorization"]["nonce"])
            self.stand_still("paid")
            self.go.wait(self.works)
        status, headers, body = fetch(f"{self.shop.url}/{TOOL}", 2, header)
        terms = json.loads(base64.b64decode(headers["payment-required"])) if status == 402 else None
        asking = {"isError": True, "structuredContent": terms, "content": []}
        made = asking if terms else {"content": [], "structuredContent": {"sky": body.decode()}}
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": made}
        if terms is None and in_body is None and self.asks == "both" and path != "/messages":
            _, headers, _ = fetch(f"{self.shop.url}/{TOOL}", 2, None)
            asking["structuredContent"] = json.loads(base64.b64decode(headers["payment-required"]))
            answer["result"] = asking
        elif terms and self.asks != "result" and in_body is None:
            if self.asks == "both" and path == "/messages" and not self.is_late:
                self.sessions[session].put(json.dumps(answer))
            self._answer_402(handler, headers["payment-required"])
            if self.asks == "both" and path == "/messages" and self.is_late:
                self.reached.wait(5)
                self.sessions[session].put(json.dumps(answer))
            return None
        proof = {} if terms else {"PAYMENT-RESPONSE": headers.get("payment-response", "")}
        if path == "/messages":
            return self._send_answer(handler, session, answer, proof, is_paid=terms is None)
        return self._write(handler, path, [NOTE, answer], proof, is_paid=terms is None)

    def _answer_402(self, handler: Any, terms: str) -> None:
        handler.send_response(402)
        handler.send_header("PAYMENT-REQUIRED", terms)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def _send_answer(self, handler: Any, session: str, answer: Any, more: Any = None, is_paid: bool = False) -> None:
        """Accept a message over SSE, and answer in the stream."""
        if self.is_early and is_paid:
            self.sessions[session].put(json.dumps(answer))
            self.stand_still("body")
        handler.send_response(202)
        for name, value in {"Content-Length": "0", **(more or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.flush()
        if is_paid:
            self.stand_still("headers")
        if answer is not None and session in self.sessions and not (self.is_early and is_paid):
            self.sessions[session].put(json.dumps(answer))

    def _write(self, handler: Any, path: str, messages: list[Any], more: Any = None, is_paid: bool = False) -> None:
        """Answer on the same connection, in JSON or in events."""
        kind = "text/event-stream" if path == "/events" else "application/json"
        text = json.dumps(messages[-1])
        if path == "/events":
            text = "".join(f"event: message\ndata: {json.dumps(one)}\n\n" for one in messages)
        body = text.encode()
        handler.send_response(200)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(more or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.flush()
        middle = len(body) // 2
        for moment, piece in (("headers", body[:middle]), ("body", body[middle:])):
            if is_paid:
                self.stand_still(moment)
            handler.wfile.write(piece)
            handler.wfile.flush()
