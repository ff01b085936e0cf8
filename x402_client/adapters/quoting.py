"""Runs ``quote`` through the client as it is: the adapter that meets the 402 then quotes instead of paying."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from ..errors import ConfigurationError, X402Error
from ..model.offers import Quote


@dataclass(slots=True, eq=False, repr=False)
class QuoteRequest:
    """A request for a quote, and the quote if a 402 gave one."""

    reached: bool = False
    #: The status of the answer.
    status: int = 0
    quote: Quote | None = None


_current: ContextVar[QuoteRequest | None] = ContextVar("x402_client.quote_request", default=None)
#: Returns the request for a quote that the HTTP request at hand belongs to, if any. It is asked for every free request,
#: so it is no function of ours.
quote_in_progress: Callable[[], QuoteRequest | None] = _current.get


@contextmanager
def quote_request() -> Iterator[QuoteRequest]:
    """Make the requests in this block ask for terms and never pay."""
    pending = QuoteRequest()
    token = _current.set(pending)
    try:
        yield pending
    finally:
        _current.reset(token)


def quote_despite(pending: QuoteRequest, failure: Exception) -> Quote:
    """Return the quote even though the request failed.

    A hook of the user's may raise for the status of the very 402 that was asked for. Every other failure is raised
    again.
    """
    status = getattr(failure, "status", None)  # aiohttp's errors have it themselves
    if status is None:
        status = getattr(getattr(failure, "response", None), "status_code", None)
    if pending.quote is None or status != 402 or isinstance(failure, X402Error):
        raise failure
    return pending.quote


def finished_quote(pending: QuoteRequest, url: str, status: int, error: str = "") -> Quote:
    """Return the quote, or one without offers if the server asked for no payment.

    A client that does not pay has no quote to give. ``error`` is what a tool said that failed.
    """
    if pending.quote is not None:
        return pending.quote
    if not pending.reached:
        raise ConfigurationError(
            "This client does not pay, so there is no policy to quote by; wrap(client, buyer) it first."
        )
    return Quote(url=url, status=status, error=error)
