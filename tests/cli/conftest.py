"""One sandbox for all tests of the command, and settings that know it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from x402_client.sandbox import Sandbox


@pytest.fixture(scope="session")
def seller() -> Iterator[Sandbox]:
    with Sandbox(slow=0.1) as sandbox:
        yield sandbox


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """A user with a home and nothing in it."""
    home = tmp_path / "home"
    home.mkdir()
    return {"HOME": str(home)}


@pytest.fixture
def given(seller: Sandbox, bare: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The same user, with invented money and a policy that knows the sandbox."""
    return bare | shell_settings(seller, tmp_path)


def shell_settings(seller: Sandbox, directory: Path) -> dict[str, str]:
    """What ``x402 sandbox`` sets up for a second terminal."""
    keys = {"X402_EVM_KEY": seller.key("evm"), "X402_SOLANA_KEY": seller.key("solana")}
    return seller.environ | keys | {"X402_LEDGER": str(directory / "ledger.db")}
