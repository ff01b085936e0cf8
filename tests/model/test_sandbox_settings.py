"""The settings of a sandbox that has ended are known by the name of their directory."""

from __future__ import annotations

import pytest

from x402_client.model.sandbox_settings import ended_sandbox


@pytest.mark.parametrize("path", ["/tmp/x402-sandbox-a1/policy.toml", "C:\\Temp\\x402-sandbox-a1\\ledger.db"])
def test_a_file_of_a_sandbox_is_known(path: str) -> None:
    said = ended_sandbox(path)
    assert said.startswith(
        f"{path} is not there: it was a file of a sandbox, and that sandbox is not running any more."
    )


@pytest.mark.parametrize(
    "path",
    ["", "policy.toml", "x402-sandbox-a1", "/tmp/x402-sandbox-a1/more/p.toml", "/my-x402-sandbox-a1/policy.toml"],
)
def test_any_other_is_not(path: str) -> None:
    assert ended_sandbox(path) == ""
