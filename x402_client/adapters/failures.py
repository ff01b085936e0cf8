"""Finds the failures that an HTTP library wrapped in another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..wire.leaks import repeats


def timed_out(failure: BaseException) -> bool:
    """Return True for a time-out. That of a library that we do not know is told by the name of its class."""
    return isinstance(failure, TimeoutError) or type(failure).__name__.endswith(("Timeout", "TimeoutError"))


def links(failure: BaseException) -> Iterator[BaseException]:
    """Yield a failure and the failures it wraps.

    urllib3 names the wrapped one in ``reason``, and requests passes that on in ``args``.
    """
    seen: Any = failure
    for _ in range(5):
        yield seen
        inner = seen.args[0] if seen.args else None
        reason = getattr(inner, "reason", None) or getattr(seen, "reason", None)
        seen = next((one for one in (reason, inner, seen.__cause__) if isinstance(one, BaseException)), None)
        if seen is None:
            return


def hide_payment(failure: BaseException, name: str) -> None:
    """Take the payment in this header out of what aiohttp's errors show, which httpx-aiohttp raises as they are.

    They show the request that was sent, and quote an answer's head that makes no sense.
    """
    for seen in links(failure):
        info: Any = getattr(seen, "request_info", None)
        if info is None or name not in info.headers:
            continue
        error: Any = seen
        headers = info.headers.copy()
        payment = headers.pop(name)
        error.request_info = info._replace(headers=headers)
        error.args = (error.request_info, *error.args[1:])
        if repeats(error.message, payment):
            error.message = "The answer has no head that can be read."
            error.__cause__ = error.__context__ = None
