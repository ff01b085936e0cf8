"""Reads the beginning of an answer's body, and unfolds its encoding without ever making more of it than is wanted.

The libraries unfold each chunk as it comes, and a chunk of some kilobytes may become a thousand times as large at once.
So they are asked for what arrived, and it is unfolded here, up to the bound.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

CHUNK = 16 * 1024
#: Encodings that are undone here. Others unfold without bounds, or need packages, and so do several of these.
_FORMATS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
#: The beginning of a further member of gzip. All else that follows the end of one is no part of the body.
_MEMBER = b"\x1f\x8b"
#: What may arrive over and above what it unfolds into: headers and names. Some bodies unfold into nothing, for ever.
_OVERHEAD = 64 * 1024


class Start(NamedTuple):
    """The beginning of a body, as far as it was wanted."""

    body: bytes
    #: True if the body goes on, as far as can be told.
    truncated: bool = False
    #: The encodings that are still on it. "": none.
    encoding: str = ""
    #: True if the sender ended it before its encoding ends: a part of it never came.
    is_incomplete: bool = False


class BodyStart:
    """A reader of a body's beginning.

    Args:
        encodings: The ``content-encoding`` that what is added still has. "": none.
        most: The most bytes to keep.
    """

    def __init__(self, encodings: str, most: int) -> None:
        self._encodings, self._most = encodings, most
        self._arrived = bytearray()
        self._seen = 0
        self._body = bytearray()
        wbits = _FORMATS.get(encodings)
        self._unfolding: Any = None if wbits is None else zlib.decompressobj(wbits)
        self._is_raw = self._unfolding is None
        #: The first byte of what may be a further member.
        self._held = b""
        self._is_over = False

    def is_enough_with(self, chunk: bytes) -> bool:
        """Take what arrived next. Return True if there is no need for more."""
        self._arrived += chunk[: self._most + 1 - len(self._arrived)]
        self._seen += len(chunk)
        if not self._is_raw:
            try:
                self._unfold(chunk)
            except zlib.error:
                self._is_raw = True
        return self._is_cut()

    def _unfold(self, chunk: bytes) -> None:
        if self._encodings == "deflate" and self._seen == len(chunk) and chunk[:1] and chunk[0] & 15 != 8:
            self._unfolding = zlib.decompressobj(-zlib.MAX_WBITS)  # raw deflate: servers mean either by the name
        chunk, self._held = self._held + chunk, b""
        while chunk and not self._is_over and len(self._body) <= self._most:
            if self._unfolding.eof and not self._goes_on(chunk):
                return
            self._body += self._unfolding.decompress(chunk, self._most + 1 - len(self._body))
            chunk = self._unfolding.unconsumed_tail or self._unfolding.unused_data

    def _goes_on(self, chunk: bytes) -> bool:
        """Return True if a further member begins, after one has ended."""
        if chunk == _MEMBER[:1]:
            self._held = chunk
            return False
        self._is_over = self._encodings == "deflate" or not chunk.startswith(_MEMBER)
        self._unfolding = self._unfolding if self._is_over else zlib.decompressobj(_FORMATS["gzip"])
        return not self._is_over

    def _is_cut(self) -> bool:
        if self._is_raw:
            return len(self._arrived) > self._most
        return len(self._body) > self._most or self._seen > self._most + self._most // 16 + _OVERHEAD

    def taken(self) -> Start:
        """Return the beginning."""
        if self._is_raw:
            return Start(bytes(self._arrived[: self._most]), len(self._arrived) > self._most, self._encodings)
        is_cut, ends = self._is_cut(), self._unfolding.eof or not self._seen
        return Start(bytes(self._body[: self._most]), is_cut or not ends, "", not is_cut and not ends)


def encodings_of(response: Any) -> str:
    """Return the content encodings of an answer, as in ``"gzip, br"``, or ""."""
    told = response.headers.get("content-encoding") or ""
    named = (one.strip().lower() for one in told.split(","))
    return ", ".join(one for one in named if one not in ("", "identity"))


def start_of(chunks: Any, encodings: str, most: int) -> Start:
    """Return the beginning of a body."""
    start = BodyStart(encodings, most)
    for chunk in chunks:
        if start.is_enough_with(chunk):
            break
    return start.taken()


async def astart_of(chunks: Any, encodings: str, most: int) -> Start:
    """Async twin of ``start_of``."""
    start = BodyStart(encodings, most)
    async for chunk in chunks:
        if start.is_enough_with(chunk):
            break
    return start.taken()
