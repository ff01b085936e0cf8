"""``payable_tool``: one priced endpoint as a function for a model, made of its JSON Schema."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from ..buyer.payers import path_of, root_of
from ..discovery import Listing
from ..errors import ConfigurationError
from ..model.hosts import Origin
from ..model.money import Amount, Money
from ..model.offers import words
from ..policy import checks
from ..policy.allowances import per_request
from ..receipts import outcome
from . import arguments as reading
from . import budgets, earlier, results
from .asking import telling
from .clients import leaves_names
from .function_names import is_name, name_of
from .hosts import AllowedHosts, NotFetched, origin_of, place_of
from .results import Result
from .schemas import Argument, arguments_of, shape
from .toolbox import Shop

if TYPE_CHECKING:
    from ..buyer.payers import Payer
    from ..policy.policy import Policy

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_MOST_BODY = 50_000
#: ``{city}``, as people write it, or ``/:city``, as lists of sellers do.
_PLACE = re.compile(r"\{(\w+)\}|(?<=/):(\w+)", re.ASCII)


def payable_tool(
    client: Any,
    buyer: Payer,
    url: str | Listing,
    schema: Mapping[str, Any] | None = None,
    max_usd: Amount | None = None,
    *,
    method: str | None = None,
    name: str | None = None,
    description: str | None = None,
    hosts: Iterable[str] | None = None,
    max_body: int = _MOST_BODY,
) -> Callable[..., Result] | Callable[..., Awaitable[Result]]:
    """Return a function that asks one priced endpoint, with the arguments of a JSON Schema. It never raises.

    Arguments go into the places of the URL, like ``{city}`` or ``/:city``, then into the query, or into a JSON body for
    POST, PUT and PATCH. The function has a name, a signature and a docstring that a model reads; for an async client it
    is async.

    Args:
        client: A client of httpx, httpx2, requests or aiohttp. It is wrapped in place.
        buyer: The buyer that pays, or an allowance of it.
        url: The endpoint, or a listing of ``discover``, which brings its method and schema along.
        schema: The JSON Schema of its arguments. Default: that of the listing, or no arguments.
        max_usd: The most that one call may cost. Default: what the policy allows.
        method: The method. Default: that of the listing, else GET.
        name: The function's name. Default: the words of the URL's path, as in ``weather_in_city`` for
            ``/weather/in/{city}``; the host's before them where they are no name, as for ``/`` and ``/in``.
        description: A line for the model. Default: the seller's own words, marked as such, or the URL.
        hosts: The hosts that may be asked. Default: the endpoint's alone. That of a listing has to have a public
            address then, unless the policy names it.
        max_body: The most bytes of an answer that a model is given. Default: 50,000.
    """
    listing = url if isinstance(url, Listing) else None
    address = url.url if isinstance(url, Listing) else url
    origin = _checked(address)
    # A list is a stranger's words, and must not lead inside.
    allowed = AllowedHosts(
        [_place(origin)] if hosts is None else hosts,
        public=listing is not None and hosts is None and not _is_named(root_of(buyer).policy, origin),
        unknown=leaves_names(client),
    )
    endpoint = _Endpoint(
        shop=Shop(client, buyer, allowed, max_body=max_body),
        url=address,
        method=_method(method or (listing.method if listing is not None else "") or "GET"),
        arguments=arguments_of(schema if schema is not None else listing.schema if listing is not None else None),
        most=None if max_usd is None else checks.amount("max_usd", max_usd),
    )
    _check_places(address, endpoint.arguments)
    function = endpoint.asynchronous() if endpoint.shop.is_async else endpoint.synchronous()
    told = _description(description, endpoint, _most(endpoint, origin), listing)
    shape(function, _name(name, address), told, endpoint.arguments)
    return function


class _Endpoint:
    """A priced endpoint, and how its arguments make a request."""

    def __init__(self, shop: Shop, url: str, method: str, arguments: Sequence[Argument], most: Money | None) -> None:
        self.shop, self.url, self.method, self.arguments, self.most = shop, url, method, arguments, most
        python = [inspect.Parameter(one.python, inspect.Parameter.POSITIONAL_OR_KEYWORD,
                                    default=inspect.Parameter.empty if one.required else None)
                  for one in arguments]  # fmt: skip
        self._signature = inspect.Signature(python)

    def synchronous(self) -> Callable[..., Result]:
        """Return the function for a sync client."""

        def ask(*args: Any, **kwargs: Any) -> Result:
            request = answer = known = None
            sending = self.shop.sending
            try:
                request = self._request(args, kwargs)
                with budgets.narrowed(self.shop.buyer, self.most):
                    answer = self.shop.ask(request, self.shop.max_body)
                found = results.answered(answer, place_of(answer.url))
            except Exception as failure:
                known = outcome(failure) or (None if answer is None else answer.outcome)
                found = results.failed(failure, None, known, self.shop.sending is sending)
            with telling(known):
                return earlier.told(self.shop.root, self.shop.as_sent, request, found, broken=known)

        return ask

    def asynchronous(self) -> Callable[..., Awaitable[Result]]:
        """Return the function for an async client."""

        async def ask(*args: Any, **kwargs: Any) -> Result:
            request = answer = known = None
            sending = self.shop.sending
            try:
                request = self._request(args, kwargs)
                with budgets.narrowed(self.shop.buyer, self.most):
                    answer = await self.shop.aask(request, self.shop.max_body)
                found = results.answered(answer, place_of(answer.url))
            except Exception as failure:
                known = outcome(failure) or (None if answer is None else answer.outcome)
                found = results.failed(failure, None, known, self.shop.sending is sending)
            with telling(known):
                return await earlier.atold(self.shop.root, self.shop.as_sent, request, found, broken=known)

        return ask

    def _request(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        bound = reading.bound(self._signature, args, kwargs)
        given = {one.name: bound[one.python] for one in self.arguments if bound.get(one.python) is not None}
        for one in self.arguments:
            if one.name in given and (problem := one.problem(given[one.name])):
                raise NotFetched(problem)
        url = _filled(self.url, given)
        if self.method in _WITH_BODY:
            return self.shop.request(url, self.method, given or None)
        return self.shop.request(_with_query(url, given), self.method, None)


def _filled(url: str, given: dict[str, Any]) -> str:
    """Put arguments into the places of a URL's path, and take them out of ``given``."""
    parts = urlsplit(url)
    used: set[str] = set()

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in given:
            if match[2]:
                return match[0]  # a colon in a path need not be a place
            raise NotFetched(f"{name} is missing.")
        used.add(name)
        text = _as_text(given[name])
        if text in ("", ".", ".."):
            raise NotFetched(f"{name} is a part of a path, which {text!r} cannot be.")
        return quote(text, safe="")

    path = _PLACE.sub(value, parts.path)
    for name in used:
        given.pop(name)
    return urlunsplit(parts._replace(path=path))


def _with_query(url: str, given: Mapping[str, Any]) -> str:
    pairs = [
        (name, _as_text(one))
        for name, value in given.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(pairs)) if part)
    return urlunsplit(parts._replace(query=query))


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        if not checks.is_unicode(value):
            raise NotFetched("An argument has half a character, which no URL can have.")
        return value
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise NotFetched("An argument is text, a number, or something that can be written as JSON.") from None


def _checked(url: Any) -> Origin:
    try:
        return origin_of(url)
    except NotFetched as problem:
        raise ConfigurationError(f"payable_tool: {problem}") from None


def _is_named(policy: Policy, origin: Origin) -> bool:
    """Return True if a policy means to pay an origin."""
    rule = policy.rule(origin)
    return rule is not None and rule[1] != "deny"


def _place(origin: Origin) -> str:
    """Return a pattern for one host and port alone."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return f"{host}:{origin.port}"


def _method(given: str) -> str:
    try:
        return reading.method(given)
    except NotFetched as problem:
        raise ConfigurationError(f"payable_tool: {problem}") from None


def _name(given: str | None, url: str) -> str:
    if given is not None and not is_name(given):
        raise ConfigurationError(f'name is a name of a function, like "weather", not {given!r:.80}.')
    return given or name_of(url)


def _check_places(url: str, arguments: Sequence[Argument]) -> None:
    """Refuse a place of the path that no argument fills: every call would fail."""
    named = {one.name for one in arguments}
    for place in _PLACE.finditer(urlsplit(url).path):
        if place[1] and place[1] not in named:
            raise ConfigurationError(
                f"The URL has a place for {place[1]}, and schema names no such argument "
                f"({words(', '.join(sorted(named)), 80) or 'it names none'}). Name it in schema, or fill the place."
            )


def _most(endpoint: _Endpoint, origin: Origin) -> Money | None:
    """Return the most that one call may cost: the policy or an allowance may allow less than ``max_usd``."""
    most, payer = endpoint.most, endpoint.shop.buyer
    if most is None:
        return None
    allowed = (root_of(payer).policy.per_request(origin, most.currency), *per_request(path_of(payer), most.currency))
    return min([most, *(one for one in allowed if one is not None)])


def _description(given: str | None, endpoint: _Endpoint, most: Money | None, listing: Listing | None) -> str:
    said = given or f"Ask {endpoint.method} {words(endpoint.url, 200)}."
    if given is None and listing is not None and (listing.description or listing.name):
        said += f' The seller says of it: "{words(listing.description or listing.name, 300)}"'
    cost = f" Each call costs up to {most}." if most is not None else " Each call costs money."
    return said + cost + ' After a failure, obey "next" in the result.'
