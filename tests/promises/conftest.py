"""One seller for each test, and one driver after the other for tests that take any."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapters.aiohttp_driver import Aiohttp
from tests.adapters.drivers import AsyncHttpx, AsyncHttpx2, Driver, Httpx, Httpx2, Requests, params
from tests.adapters.scripted_server import Server


@pytest.fixture(scope="module", params=params(Httpx, AsyncHttpx, Httpx2, AsyncHttpx2, Requests, Aiohttp))
def shell(request: pytest.FixtureRequest) -> Iterator[Driver]:
    with request.param() as driver:
        yield driver


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server
