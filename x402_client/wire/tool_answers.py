"""Reads the HTTP answer to an MCP ``tools/call``, as its body goes by: an error in it brought nothing."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

from .content_encoding import decoded

#: Bytes of an answer that are read, as they come and after decompression alike.
MOST_BYTES = 4 * 1024 * 1024
_LINE = re.compile(rb"\r\n|\n|\r")
_MARK = b"\xef\xbb\xbf"


class ToolAnswer:
    """The body of such an answer, in JSON or in events. A longer one is not judged.

    Args:
        encodings: Its ``content-encoding``.
    """

    __slots__ = ("_body", "_encodings")

    def __init__(self, encodings: str) -> None:
        self._encodings = encodings
        self._body = bytearray()

    def add(self, chunk: bytes) -> None:
        """Take the next piece of the body."""
        self._body += chunk[: MOST_BYTES + 1 - len(self._body)]

    def failed(self) -> bool:
        """Return True if it is an error of JSON-RPC, a result with ``isError``, or one that asks for more first.

        A body that cannot be read is no such error: it is an answer all the same.
        """
        if len(self._body) > MOST_BYTES:
            return False
        raw = bytes(self._body)
        found = _messages(raw)  # some libraries hand over what they unfolded
        if not found:
            body = decoded(raw, self._encodings, MOST_BYTES)
            found = [] if body is None else _messages(body or _so_far(raw))
        return any(map(_is_failure, found))


def _messages(body: bytes) -> list[Any]:
    """Return what a body says in JSON: the whole of it, or each of its events."""
    whole = _read(body)
    return [whole] if whole is not None else [one for one in map(_read, _events(body)) if one is not None]


def _so_far(raw: bytes) -> bytes:
    """Return what events that were left early unfold into."""
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(raw, MOST_BYTES)
    except zlib.error:
        return b""


def _events(body: bytes) -> Iterator[bytes]:
    """Yield the data of each event. The last one may have come without the line that ends it."""
    data: list[bytes] = []
    for line in (*_LINE.split(body.removeprefix(_MARK)), b""):
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            yield b"\n".join(data)
            data = []


def _read(text: bytes) -> Any:
    try:
        return _from_json()(text.removeprefix(_MARK))
    except ValueError:
        return None


@cache
def _from_json() -> Any:
    from pydantic_core import from_json  # the parser of mcp's own messages, which bounds the nesting

    return from_json


def _is_failure(message: Any) -> bool:
    if not isinstance(message, dict) or "method" in message:
        return False  # a server may ask or tell something before it answers
    if message.get("error") is not None:
        return True
    result = message.get("result")
    if not isinstance(result, dict):
        return False
    return result.get("isError", False) is not False or result.get("resultType", "complete") != "complete"
