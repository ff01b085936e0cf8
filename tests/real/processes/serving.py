"""What every process of the world shares: orders on stdin, the port on stdout, an end when the test run ends."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOST = "127.0.0.1"


def read_orders() -> dict[str, Any]:
    """One JSON line. It comes after start, so that a process imports while those it depends on are still starting."""
    line = sys.stdin.readline()
    if not line:
        os._exit(0)
    orders: dict[str, Any] = json.loads(line)
    return orders


def announce(port: int) -> None:
    print(json.dumps({"port": port}), flush=True)
    os.dup2(2, 1)  # stdout is not read from here on, and a full pipe would stop us
    threading.Thread(target=_end_with_stdin, daemon=True).start()


def _end_with_stdin() -> None:
    while sys.stdin.read(4096):
        pass
    os._exit(0)


def listen() -> socket.socket:
    """A bound socket: connections wait in its queue, so the port can be announced before the server runs."""
    listener = socket.socket()
    listener.bind((HOST, 0))
    listener.listen(128)
    return listener


def fund(rpc: str, address: str, amount: int) -> None:
    """Gas money for a facilitator: the chain's own order."""
    order = {"jsonrpc": "2.0", "id": 1, "method": "test_fund", "params": [address, amount]}
    request = urllib.request.Request(rpc, json.dumps(order).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        if "error" in json.load(answer):
            raise RuntimeError("the chain gave no gas money")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one segment for head and body: two of them cost 40 ms of delayed acknowledgement
    disable_nagle_algorithm = True
    timeout = 300
    server: JsonServer

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self._answer(body)

    def _answer(self, body: bytes | None) -> None:
        status, answer = self.server.respond(self.path, body)
        payload = answer if isinstance(answer, bytes) else b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class JsonServer(ThreadingHTTPServer):
    """Keep-alive HTTP over one function: (path, body or None for GET) -> (status, JSON or bytes as they are)."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, respond: Callable[[str, bytes | None], tuple[int, Any]]) -> None:
        self.respond = respond
        super().__init__((HOST, 0), _Handler)
