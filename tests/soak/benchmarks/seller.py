"""A seller on this machine in a process of its own: terms, content, and a Solana endpoint that takes its time.

As little HTTP as will do, so that the machine's time goes to the buyers.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial

from .crew import serve
from .terms import CHANGING, PATHS, PAYERS, asking, receipt, rpc_answer

_counts: Counter[str] = Counter()
#: What is answered under a path: without a payment, and with one.
_Answers = dict[str, tuple[Callable[[], bytes], Callable[[], bytes]]]


class _Line(asyncio.Protocol):
    def __init__(self, answers: _Answers, delay: float) -> None:
        self._answers, self._delay, self._data = answers, delay, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end:
            return
        lowered = head.lower()
        _, found, after = lowered.partition(b"content-length:")
        length = int(after.split(b"\r\n", 1)[0]) if found else 0
        if len(rest) < length:
            return
        self._data = rest[length:]
        path = head.split(b" ", 2)[1].decode()
        paid = b"\r\npayment-signature:" in lowered or b"\r\nx-payment:" in lowered
        _counts[path] += 1
        if path == "/rpc":
            question = json.loads(rest[:length])
            _counts[question["method"]] += 1
            answer = {"jsonrpc": "2.0", "id": question["id"], "result": rpc_answer(question["method"])}
            sent = _response("200 OK", [("content-type", "application/json")], json.dumps(answer).encode())
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, sent)  # type: ignore[attr-defined]
        else:
            self._transport.write(self._answers[path][paid]())  # type: ignore[attr-defined]


def _response(status: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _answers(base: str) -> _Answers:
    free = _response("200 OK", [], b"free")
    found: _Answers = {"/free": (partial(bytes, free), partial(bytes, free))}
    for kind, path in PATHS.items():
        sold = _response("200 OK", [("content-type", "text/plain"), receipt(kind, PAYERS[kind])], b"sold")
        ask = partial(_asking, kind, base + path)
        found[path] = (ask if kind in CHANGING else partial(bytes, ask()), partial(bytes, sold))
    return found


def _asking(kind: str, url: str) -> bytes:
    headers, body = asking(kind, url)
    return _response("402 Payment Required", headers, body)


def start(delay: float) -> str:
    """Begin to sell; where."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    answers: _Answers = {}
    making = loop.create_server(lambda: _Line(answers, delay), "127.0.0.1", 0, backlog=1024)
    server = asyncio.run_coroutine_threadsafe(making, loop).result()
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    answers.update(_answers(base))
    return base


def counts() -> dict[str, int]:
    """Requests by path and JSON-RPC method since the last time."""
    found = dict(_counts)
    _counts.clear()
    return found


if __name__ == "__main__":
    serve({"start": start, "counts": counts})
