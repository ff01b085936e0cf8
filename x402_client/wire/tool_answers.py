"""Reads the HTTP answer to an MCP ``tools/call``, as its body goes by: the content is a result with the call's id.

Strategy: the client above reads the same bytes. It raises unless it finds such a result, and then the money brought
nothing. So all else is no content: no result, half of one, another call's, an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from .content_encoding import beginning

#: Bytes of an answer that are read at once, as they come and after decompression alike.
MOST_BYTES = 4 * 1024 * 1024
_LINE = re.compile(rb"\r\n|\n|\r")
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")


class ToolAnswer:
    """The body of such an answer, in JSON or in events. A result that is longer than the bound goes by its beginning.

    Args:
        number: The ``id`` of the call.
        encodings: Its ``content-encoding``.
        kind: Its ``content-type``. "": not known.
    """

    __slots__ = ("_body", "_encodings", "_events", "_is_cut", "_json", "_number", "_said", "closed")

    def __init__(self, number: int | str, encodings: str = "", kind: str = "") -> None:
        self._number, self._encodings = number, encodings
        #: The ways in which a client may read it: both, unless its type says which.
        self._json, self._events = "event-stream" not in kind.lower(), "json" not in kind.lower()
        self._body = bytearray()
        self._is_cut = False
        #: True if an event was the result, False if it was an error, None if neither came yet.
        self._said: bool | None = None
        #: True if its reader closed it before its end.
        self.closed: bool = False

    def add(self, chunk: bytes) -> None:
        """Take the next piece of the body."""
        for start in range(0, len(chunk), MOST_BYTES):
            if not self._is_cut:
                self._body += chunk[start : start + MOST_BYTES]
                if len(self._body) > MOST_BYTES:
                    self._shorten()

    def failed(self) -> bool:
        """Return True if the result of the call is not in it."""
        said = self._said
        if said is None:
            said = self._judge(bytes(self._body), self._is_cut)  # some libraries hand over what they unfolded
        if said is None and self._encodings:
            text = beginning(bytes(self._body), self._encodings, MOST_BYTES)
            said = self._judge(text[:MOST_BYTES], self._is_cut or len(text) > MOST_BYTES)
        return said is not True

    def _shorten(self) -> None:
        """Forget the events that were read. What is still too long is cut."""
        end = max(self._body.rfind(one) + len(one) if one in self._body else 0 for one in _EVENT_ENDS)
        if self._events and end:
            if self._said is None:
                self._said = self._first_said(_messages(bytes(self._body[:end]), is_cut=False))
            del self._body[:end]
        self._is_cut = len(self._body) > MOST_BYTES

    def _judge(self, text: bytes, is_cut: bool) -> bool | None:
        """Return True for the result, False for an error, and None for neither. One that is cut was read to its end."""
        is_cut = is_cut and not self.closed
        whole = _read(text, is_cut) if self._json else None
        if isinstance(whole, dict):
            return self._says(whole, is_cut)
        return self._first_said(_messages(text, is_cut), is_cut) if self._events else None

    def _first_said(self, messages: Iterator[Any], is_cut: bool = False) -> bool | None:
        return next((said for said in (self._says(one, is_cut) for one in messages) if said is not None), None)

    def _says(self, message: Any, is_cut: bool) -> bool | None:
        """Return what one message says of the call. A server may ask or tell something before it answers."""
        if not isinstance(message, dict) or "method" in message or message.get("jsonrpc") != "2.0":
            return None
        if not self._is_mine(message.get("id")) and not (is_cut and "id" not in message):
            return None
        if message.get("error") is not None:
            return False
        result = message.get("result")
        return isinstance(result, dict) and _is_content(result, is_cut)

    def _is_mine(self, number: Any) -> bool:
        """Return True for the id of the call. mcp takes a number that comes back as a text, too."""
        return type(number) in (type(self._number), str) and number in (self._number, str(self._number))


def _messages(text: bytes, is_cut: bool) -> Iterator[Any]:
    """Yield what the events say in JSON, and of one that is cut the beginning."""
    data: list[bytes] = []
    name = b""
    for line in _LINE.split(text):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
        elif not line:
            if data and name in (b"", b"message"):
                yield _read(b"\n".join(data), False)
            data, name = [], b""
    if is_cut and data and name in (b"", b"message"):
        yield _read(b"\n".join(data), True)


def _read(text: bytes, is_cut: bool) -> Any:
    try:
        return _from_json()(text, allow_partial=is_cut)
    except ValueError:
        return None


@cache
def _from_json() -> Any:
    from pydantic_core import from_json  # the parser of mcp's own messages, which bounds the nesting

    return from_json


def _is_content(result: dict[str, Any], is_cut: bool) -> bool:
    """Return True for a result that is complete and no error, in the form that mcp takes."""
    if result.get("isError", False) is not False or result.get("resultType", "complete") != "complete":
        return False
    if is_cut:
        return True
    blocks = result.get("content")
    return isinstance(blocks, list) and all(map(_is_block, blocks))


def _is_block(block: Any) -> bool:
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        return False
    return block["type"] != "text" or isinstance(block.get("text"), str)
