"""``Paying``: a client middleware for aiohttp that pays for what answers 402."""

from __future__ import annotations

import asyncio
import functools
import io
import re
import weakref
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import BaseConnector, ClientRequest, ClientResponse, ClientSession, MultipartWriter
from aiohttp.payload import AsyncIterablePayload, BytesIOPayload
from aiohttp.streams import StreamReader
from aiohttp.tracing import Trace, TraceConfig
from yarl import URL

from ..buyer.scopes import mandate_around
from ..core.delivery import Delivery, tell_of_the_money
from ..errors import ConfigurationError, X402Error
from ..guards.tracebacks import shorten
from ..model.holds import Outcome
from ..policy.choice import Mandate
from ..receipts import outcome as find_outcome
from .aiohttp_bodies import Body
from .aiohttp_content import paid_class
from .aiohttp_courier import OWN_ERRORS, AsyncCourier, Handler, Leg, facts, watch_or_deliver
from .exchange import Exchange
from .hops import REDIRECTS, Hops
from .open_answers import OpenAnswers

if TYPE_CHECKING:
    from ..buyer.payers import Payer

#: The first aiohttp that unpacks a 402 piece by piece, and closes a connection whose Expect was refused.
_OLDEST, _NEXT = (3, 14, 4), (4,)


@dataclass(frozen=True, slots=True)
class _Stranded:
    """A question to the connector of a call: is it closed? Then its connections are, and no further one is opened.

    Two of one connector are equal. So a ledger asks once for all of its calls.
    """

    loop: asyncio.AbstractEventLoop
    connector: weakref.ref[BaseConnector]

    @classmethod
    def of(cls, session: ClientSession) -> _Stranded | None:
        """Return the question to a session's connector. Sessions may share one, and it is closed with its owner."""
        connector = session.connector
        return None if connector is None else cls(asyncio.get_running_loop(), weakref.ref(connector))

    def __call__(self) -> bool:
        connector = self.connector()
        return connector is None or connector.closed or self.loop.is_closed()


class _Call(Hops):
    """The hops of one call of the application.

    aiohttp gives one list, ``_traces``, to every request of a call: to each hop, and to its own repetition after a lost
    connection. So the call is found by the id of that list. The call keeps the list alive, or the id could be given to
    another one. Only answers that redirect keep the call alive, and aiohttp keeps these in its history.
    """

    __slots__ = ("__weakref__", "_traces")

    @classmethod
    def of_request(cls, request: ClientRequest) -> _Call:
        """Return the call that a redirect led to this request, or a new one."""
        return _led_on.get(id(request._traces)) or cls()

    def keep(self, request: ClientRequest, response: ClientResponse) -> None:
        """Remember the call for the next hop."""
        self._traces = request._traces
        paid = self.outcome
        if paid is not None and getattr(response, "x402", None) is not None:  # this hop paid
            request._traces.append(_told_of(paid, request.session))
        _led_on[id(self._traces)] = self
        response._x402_call = self  # type: ignore[attr-defined]


_led_on: weakref.WeakValueDictionary[int, _Call] = weakref.WeakValueDictionary()


def _told_of(outcome: Outcome, session: ClientSession) -> Trace:
    """Return a trace that puts a paid redirect's outcome on the call's failure.

    aiohttp raises for a Location that leads nowhere after the middlewares are over. Traces see that.
    """

    async def failed(_session: Any, _context: Any, end: Any) -> None:
        if not isinstance(end.exception, X402Error) and find_outcome(end.exception) is None:
            tell_of_the_money(end.exception, outcome)

    config = TraceConfig()
    config.on_request_exception.append(failed)
    config.freeze()
    return Trace(session, config, SimpleNamespace())


class Paying:
    """A middleware that sends, and pays if the seller asks. aiohttp runs it for each hop of a call.

    aiohttp repeats an idempotent request once after a lost connection, and runs this again. After a payment an
    ``X402Error`` is raised, which aiohttp neither repeats nor wraps.
    """

    def __init__(self, buyer: Payer) -> None:
        self._exchange = Exchange(buyer, is_async=True, own_errors=OWN_ERRORS)
        self._buyer = self._exchange.buyer
        #: Those of its session's connector, kept as long as the session.
        self.open_answers: OpenAnswers | None = None

    async def __call__(self, request: ClientRequest, handler: Handler) -> ClientResponse:
        call, body = _Call.of_request(request), Body(request, self._buyer.bounds.kept_body)
        try:
            response = await self._answer(request, handler, call, body)
            if response.status in REDIRECTS and call.asks_for_digest:
                await self._redirected(request, handler, call, body, response)
        except Exception as failure:
            call.failed(failure)
            shorten(failure)
            raise
        finally:
            request._body = body.inner  # for later hops, and for aiohttp's own repetition
            body.release()
        if response.status in REDIRECTS:
            call.keep(request, response)
            return response
        delivery = call.take_delivery()
        if delivery is not None and 200 <= response.status < 300:
            await _arrive(response, delivery, request.session)
        return response

    async def _answer(self, request: ClientRequest, handler: Handler, call: _Call, body: Body) -> ClientResponse:
        exchange, mandate = self._exchange, mandate_around(self._buyer)
        # A connection through a proxy adds a Host line to them, and pooled connections are found by their hash.
        proxy_headers = request.proxy_headers and request.proxy_headers.copy()
        ahead = self._ahead(request, call, mandate, body)
        if ahead is not None:
            paid = await exchange.arun(ahead, AsyncCourier(self._buyer, request, handler, body, proxy_headers))
            if paid is not None:
                return paid  # type: ignore[no-any-return]
        leg = Leg(request)
        response = await _first_leg(request, handler, call, body, leg)
        if not exchange.asks_to_pay(response.status, request.method, request.headers):
            return response
        call.is_stranded = _Stranded.of(request.session)
        courier = AsyncCourier(self._buyer, request, handler, body, proxy_headers, leg)
        flow = exchange.pay(courier.request, call, mandate, courier.reply(response))
        return await exchange.arun(flow, courier)  # type: ignore[no-any-return]

    async def _redirected(
        self, request: ClientRequest, handler: Handler, call: _Call, body: Body, response: ClientResponse
    ) -> None:
        """Note the first request of a call that is led on."""
        courier = AsyncCourier(self._buyer, request, handler, body, None)
        courier.reply(response)
        try:
            await self._exchange.aredirected(call, courier, response.status, unread=body.unread, once=body.once)
        except BaseException:
            response.close()
            raise

    def _ahead(self, request: ClientRequest, call: _Call, mandate: Mandate, body: Body) -> Any:
        """Return the flow that pays in the first request, if this call may."""
        if self._exchange.memory is None or body.once:
            return None
        if request.proxy is not None and request.url.scheme != "https":
            return None  # behind a proxy, only the answer shows whether plain http ends on this machine
        call.is_stranded = _Stranded.of(request.session)
        return self._exchange.pay_ahead(facts(request), call, mandate)


async def _first_leg(request: ClientRequest, handler: Handler, call: _Call, body: Body, leg: Leg) -> ClientResponse:
    """Send the caller's own request."""
    request._body = body.first()
    if call.redirect_delivery is not None:
        request.response_class = paid_class(request.response_class)
    try:
        return await handler(request)
    except Exception:  # aiohttp may send it again at once, with the same file
        await request.close()
        await body.stop()
        raise
    finally:
        leg.over()


async def _arrive(response: ClientResponse, delivery: Delivery, session: ClientSession) -> None:
    """Watch the content that an earlier hop paid for."""
    try:
        watch_or_deliver(response, delivery, session)
        if not delivery.over:
            await delivery.aarrived()
    except BaseException:
        response.close()
        raise


def put_in(session: ClientSession, buyer: Payer) -> None:
    """Make a session pay. It is the innermost middleware, so that the others never see a payment."""
    paying = Paying(buyer)
    check_understood(session)
    for one in session._middlewares:
        if isinstance(one, Paying):
            paying._exchange.pays_too(one._exchange.payers, "session")
    others = (one for one in session._middlewares if not isinstance(one, Paying))
    session._middlewares = (*others, paying)
    _hear_of_closing(session, paying)


def _hear_of_closing(session: ClientSession, paying: Paying) -> None:
    """Let the payments go of the answers that end with a session, as it is closed.

    A ledger asks a connector that was closed in another way by itself, and then other programs hear of it later.
    """
    connector, found = session.connector, weakref.ref(session)
    if connector is None:
        return
    paying.open_answers = answers = OpenAnswers.of(connector)

    @functools.wraps(ClientSession.close)
    async def close() -> None:
        closing = found()
        try:
            if closing is not None:
                await type(closing).close(closing)
        finally:
            if connector.closed:
                answers.closed()

    vars(session)["close"] = close  # aiohttp remarks on a name that is set


def check_understood(session: ClientSession) -> None:
    """Refuse an aiohttp that lacks the private names that we rely on."""
    version = tuple(int(number) for number in re.findall(r"\d+", aiohttp.__version__)[:3])
    missing = [] if not _OLDEST <= version < _NEXT else _missing(session)
    if missing or not _OLDEST <= version < _NEXT:
        lacks = f" It has no {', '.join(missing)}." if missing else ""
        raise ConfigurationError(
            f"This is aiohttp {aiohttp.__version__}, and x402_client works with aiohttp>=3.14.4,<4.{lacks}"
        )


def _missing(session: ClientSession) -> list[str]:
    request = ClientRequest("GET", URL("http://localhost/"), loop=session._loop, session=session)
    relied_on: tuple[tuple[Any, str], ...] = (
        (session, "_middlewares"),
        (request, "_body _traces _timer _continue _ClientRequest__writer proxy_headers response_class terminate send"),
        (ClientResponse, "_raw_cookie_headers _response_eof _notify_content"),
        (ClientResponse, "_connection _closed _writer _headers _raw_headers"),
        (StreamReader, "_buffer _buffer_offset _size _cursor _eof_counter _eof_callbacks _exception"),
        (StreamReader, "total_compressed_bytes"),
        (MultipartWriter(), "_parts"),
        (BytesIOPayload(io.BytesIO()), "_value write_with_length"),
        (AsyncIterablePayload, "_cached_chunks"),
    )
    return [
        f"{getattr(owner, '__name__', type(owner).__name__)}.{name}"
        for owner, names in relied_on
        for name in names.split()
        if not hasattr(owner, name)
    ]
