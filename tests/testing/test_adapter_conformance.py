"""Our own adapters keep what every adapter has to."""

from __future__ import annotations

import httpx2
import pytest

import x402_client.httpx2

from .hands import AsyncHttpxHands, HttpxHands, RequestsHands


class TestHttpx(HttpxHands):
    pass


class TestHttpx2(HttpxHands):
    library = httpx2
    adapter = x402_client.httpx2


class TestAsyncHttpx(AsyncHttpxHands):
    pass


# httpx leaves the generators of a body that was not read to its end to the garbage collector, and trio remarks on it.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
class TestAsyncHttpxOnTrio(AsyncHttpxHands):
    backend = "trio"


class TestAsyncHttpx2(AsyncHttpxHands):
    library = httpx2
    adapter = x402_client.httpx2


class TestRequests(RequestsHands):
    pass
