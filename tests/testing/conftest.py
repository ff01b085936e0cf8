"""What our own adapters do not keep yet, one by one. A strict xfail tells who mends it, and the line goes."""

from __future__ import annotations

from pathlib import Path

import pytest

#: The test, and why it fails today in every adapter of ours.
NOT_YET = {}
OURS = [Path(__file__).with_name(f"test_{name}.py") for name in ("adapter_conformance", "own_client")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is expected to fail, for our own adapters alone."""
    for item in items:
        name = getattr(item, "originalname", "")
        if item.path in OURS and name in NOT_YET:
            item.add_marker(pytest.mark.xfail(strict=True, reason=NOT_YET[name]))
