"""A scripted HTTP/1.1 server on a real socket: it keeps the very bytes of every request, and answers by script."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Self

#: No wait of a script or a test lasts longer.
PATIENCE = 10.0


@dataclass
class Seen:
    """One request as it stood on the wire."""

    connection: int
    head: bytes
    body: bytes = b""
    framed: bytes = b""
    method: str = field(init=False)
    target: str = field(init=False)
    lines: list[tuple[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        first, *rest = self.head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ", 2)
        pairs = [line.partition(":") for line in rest if line]
        self.lines = [(name, value.strip()) for name, _, value in pairs]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.lines if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        found = self.all(name)
        return found[0] if found else None

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


class Exchange:
    """One request being answered."""

    def __init__(self, server: Server, sock: socket.socket, source: BinaryIO, seen: Seen) -> None:
        self.server, self.seen = server, seen
        self._sock, self._source, self._read = sock, source, False
        self.keep = (seen.header("connection") or "").lower() != "close"

    def read_body(self) -> bytes:
        """The whole body. The framing is checked: never two lengths."""
        if self._read:
            return self.seen.body
        self._read = True
        length, coding = self.seen.all("content-length"), self.seen.all("transfer-encoding")
        assert len(length) + len(coding) <= 1, f"framed twice: {length} {coding}"
        if coding:
            self._read_chunks()
        elif length:
            self.seen.framed = self.seen.body = self.read_some(int(length[0]))
        return self.seen.body

    def _read_chunks(self) -> None:
        while True:
            line = self._source.readline()
            size = int(line, 16)
            data = self.read_some(size)
            self.seen.body += data
            self.seen.framed += line + data + self.read_some(2)
            if not size:
                return

    def read_some(self, size: int) -> bytes:
        data = self._source.read(size)
        if len(data) < size:
            raise ConnectionError("the client left in the middle of its body")
        return data

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def head(self, status: int, headers: Iterable[tuple[str, str]] = (), length: int | None = None) -> None:
        """The head of an answer; without a length, chunks follow."""
        self.send(self._head(status, headers, length))

    def _head(self, status: int, headers: Iterable[tuple[str, str]], length: int | None) -> bytes:
        framing = ("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))
        lines = "".join(f"{name}: {value}\r\n" for name, value in (*headers, framing))
        return f"HTTP/1.1 {status} Scripted\r\n{lines}\r\n".encode("latin-1")

    def chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def chunks(self, status: int, *pieces: bytes, headers: Iterable[tuple[str, str]] = ()) -> None:
        """A whole answer in chunks."""
        self.read_body()
        self.head(status, headers)
        for piece in (*filter(None, pieces), b""):
            self.chunk(piece)

    def answer(self, status: int, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()) -> None:
        """A whole answer, after the whole request."""
        self.read_body()
        self.head(status, headers, len(body))
        self.send(b"" if self.seen.method == "HEAD" else body)

    def answer_in_one_piece(self, status: int, body: bytes, headers: Iterable[tuple[str, str]] = ()) -> None:
        """A whole answer, so small that the client has its body together with its head."""
        self.read_body()
        self.send(self._head(status, headers, len(body)) + body)

    def cut(self) -> None:
        """Tear the connection down, as a crash would."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.leave()

    def leave(self) -> None:
        """Close the connection in the usual way."""
        self.keep = False
        self._source.close()
        self._sock.close()

    def tunnel(self, host: str, port: int) -> None:
        """As a CONNECT proxy: pass bytes both ways until either side ends."""
        self.keep = False
        with socket.create_connection((host, port)) as far:
            self.send(b"HTTP/1.1 200 Connected\r\n\r\n")
            there = threading.Thread(target=_pump, args=(self._sock, far), daemon=True)
            there.start()
            _pump(far, self._sock)
            there.join(PATIENCE)

    def open_websocket(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Switch protocols, say hello, and wait until the other side has enough."""
        key = (self.seen.header("sec-websocket-key") or "").encode()
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
        own = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept))
        lines = "".join(f"{name}: {value}\r\n" for name, value in (*headers, *own))
        self.send(f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n".encode("latin-1"))
        self.send(b"\x81\x05hello")
        self.keep = False
        self._source.read(1)


Script = Callable[[Exchange], Any]


class Server:
    """Listens on 127.0.0.1. Scripts stand by path; those of one path are played in turn, the last one for ever."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Seen] = []
        self.troubles: list[BaseException] = []
        self.connections = 0
        self.fallback: Script | None = None
        self._scripts: dict[str, list[Script]] = {}
        self._tls, self._open, self._lock = tls, set[socket.socket](), threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Close, and fail what passed so far if a script failed."""
        self.close()
        assert kind is not None or self.troubles == []

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def on(self, path: str, *scripts: Script) -> str:
        """Play these at a path; returns its URL."""
        self._scripts[path] = list(scripts)
        return self.url(path)

    def at(self, path: str) -> list[Seen]:
        return [seen for seen in self.requests if seen.path == path]

    def stop_listening(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone does not wake a thread that accepts
        self._listener.close()

    def close(self) -> None:
        self.stop_listening()
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            sock = self._tls.wrap_socket(sock, server_side=True) if self._tls else sock
            with self._lock:
                self._open.add(sock)
            try:
                self._converse(sock, number)
            finally:
                with self._lock:
                    self._open.discard(sock)
                sock.close()

    def _converse(self, sock: socket.socket, number: int) -> None:
        with sock.makefile("rb") as source:
            while head := _head(source):
                seen = Seen(number, head)
                exchange = Exchange(self, sock, source, seen)
                with self._lock:
                    self.requests.append(seen)
                    script = self._next(seen)
                self._play(script, exchange)
                if not exchange.keep:
                    return

    def _play(self, script: Script, exchange: Exchange) -> None:
        try:
            script(exchange)
            if exchange.keep:
                exchange.read_body()
        except OSError:
            exchange.keep = False
        except BaseException as trouble:
            self.troubles.append(trouble)
            exchange.cut()

    def _next(self, seen: Seen) -> Script:
        scripts = self._scripts.get(seen.path)
        if scripts is None:
            assert self.fallback is not None, f"nothing stands at {seen.target}"
            return self.fallback
        return scripts.pop(0) if len(scripts) > 1 else scripts[0]


def _head(source: BinaryIO) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = source.readline()
        if not line:
            return b""
        head += line
    return head


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
