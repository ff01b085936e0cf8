"""Fetches pages of facilitators' lists with httpx, bounded in size, time and redirects. It never pays."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..guards.deadlines import Cut, Deadline
from ..model.hosts import Origin, Pattern
from ..model.offers import words
from ..wire.content_encoding import decoded
from .survey import Answer, Question

if TYPE_CHECKING:
    import httpx

#: Bytes of a page, as it arrives and after decompression alike.
MOST_BYTES = 8 * 1024 * 1024
_REDIRECTS = 3
_LEADS_ON = frozenset({301, 302, 303, 307, 308})
_TOO_SLOW = "it was too slow"


@dataclass(slots=True)
class Fetcher:
    """The way to facilitators: how long a page may take, which headers go along, and what may be asked over http.

    Attributes:
        seconds: The time that one page may take, with its redirects.
        headers: Headers for the facilitators. Another origin does not get them.
        http_hosts: Hosts, other than this machine, that may be asked over plain http.
    """

    seconds: float
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    http_hosts: tuple[Pattern, ...] = ()
    _trust: ssl.SSLContext | None = None

    def check_way(self, url: Any) -> None:
        """Refuse a facilitator that anybody on the way could speak for."""
        problem = self._way_problem(url)
        if problem:
            raise ConfigurationError(f"The facilitator at {_origin(url)} {problem}")

    def fetch(self, question: Question) -> Answer:
        """Return the answer to a question. A failure is an answer too."""
        import httpx

        if question.wait:
            time.sleep(question.wait)
        trusted, cut = self._trusted(), Cut()
        deadline = Deadline(self.seconds, cut)
        try:
            with deadline, httpx.Client(verify=trusted, timeout=self.seconds) as client:
                answer = self._follow(client, httpx.URL(question.url), cut, deadline)
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            return Answer(problem=_TOO_SLOW if deadline.passed else _named(failure))
        return Answer(problem=_TOO_SLOW) if deadline.passed else answer

    async def afetch(self, question: Question) -> Answer:
        """Async twin of ``fetch``."""
        import anyio
        import httpx

        if question.wait:
            await anyio.sleep(question.wait)
        trusted = self._trusted()
        try:
            with anyio.fail_after(self.seconds):
                async with httpx.AsyncClient(verify=trusted, timeout=self.seconds) as client:
                    return await self._afollow(client, httpx.URL(question.url))
        except TimeoutError:
            return Answer(problem=_TOO_SLOW)
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            return Answer(problem=_named(failure))

    def _follow(self, client: httpx.Client, url: httpx.URL, cut: Cut, deadline: Deadline) -> Answer:
        first = url
        for _ in range(_REDIRECTS + 1):
            request = client.build_request(
                "GET", url, headers=self._headers(first, url), extensions={"trace": cut.note}
            )
            response = client.send(request, stream=True)
            try:
                onward = self._onward(response)
                if onward is None:
                    return _answer(response, _whole(_until(response.iter_raw(), deadline)))
            finally:
                response.close()
            if isinstance(onward, Answer):
                return onward
            url = onward
        return Answer(problem=f"it redirects more than {_REDIRECTS} times")

    async def _afollow(self, client: httpx.AsyncClient, url: httpx.URL) -> Answer:
        first = url
        for _ in range(_REDIRECTS + 1):
            request = client.build_request("GET", url, headers=self._headers(first, url))
            response = await client.send(request, stream=True)
            try:
                onward = self._onward(response)
                if onward is None:
                    return _answer(response, await _awhole(response.aiter_raw()))
            finally:
                await response.aclose()
            if isinstance(onward, Answer):
                return onward
            url = onward
        return Answer(problem=f"it redirects more than {_REDIRECTS} times")

    def _onward(self, response: httpx.Response) -> httpx.URL | Answer | None:
        """Return where a redirect leads, or why it is not followed. None: it is no redirect."""
        if response.status_code not in _LEADS_ON or "location" not in response.headers:
            return None
        url = response.url.join(response.headers["location"])
        problem = self._way_problem(url)
        return Answer(problem=f"it redirects to {_origin(url)}, which {problem}") if problem else url

    def _way_problem(self, url: Any) -> str:
        origin = Origin.of(url.scheme, url.host, url.port)
        if url.scheme == "https" or (url.scheme == "http" and origin.named_loopback):
            return ""
        if url.scheme == "http" and any(pattern.matches(origin) for pattern in self.http_hosts):
            return ""
        return (
            "is not https, so anybody on the way could change the list; "
            f"Policy(http_hosts=[{words(origin.host, 60)!r}]) allows it."
        )

    def _headers(self, first: httpx.URL, url: httpx.URL) -> dict[str, str]:
        own = {name.lower(): value for name, value in self.headers.items()} if _origin(first) == _origin(url) else {}
        # Only what can be unpacked within bounds.
        return {"accept": "application/json", **own, "accept-encoding": "gzip, deflate"}

    def _trusted(self) -> ssl.SSLContext:
        """Return the authorities that are trusted. Reading them takes longer than most answers, so it is done once."""
        import httpx

        self._trust = self._trust or httpx.create_ssl_context()
        return self._trust


def _until(chunks: Iterator[bytes], deadline: Deadline) -> Iterator[bytes]:
    """Yield the pieces of a body until the time is up."""
    for chunk in chunks:
        yield chunk
        if deadline.passed:
            return


def _whole(chunks: Iterator[bytes]) -> bytes | None:
    """Return a body, or None if it is too large."""
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)


async def _awhole(chunks: AsyncIterator[bytes]) -> bytes | None:
    """Async twin of ``_whole``."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)


def _answer(response: httpx.Response, body: bytes | None) -> Answer:
    plain = None if body is None else decoded(body, response.headers.get("content-encoding", ""), MOST_BYTES)
    if plain is None:
        return Answer(problem=f"its answer has more than {MOST_BYTES} bytes")
    wait = response.headers.get("retry-after", "")
    return Answer(response.status_code, plain, float(wait) if wait.isascii() and wait.isdigit() else 0.0)


def _named(failure: Exception) -> str:
    said = words(str(failure), 120)
    return f"{type(failure).__name__}: {said}" if said else type(failure).__name__


def _origin(url: Any) -> str:
    return str(Origin.of(url.scheme, url.host, url.port))
