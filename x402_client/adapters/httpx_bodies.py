"""Bodies on their way through an httpx or httpx2 transport: requests that go twice, 402s given back, paid answers."""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, Self
from weakref import WeakValueDictionary, ref

from ..core.delivery import Delivery
from ..core.digests import NOTHING, BodyDigest, body_digest
from ..guards.patience import Patience
from .own_errors import OwnErrors
from .replay import AsyncKeptStream, KeptStream, position, rewind, seekable
from .sockets import httpx_is_connected


class Library:
    """The classes of one of the two libraries, and our subclasses of them."""

    request: Any
    response: Any

    def __init__(self, module: Any, face: str) -> None:
        self.name: str = module.__name__
        self.request, self.response = module.Request, module.Response
        self.byte_stream: Any = module.ByteStream
        self.decoding_error: Any = module.DecodingError
        self.timeout: Any = module.TimeoutException
        #: Errors that the library's own transports raise before a byte of the request left: no connection, no place in
        #: the pool, a proxy that refuses.
        self.not_sent: tuple[Any, ...] = (
            module.ConnectError, module.ConnectTimeout, module.PoolTimeout, module.ProxyError,
            module.UnsupportedProtocol,
        )  # fmt: skip
        self.own_errors: OwnErrors = OwnErrors(face, _transport_errors(module), self.not_sent)
        #: The read time-out of a client that was given none. A caller's own 5.0 is another object.
        self.default_read: Any = module.Client.__init__.__kwdefaults__["timeout"].read
        self.async_transport: Any = module.AsyncHTTPTransport
        self.own_transports: tuple[Any, ...] = (module.HTTPTransport, module.AsyncHTTPTransport)
        #: Transports that open no connection.
        self.in_process: tuple[Any, ...] = (module.MockTransport, module.ASGITransport, module.WSGITransport)
        self.kept: type[KeptStream] = type("KeptStream", (KeptStream, module.SyncByteStream), {})
        self.akept: type[AsyncKeptStream] = type("AsyncKeptStream", (AsyncKeptStream, module.AsyncByteStream), {})
        self.rejoined: type[Rejoined] = type("Rejoined", (Rejoined, module.SyncByteStream), {})
        self.arejoined: type[AsyncRejoined] = type("AsyncRejoined", (AsyncRejoined, module.AsyncByteStream), {})
        response = module.Response
        self.watched: type[Watched] = type(
            "Watched", (Watched, module.SyncByteStream), {"iteration": response.iter_raw}
        )
        self.awatched: type[AsyncWatched] = type(
            "AsyncWatched", (AsyncWatched, module.AsyncByteStream), {"iteration": response.aiter_raw}
        )

    def body(self, request: Any, kept: Any, limit: int) -> ReplayedBody:
        """Return the replayable body of a request. ``kept`` makes a stream that remembers what it gave."""
        stream = request.stream
        if type(stream) is self.byte_stream:
            return BytesBody(request)
        fields = getattr(stream, "fields", None)  # a multipart stream: it rewinds its own files
        if fields is not None and all(_rewinds(field) for field in fields):
            return ReplayedBody(request)
        # The files under async bodies answer with awaitables, so what they gave is kept instead.
        file = getattr(stream, "_stream", None) if kept is self.kept else None
        start = position(file)
        if start is not None and hasattr(file, "read"):
            return FileBody(request, file, start)
        return KeptBody(request, kept(stream, limit), self.byte_stream)


def _transport_errors(module: Any) -> list[type[Exception]]:
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type)]
    return [kind for kind in kinds if issubclass(kind, module.TransportError)]


class ReplayedBody:
    """A body that can be iterated any number of times."""

    #: True if it can be read only once: then its content is known only while it is sent.
    once = False
    #: True if it can be read only once, and nothing of it was read.
    unread = False

    def __init__(self, request: Any) -> None:
        self.stream: Any = request.stream
        self._request = request

    @property
    def _content_type(self) -> str:
        """Return the content type. It is looked up when a 402 came, not for every free request."""
        return str(self._request.headers.get("content-type", ""))

    def again(self) -> Any:
        """Return the stream for another send."""
        return self.stream

    def digest(self) -> BodyDigest:
        """Return the digest of the whole body, which identifies it."""
        return body_digest(self.stream, self._content_type)

    async def adigest(self) -> BodyDigest:
        """Async twin of ``digest``."""
        return self.digest()


class BytesBody(ReplayedBody):
    """Bytes in memory. Most requests have none."""

    def digest(self) -> BodyDigest:
        return super().digest() if any(self.stream) else NOTHING


class FileBody(ReplayedBody):
    """A file, which is brought back to its first position for each reading."""

    def __init__(self, request: Any, file: Any, start: int) -> None:
        super().__init__(request)
        self._file, self._start = file, start

    def again(self) -> Any:
        rewind(self._file, self._start)
        return self.stream

    def digest(self) -> BodyDigest:
        here = position(self._file)  # a redirect goes on from there, as without us
        rewind(self._file, self._start)
        found = super().digest()
        rewind(self._file, self._start if here is None else here)
        return found


class KeptBody(ReplayedBody):
    """A body that can be read only once. It is kept while it is first sent."""

    once = True

    def __init__(self, request: Any, stream: Any, byte_stream: Any) -> None:
        super().__init__(request)
        self.stream = stream
        self._byte_stream = byte_stream

    @property
    def unread(self) -> bool:  # type: ignore[override]
        """Return True if nothing of it was read."""
        return bool(self.stream.unread)

    def again(self) -> Any:
        return self._byte_stream(self.stream.kept.content())

    def digest(self) -> BodyDigest:
        self.stream.drain()
        return body_digest(self.stream.kept.content(), self._content_type)

    async def adigest(self) -> BodyDigest:
        await self.stream.drain()
        return body_digest(self.stream.kept.content(), self._content_type)


def _rewinds(field: Any) -> bool:
    file = getattr(field, "file", b"")
    return isinstance(file, (str, bytes)) or seekable(file)


class Rejoined:
    """A body in two parts: the chunks that were read, and those still to come."""

    def __init__(self, chunks: list[bytes], rest: Iterator[bytes], source: Any) -> None:
        self._chunks, self._rest, self._source = chunks, rest, source

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        yield from self._rest

    def close(self) -> None:
        self._source.close()


class AsyncRejoined:
    """Async twin of ``Rejoined``."""

    def __init__(self, chunks: list[bytes], rest: AsyncIterator[bytes], source: Any) -> None:
        self._chunks, self._rest, self._source = chunks, rest, source

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        async for chunk in self._rest:
            yield chunk

    async def aclose(self) -> None:
        await self._source.aclose()


#: The latest paid answer that was handed over, by the method and URL of its request, while it lives.
_latest: WeakValueDictionary[tuple[str, str], Watched] = WeakValueDictionary()


def collect_dropped(request: Any) -> None:
    """Let Python notice that the answer to the same request was dropped unread and unclosed.

    In httpx a response and its stream refer to each other, so a dropped one lives, and its claim with it, until the
    garbage collector comes. The rule: "nor does a body dropped unread and unclosed" resolve.
    """
    if getattr(_latest.get((request.method, str(request.url))), "idle", False):
        gc.collect()


class Watched:
    """The body of a paid answer. Read to its end, or closed by the caller, it is delivered."""

    #: The method of the library's response that iterates over this.
    iteration: Any
    #: True while nothing is read from it, and nothing else became of it.
    idle: bool = True

    def __init__(self, source: Any, delivery: Delivery, response: Any) -> None:
        self._source, self._delivery, self._response = source, delivery, ref(response)
        self._closed = False

    def of(self, request: Any) -> Self:
        """Note what it answers."""
        _latest[request.method, str(request.url)] = self
        return self

    def transport_closed(self) -> None:
        """Note that its client was closed. A transport of others may leave the connection as it is."""
        response = self._response()
        if response is None or not httpx_is_connected(response):
            self._delivery.client_closed()

    def __iter__(self) -> Iterator[bytes]:
        self.idle = False
        chunks, answer = iter(self._source), self._delivery.answer
        try:
            for chunk in chunks:
                if answer is not None:
                    answer.add(chunk)
                self.idle = True
                yield chunk
                self.idle = False
            self._close()
        except BaseException as failure:
            self._delivery.broke(failure)
            getattr(chunks, "close", bool)()  # as ``yield from`` does it
            raise
        self._delivery.done()

    def close(self) -> None:
        by_caller = self._closed_by_caller()
        try:
            self._close()
        except BaseException:
            self._delivery.dropped()
            raise
        self._judge(by_caller)

    def _close(self) -> None:
        self.idle = False
        if not self._closed:
            self._source.close()
            self._closed = True

    def _closed_by_caller(self) -> bool:
        """Return False if the library's own iteration closes the body, because its generator was dropped.

        httpx2 does so, and it comes before the ``with`` of the caller ends, which alone shows what is under way.
        """
        frame: Any = sys._getframe(1)
        for _ in range(3):
            frame = frame and frame.f_back
            if frame is not None and frame.f_code is self.iteration.__code__:
                return False
        return True

    def _judge(self, by_caller: bool) -> None:
        response = self._response()
        if by_caller:
            self._delivery.closed()
        elif response is not None and not self._delivery.over:
            response.is_closed = False  # so that the caller's close comes here


class AsyncWatched(Watched):
    """Async twin of ``Watched``.

    httpx closes a body whose end it read, and a cancellation may come while that waits. So it is closed here, before it
    counts as delivered: from there on nothing waits until the caller has the content.
    """

    async def __aiter__(self) -> AsyncIterator[bytes]:
        import anyio.lowlevel

        self.idle = False
        answer = self._delivery.answer
        try:
            async for chunk in self._source:
                if answer is not None:
                    answer.add(chunk)
                self.idle = True
                yield chunk
                self.idle = False
            # A waiting cancellation shows here. Amid the library's closing it would lose the connection.
            await anyio.lowlevel.checkpoint()
            await self._aclose()
        except BaseException as failure:
            self._delivery.broke(failure)
            raise
        self._delivery.done()

    async def aclose(self) -> None:
        by_caller = self._closed_by_caller()
        try:
            await self._aclose()
        except BaseException:
            self._delivery.dropped()
            raise
        self._judge(by_caller)

    async def _aclose(self) -> None:
        self.idle: bool = False
        if not self._closed:
            await self._source.aclose()
            self._closed = True


def next_piece(rest: AsyncIterator[bytes]) -> Awaitable[bytes | None]:
    """Return the next piece of a body, or None at its end."""
    return anext(rest, None)


async def next_in_time(patience: Patience, pause: float, rest: AsyncIterator[bytes]) -> bytes | None:
    """Return the next piece of a body. Raise TimeoutError when the patience is over.

    A cancel scope takes longer than reading what is here already, so it is made only where it is needed.
    """
    import anyio

    if pause < patience.left:
        with patience.waiting():
            return await anext(rest, None)
    with anyio.CancelScope() as scope, patience.waiting(scope.cancel):
        return await anext(rest, None)
    raise TimeoutError
