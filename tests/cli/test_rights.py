"""A ledger that this user may not reach: every command names what refuses, and none calls it a fault of its own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from x402_client.sandbox import Sandbox

from .running import COMMAND, process

pytestmark = pytest.mark.slow

COMMANDS = (
    ["get", "--yes", "URL"],
    ["get", "--yes", "-o", "out", "URL"],
    ["get", "--dry-run", "URL"],
    ["quote", "URL"],
    ["status", "--offline"],
    ["mcp"],
    ["ledger", "list"],
    ["ledger", "holds"],
    ["ledger", "accept"],
    ["ledger", "freeze", "a.example"],
    ["ledger", "reconcile"],
)
_IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
#: Root without its power over the files of others.
_LIKE_OTHERS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A directory that this user may not enter."""
    directory = tmp_path / "closed"
    directory.mkdir(mode=0o700)
    if _IS_ROOT:
        if shutil.which("setpriv") is None:
            pytest.skip("root enters every directory, and setpriv is not installed")
        os.chown(directory, 65533, 65533)
    else:
        directory.chmod(0o000)
    yield directory
    directory.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps access lists, not modes")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_ledger_in_a_directory_that_may_not_be_entered(
    seller: Sandbox, given: dict[str, str], tmp_path: Path, closed: Path, command: list[str]
) -> None:
    typed = [f"{seller.url}/weather" if word == "URL" else word for word in command]
    program = (*_LIKE_OTHERS, *COMMAND) if _IS_ROOT else COMMAND
    before = len(seller.settlements)
    ran = process([*typed, "--ledger", str(closed / "ledger.db")], given, program=program, cwd=tmp_path)
    said = " ".join((ran.err + ran.text).split())
    assert f"this user may not enter {closed}" in said
    assert ran.code == 4
    assert "fault of x402" not in said
    assert "The body" not in said
    assert len(seller.settlements) == before
