"""HTTP server that only this machine reaches. Each connection has a thread, and none is left after ``stop``."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from ..errors import ConfigurationError
from .answers import Answer, Request

_MOST = 16 * 1024 * 1024
_DROPS = 20
#: The most seconds that an answer hangs. No client waits longer, and a forgotten test run ends.
_PATIENCE = 600.0


class Server(HTTPServer):
    """HTTP server that answers by one function until it is stopped."""

    answer: Callable[[Request], Answer]
    slow: float

    request_queue_size = 128  # agents open many connections at once

    def __init__(self, port: int, answer: Callable[[Request], Answer], slow: float) -> None:
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as problem:
            raise ConfigurationError(
                f"The sandbox cannot listen on port {port} ({problem}); name another, or 0 for a free one."
            ) from problem
        self.answer, self.slow = answer, slow
        self.closing: threading.Event = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._accepting = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.01}, name="x402-sandbox", daemon=True
        )

    def start(self) -> None:
        """Accept connections."""
        self._accepting.start()

    def stop(self) -> None:
        """Close every connection and wait for their threads."""
        self.closing.set()
        if self._accepting.is_alive():
            self.shutdown()
            self._accepting.join()
        self.server_close()
        with self._lock:
            open_now = dict(self._open)
        for connection in open_now.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in open_now:
            thread.join()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        thread = threading.Thread(
            target=self._serve, args=(request, client_address), name="x402-sandbox-connection", daemon=True
        )
        with self._lock:
            self._open[thread] = request
        thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report a mistake of the sandbox's own. A client that went away is not reported."""
        import sys

        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def _serve(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception:
            self.handle_error(request, client_address)
        finally:
            with self._lock:
                del self._open[threading.current_thread()]
            self.shutdown_request(request)


class _Handler(BaseHTTPRequestHandler):
    """Handler of one connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one segment: the second of two would wait for an acknowledgement
    disable_nagle_algorithm = True
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]  # no other server makes handlers

    def do_GET(self) -> None:
        body = self._read()
        if body is None:
            self.close_connection = True
            return
        headers = {name: str(value) for name, value in _upper(self.headers.items())}
        self._send(self.server.answer(Request(self.command, self.path, headers, body)))

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET

    def _read(self) -> bytes | None:
        """Return the whole body. None if it is too large, cut off, or its size makes no sense."""
        try:
            return self._read_body()
        except ValueError:
            return None

    def _read_body(self) -> bytes | None:
        if (self.headers.get("Transfer-Encoding") or "").lower() == "chunked":
            return self._read_chunks()
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size) if size <= _MOST else b""
        return body if len(body) == size else None

    def _read_chunks(self) -> bytes | None:
        body = b""
        while True:
            line = self.rfile.readline(80)
            size = int(line.partition(b";")[0], 16) if line.strip() else 0
            chunk = self.rfile.read(size + 2)
            if len(chunk) != size + 2 or len(body) + size > _MOST:
                return None
            if size == 0:
                return body
            body += chunk[:-2]

    def _send(self, answer: Answer) -> None:
        self.server.closing.wait(answer.wait)
        if answer.manner in ("dropped", "reset", "silent"):
            self._go_silent(answer)
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        size = len(answer.body) + (1_000_000 if answer.manner == "endless" else 0)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        if self.command == "HEAD":
            return
        if answer.manner in ("dripped", "endless"):
            self._drip(answer)
        elif answer.manner == "truncated":
            self.wfile.write(answer.body[: len(answer.body) // 2])
            self.close_connection = True
        else:
            self.wfile.write(answer.body)

    def _go_silent(self, answer: Answer) -> None:
        self.close_connection = True
        if answer.manner == "silent":
            self.server.closing.wait(_PATIENCE)
        if answer.manner == "reset":
            # With a linger time of zero the connection is reset, not closed in order.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _drip(self, answer: Answer) -> None:
        step = max(1, len(answer.body) // _DROPS)
        drops = [answer.body[at : at + step] for at in range(0, len(answer.body), step)]
        for drop in drops:
            self._drop(drop, self.server.slow / _DROPS)
        if answer.manner == "endless":
            while not self.server.closing.is_set():
                self._drop(b" ", 0.05)

    def _drop(self, drop: bytes, pause: float) -> None:
        self.wfile.write(drop)
        self.wfile.flush()
        self.server.closing.wait(pause)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: only the command prints."""


def _upper(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name.upper(), value) for name, value in headers]
