"""Solana addresses."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

#: Most characters that 32 bytes take in base58.
_LONGEST = 44


def is_address(text: str) -> bool:
    """Return True if this is base58 of 32 bytes."""
    if len(text) > _LONGEST:
        return False
    try:
        public_key(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=64)
def blockhash_bytes(text: str) -> bytes | None:
    """Return the 32 bytes of a blockhash, or None if it is none.

    It has a cache of its own: a seller may hint another one each time, which must not drive out the addresses.
    """
    from solders.pubkey import Pubkey

    try:
        return bytes(Pubkey.from_string(text)) if len(text) <= _LONGEST else None
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def public_key(address: str) -> Any:
    """Return the key of an address. Cached: a buyer meets the same ones, and reading base58 takes its time."""
    from solders.pubkey import Pubkey

    return Pubkey.from_string(address)
