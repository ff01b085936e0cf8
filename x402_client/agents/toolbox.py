"""``tools(client, buyer)``: plain functions for a model, which pay within a policy and never raise."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from ..adapters.quoting import finished_quote, quote_request
from ..buyer.keyless import KeylessWallet
from ..buyer.payers import root_of
from ..discovery import FACILITATORS
from ..errors import ConfigurationError, HostNotAllowed
from ..model.keyword_hints import hints
from ..model.money import currency_code
from ..model.offers import Quote, words
from ..policy.policy import admit
from ..receipts import outcome
from . import arguments, budgets, earlier, results
from .asking import AiohttpAsker, Ask, AsyncAsk, AsyncHttpxAsker, HttpxAsker, Request, RequestsAsker, telling
from .clients import check_carries_no_secrets, face_of, known, leaves_names
from .hosts import AllowedHosts, NotFetched, origin_of, place_of
from .results import Result
from .search_results import SearchResult
from .stopped import astopped, stopped

if TYPE_CHECKING:
    import aiohttp
    import httpx
    import httpx2
    import requests

    from ..buyer.buyer import Buyer
    from ..buyer.payers import Payer

_MOST_BODY = 50_000
_PAID_FETCH = """Fetch a URL, and pay for it if the server asks for money and the limits allow it.

    The user's limits hold in any case. After a failure, obey "next" in the result: "repeat" means to make the very same
    call again, which never pays twice, and not before the time that "says" may name; "stop" means that the same call
    will not do; "ask a person" means that only a person can help.

    Args:
        url: The whole URL, beginning with https://.
        method: GET, POST, PUT, PATCH, DELETE or HEAD.
        body: The text to send, for POST, PUT and PATCH. JSON is sent as JSON.
        max_usd: The most that this call may cost, in US dollars, like "0.05". It can only lower the user's limit.

    Returns:
        What came: ok, status, body, paid, left and transaction; or ok false with error, money, says and next.
    """
_QUOTE = """Ask what a URL costs, without paying.

    Args:
        url: The whole URL, beginning with https://.
        method: GET, POST, PUT, PATCH, DELETE or HEAD.
        body: The text that would be sent, for POST, PUT and PATCH.

    Returns:
        The price as would_pay, or null where it is free or would not be paid, with the reasons. Where a person is asked
        first, would_ask_for_approval is true. An earlier payment that is open is unresolved_payment.
    """
_BUDGET = """Say what was spent, what is left, what one payment may cost, and what is stopped.

    Returns:
        The amounts by window of time: left and spent; per_payment, for hosts without a limit of their own;
        unresolved_payments and payments_in_flight, how many there are. Where there are any: allowance, if it is not
        open any more; asks_above, the price above which a person is asked first; payments_left, their numbers;
        frozen and paused_until, the hosts that get none now; unresolved, the payments that brought nothing yet;
        unresolved_outside, how many others did not.
        To your user name such a payment by its "payment". It is repeated in_seconds, where it has that, not before.
    """
_SEARCH = """Search what is sold for x402: paid endpoints, with prices as listed. It pays nothing.

    Names and descriptions are the words of strangers. The real price is what quote or paid_fetch finds.

    Args:
        query: Words to look for, like "weather forecast".
        max_usd: The most that one call may cost, in US dollars, like "0.05".

    Returns:
        The sellers found, each with url, method, price, would_be_paid, why_not, and the arguments that it takes.
    """


class Tools(NamedTuple):
    """The tools of a sync client: plain functions with docstrings that a model reads. They never raise.

    A tuple of functions, so ``[*tools(client, buyer)]`` is a list of tools for most frameworks.

    Attributes:
        paid_fetch: Fetches a URL, and pays if the limits allow it.
        quote: Says what a URL costs.
        budget: Says what is spent and left.
        search: Finds sellers.
    """

    paid_fetch: Callable[..., Result]
    quote: Callable[..., Result]
    budget: Callable[..., Result]
    search: Callable[..., Result]


class AsyncTools(NamedTuple):
    """Async twin of ``Tools``: the functions are awaited.

    Attributes:
        paid_fetch: Fetches a URL, and pays if the limits allow it.
        quote: Says what a URL costs.
        budget: Says what is spent and left.
        search: Finds sellers.
    """

    paid_fetch: Callable[..., Awaitable[Result]]
    quote: Callable[..., Awaitable[Result]]
    budget: Callable[..., Awaitable[Result]]
    search: Callable[..., Awaitable[Result]]


@overload
def tools(
    client: httpx.Client | httpx2.Client | requests.Session,
    buyer: Payer,
    *,
    hosts: Iterable[str] | None = None,
    facilitator: str | Iterable[str] = FACILITATORS,
    max_body: int = _MOST_BODY,
    currency: str = "USD",
) -> Tools: ...
@overload
def tools(
    client: httpx.AsyncClient | httpx2.AsyncClient | aiohttp.ClientSession,
    buyer: Payer,
    *,
    hosts: Iterable[str] | None = None,
    facilitator: str | Iterable[str] = FACILITATORS,
    max_body: int = _MOST_BODY,
    currency: str = "USD",
) -> AsyncTools: ...
@hints
def tools(
    client: Any,
    buyer: Payer,
    *,
    hosts: Iterable[str] | None = None,
    facilitator: str | Iterable[str] = FACILITATORS,
    max_body: int = _MOST_BODY,
    currency: str = "USD",
) -> Tools | AsyncTools:
    """Return tools for a model: ``paid_fetch``, ``quote``, ``budget`` and ``search``. They never raise.

    The client is wrapped in place. What a model passes can narrow a limit and never widen one: it has no say about
    headers, wallets, approval or the policy. Give the tools a client of their own.

    Args:
        client: A client of httpx, httpx2, requests or aiohttp. For an async one the tools are async.
        buyer: The buyer that pays, or an allowance of it.
        hosts: The only hosts that may be asked, as in ``["api.example.com", "*.example.dev"]``. Default: all with a
            public address, so not this machine and not the network around it.
        facilitator: Whose lists ``search`` reads. Default: those of ``x402_client.discovery.FACILITATORS``.
        max_body: The most bytes of an answer that a model is given. Default: 50,000.
        currency: The currency that ``budget`` speaks of. Default: US dollars.
    """
    allowed = AllowedHosts(hosts, unknown=leaves_names(client))
    shop = Shop(client, buyer, allowed, facilitator, max_body, currency)
    return _async_tools(shop) if shop.is_async else _sync_tools(shop)


class Shop:
    """The parts that the tools of one client share.

    Args:
        client: The client.
        buyer: The buyer that pays.
        hosts: The hosts that may be asked.
        facilitator: Whose lists are searched.
        max_body: The most bytes of an answer.
        currency: The currency of budgets.
    """

    is_async: bool
    #: The payer that was given, and the buyer behind it.
    buyer: Payer
    root: Buyer
    hosts: AllowedHosts
    max_body: int
    facilitator: str | tuple[str, ...]

    def __init__(
        self,
        client: Any,
        buyer: Payer,
        hosts: AllowedHosts,
        facilitator: str | Iterable[str] = FACILITATORS,
        max_body: int = _MOST_BODY,
        currency: str = "USD",
    ) -> None:
        library, is_async = known(client)
        self.is_async: bool = is_async
        self.root: Buyer = root_of(buyer)
        if hosts.patterns is None:
            check_carries_no_secrets(client)
        if type(max_body) is not int or max_body < 1:
            raise ConfigurationError(f"max_body is a whole number above zero, not {max_body!r}.")
        if not isinstance(facilitator, Iterable):
            raise ConfigurationError(f"facilitator is a URL or a list of them, not {facilitator!r}.")
        face_of(library).wrap(client, buyer)
        self.buyer: Payer = buyer
        self.hosts: AllowedHosts = hosts
        self.max_body: int = max_body
        self.facilitator: str | tuple[str, ...] = facilitator if isinstance(facilitator, str) else tuple(facilitator)
        self.currency: str = currency_code(currency)
        sync: Any = RequestsAsker if library == "requests" else HttpxAsker
        asynchronous: Any = AiohttpAsker if library == "aiohttp" else AsyncHttpxAsker
        left = partial(budgets.aleft_after if is_async else budgets.left_after, buyer)
        asker: Any = (asynchronous if is_async else sync)(client, hosts, left)
        self.ask: Ask = asker.ask
        self.aask: AsyncAsk = asker.ask
        self.as_sent: earlier.AsSent = asker.as_sent
        self.find(None, None)  # refuses a facilitator that cannot be asked now, not in the middle of a run

    def request(self, url: Any, method: Any, body: Any) -> Request:
        """Return a model's request, checked."""
        origin_of(url)
        content, content_type = arguments.body(body)
        return Request(arguments.method(method), url.strip(), content, content_type)

    def find(self, query: Any, max_usd: Any, *, asynchronous: bool = False) -> Any:
        """Return the listings of a search, sync or async."""
        from ..discovery import adiscover, discover

        look: Any = adiscover if asynchronous else discover
        return look(
            words(query, 400) if query else None, facilitator=self.facilitator, max_price=arguments.most(max_usd),
            buyer=self.buyer, kind="http", pages=3,
            hosts=None if self.hosts.patterns is None else [str(one) for one in self.hosts.patterns],
        )  # fmt: skip

    @property
    def sending(self) -> object:
        """Return what stays the same object for as long as no payment of the buyer's leaves."""
        return self.root.services.sending

    def told(self, quote: Quote, url: str) -> Result:
        """Return a quote as a model reads it."""
        return results.quoted(quote, self.refusal(url), isinstance(self.root.wallet, KeylessWallet))

    def refusal(self, url: str) -> str:
        """Return why the policy pays nothing at a URL's host, or ""."""
        try:
            admit(self.root.policy, origin_of(url))
        except HostNotAllowed as refused:
            return str(refused.args[0])
        return ""


def _sync_tools(shop: Shop) -> Tools:
    def paid_fetch(
        url: str, method: str = "GET", body: str | None = None, max_usd: str | None = None
    ) -> dict[str, Any]:
        request = cap = answer = known = None
        sending = shop.sending
        try:
            request, cap = shop.request(url, method, body), arguments.most(max_usd)
            with budgets.narrowed(shop.buyer, cap):
                answer = shop.ask(request, shop.max_body)
            found = results.answered(answer, place_of(answer.url))
        except Exception as failure:
            known = outcome(failure) or (None if answer is None else answer.outcome)
            found = results.failed(failure, cap, known, shop.sending is sending)
        with telling(known):
            return earlier.told(shop.root, shop.as_sent, request, found, broken=known)

    def quote(url: str, method: str = "GET", body: str | None = None) -> dict[str, Any]:
        request = None
        try:
            request = shop.request(url, method, body)
            with quote_request() as pending:
                answer = shop.ask(request, 0)
            quoted = finished_quote(pending, answer.url, answer.status)
            found = shop.told(quoted, answer.url)
        except Exception as failure:
            found = results.failed(failure, unsent=True)
        return earlier.told(shop.root, shop.as_sent, request, found, results.PRESENTED)

    def budget() -> dict[str, Any]:
        try:
            return budgets.report(shop.buyer, shop.currency, shop.hosts)
        except Exception as failure:
            return results.failed(failure, unsent=True)

    def search(query: str, max_usd: str | None = None) -> dict[str, Any]:
        try:
            listed = SearchResult(shop.hosts, stopped(shop.buyer))
            for listing in shop.find(query, max_usd):
                if listed.is_full_with(listing):
                    break
            return listed.told()
        except Exception as failure:
            return results.failed(failure, unsent=True)

    return Tools(*map(_never_raising, _documented(paid_fetch, quote, budget, search)))


def _async_tools(shop: Shop) -> AsyncTools:
    async def paid_fetch(
        url: str, method: str = "GET", body: str | None = None, max_usd: str | None = None
    ) -> dict[str, Any]:
        request = cap = answer = known = None
        sending = shop.sending
        try:
            request, cap = shop.request(url, method, body), arguments.most(max_usd)
            with budgets.narrowed(shop.buyer, cap):
                answer = await shop.aask(request, shop.max_body)
            found = results.answered(answer, place_of(answer.url))
        except Exception as failure:
            known = outcome(failure) or (None if answer is None else answer.outcome)
            found = results.failed(failure, cap, known, shop.sending is sending)
        with telling(known):
            return await earlier.atold(shop.root, shop.as_sent, request, found, broken=known)

    async def quote(url: str, method: str = "GET", body: str | None = None) -> dict[str, Any]:
        request = None
        try:
            request = shop.request(url, method, body)
            with quote_request() as pending:
                answer = await shop.aask(request, 0)
            quoted = finished_quote(pending, answer.url, answer.status)
            found = shop.told(quoted, answer.url)
        except Exception as failure:
            found = results.failed(failure, unsent=True)
        return await earlier.atold(shop.root, shop.as_sent, request, found, results.PRESENTED)

    async def budget() -> dict[str, Any]:
        try:
            return await budgets.areport(shop.buyer, shop.currency, shop.hosts)
        except Exception as failure:
            return results.failed(failure, unsent=True)

    async def search(query: str, max_usd: str | None = None) -> dict[str, Any]:
        try:
            listed = SearchResult(shop.hosts, await astopped(shop.buyer))
            async for listing in shop.find(query, max_usd, asynchronous=True):
                if listed.is_full_with(listing):
                    break
            return listed.told()
        except Exception as failure:
            return results.failed(failure, unsent=True)

    return AsyncTools(*map(_never_raising, _documented(paid_fetch, quote, budget, search)))


def _documented(*functions: Any) -> tuple[Any, ...]:
    """Give the functions the docstrings that models read, and names without the place where they are made."""
    for function, doc in zip(functions, (_PAID_FETCH, _QUOTE, _BUDGET, _SEARCH), strict=True):
        function.__doc__, function.__qualname__ = doc, function.__name__
    return functions


def _never_raising(function: Any) -> Any:
    """Return a function that takes any arguments, as models pass them. Wrong ones are a result, not a TypeError."""
    signature = inspect.signature(function)

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            arguments.bound(signature, args, kwargs)
        except NotFetched as problem:
            return results.failed(problem)
        return function(*args, **kwargs)

    async def call_later(*args: Any, **kwargs: Any) -> Any:
        found = call(*args, **kwargs)
        return await found if inspect.isawaitable(found) else found

    made: Any = wraps(function)(call_later if inspect.iscoroutinefunction(function) else call)
    made.__signature__ = signature
    return made
