"""``Gate``: a raw HTTP/1.1 server before the sandbox.

It records each request, and passes it on or answers by a script.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import BinaryIO

#: Seconds after which a script stops waiting for a test.
PATIENCE = 10.0
#: Seconds of silence from a seller that never answers: more than any caller in these tests has.
SILENCE = 6.0
PAYMENT = ("payment-signature", "x-payment")
_OURS = {"date", "server", "content-length", "connection"}
_HOP = {"content-length", "transfer-encoding", "connection", "host"}


@dataclass
class Seen:
    """Request, as it was on the wire."""

    connection: int
    method: str
    target: str
    #: The header lines in their order, as they were written.
    lines: list[tuple[str, str]]
    body: bytes = b""
    #: The first line and the header lines, byte for byte.
    head: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        """Return the first header of this name."""
        return next((value for key, value in self.lines if key.lower() == name.lower()), None)

    @property
    def path(self) -> str:
        """Return the target without its query."""
        return self.target.partition("?")[0]

    @property
    def payment(self) -> str | None:
        """Return the payment header's value. None if the request has no payment."""
        return self.header(PAYMENT[0]) or self.header(PAYMENT[1])


@dataclass
class SandboxAnswer:
    """Answer of the sandbox."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Exchange:
    """Request that is being answered."""

    gate: Gate
    seen: Seen
    keep: bool

    def __init__(self, gate: Gate, sock: socket.socket, seen: Seen) -> None:
        self.gate, self.seen, self.keep = gate, seen, True
        self._sock = sock

    def forward(self, *without: str) -> SandboxAnswer:
        """Return the sandbox's answer to this request, sent without these headers."""
        return self.gate.ask_sandbox(self.seen, {name.lower() for name in without})

    def head(self, status: int, headers: Iterable[tuple[str, str]], length: int) -> None:
        """Send the head of an answer."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in (*headers, ("Content-Length", str(length))))
        self.send(f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode("latin-1"))

    def answer(self, status: int, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()) -> None:
        """Send a whole answer."""
        self.head(status, headers, len(body))
        self.send(b"" if self.seen.method == "HEAD" else body)

    def give(self, said: SandboxAnswer) -> None:
        """Pass on an answer of the sandbox."""
        self.answer(said.status, said.body, said.headers)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._sock.sendall(data)

    def leave(self) -> None:
        """Close the connection in the usual way, once the script is over."""
        self.keep = False

    def reset(self) -> None:
        """Reset the connection, as a crash would."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.keep = False

    def wait(self) -> None:
        """Keep the client waiting until the test is over."""
        self.gate.over.wait(SILENCE)
        self.keep = False


Script = Callable[[Exchange], object]


class Gate:
    """Server on 127.0.0.1. It forwards to the sandbox each request that no script answers."""

    def __init__(self, port_behind: int) -> None:
        self.requests: list[Seen] = []
        self.troubles: list[BaseException] = []
        self.over: threading.Event = threading.Event()
        self._behind = port_behind
        self._pages: dict[str, Script] = {}
        self._spoilt: list[Script | None] = []
        self._open: set[socket.socket] = set()
        self._lock, self._asking = threading.Lock(), threading.Lock()
        self._connections, self._stopped = 0, False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.url: str = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept, name="x402-gate", daemon=True)
        self._accepting.start()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.stop_listening()
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def stop_listening(self) -> None:
        """Refuse every new connection."""
        if not self._stopped:
            self._stopped = True
            with contextlib.suppress(OSError):  # closing alone does not wake the thread that accepts
                socket.create_connection(self._listener.getsockname()[:2]).close()
            self._accepting.join(PATIENCE)
            self._listener.close()

    @property
    def payments(self) -> list[str]:
        """Return the payment headers that came, in order."""
        return [seen.payment for seen in self.requests if seen.payment is not None]

    def at(self, path: str) -> list[Seen]:
        """Return the requests for a path."""
        return [seen for seen in self.requests if seen.path == path]

    def page(self, path: str, script: Script) -> str:
        """Answer a path by a script instead of the sandbox. Return its URL."""
        self._pages[path] = script
        return self.url + path

    def spoil(self, *scripts: Script | None) -> None:
        """Answer the next payments by these scripts, one each. None passes a payment on, and so are later payments."""
        self._spoilt.extend(scripts)

    def ask_sandbox(self, seen: Seen, without: set[str]) -> SandboxAnswer:
        """Return the sandbox's answer. It gets one request at a time, so that it settles each payment once."""
        with self._asking, contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._behind)) as behind:
            behind.putrequest(seen.method, seen.target, skip_accept_encoding=True)
            for name, value in seen.lines:
                if name.lower() not in without | _HOP:
                    behind.putheader(name, value)
            behind.putheader("Content-Length", str(len(seen.body)))
            behind.endheaders(seen.body)
            said = behind.getresponse()
            headers = [(name, value) for name, value in said.getheaders() if name.lower() not in _OURS]
            return SandboxAnswer(said.status, headers, said.read())

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                if self._stopped:
                    sock.close()
                    return
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections += 1
                threading.Thread(target=self._serve, args=(sock, self._connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with self._lock:
            self._open.add(sock)
        try:
            with contextlib.suppress(OSError), sock.makefile("rb") as source:
                while (seen := read_request(source, number)) is not None and self._play(Exchange(self, sock, seen)):
                    pass
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()

    def _play(self, exchange: Exchange) -> bool:
        """Answer one request. Return True if the connection stays open."""
        with self._lock:
            self.requests.append(exchange.seen)
            script = self._next(exchange.seen)
        try:
            script(exchange)
        except (OSError, http.client.HTTPException):
            return False  # the client left, or the sandbox is silent as ordered
        except Exception as trouble:
            self.troubles.append(trouble)
            return False
        return exchange.keep

    def _next(self, seen: Seen) -> Script:
        page = self._pages.get(seen.path)
        if page is not None:
            return page
        spoilt = self._spoilt.pop(0) if seen.payment is not None and self._spoilt else None
        return spoilt or (lambda exchange: exchange.give(exchange.forward()))


def read_request(source: BinaryIO, connection: int) -> Seen | None:
    """Read one request, body and all. Return None at the end of the connection."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = source.readline()
        if not line:
            return None
        head += line
    first, *rest = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in rest if line)
    seen = Seen(connection, method, target, [(name, value.strip()) for name, _, value in pairs], head=head)
    seen.body = _read_chunks(source) if seen.header("transfer-encoding") else _read_length(source, seen)
    return seen


def _read_length(source: BinaryIO, seen: Seen) -> bytes:
    size = int(seen.header("content-length") or 0)
    body = source.read(size)
    if len(body) < size:
        raise ConnectionError("The client left in the middle of its body.")
    return body


def _read_chunks(source: BinaryIO) -> bytes:
    body = b""
    while size := int(source.readline() or b"0", 16):
        body += source.read(size)
        source.readline()
    source.readline()
    return body
