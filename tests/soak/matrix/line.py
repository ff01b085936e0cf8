"""A line to a seller that breaks around one payment, for clients of every library."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

from x402_client import Buyer, errors

BREAKS: tuple[Literal["before", "after"], ...] = ("before", "after")
PAYMENTS = ("payment-signature", "x-payment")
#: What belongs to one connection, and is not passed on.
_OWN = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Line:
    """A proxy in front of a seller. The first payment does not arrive, or its answer does not come back."""

    def __init__(self, url: str, breaks: Literal["before", "after"]) -> None:
        self.breaks, self.payments = breaks, list[str]()
        self.seller = urlsplit(url).netloc
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *failure: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Wrong(Exception):
    """Something is not as it has to be; the message says what."""


def call_twice(line: Line, buyer: Buyer, ask: Callable[[Buyer, str], Any], between: Callable[[], None]) -> Any:
    """Make a call, whose payment breaks the line, and make it again. Return the second answer, None if it was refused.

    Both have to present one payment. ``between`` looks at what there is after the first call.
    """
    try:
        response = ask(buyer, line.url)
    except errors.PaymentOutcomeUnknown:
        pass
    else:
        raise Wrong(f"over a broken line came {response.status_code}")
    between()
    try:
        response = ask(buyer, line.url)
    except (errors.PaymentRejected, errors.PaymentOutcomeUnknown, errors.PaidNotDelivered) as error:
        if line.breaks == "before":
            raise Wrong(f"the repeat ended with {type(error).__name__}: {error}") from error
        response = None
    if len(line.payments) < 2 or len(set(line.payments)) != 1:
        raise Wrong(f"{len(line.payments)} payments were presented, {len(set(line.payments))} of them different")
    return response


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        line, body = self.server.line, self.rfile.read(int(self.headers.get("content-length") or 0))
        payment = next((self.headers[name] for name in PAYMENTS if name in self.headers), None)
        broken = payment is not None and not line.payments
        if payment is not None:
            line.payments.append(payment)
        if broken and line.breaks == "before":
            return self._break()
        status, headers, answer = self._ask(body)
        if broken:
            return self._break()
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _OWN:
                self.send_header(name, value)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        return None

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.line.seller, timeout=60)
        with contextlib.closing(connection):
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _OWN:
                    connection.putheader(name, value)
            if body:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def _break(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, line: Line) -> None:
        self.line = line
        super().__init__(("127.0.0.1", 0), _Handler)
