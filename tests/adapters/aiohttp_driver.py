"""aiohttp behind the one interface: answers by the names that the checks know, and read to their end as httpx does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, ClassVar

import aiohttp

import x402_client.aiohttp
from x402_client.errors import X402Error
from x402_client.model.holds import Outcome
from x402_client.receipts import outcome

from .drivers import Client, Driver, Streamed, _OnALoop

#: aiohttp takes header lines of 8,190 bytes unless it is told otherwise; some sellers' terms are longer.
LONG_LINES = 1 << 20
_NO_TRANSPORTS = "aiohttp has no transports that a user could write or put into one another"
_NO_REQUESTS = "aiohttp has no request objects that a caller could keep, copy or send"


class AiohttpAnswer:
    """An aiohttp response by the names that the checks know. ``content`` is None where it was not read."""

    def __init__(self, native: aiohttp.ClientResponse, content: bytes | None = None) -> None:
        self.native, self.content = native, content
        self.status_code, self.headers, self.request = native.status, native.headers, native.request_info
        # aiohttp puts a redirect without a Location into its own history.
        self.history = [AiohttpAnswer(past) for past in native.history if past is not native]

    @property
    def x402(self) -> Outcome | None:
        return getattr(self.native, "x402", None)

    def json(self) -> Any:
        return json.loads(self.content or b"")

    def raise_for_status(self) -> None:
        self.native.raise_for_status()

    async def aclose(self) -> None:
        self.native.close()


class AiohttpClient(Client):
    """A session whose answers are read to their end."""

    async def arequest(self, method: str, url: str, **said: Any) -> AiohttpAnswer:
        return await whole(self.native, method, url, **self.keywords(said))

    def request(self, method: str, url: str, **said: Any) -> AiohttpAnswer:
        answer: AiohttpAnswer = self.driver.call(self.arequest, method, url, **said)
        return answer

    def stream(self, method: str, url: str, **said: Any) -> Streamed:
        return self.driver.streamed(self.native, method, url, self.keywords(said))

    def astream(self, method: str, url: str) -> Any:
        return self.native.request(method, url)

    def keywords(self, said: dict[str, Any]) -> dict[str, Any]:
        said = self.driver.keywords(said)
        if isinstance(said.get("auth"), aiohttp.DigestAuthMiddleware):
            said["middlewares"] = (said.pop("auth"), *self.native._middlewares)
        return said

    def cookies(self) -> dict[str, str]:
        return {morsel.key: morsel.value for morsel in self.native.cookie_jar}

    def set_cookie(self, name: str, value: str) -> None:
        self.native.cookie_jar.update_cookies({name: value})

    def close(self) -> None:
        self.driver.call(self.native.close)


async def whole(session: aiohttp.ClientSession, method: str, url: str, **said: Any) -> AiohttpAnswer:
    """Make one call, and read its answer to the end; also that which an error speaks of."""
    try:
        response = await session.request(method, url, **said)
        return AiohttpAnswer(response, await response.read())
    except X402Error as failure:
        if isinstance(failure.response, aiohttp.ClientResponse):
            with suppress(TimeoutError):  # aiohttp lets nothing be read once the call's ``total`` is up
                failure.response = await _readable(failure.response)
        raise


async def _readable(response: aiohttp.ClientResponse) -> AiohttpAnswer:
    try:
        return AiohttpAnswer(response, await response.read())
    except aiohttp.ClientError:  # too large to be kept, or its encoding is none
        return AiohttpAnswer(response)


class Chunks:
    """The content of an answer in the chunks that it was sent in."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    def __aiter__(self) -> Chunks:
        return self

    async def __anext__(self) -> bytes:
        while True:
            data, ended = await self._content.readchunk()
            if data:
                return data
            if not ended:
                raise StopAsyncIteration


class Library:
    """Names of aiohttp's by which checks look for them."""

    DigestAuth = aiohttp.DigestAuthMiddleware


class Aiohttp(_OnALoop):
    name, shell, library = "aiohttp", x402_client.aiohttp, Library
    client_class = AiohttpClient
    refuses = frozenset({"reader"})
    errors: ClassVar = {
        "connect": aiohttp.ClientConnectorError,
        "slow": aiohttp.SocketTimeoutError,
        "cut head": (aiohttp.ServerDisconnectedError, aiohttp.ClientResponseError),
        "reset": aiohttp.ClientOSError,
        "cut body": aiohttp.ClientPayloadError,
        "slow body": aiohttp.SocketTimeoutError,
        "decoding": aiohttp.ClientPayloadError,
    }
    cannot: ClassVar = {
        "test_a_transport_in_a_transport_pays_once": _NO_TRANSPORTS,
        "test_the_paid_leg_waits_for_settlement": _NO_TRANSPORTS,
        "test_in_memory_answers_are_paid_and_delivered_at_once": _NO_TRANSPORTS,
        "test_a_402_over_a_transport_that_forgets_time_outs_ends_in_time": _NO_TRANSPORTS,
        "test_a_402_whose_stream_has_a_time_limit_of_its_own": _NO_TRANSPORTS,
        "test_what_an_inner_transport_did_not_read_is_sent_with_the_payment": _NO_TRANSPORTS,
        "test_followed_by_hand": _NO_REQUESTS,
        "test_a_request_object_sent_twice_is_two_calls": _NO_REQUESTS,
        "test_a_copy_of_a_paid_request_is_a_call_of_its_own": _NO_REQUESTS,
        "test_pickled_and_copied_as_ever": "aiohttp's responses are not pickled and not copied",
        "test_bytes_as_header_values": "aiohttp takes text as header values, and no bytes",
        "test_http2": "aiohttp speaks HTTP/1.1",
    }

    def make(self, **options: Any) -> aiohttp.ClientSession:
        async def made() -> aiohttp.ClientSession:
            ssl = options.pop("verify", True)
            connector = aiohttp.TCPConnector(limit=1 if options.pop("single", False) else 100, ssl=ssl)
            hooks = options.pop("event_hooks", None)
            if hooks is not None:
                options["trace_configs"] = [_traces(hooks)]
            # The jar of an address without a name keeps nothing unless it is told to.
            jar = aiohttp.CookieJar(unsafe=True)
            return aiohttp.ClientSession(
                connector=connector, cookie_jar=jar, timeout=_timeout(5), max_field_size=LONG_LINES, **options
            )

        session: aiohttp.ClientSession = self.call(made)
        return session

    def single(self) -> dict[str, Any]:
        return {"single": True}

    def keywords(self, said: dict[str, Any]) -> dict[str, Any]:
        said = dict(said)
        said["allow_redirects"] = said.pop("follow", said.get("allow_redirects", False))  # as httpx has it
        if "timeout" in said and not isinstance(said["timeout"], aiohttp.ClientTimeout):
            said["timeout"] = _timeout(said["timeout"])
        if "content" in said:
            said["data"] = said.pop("content")
        if "files" in said:
            said["data"] = _form(said.pop("files"), said.get("data", {}))
        if isinstance(said.get("auth"), tuple):
            # ``auth=BasicAuth`` is deprecated.
            line = aiohttp.encode_basic_auth(*said.pop("auth"))
            said["headers"] = {**said.get("headers", {}), "Authorization": line}
        return said

    def pieces(self, response: Any) -> AsyncIterator[bytes]:
        return Chunks(response.content)

    def unread(self, native: Any, url: str) -> Any:
        return AiohttpAnswer(self.call(native.get, url))

    def streamed(self, native: Any, method: str, url: str, said: dict[str, Any]) -> Streamed:
        context = self.portal.wrap_async_context_manager(native.request(method, url, auto_decompress=False, **said))
        response = context.__enter__()

        chunks = Chunks(response.content)

        async def following() -> bytes | None:
            return await anext(chunks, None)

        return Streamed(AiohttpAnswer(response), lambda: self.portal.call(following), self._closing(context))

    def outcome(self, response: Any) -> Outcome | None:
        return outcome(response)


def _timeout(read: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=2, sock_read=read)


def _form(files: dict[str, Any], fields: dict[str, str]) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for name, value in fields.items():
        form.add_field(name, value)
    for name, given in files.items():
        filename, file, *kind = given if isinstance(given, tuple) else (None, given)
        form.add_field(name, file, filename=filename, content_type=kind[0] if kind else None)
    return form


def _traces(hooks: dict[str, Any]) -> aiohttp.TraceConfig:
    """Hooks as httpx has them."""
    config = aiohttp.TraceConfig()

    async def starts(session: Any, context: Any, said: aiohttp.TraceRequestStartParams) -> None:
        for hook in hooks.get("request", ()):
            await hook(said)

    async def ends(session: Any, context: Any, said: aiohttp.TraceRequestEndParams) -> None:
        for hook in hooks.get("response", ()):
            await hook(AiohttpAnswer(said.response))

    config.on_request_start.append(starts)
    config.on_request_end.append(ends)
    return config


__all__ = ["Aiohttp", "Driver"]
