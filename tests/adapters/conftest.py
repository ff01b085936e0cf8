"""One server, one till, one buyer and one client for each test, and each test with every driver."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from x402_client import Buyer, Policy
from x402_client.sandbox import Sandbox

from .aiohttp_driver import Aiohttp
from .cash_register import Till
from .checks import new_buyer
from .drivers import DRIVERS, Client, Driver, params
from .scripted_server import Server


@pytest.fixture(params=params(*DRIVERS, Aiohttp))
def shell(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """Open one driver; ``drivers.only`` says which, for a test or a class."""
    reason = request.param.cannot.get(request.node.originalname)
    if reason is not None:
        pytest.skip(reason)
    with request.param() as shell:
        yield shell


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def till() -> Till:
    return Till()


@pytest.fixture
def buyer() -> Buyer:
    return new_buyer()


@pytest.fixture
def client(shell: Driver, buyer: Buyer) -> Client:
    return shell.client(buyer)


@pytest.fixture(scope="session")
def mcp_sandbox() -> Iterator[Sandbox]:
    """Give what MCP servers sell in these tests. Each test has buyers of its own there."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def redelivering() -> Iterator[Sandbox]:
    """Give a sandbox that delivers again for a payment that was settled."""
    with Sandbox(redeliver=True) as sandbox:
        yield sandbox


@pytest.fixture
def mcp_buyer(mcp_sandbox: Sandbox) -> Buyer:
    return mcp_sandbox.buyer(Policy(per_request="0.05", per_day="1"))
