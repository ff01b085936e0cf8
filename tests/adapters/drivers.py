"""One small interface over every shell, so that each check is written once; a portal drives async ones."""

from __future__ import annotations

import contextlib
import gc
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, ClassVar, Self

import anyio.to_thread
import httpx
import httpx2
import pytest
import requests
import urllib3
from anyio.from_thread import BlockingPortal, start_blocking_portal
from requests.adapters import HTTPAdapter

import x402_client.httpx
import x402_client.httpx2
import x402_client.requests
from x402_client import Buyer
from x402_client.model.holds import Outcome

#: Reading the root certificates takes longer than most of these tests.
_TRUST = ssl.create_default_context()


class Streamed:
    """An answer whose body is still to come."""

    def __init__(self, native: Any, following: Callable[[], bytes | None], close: Callable[[], Any]) -> None:
        self.native, self.following, self.close = native, following, close

    def rest(self) -> bytes:
        return b"".join(iter(lambda: self.following() or b"", b""))


class Client:
    """A client of one library, opened by its driver."""

    def __init__(self, driver: Driver, native: Any) -> None:
        self.driver, self.native = driver, native

    def get(self, url: str, **said: Any) -> Any:
        return self.request("GET", url, **said)

    def request(self, method: str, url: str, **said: Any) -> Any:
        return self.driver.call(self.native.request, method, url, **self.driver.keywords(said))

    def stream(self, method: str, url: str, **said: Any) -> Streamed:
        return self.driver.streamed(self.native, method, url, self.driver.keywords(said))

    def quote(self, method: str, url: str, **said: Any) -> Any:
        return self.driver.call(self.driver.shell.quote, self.native, method, url, **said)

    async def arequest(self, method: str, url: str, **said: Any) -> Any:
        """``request`` of an async client, on its loop."""
        return await self.native.request(method, url, **self.driver.keywords(said))

    def astream(self, method: str, url: str) -> Any:
        """The block of an answer of an async client whose body is still to come; ``Driver.pieces`` reads it."""
        return self.native.stream(method, url)

    def cookies(self) -> dict[str, str]:
        """The client's jar, by name."""
        return dict(self.native.cookies)

    def set_cookie(self, name: str, value: str) -> None:
        self.native.cookies.set(name, value)

    def close(self) -> None:
        self.driver.call(self.native.aclose if self.driver.is_async else self.native.close)


class Driver:
    """What differs between the libraries."""

    name: ClassVar[str]
    client_class: ClassVar[type[Client]] = Client
    shell: ClassVar[Any]
    is_async: ClassVar[bool] = False
    backend: ClassVar[str] = ""
    #: Whether request headers may stand twice.
    duplicates: ClassVar[bool] = True
    #: Files, by what they are, that the library does not take for the whole of a body.
    refuses: ClassVar[frozenset[str]] = frozenset()
    #: Checks that are left out, and what the library cannot do for them.
    cannot: ClassVar[dict[str, str]] = {}
    errors: ClassVar[dict[str, Any]]
    #: True if a client that is closed leaves the connections open whose answers were not read.
    reads_on: ClassVar[bool] = False

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def client(self, buyer: Buyer | None = None, **options: Any) -> Client:
        """A client as a user makes it, closed at the end of the test; with a buyer it pays."""
        native = self.make(**options)
        client = self.client_class(self, self.shell.wrap(native, buyer) if buyer else native)
        self._stack.callback(client.close)
        return client

    def over(self, inner: Any) -> Client:
        """A client over this transport."""
        raise NotImplementedError

    def make(self, **options: Any) -> Any:
        raise NotImplementedError

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    def keywords(self, said: dict[str, Any]) -> dict[str, Any]:
        return said

    def chunks(self, chunks: Iterable[bytes]) -> Any:
        """A body that can be read once."""
        return iter(chunks)

    def streamed(self, native: Any, method: str, url: str, said: dict[str, Any]) -> Streamed:
        raise NotImplementedError

    def pieces(self, response: Any) -> AsyncIterator[bytes]:
        """The body of an async client's answer, as it comes."""
        pieces: AsyncIterator[bytes] = response.aiter_raw()
        return pieces

    def unread(self, native: Any, url: str) -> Any:
        """Return a response with an unread body, which no block will close."""
        return self.call(native.send, native.build_request("GET", url), stream=True)

    def outcome(self, response: Any) -> Outcome | None:
        found: Outcome | None = response.extensions.get("x402")
        return found

    def body(self, response: Any) -> bytes:
        """The body of a response that a caller may not have read yet."""
        content: bytes = response.content
        return content

    def _closing(self, context: Any) -> Callable[[], Any]:
        """Leaves the block of a stream once: as the test says, or when it is over."""
        still_open = [context]

        def close() -> None:
            if still_open:
                still_open.pop().__exit__(*sys.exc_info())

        self._stack.callback(close)
        return close


class _OnALoop(Driver):
    """What async drivers have in common: a loop in a thread of its own."""

    is_async = True
    backend: ClassVar[str] = "asyncio"
    portal: BlockingPortal

    def __enter__(self) -> Self:
        self.portal = self._stack.enter_context(start_blocking_portal(self.backend))
        return self

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        async def asked() -> Any:
            return await function(*args, **kwargs)

        return self.portal.call(asked)

    def chunks(self, chunks: Iterable[bytes]) -> Any:
        async def given() -> AsyncIterator[bytes]:
            # In a thread, because some of them wait for the server.
            rest = iter(chunks)
            while chunk := await anyio.to_thread.run_sync(next, rest, b""):
                yield chunk

        return given()


class _Httpxes(Driver):
    library: ClassVar[Any]

    def make(self, **options: Any) -> Any:
        return self.library.Client(**self.plain(options))

    @staticmethod
    def plain(options: dict[str, Any]) -> dict[str, Any]:
        if "transport" in options:
            return options
        return {"verify": _TRUST, "trust_env": False, **options}

    def single(self) -> dict[str, Any]:
        """Options for a client with one connection, which does not wait for ever for it."""
        return {"limits": self.library.Limits(max_connections=1), "timeout": self.library.Timeout(5, pool=2)}

    def over(self, inner: Any) -> Client:
        return Client(self, self.library.Client(transport=inner))

    def paying(self, buyer: Buyer, inner: Any = None) -> Any:
        return self.shell.PaymentTransport(buyer, inner)

    def keywords(self, said: dict[str, Any]) -> dict[str, Any]:
        said = dict(said)
        if "follow" in said:
            said["follow_redirects"] = said.pop("follow")
        return said

    def streamed(self, native: Any, method: str, url: str, said: dict[str, Any]) -> Streamed:
        context = native.stream(method, url, **said)
        response = context.__enter__()
        chunks = response.iter_raw()
        return Streamed(response, lambda: next(chunks, None), self._closing(context))


def _errors(library: Any) -> dict[str, type[Exception]]:
    return {
        "connect": library.ConnectError,
        "slow": library.ReadTimeout,
        "cut head": library.RemoteProtocolError,
        "reset": library.ReadError,
        "cut body": library.RemoteProtocolError,
        "slow body": library.ReadTimeout,
        "decoding": library.DecodingError,
    }


class Httpx(_Httpxes):
    name, library, shell, errors = "httpx", httpx, x402_client.httpx, _errors(httpx)


class Httpx2(_Httpxes):
    name, library, shell, errors = "httpx2", httpx2, x402_client.httpx2, _errors(httpx2)


class _Async(_OnALoop, _Httpxes):
    refuses = frozenset({"file", "file in memory", "pipe", "reader", "form in memory"})

    def make(self, **options: Any) -> Any:
        return self.library.AsyncClient(**self.plain(options))

    def over(self, inner: Any) -> Client:
        return Client(self, self.library.AsyncClient(transport=inner))

    def paying(self, buyer: Buyer, inner: Any = None) -> Any:
        return self.shell.AsyncPaymentTransport(buyer, inner)

    def streamed(self, native: Any, method: str, url: str, said: dict[str, Any]) -> Streamed:
        context = self.portal.wrap_async_context_manager(native.stream(method, url, **said))
        response = context.__enter__()
        chunks = response.aiter_raw()

        async def following() -> bytes | None:
            return await anext(chunks, None)

        return Streamed(response, lambda: self.portal.call(following), self._closing(context))


class AsyncHttpx(_Async):
    name, library, shell, errors = "async httpx", httpx, x402_client.httpx, _errors(httpx)


class TrioHttpx(AsyncHttpx):
    name, backend = "async httpx trio", "trio"

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        gc.collect()


class HttpxOverAiohttp(AsyncHttpx):
    """httpx's client over aiohttp's connections, by the transport of httpx-aiohttp."""

    name = "httpx over aiohttp"

    def make(self, **options: Any) -> Any:
        if "transport" not in options:
            own = {name: options.pop(name) for name in ("limits", "proxy", "client") if name in options}
            transport = pytest.importorskip("httpx_aiohttp").AiohttpTransport
            options["transport"] = transport(verify=options.pop("verify", _TRUST), **own)
        return super().make(**options)


class AsyncHttpx2(_Async):
    name, library, shell, errors = "async httpx2", httpx2, x402_client.httpx2, _errors(httpx2)


class _Impatient(urllib3.HTTPConnectionPool):
    """A pool that blocks, but not for ever: a place that is never given back is a failure and not a hang."""

    def _get_conn(self, timeout: float | None = None) -> Any:
        return super()._get_conn(timeout or 2)


class Requests(Driver):
    name = "requests"
    shell = x402_client.requests
    reads_on = True
    duplicates = False
    errors: ClassVar = {
        "connect": requests.ConnectionError,
        "slow": requests.ReadTimeout,
        "cut head": requests.ConnectionError,
        "reset": requests.ConnectionError,
        "cut body": requests.exceptions.ChunkedEncodingError,
        "slow body": requests.ConnectionError,
        "decoding": requests.exceptions.ContentDecodingError,
    }

    def make(self, **options: Any) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        for name, value in options.items():
            if name == "transport":
                session.mount("http://", value)
                session.mount("https://", value)
            elif name == "pool":
                adapter = HTTPAdapter(**value)
                adapter.poolmanager.pool_classes_by_scheme = {"http": _Impatient}  # type: ignore[attr-defined]
                session.mount("http://", adapter)
            else:
                setattr(session, name, value)
        return session

    def single(self) -> dict[str, Any]:
        return {"pool": {"pool_maxsize": 1, "pool_connections": 1, "pool_block": True}}

    def over(self, inner: Any) -> Client:
        return Client(self, self.make(transport=inner))

    def paying(self, buyer: Buyer, inner: Any = None) -> Any:
        return self.shell.PaymentAdapter(buyer, inner)

    def keywords(self, said: dict[str, Any]) -> dict[str, Any]:
        said = {"timeout": 5, **said}  # httpx has one by itself
        said["allow_redirects"] = said.pop("follow", False)  # as httpx has it
        if "content" in said:
            said["data"] = said.pop("content")
        return said

    def pieces(self, response: Any) -> AsyncIterator[bytes]:
        """The body of an async client's answer, as it comes."""
        pieces: AsyncIterator[bytes] = response.aiter_raw()
        return pieces

    def unread(self, native: Any, url: str) -> Any:
        return native.get(url, stream=True)

    def streamed(self, native: Any, method: str, url: str, said: dict[str, Any]) -> Streamed:
        response = native.request(method, url, **said, stream=True)
        chunks = response.raw.stream(65536, decode_content=False)
        if not response.raw.chunked:
            chunks = iter(lambda: response.raw.read1(65536, decode_content=False), b"")

        def following() -> bytes | None:
            with _as_requests_raises():
                return next(chunks, None)

        return Streamed(response, following, response.close)

    def outcome(self, response: Any) -> Outcome | None:
        found: Outcome | None = getattr(response, "x402", None)
        return found


#: Every driver.
DRIVERS: tuple[type[Driver], ...] = (Httpx, AsyncHttpx, TrioHttpx, Httpx2, AsyncHttpx2, Requests)
#: httpx leaves the generators of a body that was not read to its end to the garbage collector, and trio remarks on it.
_TRIO_REMARKS = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")


def params(*drivers: type[Driver]) -> list[Any]:
    """Return these drivers as parameters of a fixture, each under its name: ``async-httpx-trio``."""
    return [pytest.param(one, id=one.name.replace(" ", "-"), marks=_marks(one)) for one in drivers]


def _marks(driver: type[Driver]) -> list[pytest.MarkDecorator]:
    if driver.backend == "trio":
        return [_TRIO_REMARKS, pytest.mark.twin]
    return [pytest.mark.twin] if "httpx2" in driver.name or driver is HttpxOverAiohttp else []


def only(*drivers: type[Driver]) -> pytest.MarkDecorator:
    """Run a test, or those of a class, with these drivers alone."""
    return pytest.mark.parametrize("shell", params(*drivers), indirect=True)


@contextlib.contextmanager
def _as_requests_raises() -> Iterator[None]:
    """``Response.iter_content`` has no way to leave bytes as they came, so its translation is repeated here."""
    try:
        yield
    except urllib3.exceptions.ProtocolError as failure:
        raise requests.exceptions.ChunkedEncodingError(failure) from failure
    except urllib3.exceptions.ReadTimeoutError as failure:
        raise requests.exceptions.ConnectionError(failure) from failure
