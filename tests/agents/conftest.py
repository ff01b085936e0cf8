"""A sandbox for each test, and every client that tools are made of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from x402_client.sandbox import Sandbox

from .clients import ALL, Toolbox, toolbox


@pytest.fixture
def seller() -> Iterator[Sandbox]:
    with Sandbox(slow=0.1) as sandbox:
        yield sandbox


@pytest.fixture(params=[pytest.param(one, marks=pytest.mark.twin if "httpx2" in one else ()) for one in ALL])
def box(request: pytest.FixtureRequest) -> Iterator[Toolbox]:
    with toolbox(request.param) as made:
        yield made


@pytest.fixture
def plain() -> Iterator[Toolbox]:
    """The tools of one client, where the library makes no difference."""
    with toolbox("httpx") as made:
        yield made
