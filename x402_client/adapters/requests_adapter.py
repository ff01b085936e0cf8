"""``PaymentAdapter``: a requests adapter that pays for what answers 402."""

from __future__ import annotations

import copy
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.models import REDIRECT_STATI

from ..buyer.answers import Answers
from ..buyer.scopes import mandate_around
from ..core.call import Call
from ..core.delivery import NO_COURIER, Delivery
from ..core.drive import run
from ..core.flow import inspect, pay
from ..core.known_terms import Memory
from ..core.pay_ahead import pay_ahead
from ..errors import ConfigurationError, X402Error
from ..model.holds import Hold
from ..model.hosts import Origin
from ..policy.choice import Mandate
from .exchange import check_buyer
from .quoting import inquiring
from .requests_bodies import Body, text, watch_or_deliver
from .requests_courier import Courier, point_at
from .sockets import requests_leads_here

if TYPE_CHECKING:
    from ..buyer.buyer import Buyer


_MARK = "x402_client.journey"
_UNPAID_METHODS = frozenset({"HEAD", "OPTIONS"})
_PAYMENT_HEADERS = ("payment-signature", "x-payment")
#: Looked at first: the library takes longer to say that a response is no redirect.
_REDIRECTS = frozenset(REDIRECT_STATI)


class _Journey:
    """The hops of one call. Kept in the request's ``hooks``, which a redirect's request shares with the first."""

    __slots__ = ("_first", "_over", "led", "paid", "url")

    def __init__(self, request: requests.PreparedRequest | None = None) -> None:
        self._first = None if request is None else weakref.ref(request)
        self._over = request is None
        self.url = (request and request.url) or ""
        self.paid: Hold | None = None
        self.led: Delivery | None = None

    def leads_to(self, request: requests.PreparedRequest) -> bool:
        """Whether this is a later hop of the call. The first request again, or a copy made later, is a new call."""
        return not self._over and self._first is not None and self._first() is not request

    def end(self, request: requests.PreparedRequest) -> None:
        """The call is over: only a redirect has another hop."""
        self._over = True
        hooks: dict[str, Any] = request.hooks
        if hooks.get(_MARK) is self:
            del hooks[_MARK]

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Journey, ())  # caches pickle requests; a request that comes back from one begins a new call


class PaymentAdapter(BaseAdapter):
    """Pays for what answers 402, over any inner adapter; further keywords go to requests' own ``HTTPAdapter``."""

    _buyer: Buyer
    _inner: BaseAdapter

    def __init__(self, buyer: Buyer, inner: BaseAdapter | None = None, **adapter: Any) -> None:
        super().__init__()
        check_buyer(buyer)
        buyer.check_sync()
        if inner is not None and adapter:
            raise ConfigurationError("PaymentAdapter takes an inner adapter or HTTPAdapter's keywords, not both.")
        if isinstance(inner, PaymentAdapter):
            if inner._buyer is not buyer:
                raise ConfigurationError("This session pays with another buyer already; a session has one buyer.")
            inner = inner._inner
        self._buyer = buyer
        self._inner = HTTPAdapter(**adapter) if inner is None else inner
        self._memory = Memory() if buyer.policy.pay_ahead else None

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        journey = _journey(request)
        try:
            response = self._exchange(request, journey, args, kwargs)
        except BaseException:
            journey.end(request)
            raise
        if response.status_code not in _REDIRECTS or not response.is_redirect:
            journey.end(request)
            if journey.led is not None and 200 <= response.status_code < 300:
                _arrive(response, journey.led)
        return response

    def _exchange(
        self, request: requests.PreparedRequest, journey: _Journey, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> requests.Response:
        mandate = mandate_around(self._buyer)
        body = Body(request, self._buyer.bounds.kept_body)
        if self._memory is not None:
            paid = self._pay_ahead(request, journey, mandate, body, (args, kwargs))
            if paid is not None:
                return paid
        try:
            response = self._inner.send(body.first_leg(), *args, **kwargs)
        except BaseException as failure:
            point_at(failure, request)
            raise
        self._own(response, request)
        if not _asks_to_pay(request, response):
            return response
        call = _call(request, response, journey, mandate, self._memory)
        courier = Courier(self._buyer, self._inner, request, body, call, (args, kwargs))
        first, answers = courier.reply(response), Answers(self._buyer.services, courier)
        try:
            asked = inquiring()
            if asked is not None:
                asked.quote = run(inspect(call, first, self._buyer.rules), answers)
                reply = first
            else:
                reply = run(pay(call, first, self._buyer.rules), answers)
            return self._own(courier.hand_over(reply), request)
        except X402Error as error:
            courier.explain(error, first)
            raise
        except BaseException:
            call.attempt.end()
            courier.let_go()
            raise
        finally:
            journey.paid, journey.led = call.paid, courier.led

    def _pay_ahead(
        self,
        request: requests.PreparedRequest,
        journey: _Journey,
        mandate: Mandate,
        body: Body,
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
    ) -> requests.Response | None:
        assert self._memory is not None
        if not _may_pay_ahead(request, journey, mandate, body, arguments[1]):
            return None
        call = _call(request, None, journey, mandate, self._memory)
        terms = self._memory.recall(call.place)
        if terms is None:
            return None
        courier = Courier(self._buyer, self._inner, request, body, call, arguments)
        try:
            reply = run(pay_ahead(call, terms, self._buyer.rules), Answers(self._buyer.services, courier))
            if reply is None:
                body.again()  # a file was read for its digest
                return None
            return self._own(courier.hand_over(reply), request)
        except X402Error as error:
            courier.explain(error, None)
            raise
        except BaseException:
            call.attempt.end()
            courier.let_go()
            raise
        finally:
            journey.paid, journey.led = call.paid, courier.led

    def close(self) -> None:
        """Close the adapter underneath. The buyer stays open: other sessions may share it."""
        self._inner.close()

    def _own(self, response: requests.Response, request: requests.PreparedRequest) -> requests.Response:
        """The response speaks of the request as the caller made it, and of this adapter: digest auth sends by it."""
        response.request = request
        response.connection = self  # type: ignore[assignment]
        return response

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._inner, name)  # what people look up on an adapter: max_retries, poolmanager, ...

    def __deepcopy__(self, memo: dict[int, Any]) -> PaymentAdapter:
        return type(self)(self._buyer, copy.deepcopy(self._inner, memo))

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("A PaymentAdapter leads to a wallet and is not pickled; build it where it is used.")


def _arrive(response: requests.Response, delivery: Delivery) -> None:
    """What an earlier hop paid for is here."""
    answers = Answers(delivery.buyer.services, NO_COURIER)
    watch_or_deliver(response, delivery, answers)
    if not delivery.over:
        try:
            run(delivery.led_here(), answers)
        except BaseException:
            response.close()
            raise


def _journey(request: requests.PreparedRequest) -> _Journey:
    hooks: dict[str, Any] = request.hooks
    journey = hooks.get(_MARK)
    if journey is None or not journey.leads_to(request):
        journey = hooks[_MARK] = _Journey(request)
    return journey


def _may_pay_ahead(
    request: requests.PreparedRequest, journey: _Journey, mandate: Mandate, body: Body, options: dict[str, Any]
) -> bool:
    plain = not (request.url or "").lower().startswith("https:")
    return (
        request.method not in _UNPAID_METHODS
        and inquiring() is None
        and journey.url == request.url
        and journey.paid is None
        and mandate.per_request is None
        and mandate.quote is None
        and not body.once
        and not any(name in request.headers for name in _PAYMENT_HEADERS)
        # Whether plain http ends on this machine shows only in the answer, where a proxy may be in between.
        and not (plain and options.get("proxies"))
    )


def _call(
    request: requests.PreparedRequest,
    response: requests.Response | None,
    journey: _Journey,
    mandate: Mandate,
    memory: Memory | None,
) -> Call:
    parts = urlsplit(request.url or "")
    method = request.method or "GET"
    origin = _origin(request.url or "")
    if response is not None and origin.scheme != "https" and origin.loopback:
        # Where plain http is paid for being this machine, the connection itself has to show that it is.
        origin = origin if requests_leads_here(response, origin.port) else replace(origin, elsewhere=True)
    identity = (method, str(origin), request.path_url, text(request.headers.get("Range")))
    return Call(
        method=method,
        origin=origin,
        url=f"{origin}{parts.path}",
        identity="\n".join(identity),
        mandate=mandate,
        came_from=None if journey.url == request.url else _origin(journey.url),
        paid=journey.paid,
        memory=memory,
    )


def _origin(url: str) -> Origin:
    parts = urlsplit(url)
    return Origin.of(parts.scheme, parts.hostname or "", parts.port)


def shown_url(url: str) -> str:
    return f"{_origin(url)}{urlsplit(url).path}"


def _asks_to_pay(request: requests.PreparedRequest, response: requests.Response) -> bool:
    """Whether this answer is one for the flow. A question about terms is one whatever the method."""
    asked = inquiring()
    if asked is not None:
        asked.reached = True
    if response.status_code != 402:
        return False
    return asked is not None or (
        request.method not in _UNPAID_METHODS and not any(name in request.headers for name in _PAYMENT_HEADERS)
    )
