"""An MCP server in plain JSON-RPC that sells what a sandbox sells, in every dialect, as badly as it is told to.

It needs nothing of mcp's, so any client of any generation can be tested against it: over HTTP, over SSE, and over stdio
(``python -m tests.adapters.mcp_shop URL DIALECT``). The tool's name is the path of the goods.
"""

from __future__ import annotations

import base64
import json
import queue
import secrets
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

Json = dict[str, Any]


class Dialect(NamedTuple):
    """A way to ask for money, to read a payment and to give a receipt."""

    version: int
    #: Makes the answer that asks: ``{"result": ...}`` or ``{"error": ...}``.
    ask: Callable[[Json, str], Json]
    #: The key of the payment, and the type that is read there. Another type is no payment.
    key: str
    kind: type
    receipt: str = "x402/payment-response"


def _text(text: str) -> list[Json]:
    return [{"type": "text", "text": text}]


def _in_content(terms: Json, tool: str) -> Json:
    return {"result": {"isError": True, "structuredContent": terms, "content": _text(json.dumps(terms))}}


def _in_meta(terms: Json, tool: str) -> Json:
    return {"result": {"isError": True, "_meta": {"x402/error": terms}, "content": _text(json.dumps(terms))}}


def _in_text(terms: Json, tool: str) -> Json:
    return {"result": {"isError": True, "content": _text(json.dumps(terms))}}


def _in_fastmcp_text(terms: Json, tool: str) -> Json:
    return {"result": {"isError": True, "content": _text(f"Error executing tool {tool}: {json.dumps(terms)}")}}


def _in_error(code: int) -> Callable[[Json, str], Json]:
    return lambda terms, tool: {"error": {"code": code, "message": "Payment required", "data": terms}}


SLASH = "x402/payment"
DIALECTS: dict[str, Dialect] = {
    "specification": Dialect(2, _in_content, SLASH, dict),
    "version 1": Dialect(1, _in_content, SLASH, dict),
    "agents": Dialect(2, _in_meta, SLASH, str),
    "x402-mcp": Dialect(1, _in_content, "x402.payment", str, "x402.payment-response"),
    "text": Dialect(2, _in_text, SLASH, dict),
    "text, base64": Dialect(2, _in_text, SLASH, str),
    "fastmcp": Dialect(2, _in_fastmcp_text, SLASH, dict),
    "error 402": Dialect(2, _in_error(402), SLASH, dict),
    "error -402": Dialect(1, _in_error(-402), "x402.org/payment", dict, "x402.org/payment-response"),
    "error -32042": Dialect(2, _in_error(-32042), SLASH, dict),
}
#: What a server may do with a paid call instead of answering it: no answer at all, or another one.
LOST: Json = {"lost": True}
Fault = Callable[[Json], Json]


def lost(answer: Json) -> Json:
    """Lose the answer."""
    return LOST


def failed(answer: Json) -> Json:
    """Let the tool fail, with the receipt that it has."""
    result = answer.get("result", {})
    return {"result": {**result, "isError": True, "content": _text("No such city.")}}


def crashed(answer: Json) -> Json:
    """Let the server fail."""
    return {"error": {"code": -32603, "message": "Internal error"}}


def without_receipt(answer: Json) -> Json:
    """Deliver, and prove nothing."""
    return {"result": {"content": answer["result"]["content"]}}


@dataclass
class Shop:
    """The server. ``calls`` has every call of a tool: its name, its arguments and its ``_meta``."""

    url: str
    dialect: Dialect = DIALECTS["specification"]
    calls: list[tuple[str, Any, Json]] = field(default_factory=list)
    #: What happens to the next paid calls, in turn. None: nothing.
    faults: list[Fault | None] = field(default_factory=list)
    #: Makes another document of the terms.
    alter: Callable[[Json], Json] = dict
    #: Answers a call of a tool instead of the goods.
    tools: dict[str, Callable[[Json], Json]] = field(default_factory=dict)
    #: What the results of a tool have to be like.
    schemas: dict[str, Json] = field(default_factory=dict)
    #: Where True, a call without payment is answered by HTTP 402.
    by_http: bool = False
    #: The tools that are never asked for by HTTP, and over the old transport take as long as they like.
    free: tuple[str, ...] = ()

    @property
    def payments(self) -> list[Any]:
        """Return the payments that were presented, however they were encoded, in their order."""
        return [found for _, _, meta in self.calls if (found := _payment(meta)) is not None]

    def answer(self, message: Json) -> Json | None:
        """Answer a message. None: it wants no answer."""
        if "id" not in message or "method" not in message:
            return None
        params = message.get("params") or {}
        match message["method"]:
            case "initialize":
                made: Json = {"result": _hello(params.get("protocolVersion"))}
            case "tools/list":
                names = ["weather", "report", "yacht", "free", *self.tools, *self.schemas]
                made = {"result": {"tools": [self._listed(name) for name in dict.fromkeys(names)]}}
            case "tools/call":
                made = self.call(params)
            case _:
                made = {"error": {"code": -32601, "message": "Method not found"}}
        if made is LOST:
            return made
        if "io.modelcontextprotocol/protocolVersion" in (params.get("_meta") or {}) and "result" in made:
            made["result"] = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **made["result"]}
        return {"jsonrpc": "2.0", "id": message["id"], **made}

    def call(self, params: Json) -> Json:
        """Sell one call of a tool."""
        tool, meta = params["name"], params.get("_meta") or {}
        self.calls.append((tool, params.get("arguments"), meta))
        if tool in self.tools:
            return self.tools[tool](params)
        payment = meta.get(self.dialect.key)
        header = _header(payment) if isinstance(payment, self.dialect.kind) else None
        made = self._sold(tool, header)
        if header is not None and "result" in made and self.faults:
            fault = self.faults.pop(0)
            return made if fault is None else fault(made)
        return made

    def _listed(self, name: str) -> Json:
        schema = {"outputSchema": self.schemas[name]} if name in self.schemas else {}
        return {"name": name, "inputSchema": {"type": "object"}, **schema}

    def _sold(self, tool: str, header: str | None) -> Json:
        version = self.dialect.version
        status, headers, body = fetch(f"{self.url}/{tool}", version, header)
        if status == 402:
            terms = json.loads(base64.b64decode(headers["payment-required"]) if version == 2 else body)
            return self.dialect.ask(self.alter(terms), tool)
        result: Json = {"content": _text(body.decode())}
        receipt = headers.get("payment-response") or headers.get("x-payment-response")
        if receipt is not None:
            result["_meta"] = {self.dialect.receipt: json.loads(base64.b64decode(receipt))}
        return {"result": result}


def _payment(meta: Json) -> Any:
    found = next((meta[key] for key in (SLASH, "x402.payment", "x402.org/payment") if key in meta), None)
    return json.loads(base64.b64decode(found)) if isinstance(found, str) else found


def _header(payment: Any) -> str:
    return payment if isinstance(payment, str) else base64.b64encode(json.dumps(payment).encode()).decode()


def _hello(version: Any) -> Json:
    about = {"name": "shop", "version": "1"}
    return {"protocolVersion": version or "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": about}


def fetch(url: str, version: int, header: str | None) -> tuple[int, dict[str, str], bytes]:
    """Ask the sandbox for something, with a payment or without."""
    name = "PAYMENT-SIGNATURE" if version == 2 else "X-PAYMENT"
    request = urllib.request.Request(url, headers={} if header is None else {name: header})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as response:
            return response.status, {k.lower(): v for k, v in response.headers.items()}, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


class _Server(ThreadingHTTPServer):
    """A server that fifty clients may call at once."""

    daemon_threads = True
    request_queue_size = 128


class Web:
    """The server on a port: ``/mcp`` answers in JSON, ``/events`` in events, and ``/sse`` is the old transport."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.sessions: dict[str, queue.Queue[str | None]] = {}
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                web.post(self)

            def do_GET(self) -> None:
                web.get(self)

            def do_DELETE(self) -> None:
                _send(self, 405)

            def log_message(self, *args: Any) -> None: ...

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Web:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        for one in self.sessions.values():
            one.put(None)
        self._server.shutdown()
        self._server.server_close()

    def post(self, handler: BaseHTTPRequestHandler) -> None:
        message = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        path, _, session = handler.path.partition("?")
        by_http = self.shop.by_http and message.get("method") == "tools/call"
        if by_http and message["params"]["name"] not in self.shop.free:
            name = message["params"]["name"]
            payment = handler.headers.get("payment-signature")
            status, headers, body = fetch(f"{self.shop.url}/{name}", 2, payment)
            if status == 402:
                told = {"PAYMENT-REQUIRED": headers["payment-required"]}
                return _send(handler, 402, body, "application/json", told)
            if payment is not None and not self.shop.tools.get(name):
                result = {"content": _text(body.decode())}
                answer: Json | None = {"jsonrpc": "2.0", "id": message["id"], "result": result}
                told = {"PAYMENT-RESPONSE": headers["payment-response"]}
                return _send(handler, 200, json.dumps(answer).encode(), "application/json", told)
        if path == "/messages" and message.get("params", {}).get("name") in self.shop.free:
            threading.Thread(target=self._answer_later, args=(session, message), daemon=True).start()
            return _send(handler, 202)
        answer = self.shop.answer(message)
        if answer is LOST:
            handler.close_connection = True
            return handler.connection.close()
        if path == "/messages":
            if answer is not None:
                self.sessions[session].put(json.dumps(answer))
            return _send(handler, 202)
        if answer is None:
            return _send(handler, 202)
        text = json.dumps(answer)
        if path == "/events":
            return _send(handler, 200, f"event: message\ndata: {text}\n\n".encode(), "text/event-stream")
        return _send(handler, 200, text.encode(), "application/json")

    def _answer_later(self, session: str, message: Json) -> None:
        self.sessions[session].put(json.dumps(self.shop.answer(message)))

    def get(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.path != "/sse":
            return _send(handler, 405)
        session = f"session_id={secrets.token_hex(8)}"
        waiting = self.sessions[session] = queue.Queue[str | None]()
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        handler.wfile.write(f"event: endpoint\ndata: /messages?{session}\n\n".encode())
        try:
            while (text := waiting.get()) is not None:
                handler.wfile.write(f"event: message\ndata: {text}\n\n".encode())
        except OSError:
            return None
        return None


def _send(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes = b"",
    kind: str = "text/plain",
    more: dict[str, str] | None = None,
) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(more or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def main() -> None:
    """Serve over stdio, until it is closed."""
    url, dialect = sys.argv[1:3]
    shop = Shop(url, DIALECTS[dialect])
    for line in sys.stdin:
        answer = shop.answer(json.loads(line))
        if answer is not None and answer is not LOST:
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
