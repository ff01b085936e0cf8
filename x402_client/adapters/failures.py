"""Finds the failures that an HTTP library wrapped in another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


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
