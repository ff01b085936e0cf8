"""``discover`` and ``adiscover``: listings of facilitators, page by page as they are asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from ..errors import ConfigurationError
from ..model.hosts import Pattern
from ..model.money import Amount
from ..model.offers import words
from ..policy import checks
from .fetching import Fetcher
from .judging import judge_of
from .listing import Kind, Listing
from .survey import Survey, Wanted

if TYPE_CHECKING:
    from typing import Self

    from ..buyer.payers import Payer
    from ..policy.policy import Policy

#: Facilitators that show their lists to everybody, without a key.
FACILITATORS = ("https://api.cdp.coinbase.com/platform/v2/x402", "https://facilitator.payai.network")
_QUERY = 400


class _Found:
    """The part that sync and async listings share: the survey, and the way to the facilitators."""

    def __init__(self, survey: Survey, fetcher: Fetcher, limit: int | None) -> None:
        self._survey, self._fetcher, self._left = survey, fetcher, limit
        self._page: list[Listing] = []

    @property
    def skipped(self) -> int:
        """Return how many entries made no sense and were left out, so far."""
        return self._survey.skipped

    @property
    def faults(self) -> tuple[str, ...]:
        """Return a line about each of the first entries that were left out."""
        return tuple(self._survey.faults)

    @property
    def failures(self) -> tuple[str, ...]:
        """Return a line about each facilitator that did not give its list, or only a part of it."""
        return tuple(self._survey.failures)

    @property
    def partial(self) -> bool:
        """Return True if a facilitator has more than was read: it says so, or it has more pages than ``pages``."""
        return self._survey.partial

    def _take(self) -> Listing | None:
        """Return the next listing of the page at hand, if there is one and more are wanted."""
        if not self._page or self._left == 0:
            return None
        self._left = None if self._left is None else self._left - 1
        return self._page.pop(0)

    def __repr__(self) -> str:
        facilitators = ", ".join(self._survey.facilitators)
        return f"<{type(self).__name__} of {facilitators}: {self.skipped} skipped, {len(self.failures)} failed>"


class Listings(_Found, Iterator[Listing]):
    """Listings, one after the other. The next page is asked for when the one before is used up.

    It is made by ``discover``. It holds nothing open between pages, so it may be dropped at any time.

    Args:
        survey: The pages to ask for, and the reading of them.
        fetcher: The way to the facilitators.
        limit: The most listings to give. None: all.
    """

    def __next__(self) -> Listing:
        while True:
            listing = self._take()
            if listing is not None:
                return listing
            question = None if self._left == 0 else self._survey.next()
            if question is None:
                raise StopIteration
            self._page = self._survey.take(self._fetcher.fetch(question))


class AsyncListings(_Found, AsyncIterator[Listing]):
    """Async twin of ``Listings``, for ``async for``. It is made by ``adiscover``.

    Args:
        survey: The pages to ask for, and the reading of them.
        fetcher: The way to the facilitators.
        limit: The most listings to give. None: all.
    """

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Listing:
        while True:
            listing = self._take()
            if listing is not None:
                return listing
            question = None if self._left == 0 else self._survey.next()
            if question is None:
                raise StopAsyncIteration
            self._page = self._survey.take(await self._fetcher.afetch(question))


def discover(
    query: str | None = None,
    *,
    facilitator: str | Iterable[str] = FACILITATORS,
    network: str | Iterable[str] | None = None,
    max_price: Amount | None = None,
    kind: Kind | None = None,
    buyer: Payer | None = None,
    policy: Policy | None = None,
    limit: int | None = None,
    pages: int = 20,
    timeout: float = 15.0,
    headers: Mapping[str, str] | None = None,
    hosts: Iterable[str] | None = None,
) -> Listings:
    """Search the lists of facilitators for sellers. Nothing is paid, and no ledger is opened.

    Prices, recipients and descriptions are a stranger's word. The seller's own 402 decides what is paid, and the policy
    judges it anew. DiscoveryUnavailable is raised in the loop if no facilitator gave its list.

    Args:
        query: The words to look for. Default: none, all that is listed.
        facilitator: The URL of a facilitator, or several. Default: those of ``FACILITATORS``.
        network: A network, or several, one of which it must be payable on. Default: any.
        max_price: The most it may cost. Listings whose price is not known are left out then. Default: any price.
        kind: ``"http"`` for endpoints, ``"mcp"`` for tools of MCP servers. Default: both.
        buyer: The buyer that would pay, or an allowance of it. Its policy, its keys and its terms judge each listing,
            and not what is left of its budgets: no ledger is opened. Default: none.
        policy: A policy to judge by, without a buyer, as if there were a key for every chain. Default: none.
        limit: The most listings to give. Default: all.
        pages: The most pages to ask each facilitator for. Default: 20.
        timeout: The seconds that one page may take. Default: 15.
        headers: Headers for the facilitator, a key for example. Default: none.
        hosts: The only hosts to list, as in ``["api.example.com", "*.example.dev"]``. What is named here may be on
            this machine or in a private network. Default: all.
    """
    survey, fetcher = _prepare(
        query, facilitator, network, max_price, kind, buyer, policy, pages, timeout, headers, hosts
    )
    return Listings(survey, fetcher, _count("limit", limit))


def adiscover(
    query: str | None = None,
    *,
    facilitator: str | Iterable[str] = FACILITATORS,
    network: str | Iterable[str] | None = None,
    max_price: Amount | None = None,
    kind: Kind | None = None,
    buyer: Payer | None = None,
    policy: Policy | None = None,
    limit: int | None = None,
    pages: int = 20,
    timeout: float = 15.0,
    headers: Mapping[str, str] | None = None,
    hosts: Iterable[str] | None = None,
) -> AsyncListings:
    """Async twin of ``discover``: it returns at once, and ``async for`` asks.

    Args:
        query: The words to look for. Default: none, all that is listed.
        facilitator: The URL of a facilitator, or several. Default: those of ``FACILITATORS``.
        network: A network, or several, one of which it must be payable on. Default: any.
        max_price: The most it may cost. Listings whose price is not known are left out then. Default: any price.
        kind: ``"http"`` for endpoints, ``"mcp"`` for tools of MCP servers. Default: both.
        buyer: The buyer that would pay, or an allowance of it. Its policy, its keys and its terms judge each listing,
            and not what is left of its budgets: no ledger is opened. Default: none.
        policy: A policy to judge by, without a buyer, as if there were a key for every chain. Default: none.
        limit: The most listings to give. Default: all.
        pages: The most pages to ask each facilitator for. Default: 20.
        timeout: The seconds that one page may take. Default: 15.
        headers: Headers for the facilitator, a key for example. Default: none.
        hosts: The only hosts to list, as in ``["api.example.com", "*.example.dev"]``. What is named here may be on
            this machine or in a private network. Default: all.
    """
    survey, fetcher = _prepare(
        query, facilitator, network, max_price, kind, buyer, policy, pages, timeout, headers, hosts
    )
    return AsyncListings(survey, fetcher, _count("limit", limit))


def _prepare(
    query: str | None,
    facilitator: str | Iterable[str],
    network: str | Iterable[str] | None,
    max_price: Amount | None,
    kind: Kind | None,
    buyer: Payer | None,
    policy: Policy | None,
    pages: int,
    timeout: float,
    headers: Mapping[str, str] | None,
    hosts: Iterable[str] | None,
) -> tuple[Survey, Fetcher]:
    """Check what was asked for. A mistake is named now, not in the loop."""
    most = None if max_price is None else checks.amount("max_price", max_price)
    named = None if hosts is None else tuple(map(Pattern.parse, checks.nonempty_name_list("hosts", hosts)))
    judge = judge_of(buyer, policy, most, named or ())
    wanted = Wanted(_query(query), _networks(network), most, _kind(kind), _count("pages", pages) or 1, named)
    fetcher = Fetcher(_seconds(timeout), _headers(headers), _http_hosts(buyer, policy))
    return Survey(wanted, judge, _facilitators(facilitator, fetcher)), fetcher


def _query(given: object) -> str:
    if given is not None and not (isinstance(given, str) and checks.is_unicode(given) and len(given) <= _QUERY):
        raise ConfigurationError(f"query is a text of at most {_QUERY} characters, not {_shown(given)}.")
    return "" if given is None else given.strip()


def _networks(given: str | Iterable[str] | None) -> tuple[str, ...]:
    return () if given is None else checks.networks([given] if isinstance(given, str) else given)


def _kind(given: Any) -> Kind | None:
    if given not in (None, "http", "mcp"):
        raise ConfigurationError(f'kind is "http" or "mcp", not {_shown(given)}.')
    return cast("Kind | None", given)


def _count(name: str, given: Any) -> int | None:
    if given is not None and (type(given) is not int or given < 1):
        raise ConfigurationError(f"{name} is a whole number above zero, not {_shown(given)}.")
    return given


def _seconds(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given <= 3600:
        raise ConfigurationError(f"timeout is a number of seconds above zero, not {_shown(given)}.")
    return float(given)


def _headers(given: Mapping[str, str] | None) -> dict[str, str]:
    headers = {} if given is None else dict(given)
    if not all(isinstance(name, str) and isinstance(value, str) for name, value in headers.items()):
        raise ConfigurationError("headers maps names of headers to their values, both as text.")
    return headers


def _http_hosts(buyer: Payer | None, policy: Policy | None) -> tuple[Pattern, ...]:
    if buyer is not None:
        from ..buyer.payers import root_of

        policy = root_of(buyer).policy
    return () if policy is None else policy.http_hosts


def _facilitators(given: str | Iterable[str], fetcher: Fetcher) -> tuple[str, ...]:
    listed = checks.nonempty_name_list("facilitator", [given] if isinstance(given, str) else given)
    return tuple(dict.fromkeys(_facilitator(url, fetcher) for url in listed))


def _facilitator(given: str, fetcher: Fetcher) -> str:
    """Return the URL of a facilitator, checked. It may name no query: what follows is ours."""
    import httpx

    try:
        url = httpx.URL(given.strip())
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        # Only its host is shown: the rest may hold a key.
        named = f"The URL of {words(url.host, 60)}" if url.host else repr(given[:60])
        raise ConfigurationError(
            f'{named} is no facilitator\'s; write one without user, query and fragment, like "{FACILITATORS[1]}".'
        )
    fetcher.check_way(url)
    return str(url).rstrip("/").removesuffix("/discovery/resources").removesuffix("/discovery/search")


def _shown(given: object) -> str:
    return repr(given)[:100]
