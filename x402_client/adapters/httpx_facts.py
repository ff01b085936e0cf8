"""Reads the facts of an httpx or httpx2 request that the exchange needs."""

from __future__ import annotations

from typing import Any

from ..core.call import HttpRequest
from ..model.hosts import Origin


def facts(native: Any) -> HttpRequest:
    """Return the facts of a request that the exchange needs."""
    return HttpRequest(
        native.method, origin_of(native.url), native.url.raw_path.decode("ascii", "replace"), native.headers
    )


def origin_of(url: Any) -> Origin:
    """Return the origin that the library will connect to."""
    return Origin.of(url.scheme, url.raw_host.decode("ascii", "replace"), url.port)
