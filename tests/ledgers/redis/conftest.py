"""A server for tests that leave it as it is, and a maker of servers for those that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .server import Server, starting


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def server(shared: Server) -> Server:
    """With nothing in it."""
    shared.do("FLUSHALL")
    shared.do("CONFIG", "RESETSTAT")
    return shared


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    with starting(tmp_path) as start:
        yield start
