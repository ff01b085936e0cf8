"""Every shell holds to the same checks."""

import pytest

from .aiohttp_driver import Aiohttp
from .compliance import Compliance
from .drivers import AsyncHttpx, AsyncHttpx2, Httpx, Httpx2, Requests, TrioHttpx


class TestHttpx(Compliance):
    driver = Httpx


class TestAsyncHttpx(Compliance):
    driver = AsyncHttpx


# httpx leaves the generators of a body that was not read to its end to the garbage collector, and trio remarks on it.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
class TestAsyncHttpxOnTrio(Compliance):
    driver = TrioHttpx


class TestHttpx2(Compliance):
    driver = Httpx2


class TestAsyncHttpx2(Compliance):
    driver = AsyncHttpx2


class TestAiohttp(Compliance):
    driver = Aiohttp


class TestRequests(Compliance):
    driver = Requests
