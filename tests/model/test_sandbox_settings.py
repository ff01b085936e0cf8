"""The settings of a sandbox that has ended are known by the name of their directory."""

from __future__ import annotations

import pytest

from x402_client import Token
from x402_client.model.networks import SOLANA_DEVNET
from x402_client.model.offers import Offer
from x402_client.model.sandbox_settings import MARK, PLAY_NETWORK, ended_sandbox, is_unread


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


def offer(network: str, **extra: object) -> Offer:
    return Offer(1, 2, "exact", network, 1, "0x", "0x", extra=extra)


def test_an_offer_of_a_sandbox_is_unread_until_a_token_of_its_network_is_vouched_for() -> None:
    evm, devnet = Token(PLAY_NETWORK, "0x"), Token(SOLANA_DEVNET, "m")
    marked = offer(SOLANA_DEVNET, **{MARK: "x402_client"})
    for its in ([offer(PLAY_NETWORK)], [marked], [offer(PLAY_NETWORK), marked]):
        assert is_unread(its, [])
        assert is_unread(its, [devnet])
        assert not is_unread(its, [devnet, evm])
        assert not is_unread([*its, offer("eip155:8453")], []), "a seller of real things must not pass for a sandbox"
    real = offer("eip155:8453", **{MARK: "x402_client"})
    for other in ([real], [offer(SOLANA_DEVNET)], [offer(SOLANA_DEVNET, sandbox="other")], []):
        assert not is_unread(other, [])
