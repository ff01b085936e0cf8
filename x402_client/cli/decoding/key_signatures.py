"""Signatures of keys on EVM chains, as payments and permits have them: how one is written, and whose it is."""

from __future__ import annotations

import re

from ...chains.evm import recover

_SIGNATURE = re.compile(r"0x[0-9a-fA-F]{130}", re.ASCII)


def is_signature(text: str) -> bool:
    """Return True for 0x and 65 bytes in hex."""
    return _SIGNATURE.fullmatch(text) is not None


def signer_of(digest: bytes, signature: str) -> str | None:
    """Return the account whose key signed; None if no key did.

    Some wallets count the last byte from 0.
    """
    raw = bytes.fromhex(signature[2:])
    return recover(digest, raw[:64] + bytes([raw[64] + 27 if raw[64] < 2 else raw[64]]))
