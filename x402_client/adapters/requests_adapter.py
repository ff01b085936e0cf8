"""``PaymentAdapter``: a requests adapter that pays when a server answers 402."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import requests
from requests.adapters import BaseAdapter, HTTPAdapter

from ..buyer.scopes import mandate_around
from ..core.delivery import Delivery
from ..errors import ConfigurationError
from ..guards.tracebacks import shorten
from ..policy.choice import Mandate
from .exchange import Exchange
from .hops import REDIRECTS, Hops
from .official_sdk import refuse_official
from .requests_bodies import Body, watch_or_deliver
from .requests_courier import OWN_ERRORS, Courier, facts, name_request
from .unseen_hops import UnseenHops, requests_follows

if TYPE_CHECKING:
    from ..buyer.buyer import Buyer
    from ..buyer.payers import Payer

#: The arguments that a session passes to ``send`` beside the request.
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class PaymentAdapter(BaseAdapter):
    """An adapter that pays when a server answers 402, over any inner adapter.

    Args:
        buyer: The buyer that pays, or an allowance of one.
        inner: Any adapter of requests, which does the sending. Default: requests' own ``HTTPAdapter``.
        adapter: Keywords of ``HTTPAdapter``, where no ``inner`` is given.
    """

    _buyer: Buyer
    _inner: BaseAdapter

    def __init__(self, buyer: Payer, inner: BaseAdapter | None = None, **adapter: Any) -> None:
        super().__init__()
        self._exchange = Exchange(buyer, own_errors=OWN_ERRORS)
        self._buyer = self._exchange.buyer
        self._unseen_hops = UnseenHops(self._buyer, requests_follows)
        if inner is not None and adapter:
            raise ConfigurationError("PaymentAdapter takes an inner adapter or HTTPAdapter's keywords, not both.")
        if isinstance(inner, PaymentAdapter):
            self._exchange.pays_too(inner._exchange.payers, "session")
            inner = inner._inner
        refuse_official(inner)
        self._inner = HTTPAdapter(**adapter) if inner is None else inner

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request, and pay where it is asked for.

        Args:
            request: The prepared request.
            args: The arguments of ``requests.adapters.BaseAdapter.send``.
            kwargs: Keywords of ``BaseAdapter.send``.
        """
        marks: dict[str, Any] = request.hooks  # a redirect's request shares it with the first
        hops = Hops.of(marks, request)
        arguments: Arguments = (args, kwargs)
        try:
            body = Body(request, self._buyer.bounds.kept_body)
            response = self._paid(request, hops, body, arguments)
        except BaseException as failure:
            hops.failed(failure)
            shorten(failure)
            hops.end(marks)
            raise
        if response.status_code not in REDIRECTS or not response.is_redirect:
            hops.end(marks)
            delivery = hops.take_delivery()
            if delivery is not None and 200 <= response.status_code < 300:
                _arrive(response, delivery)
        elif hops.asks_for_digest:
            try:
                courier = Courier(self._buyer, self._inner, request, body, arguments)
                self._exchange.redirected(hops, courier, response.status_code, unread=body.unread)
            except BaseException:
                response.close()
                raise
        return response

    def _paid(
        self, request: requests.PreparedRequest, hops: Hops, body: Body, arguments: Arguments
    ) -> requests.Response:
        exchange, mandate = self._exchange, mandate_around(self._buyer)
        ahead = self._ahead(request, hops, mandate, body, arguments)
        if ahead is not None:
            paid = exchange.run(ahead, Courier(self._buyer, self._inner, request, body, arguments))
            if paid is not None:
                return self._own(paid, request)
            body.again()  # a file was read for its digest
        try:
            response = self._inner.send(body.first_leg(), *arguments[0], **arguments[1])
        except BaseException as failure:
            name_request(failure, request)
            raise
        self._own(response, request)
        if not exchange.asks_to_pay(response.status_code, request.method or "GET", request.headers):
            return response
        courier = Courier(self._buyer, self._inner, request, body, arguments)
        if hops.first is None and hops.paid is None:
            self._unseen_hops.look(courier.request)
        flow = exchange.pay(courier.request, hops, mandate, courier.reply(response))
        return self._own(exchange.run(flow, courier), request)

    def _ahead(
        self, request: requests.PreparedRequest, hops: Hops, mandate: Mandate, body: Body, arguments: Arguments
    ) -> Any:
        """Return the flow that pays in the first request, if this call may."""
        if self._exchange.memory is None or body.once:
            return None
        if _proxies(*arguments) and not (request.url or "").lower().startswith("https:"):
            return None  # behind a proxy, only the answer shows whether plain http ends on this machine
        return self._exchange.pay_ahead(facts(request), hops, mandate)

    def close(self) -> None:
        """Close the adapter underneath. The buyer stays open: other sessions may share it."""
        self._inner.close()

    def _own(self, response: requests.Response, request: requests.PreparedRequest) -> requests.Response:
        """Make the response name the caller's own request and this adapter.

        Digest auth sends by the adapter that is named there.
        """
        response.request = request
        response.connection = self  # type: ignore[assignment]
        return response

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._inner, name)  # users look up attributes of an adapter: max_retries, poolmanager, ...

    def __deepcopy__(self, memo: dict[int, Any]) -> PaymentAdapter:
        return under(self._exchange.payers, copy.deepcopy(self._inner, memo))

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("A PaymentAdapter leads to a wallet and is not pickled; build it where it is used.")


class PayingAdapters(OrderedDict[str, BaseAdapter]):
    """The adapters of a session that pays. An adapter that is mounted later pays as well."""

    _payers: tuple[Payer, ...]

    def __init__(self, payers: tuple[Payer, ...], adapters: Mapping[str, BaseAdapter]) -> None:
        super().__init__()
        before = adapters._payers if isinstance(adapters, PayingAdapters) else ()
        self._payers = tuple(dict.fromkeys((*before, *payers)))
        self.update(adapters)

    def __setitem__(self, prefix: str, adapter: BaseAdapter) -> None:
        paying = isinstance(adapter, PaymentAdapter) and adapter._exchange.payers == self._payers
        super().__setitem__(prefix, adapter if paying else under(self._payers, adapter))

    def copy(self) -> PayingAdapters:
        return PayingAdapters(self._payers, self)

    __copy__ = copy

    def __or__(self, other: Mapping[str, BaseAdapter]) -> PayingAdapters:  # type: ignore[override]
        both = self.copy()
        both.update(other)
        return both

    def __deepcopy__(self, memo: dict[int, Any]) -> PayingAdapters:
        return PayingAdapters(self._payers, {prefix: copy.deepcopy(one, memo) for prefix, one in self.items()})

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "This requests.Session pays, so it leads to a wallet and is not pickled; pickle a session before wrap, or "
            "wrap one where it is used."
        )


def under(payers: tuple[Payer, ...], inner: BaseAdapter) -> PaymentAdapter:
    """Return an adapter that pays as all of these payers allow."""
    *before, last = payers
    made = PaymentAdapter(last, inner)
    made._exchange.pays_too(before, "session")
    return made


def _proxies(args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Return the proxies that ``send(request, stream, timeout, verify, cert, proxies)`` was given."""
    return args[4] if len(args) > 4 else options.get("proxies")


def _arrive(response: requests.Response, delivery: Delivery) -> None:
    """Watch the content that an earlier hop paid for."""
    watch_or_deliver(response, delivery)
    if not delivery.over:
        try:
            delivery.arrived()
        except BaseException:
            response.close()
            raise
