"""For tests/conftest.py: `from tests.real.fixtures import own_world, world`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from .environments import environment, needed
from .world import World


@cache
def _shared_world() -> World:
    """One, however many modules import the fixture: pytest would make one for each of them."""
    return World(shared=True)


def _need_environment() -> None:
    needed(environment, "v2")


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """One world for all tests: use new buyers, and compare before and after."""
    _need_environment()
    with _shared_world() as shared:
        yield shared


@pytest.fixture
def own_world() -> Iterator[World]:
    """A world for this test alone, which may move its chain's clock; takes seconds to start."""
    _need_environment()
    with World() as own:
        yield own
