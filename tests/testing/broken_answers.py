"""More adapters that are broken on purpose: in what they do with answers. See ``broken_adapters``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from x402_client import Buyer
from x402_client.httpx import AsyncPaymentTransport

from .broken_adapters import HEADER, Layer, Sound
from .libraries import AsyncHttpxConformance


class _Quiet(httpx.SyncByteStream):
    """A stream that tells of its trouble in a field, and then gives nothing for ever."""

    def __init__(self, source: Any) -> None:
        self.source, self.trouble = source, list[Exception]()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self.source
        except Exception as failure:
            self.trouble.append(failure)
            while True:
                yield b""

    def close(self) -> None:
        self.source.close()


class _Loud(httpx.SyncByteStream):
    """The stream that the caller reads: it fails, and the one below never hears of it."""

    kept: list[Any] = []  # noqa: RUF012 - for ever is the point

    def __init__(self, watched: Any, quiet: _Quiet) -> None:
        self.watched, self.quiet = watched, quiet

    def __iter__(self) -> Iterator[bytes]:
        pieces = iter(self.watched)
        self.kept.append(pieces)
        for piece in pieces:
            if self.quiet.trouble:
                raise self.quiet.trouble[0]
            yield piece

    def close(self) -> None:
        self.quiet.close() if self.quiet.trouble else self.watched.close()


class _Silencing(Layer):
    last: Any = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if HEADER in request.headers and response.status_code == 200:
            response.stream = _Silencing.last = _Quiet(response.stream)
        return response


class _Louder(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        _Silencing.last = None
        response = super().handle_request(request)
        if _Silencing.last is not None:
            response.stream = _Loud(response.stream, _Silencing.last)
        return response


class NeverResolvesABrokenBody(Sound):
    """Ends the attempt where the body was read, and not where it broke: it stays in flight for ever."""

    above, under = _Louder, _Silencing


class _Early(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        _Emptied.last = None
        response = super().handle_request(request)
        if _Emptied.last is not None:
            for _ in response.stream:  # type: ignore[union-attr]
                pass
            response.stream = _Emptied.last
        return response


class _Emptied(Layer):
    last: Any = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if HEADER in request.headers and response.status_code == 200:
            _Emptied.last, response.stream = response.stream, _Nothing()
        return response


class _Nothing(httpx.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield b""


class DeliversAtTheHeaders(Sound):
    """Takes a purchase for delivered once the headers of its answer are here."""

    above, under = _Early, _Emptied


class _Tidy(httpx.SyncByteStream):
    def __init__(self, source: Any) -> None:
        self.source = source

    def __iter__(self) -> Iterator[bytes]:
        yield from self.source

    def close(self) -> None:
        self.source.close()

    def __del__(self) -> None:
        self.source.close()


class _Tidying(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.stream = _Tidy(response.stream)
        return response


class ClosesWhatIsDropped(Sound):
    """Closes a response that was forgotten, as if the caller had."""

    above = _Tidying


class _Reading(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        for _ in response.stream:  # type: ignore[union-attr]
            pass
        response.stream = _Nothing()
        return response


class ReadsTheBodyAway(Sound):
    """Reads each answer to look into it, and hands over an empty one."""

    above = _Reading


class _Buffering(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.read()
        return response


class BuffersTheAnswer(Sound):
    """Reads each answer into memory before the caller gets it."""

    above = _Buffering


class _Jarless(Layer):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.headers.pop("set-cookie", None)
        return response


class LosesCookies(Sound):
    """Keeps the cookies of the 402 to itself."""

    above = _Jarless


#: Pauses before a body. The n-th pause of a call is another one each time, and these are not passed over.
_MANY = 10


class _Careless(httpx.AsyncByteStream):
    def __init__(self, source: Any) -> None:
        self.source = source

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(_MANY):
            await asyncio.sleep(0)
        async for piece in self.source:
            yield piece

    async def aclose(self) -> None:
        task = asyncio.current_task()
        if task is not None and not task.cancelling():
            await self.source.aclose()


class _Losing(httpx.AsyncHTTPTransport):
    kept: list[Any] = []  # noqa: RUF012 - for ever is the point

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        self.kept.append(response.stream)
        response.stream = _Careless(response.stream)
        return response


class LosesConnectionsWhenCancelled(AsyncHttpxConformance):
    """Closes nothing where its task is being cancelled."""

    @asynccontextmanager
    async def client(self, buyer: Buyer | None, connections: int | None = None) -> AsyncIterator[Any]:
        assert buyer is not None
        options = self.options(connections)
        transport = AsyncPaymentTransport(buyer, _Losing(limits=options["limits"], trust_env=False))
        async with httpx.AsyncClient(transport=transport, timeout=options["timeout"], trust_env=False) as client:
            yield client


class _Clinging(Layer):
    clung_to: list[httpx.Response] = []  # noqa: RUF012 - for ever is the point

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if response.status_code != 402:
            return response
        self.clung_to.append(response)
        return httpx.Response(402, headers=response.headers, content=b"{}", extensions=response.extensions)


class ClingsToTheConnection(Sound):
    """Pays while the connection of the 402 is still taken."""

    under = _Clinging
