"""Links to block explorers, where a person can look a payment up."""

from __future__ import annotations

import re

from ..model.holds import Hold
from ..model.networks import SOLANA, SOLANA_DEVNET, SOLANA_TESTNET
from ..signers.play_keys import takes_play_keys

#: Explorers that show a transaction at ``/tx/`` and an account at ``/address/``, by network.
_SITES = {
    "eip155:1": "https://etherscan.io",
    "eip155:10": "https://optimistic.etherscan.io",
    "eip155:137": "https://polygonscan.com",
    "eip155:8453": "https://basescan.org",
    "eip155:42161": "https://arbiscan.io",
    "eip155:42220": "https://celoscan.io",
    "eip155:43113": "https://testnet.snowscan.xyz",
    "eip155:43114": "https://snowscan.xyz",
    "eip155:80002": "https://amoy.polygonscan.com",
    "eip155:84532": "https://sepolia.basescan.org",
    "eip155:421614": "https://sepolia.arbiscan.io",
    "eip155:11155111": "https://sepolia.etherscan.io",
    SOLANA: "https://explorer.solana.com",
    SOLANA_DEVNET: "https://explorer.solana.com",
    SOLANA_TESTNET: "https://explorer.solana.com",
}
_CLUSTERS = {SOLANA_DEVNET: "?cluster=devnet", SOLANA_TESTNET: "?cluster=testnet"}
#: A seller chooses the text of a transaction, so only one of the right shape becomes a part of a link.
_HASH, _SIGNATURE = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII), re.compile(r"[1-9A-HJ-NP-Za-km-z]{64,88}", re.ASCII)


def transaction_link(hold: Hold, told: str) -> str:
    """Return the link to a payment's transaction; "" if it cannot be one, or no explorer is known."""
    site = _site(hold)
    shape = _SIGNATURE if hold.offer.network.startswith("solana:") else _HASH
    return f"{site}/tx/{told}{_cluster(hold)}" if site and shape.fullmatch(told) else ""


def account_link(hold: Hold) -> str:
    """Return the link to the account that pays, whose transfers can be looked through; "" if no explorer is known."""
    site = _site(hold)
    payer = hold.authorization.payer if hold.authorization is not None else hold.payer
    return f"{site}/address/{payer}{_cluster(hold)}" if site and payer.isalnum() else ""


def _site(hold: Hold) -> str:
    """Return the explorer of a payment's chain. A sandbox's chain has none, also where it goes by a network's name."""
    invented = takes_play_keys(hold.offer.network) and "(test)" not in hold.price.currency
    return "" if invented else _SITES.get(hold.offer.network, "")


def _cluster(hold: Hold) -> str:
    return _CLUSTERS.get(hold.offer.network, "")
