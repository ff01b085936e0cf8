"""Our own adapters keep what every adapter has to."""

from __future__ import annotations

import httpx2
import pytest

import x402_client.httpx2

from .libraries import AiohttpConformance, AsyncHttpxConformance, HttpxConformance, RequestsConformance


class TestHttpx(HttpxConformance):
    pass


@pytest.mark.twin
class TestHttpx2(HttpxConformance):
    library = httpx2
    adapter = x402_client.httpx2


class TestAsyncHttpx(AsyncHttpxConformance):
    pass


# httpx leaves the generators of a body that was not read to its end to the garbage collector, and trio remarks on it.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
class TestAsyncHttpxOnTrio(AsyncHttpxConformance):
    backend = "trio"


@pytest.mark.twin
class TestAsyncHttpx2(AsyncHttpxConformance):
    library = httpx2
    adapter = x402_client.httpx2


class TestRequests(RequestsConformance):
    pass


# aiohttp remarks on bytes of more than a mebibyte.
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
class TestAiohttp(AiohttpConformance):
    pass
