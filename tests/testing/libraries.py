"""Our own adapters under ``AdapterConformance``: what each library does natively."""

from __future__ import annotations

import io
import os
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import httpx
import httpx2
import requests
from requests.adapters import HTTPAdapter

import x402_client.aiohttp
import x402_client.httpx
import x402_client.httpx2
import x402_client.requests
from x402_client import Buyer
from x402_client.model.offers import Quote
from x402_client.testing.adapter_conformance import AdapterConformance, Answer, Stream

#: Reading the root certificates takes longer than most of these tests.
_TRUST = ssl.create_default_context()
#: Where the libraries read no timeout, for opening streams.
_TIMEOUT = 5.0


class HttpxStream:
    """A sync httpx response that is read bit by bit."""

    def __init__(self, native: Any) -> None:
        self.native, self._pieces = native, native.iter_raw()

    def read_some(self) -> bytes:
        return next(self._pieces, b"")

    def close(self) -> None:
        self.native.close()


class AsyncHttpxStream:
    """An async one."""

    def __init__(self, native: Any) -> None:
        self.native, self._pieces = native, native.aiter_raw()

    async def read_some(self) -> bytes:
        piece: bytes = await anext(self._pieces, b"")
        return piece

    async def close(self) -> None:
        await self.native.aclose()


class _Httpxes(AdapterConformance):
    """What httpx and httpx2, sync and async, have in common."""

    library: Any = httpx
    adapter: Any = x402_client.httpx
    own_errors = (httpx.HTTPError, httpx2.HTTPError)

    def options(self, connections: int | None) -> dict[str, Any]:
        """Return the keywords of a client."""
        limits = self.library.Limits(max_connections=connections)
        timeout = self.library.Timeout(_TIMEOUT, pool=2)
        return {"verify": _TRUST, "trust_env": False, "limits": limits, "timeout": timeout}

    def said(self, body: Any, headers: Sequence[tuple[str, str]], timeout: float | None) -> dict[str, Any]:
        """Return the keywords of a call."""
        wait = self.library.Timeout(timeout, pool=2)
        return {"content": body, "headers": list(headers), "timeout": wait, "follow_redirects": True}


class HttpxConformance(_Httpxes):
    """httpx, sync."""

    @contextmanager
    def client(self, buyer: Buyer | None, connections: int | None = None) -> Iterator[Any]:
        with self.library.Client(**self.options(connections)) as client:
            yield self.adapter.wrap(client, buyer) if buyer else client

    def fetch(
        self,
        client: Any,
        method: str,
        url: str,
        *,
        body: Any = None,
        headers: Sequence[tuple[str, str]] = (),
        read_timeout: float | None = None,
    ) -> Answer:
        response = client.request(method, url, **self.said(body, headers, read_timeout))
        return Answer(response.status_code, response.headers.multi_items(), response.content, response)

    def open(self, client: Any, method: str, url: str) -> Stream:
        return HttpxStream(client.send(client.build_request(method, url), stream=True))

    def quote(self, client: Any, method: str, url: str) -> Quote:
        quote: Quote = self.adapter.quote(client, method, url)
        return quote


class AsyncHttpxConformance(_Httpxes):
    """httpx, async."""

    backend = "asyncio"
    files = False

    @asynccontextmanager
    async def client(self, buyer: Buyer | None, connections: int | None = None) -> AsyncIterator[Any]:
        async with self.library.AsyncClient(**self.options(connections)) as client:
            yield self.adapter.wrap(client, buyer) if buyer else client

    async def fetch(
        self,
        client: Any,
        method: str,
        url: str,
        *,
        body: Any = None,
        headers: Sequence[tuple[str, str]] = (),
        read_timeout: float | None = None,
    ) -> Answer:
        response = await client.request(method, url, **self.said(body, headers, read_timeout))
        return Answer(response.status_code, response.headers.multi_items(), response.content, response)

    async def open(self, client: Any, method: str, url: str) -> Stream:
        return AsyncHttpxStream(await client.send(client.build_request(method, url), stream=True))

    async def quote(self, client: Any, method: str, url: str) -> Quote:
        quote: Quote = await self.adapter.quote(client, method, url)
        return quote


class RequestsStream:
    """A requests response that is read bit by bit."""

    def __init__(self, native: Any) -> None:
        self.native = native

    def read_some(self) -> bytes:
        piece: bytes = self.native.raw.read1(65536, decode_content=False)
        return piece

    def close(self) -> None:
        self.native.close()


class RequestsConformance(AdapterConformance):
    """requests."""

    own_errors = (requests.RequestException,)

    @contextmanager
    def client(self, buyer: Buyer | None, connections: int | None = None) -> Iterator[Any]:
        with requests.Session() as session:
            session.trust_env = False
            if connections is not None:
                session.mount("http://", HTTPAdapter(pool_maxsize=connections, pool_block=True))
            yield x402_client.requests.wrap(session, buyer) if buyer else session

    def fetch(
        self,
        client: Any,
        method: str,
        url: str,
        *,
        body: Any = None,
        headers: Sequence[tuple[str, str]] = (),
        read_timeout: float | None = None,
    ) -> Answer:
        response = client.request(method, url, data=body, headers=dict(headers), timeout=read_timeout)
        return Answer(response.status_code, [*response.raw.headers.items()], response.content, response)

    def open(self, client: Any, method: str, url: str) -> Stream:
        return RequestsStream(client.request(method, url, timeout=_TIMEOUT, stream=True))

    def quote(self, client: Any, method: str, url: str) -> Quote:
        return x402_client.requests.quote(client, method, url, timeout=_TIMEOUT)


class AiohttpStream:
    """An aiohttp response that is read bit by bit."""

    def __init__(self, native: Any) -> None:
        self.native = native

    async def read_some(self) -> bytes:
        piece: bytes = await self.native.content.readany()
        return piece

    async def close(self) -> None:
        self.native.close()


class AiohttpConformance(AdapterConformance):
    """aiohttp."""

    backend = "asyncio"
    own_errors = (aiohttp.ClientError,)

    @asynccontextmanager
    async def client(self, buyer: Buyer | None, connections: int | None = None) -> AsyncIterator[Any]:
        connector = aiohttp.TCPConnector(limit=connections or 100, ssl=_TRUST)
        # The jar of an address without a name keeps nothing unless it is told to.
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
            yield x402_client.aiohttp.wrap(session, buyer) if buyer else session

    async def fetch(
        self,
        client: Any,
        method: str,
        url: str,
        *,
        body: Any = None,
        headers: Sequence[tuple[str, str]] = (),
        read_timeout: float | None = None,
    ) -> Answer:
        timeout = _waiting(read_timeout)
        response = await client.request(method, url, data=_lent(body), headers=list(headers), timeout=timeout)
        content = await response.read()
        return Answer(response.status, [*response.headers.items()], content, response)

    async def open(self, client: Any, method: str, url: str) -> Stream:
        return AiohttpStream(await client.request(method, url, timeout=_waiting(_TIMEOUT)))

    async def quote(self, client: Any, method: str, url: str) -> Quote:
        return await x402_client.aiohttp.quote(client, method, url)


def _waiting(read_timeout: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=2, sock_read=read_timeout)


def _lent(body: Any) -> Any:
    """Return another handle of a file: aiohttp closes what it was given, however a call ends, and also without us."""
    if not hasattr(body, "fileno") or isinstance(body, io.BytesIO):
        return body
    handle = open(os.dup(body.fileno()), "rb")  # noqa: SIM115 - aiohttp closes it
    handle.seek(body.tell())
    return handle
