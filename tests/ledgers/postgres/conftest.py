"""A server for tests that leave it as it is, and a maker of servers for those that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from .server import Server, starting


@pytest.fixture(scope="session")
def shared() -> Iterator[Server]:
    server = Server("fsync=off")
    yield server
    server.remove()


@pytest.fixture
def server(shared: Server) -> Server:
    """With nothing in it."""
    shared.empty()
    return shared


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    with starting() as start:
        yield start
