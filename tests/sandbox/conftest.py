"""A sandbox for each test, quick where it is ordered to be slow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from x402_client.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(slow=0.1) as sandbox:
        yield sandbox
