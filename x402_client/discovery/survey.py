"""A survey of facilitators' lists, without any I/O: it says what to ask next, and reads what came.

Lists in the field are not tidy. Some facilitators take a filter and ignore it, some ignore the offset and give the
first page for ever, and many have no search. So every filter is applied here too, an entry is given once, a page
without news is the last one, and a list is searched by words where there is no search.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from ..errors import DiscoveryUnavailable
from ..model.hosts import Pattern
from ..model.money import Money
from ..model.offers import words
from .documents import Page, read_page
from .judging import Judge, origin_of
from .listing import Kind, Listing
from .records import read_listing

#: The entries that are asked for at once, in a list and in a search. The largest facilitator takes no more in a search.
_PAGE, _FOUND = 100, 20
#: The most entries of one page that are read, and the most lines about skipped ones that are kept.
_RECORDS, _FAULTS = 2_000, 20
#: Answers that say that there is no search here, that a filter is not known, and that one may ask once more.
_NO_SEARCH, _NOT_KNOWN, _BUSY = frozenset({404, 405, 501}), frozenset({400, 422}), frozenset({429, 500, 502, 503, 504})
_PAUSE, _LONGEST_PAUSE = 0.5, 3.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """The things that are looked for."""

    query: str = ""
    networks: tuple[str, ...] = ()
    max_price: Money | None = None
    kind: Kind | None = None
    pages: int = 20
    hosts: tuple[Pattern, ...] | None = None

    def fits(self, listing: Listing, by_words: bool) -> bool:
        """Return True if a listing is wanted, whether or not the facilitator has filtered."""
        return (
            (self.kind is None or listing.kind == self.kind)
            and (self.hosts is None or self._is_named(listing))
            and (not self.networks or any(offer.network in self.networks for offer in listing.offers))
            and (self.max_price is None or any(self._affords(offer.price) for offer in listing.offers))
            and (not by_words or _has_words(listing, self.query))
        )

    def _is_named(self, listing: Listing) -> bool:
        origin = origin_of(listing.url)
        return any(pattern.matches(origin) for pattern in self.hosts or ())

    def _affords(self, price: Money | None) -> bool:
        assert self.max_price is not None
        most = None if price is None else self.max_price.as_limit_on(price.currency)
        return most is not None and price is not None and price <= most


def _has_words(listing: Listing, query: str) -> bool:
    text = " ".join((listing.url, listing.tool, listing.name, listing.description, *listing.tags)).lower()
    return all(word in text for word in query.lower().split())


@dataclass(frozen=True, slots=True)
class Question:
    """A page to ask for, after a pause of some seconds."""

    url: str
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question. Where there was none, ``problem`` says why.

    ``wait`` is how many seconds the facilitator wants to be left alone.
    """

    status: int = 0
    body: bytes = b""
    wait: float = 0.0
    problem: str = ""


@dataclass(slots=True)
class _Source:
    """One facilitator, and how far its list was read."""

    facilitator: str
    searching: bool
    #: False: it did not take a filter that not every facilitator knows.
    extra: bool = True
    offset: int = 0
    cursor: str | None = None
    pages: int = 0
    again: float | None = None
    retried: bool = False
    last: bytes = b""
    seen: set[tuple[str, str, str]] = field(default_factory=set)

    def question(self, wanted: Wanted) -> Question:
        """Return the page to ask for."""
        fields: dict[str, Any] = {"query": wanted.query} if self.searching else {}
        fields |= {} if wanted.kind is None else {"type": wanted.kind}
        fields |= {"network": wanted.networks[0]} if len(wanted.networks) == 1 else {}
        if self.searching and self.extra and wanted.max_price is not None and wanted.max_price.currency == "USD":
            fields["maxUsdPrice"] = f"{wanted.max_price.amount:f}"
        fields["limit"] = _FOUND if self.searching else _PAGE
        fields |= {"cursor": self.cursor} if self.cursor else {"offset": self.offset} if self.offset else {}
        path = "search" if self.searching else "resources"
        return Question(f"{self.facilitator}/discovery/{path}?{urlencode(fields)}", self.again or 0.0)

    def asks_again(self, answer: Answer) -> bool:
        """Return True if the same page is to be asked for once more, perhaps in another way."""
        if self.searching and answer.status in _NO_SEARCH:
            self.searching = False
            return True
        if self.searching and self.extra and answer.status in _NOT_KNOWN:
            self.extra = False
            return True
        if (answer.status in _BUSY or answer.problem) and not self.retried:
            self.retried, self.again = True, min(max(_PAUSE, answer.wait), _LONGEST_PAUSE)
            return True
        return False

    def turn(self, page: Page, news: bool) -> bool:
        """Turn the page. Return False at the end of the list."""
        self.pages, self.retried, self.again = self.pages + 1, False, None
        self.offset += len(page.records)
        known, self.cursor = self.cursor, page.cursor
        if not news:
            return False  # the page from before came again, or nothing at all
        if self.searching or page.cursor:
            return page.cursor is not None and page.cursor != known
        return page.total is None or self.offset < page.total


@dataclass(slots=True)
class Survey:
    """A survey of the lists of several facilitators, one after the other.

    Attributes:
        wanted: The things that are looked for.
        judge: What makes prices and reasons of offers.
        facilitators: Those to ask.
        skipped: The number of entries that made no sense.
        faults: A line about each of the first of them.
        failures: A line about each facilitator that did not give its list, or only a part of it.
        partial: True if a facilitator has more than it gives, or more pages than are asked for.
    """

    wanted: Wanted
    judge: Judge
    facilitators: tuple[str, ...]
    skipped: int = 0
    faults: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    partial: bool = False
    _source: _Source | None = None
    _next: int = 0
    _seen: set[tuple[str, str, str]] = field(default_factory=set)

    def next(self) -> Question | None:
        """Return the next page to ask for, or None at the end. DiscoveryUnavailable if no list could be read."""
        if self._source is None:
            if self._next == len(self.facilitators):
                self._end()
                return None
            self._source = _Source(self.facilitators[self._next], searching=bool(self.wanted.query))
            self._next += 1
        return self._source.question(self.wanted)

    def take(self, answer: Answer) -> list[Listing]:
        """Return the wanted listings of a page that came."""
        source = self._source
        assert source is not None
        if answer.status != 200 or answer.problem:
            if not source.asks_again(answer):
                self._fail(source, answer.problem or f"it answered {answer.status}")
            return []
        try:
            page = read_page(answer.body)
        except ValueError as problem:
            self._fail(source, str(problem))
            return []
        before, found = (self.skipped, len(source.seen)), list(self._listings(page, source))
        news = (self.skipped, len(source.seen)) != before and answer.body != source.last
        source.last = answer.body
        self.partial = self.partial or page.partial or len(page.records) > _RECORDS
        if not source.turn(page, news):
            self._source = None
        elif source.pages >= self.wanted.pages:
            self._source, self.partial = None, True
        return found

    def _listings(self, page: Page, source: _Source) -> Iterator[Listing]:
        for position, record in enumerate(page.records[:_RECORDS], start=source.offset + 1):
            try:
                listing = read_listing(record, source.facilitator)
            except ValueError as problem:
                self._skip(f"entry {position} of {source.facilitator}: {problem}")
                continue
            name = (listing.url, listing.method, listing.tool)
            source.seen.add(name)
            if name in self._seen:
                continue
            self._seen.add(name)
            judged = self.judge(listing)
            if self.wanted.fits(judged, by_words=bool(self.wanted.query) and not source.searching):
                yield judged

    def _skip(self, fault: str) -> None:
        self.skipped += 1
        if len(self.faults) < _FAULTS:
            self.faults.append(fault)

    def _fail(self, source: _Source, problem: str) -> None:
        part = f" after {source.pages} of its pages" if source.pages else ""
        self.failures.append(f"{source.facilitator}: {words(problem, 200)}{part}")
        self._source = None

    def _end(self) -> None:
        if len(self.failures) == len(self.facilitators):
            raise DiscoveryUnavailable(
                f"No list of sellers could be read: {'; '.join(self.failures)}. Nothing was paid; ask again later, or "
                "name another facilitator."
            )
