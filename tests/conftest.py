"""Fixtures that every test may use."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest

# Where this runs in the background of a shell, Ctrl-C is ignored, and so it would be in the programs that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Where modules that make a buyer as they are imported keep its ledger; tests have one each.
_IMPORTED = tempfile.TemporaryDirectory()
os.environ.update(XDG_DATA_HOME=_IMPORTED.name, LOCALAPPDATA=_IMPORTED.name)

#: What tests stand on asserts too, and explains itself like any test. Before anything imports it.
GROUNDS = {
    "tests": ("flow_machine",),
    "tests.unit": ("ground",),
    "tests.hostile": ("ground",),
    "tests.shells": (
        "server", "till", "paying", "bodies", "heads", "streams", "failures", "pools", "redirects", "repeats",
        "settings", "wires", "crowds",
    ),
}  # fmt: skip
pytest.register_assert_rewrite(*(f"{room}.{name}" for room, names in GROUNDS.items() for name in names))

from tests.real.fixtures import own_world, world  # noqa: E402

__all__ = ["own_world", "world"]


@pytest.fixture(autouse=True)
def _a_data_directory_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A buyer keeps its ledger in the user's data directory; no test may spend from the budgets of whoever runs it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
