"""A host written by hand: ``x402 mcp`` behind pipes, spoken to line by line, so that it can be killed at any moment."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from .running import COMMAND, environment

_PATIENCE = 40.0
_CLIENT = {"protocolVersion": "2025-06-18", "clientInfo": {"name": "by hand", "version": "1"}}


def _placed(arguments: Sequence[str]) -> list[str]:
    """Return the words after ``x402``; -v stands before the command."""
    return [*(word for word in arguments if word == "-v"), "mcp", *(word for word in arguments if word != "-v")]


class Pipes:
    """One server. Every line that it writes to stdout has to be a message of JSON-RPC."""

    def __init__(self, arguments: Sequence[str], given: Mapping[str, str], forms: bool = False) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *_placed(arguments)], env=environment(given), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        self.lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self.seen: list[dict[str, Any]] = []
        self.bad: list[bytes] = []
        self.said = b""
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._read, self._listen)]
        for one in self._threads:
            one.start()
        capabilities = {"elicitation": {}} if forms else {}
        self.send({"id": 0, "method": "initialize", "params": {**_CLIENT, "capabilities": capabilities}})
        assert self.answer(0)["serverInfo"]["name"] == "x402"
        self.send({"method": "notifications/initialized"})

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                self.lines.put(json.loads(line))
            except ValueError:
                self.bad.append(line)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line

    def send(self, message: dict[str, Any]) -> None:
        self.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def call(self, number: int, tool: str, **arguments: Any) -> None:
        params = {"name": tool, "arguments": arguments, "_meta": {"progressToken": number}}
        self.send({"id": number, "method": "tools/call", "params": params})

    def next(self, wanted: Any) -> dict[str, Any]:
        """Return the first message from now on that is wanted."""
        while True:
            message = self.lines.get(timeout=_PATIENCE)
            self.seen.append(message)
            if wanted(message):
                return message

    def answer(self, number: int) -> dict[str, Any]:
        found = self.next(lambda message: message.get("id") == number and "method" not in message)
        assert "result" in found, found
        result: dict[str, Any] = found["result"]
        return result

    def called(self, number: int, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool, and return its result."""
        self.call(number, tool, **arguments)
        found: dict[str, Any] = json.loads(self.answer(number)["content"][0]["text"])
        return found

    def paying(self) -> None:
        """Wait until a payment has left."""
        self.next(lambda message: "is on its way" in message.get("params", {}).get("message", ""))

    def end(self) -> int:
        """Close stdin, as a host does that ends. Return the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(_PATIENCE)
        for one in self._threads:
            one.join(_PATIENCE)
        assert self.bad == []
        return code

    def __enter__(self) -> Pipes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
