"""Solana addresses."""

from __future__ import annotations


def is_address(text: str) -> bool:
    """Return True if this is base58 of 32 bytes."""
    from solders.pubkey import Pubkey

    try:
        Pubkey.from_string(text)
    except ValueError:
        return False
    return True
