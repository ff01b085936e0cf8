"""A JSON-RPC endpoint on a real socket that answers as it is told, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Answer = Callable[[dict[str, Any]], tuple[int, dict[str, str], bytes]]


def result(value: Any) -> Answer:
    """A proper result."""
    return lambda asked: (200, {}, json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": value}).encode())


def error(code: int, message: str) -> Answer:
    """A proper error."""
    body = {"code": code, "message": message}
    return lambda asked: (200, {}, json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": body}).encode())


def status(code: int, **headers: str) -> Answer:
    """An HTTP status."""
    return lambda asked: (code, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


def body(data: bytes) -> Answer:
    """Send these bytes."""
    return lambda asked: (200, {}, data)


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # tests come with many connections at once


class Scripted:
    """Answers in turn; the last answer for ever. Or by method: then it is an endpoint of Base's test network."""

    def __init__(self, *answers: Answer, **by_method: Answer) -> None:
        self._answers = list(answers)
        self._by_method = {"eth_chainId": result(hex(84532)), **by_method} if by_method else {}
        self.asked: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                code, headers, data = outer._answer(asked)(asked)
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def _answer(self, asked: dict[str, Any]) -> Answer:
        with self._lock:
            self.asked.append(asked)
            if asked["method"] in self._by_method:
                return self._by_method[asked["method"]]
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def now(self, **by_method: Answer) -> None:
        """Answer these methods in another way from now on."""
        self._by_method |= by_method

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Scripted:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
