"""Request bodies on their way through aiohttp. A body that can be read only once is kept while it is sent.

Strategy: aiohttp cancels its writer as soon as an answer is complete. A cancellation ends an async generator, and the
rest of it is lost without an error. At a thread that reads a file it leaves the read running under the next send. So a
payload that is not in memory is written by a task of its own. Only what that task forwards is ever cut off.
"""

from __future__ import annotations

import asyncio
import io
from typing import Any

from aiohttp import ClientRequest, hdrs
from aiohttp.abc import AbstractStreamWriter
from aiohttp.multipart import MultipartWriter
from aiohttp.payload import AsyncIterablePayload, BytesIOPayload, BytesPayload, IOBasePayload, Payload

from ..core.digests import NOTHING, BodyDigest, body_digest, running_digest
from .replay import Kept, not_rewound, seekable


class Body:
    """The body of one request, for any number of sends."""

    def __init__(self, request: ClientRequest, limit: int) -> None:
        #: The payload as aiohttp made it of what the caller gave.
        self.inner: Payload | None = request._body
        #: True if it can be read only once: then its content is known only while it is sent.
        self.once: bool = self.inner is not None and not _replayable(self.inner)
        self._headers = request.headers
        self._kept = Kept(limit) if self.once else None
        self._relay: Relay | None = None

    def first(self) -> Payload | None:
        """Return the payload for a first send."""
        if self.inner is None or _in_memory(self.inner):
            return self.inner
        self._relay = Relay(self.inner, self._kept, self._length)
        return self._relay

    async def again(self) -> Payload | None:
        """Return the payload for another send."""
        await self.settle()
        if self._kept is not None:
            return BytesIOPayload(io.BytesIO(self._kept.content()))
        return self.first()

    @property
    def is_bytes(self) -> bool:
        """Return True if there is no body, or one that can be read while it is sent."""
        return self.inner is None or isinstance(self.inner, BytesPayload)

    @property
    def unread(self) -> bool:
        """Return True if it can be read only once, and nothing of it was read."""
        return self.once and (self._relay is None or not self._relay.begun)

    async def digest(self) -> BodyDigest:
        """Return the digest of the whole body, which identifies it."""
        if self.inner is None:
            return NOTHING
        await self.settle()
        content_type = self._headers.get(hdrs.CONTENT_TYPE, "")
        if self._kept is not None:
            return body_digest(self._kept.content(), content_type)
        sink = _Digesting(content_type)
        try:
            await self.inner.write_with_length(sink, self._length)
        except (OSError, ValueError) as failure:
            raise not_rewound(failure) from failure
        return sink.found.value()

    async def settle(self) -> None:
        """Wait until nothing reads the source any more. One that can be read only once is first read on, to be kept."""
        if self._relay is not None:
            await self._relay.settle()

    async def stop(self) -> None:
        """Wait until nothing reads the source any more, after a send that failed."""
        if self._relay is not None:
            await self._relay.stop()

    def release(self) -> None:
        """Keep nothing any more: this body is not sent again."""
        if self._relay is not None:
            self._relay.release()

    @property
    def _length(self) -> int | None:
        """Return how much of the source is the body, if the caller said so."""
        said = self._headers.get(hdrs.CONTENT_LENGTH, "")
        return int(said) if said.isdecimal() else None


class Relay(Payload):
    """A payload that is written by a task of its own."""

    inner: Payload

    def __init__(self, inner: Payload, kept: Kept | None, length: int | None) -> None:
        # Payload's own __init__ is left out: it looks at a value, and all that it would set is the inner payload's.
        self.inner, self._kept, self._length = inner, kept, length
        self._tap: _Tap | None = None
        self._pump: asyncio.Task[None] | None = None
        self._wanted = True

    @property
    def begun(self) -> bool:
        """Return True if reading the source has begun."""
        return self._tap is not None

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        tap, pump = self._begin(writer, content_length)
        try:
            await asyncio.wait({pump, tap.broken}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            tap.cut()
            if not self._wanted:
                self._abandon()
            raise
        if tap.failure is not None:
            raise tap.failure
        pump.result()

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def settle(self) -> None:
        """Stop forwarding, and wait until nothing reads the source. One that is kept is read to its end.

        A failure of the source is raised here: aiohttp's writer, which would raise it, is gone.
        """
        tap, pump = self._tap, self._pump
        if tap is None or pump is None:
            if self._kept is None:
                return
            tap, pump = self._begin(None, self._length)  # answered before anything was asked of the source
        tap.read_on()
        await asyncio.wait({pump})
        failure = None if pump.cancelled() or self._kept is None else pump.exception()
        if failure is not None and not isinstance(failure, _Stop):
            raise failure

    async def stop(self) -> None:
        """Stop forwarding, and wait until nothing reads the source."""
        if self._tap is not None and self._pump is not None:
            self._tap.cut()
            self.release()
            await asyncio.wait({self._pump})

    def release(self) -> None:
        """Keep nothing any more. A send that is under way goes on as in plain aiohttp."""
        self._wanted = False
        if self._tap is not None:
            self._tap.kept = None
            if self._tap.is_cut:
                self._abandon()

    def _begin(self, writer: AbstractStreamWriter | None, length: int | None) -> tuple[_Tap, asyncio.Task[None]]:
        tap = self._tap = _Tap(writer, self._kept)
        if self._kept is not None:
            self._kept.restart()
        pump = self._pump = asyncio.create_task(self._write(tap, length))
        tap.pump = pump
        pump.add_done_callback(_failure_seen)
        return tap, pump

    async def _write(self, tap: _Tap, length: int | None) -> None:
        await self.inner.write_with_length(tap, length)
        if self._kept is not None:
            self._kept.whole = True

    def _abandon(self) -> None:
        """Cancel the reading of a source that can be read only once.

        That of a file is not cancelled: its thread would read on under the next send.
        """
        if self._kept is not None and self._pump is not None:
            self._pump.cancel()

    # The other methods of a payload.

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self.inner.decode(encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return await self.inner.as_bytes(encoding, errors)

    async def close(self) -> None:
        await self.inner.close()

    def _close(self) -> None:
        self.inner._close()

    @property
    def size(self) -> int | None:
        return self.inner.size

    @property
    def consumed(self) -> bool:
        return self.inner.consumed

    @property
    def autoclose(self) -> bool:
        return self.inner.autoclose

    def __getattr__(self, name: str) -> Any:
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)  # payloads have further attributes: _value, _headers, _filename


class _Sink(AbstractStreamWriter):
    """A writer with the methods that payloads call."""

    async def write_eof(self, chunk: bytes = b"") -> None:
        return

    async def write_headers(self, status_line: str, headers: Any) -> None:
        return

    async def drain(self) -> None:
        return

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        return

    def enable_chunking(self) -> None:
        return


class _Digesting(_Sink):
    """A sink that makes a digest."""

    def __init__(self, content_type: str) -> None:
        self.found = running_digest(content_type)

    async def write(self, chunk: Any) -> None:
        self.found.add(chunk)


class _Stop(Exception):
    """The end of writing a payload that is not sent any more."""


class _Tap(_Sink):
    """A sink between a payload and aiohttp's writer. It keeps and forwards, and once it is cut it only keeps."""

    def __init__(self, writer: AbstractStreamWriter | None, kept: Kept | None) -> None:
        self.kept = kept
        self.pump: asyncio.Task[None] | None = None
        self.is_cut, self._forwarding = writer is None, False
        self._writer = writer
        loop = asyncio.get_running_loop()
        self._go_on: asyncio.Future[None] = loop.create_future()
        #: Done when the connection broke under a source that is kept: the rest of it can still be read.
        self.broken: asyncio.Future[None] = loop.create_future()
        self.failure: Exception | None = None

    async def write(self, chunk: Any) -> None:
        if self.kept is not None:
            self.kept.keep(chunk)
        if not self.is_cut and await self._forwarded(chunk):
            return
        if self.kept is None or self.kept.full:
            raise _Stop
        await asyncio.shield(self._go_on)  # the rest is read only where it is to be paid for

    async def _forwarded(self, chunk: Any) -> bool:
        """Return True if the writer took a chunk, False if forwarding was stopped meanwhile."""
        assert self._writer is not None
        self._forwarding = True
        try:
            await self._writer.write(chunk)
        except asyncio.CancelledError:
            if not self.is_cut:
                raise
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()  # ``cut`` cancelled it, only to end the wait for the socket
            return False
        except Exception as failure:
            if not self.is_cut:
                if self.kept is None:
                    raise
                self.is_cut, self.failure = True, failure
                self.broken.set_result(None)
            return False
        finally:
            self._forwarding = False
        return True

    async def drain(self) -> None:
        if self._writer is not None and not self.is_cut:
            await self._writer.drain()

    def cut(self) -> None:
        """Forward nothing any more. The source does not notice."""
        if not self.is_cut:
            self.is_cut = True
            if self._forwarding and self.pump is not None:
                self.pump.cancel()

    def read_on(self) -> None:
        """Forward nothing any more, and read the source as far as it would be kept."""
        self.cut()
        if not self._go_on.done():
            self._go_on.set_result(None)


def _failure_seen(task: asyncio.Task[None]) -> None:
    """Read the failure of a task, or asyncio reports it. It reached aiohttp's writer, or nothing depends on it."""
    if not task.cancelled():
        task.exception()


def _replayable(payload: Payload) -> bool:
    """Return True if aiohttp can write this payload a second time. Its own ``consumed`` says so only afterwards."""
    if isinstance(payload, BytesPayload):
        return True
    if isinstance(payload, MultipartWriter):
        return all(_replayable(part) for part, _, _ in payload._parts)
    if isinstance(payload, IOBasePayload):
        return seekable(payload._value)
    return isinstance(payload, AsyncIterablePayload) and payload._cached_chunks is not None


def _in_memory(payload: Payload) -> bool:
    if isinstance(payload, MultipartWriter):
        return all(_in_memory(part) for part, _, _ in payload._parts)
    return isinstance(payload, (BytesPayload, BytesIOPayload, AsyncIterablePayload)) and _replayable(payload)
