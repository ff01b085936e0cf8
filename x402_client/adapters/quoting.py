"""``quote`` asks through the client as it stands; whichever shell meets the 402 answers here instead of paying."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from ..errors import ConfigurationError, X402Error
from ..model.offers import Quote


@dataclass(slots=True)
class Inquiry:
    """One question about terms, and the answer if a 402 gave one."""

    reached: bool = False
    quote: Quote | None = None


_current: ContextVar[Inquiry | None] = ContextVar("x402_client.inquiry", default=None)
#: The question that the request at hand belongs to, if any. Asked of every free request, so it is no function of ours.
inquiring = _current.get


@contextmanager
def inquiry() -> Iterator[Inquiry]:
    """Requests in this block ask for terms and never pay."""
    asked = Inquiry()
    token = _current.set(asked)
    try:
        yield asked
    finally:
        _current.reset(token)


def answered(asked: Inquiry, failure: Exception) -> Quote:
    """The quote all the same, where a hook of the user's raises for the status of the very 402 that was asked for."""
    status = getattr(failure, "status", None)  # aiohttp's errors have it themselves
    if status is None:
        status = getattr(getattr(failure, "response", None), "status_code", None)
    if asked.quote is None or status != 402 or isinstance(failure, X402Error):
        raise failure
    return asked.quote


def conclusion(asked: Inquiry, url: str, status: int) -> Quote:
    """The quote; one without offers where nothing was asked for. A client that does not pay has none to give."""
    if asked.quote is not None:
        return asked.quote
    if not asked.reached:
        raise ConfigurationError(
            "This client does not pay, so there is no policy to quote by; wrap(client, buyer) it first."
        )
    return Quote(url=url, status=status)
