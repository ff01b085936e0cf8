"""Request bodies that are sent twice: replayed if possible, rewound if they are files, else kept while sent.

Nothing is read ahead of the first send. A body that can be read only once is kept up to a bound. Beyond it the request
is still sent, and only paying for it is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from ..errors import BodyNotReplayable


class Kept:
    """The content that a one-shot body gave while it was first sent."""

    __slots__ = ("_chunks", "_limit", "size", "whole")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.restart()

    def restart(self) -> None:
        """Begin a new reading. What an earlier one left behind is dropped."""
        self._chunks: list[bytes] = []
        self.size: int = 0
        self.whole: bool = False

    def keep(self, chunk: str | bytes) -> None:
        """Keep a chunk. Once the bound is passed, keep nothing any more."""
        data = octets(chunk)
        self.size += len(data)
        if self.size <= self._limit:
            self._chunks.append(data)
        else:
            self._chunks.clear()

    @property
    def full(self) -> bool:
        """Return True if more came than is kept."""
        return self.size > self._limit

    def content(self) -> bytes:
        """Return the whole body."""
        if self.full or not self.whole:
            raise BodyNotReplayable(
                f"The request's body can be read only once and is larger than the {self._limit} bytes that are kept. "
                "So it cannot be sent again with a payment. Pass bytes or a seekable file, or raise "
                "Buyer(bounds=Bounds(kept_body=...)). Nothing was paid."
            )
        return b"".join(self._chunks)


def octets(chunk: str | bytes) -> bytes:
    """Return a chunk as it is sent: requests takes text, and encodes it on the way."""
    return chunk.encode() if isinstance(chunk, str) else bytes(chunk)


class KeptStream:
    """A sync stream that remembers what it gave."""

    def __init__(self, source: Any, limit: int) -> None:
        self._source = source
        self._rest: Iterator[bytes] | None = None
        self.kept: Kept = Kept(limit)

    def __iter__(self) -> Iterator[bytes]:
        self.kept.restart()
        self._rest = iter(self._source)
        yield from self._keeping()

    @property
    def unread(self) -> bool:
        """Return True if nothing of it was read."""
        return self._rest is None

    def drain(self) -> None:
        """Read the rest that the server did not wait for, up to the bound of what is kept."""
        if self._rest is None:
            self._rest = iter(self._source)
        for _ in self._keeping():
            if self.kept.full:
                return

    def _keeping(self) -> Iterator[bytes]:
        assert self._rest is not None
        for chunk in self._rest:
            self.kept.keep(chunk)
            yield chunk
        self.kept.whole = True

    def close(self) -> None:
        close = getattr(self._source, "close", None)
        if close is not None:
            close()


class AsyncKeptStream:
    """Async twin of ``KeptStream``."""

    def __init__(self, source: Any, limit: int) -> None:
        self._source = source
        self._rest: AsyncIterator[bytes] | None = None
        self.kept: Kept = Kept(limit)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.kept.restart()
        self._rest = aiter(self._source)
        async for chunk in self._rest:
            self.kept.keep(chunk)
            yield chunk
        self.kept.whole = True

    @property
    def unread(self) -> bool:
        """Return True if nothing of it was read."""
        return self._rest is None

    async def drain(self) -> None:
        """Async twin of ``KeptStream.drain``."""
        if self._rest is None:
            self._rest = aiter(self._source)
        async for chunk in self._rest:
            self.kept.keep(chunk)
            if self.kept.full:
                return
        self.kept.whole = True

    async def aclose(self) -> None:
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()


def seekable(file: Any) -> bool:
    """Return True if a file can be read a second time."""
    try:
        return bool(file.seekable())
    except (AttributeError, ValueError):
        return False


def position(file: Any) -> int | None:
    """Return the position of a file, or None if it cannot be brought back there."""
    try:
        return int(file.tell()) if seekable(file) else None
    except (OSError, ValueError):
        return None


def rewind(file: Any, start: int) -> None:
    """Rewind to where the first send began, which need not be the start of the file."""
    try:
        file.seek(start)
    except (OSError, ValueError) as failure:
        raise not_rewound(failure) from failure


def not_rewound(failure: Exception) -> BodyNotReplayable:
    """Return the error for a file that cannot be brought back to where it stood."""
    return BodyNotReplayable(
        f"The file of the request's body cannot be rewound ({type(failure).__name__}), so it cannot be sent again "
        "with a payment. Keep it open until the call returns. Nothing was paid."
    )
