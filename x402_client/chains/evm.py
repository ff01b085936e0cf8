"""Addresses, hashes and recovery on EVM chains, with the fastest library that is installed."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from ..errors import ChainUnavailable, ConfigurationError

if TYPE_CHECKING:
    from .rpc import Rpc

_WORD = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
_BALANCE_OF = "0x70a08231"  # balanceOf(address)
_DECIMALS = "0x313ce567"  # decimals()
_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{40}", re.ASCII)
ZERO = "0x" + "0" * 40
#: Half of the curve's order. A signature with a higher s has another form with a lower one: tokens accept only that.
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0

#: Keccak-256 of no bytes, and of the bytes 0 to 255, which are more than one block of 136.
_KNOWN_ANSWERS = (
    (b"", bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")),
    (bytes(range(256)), bytes.fromhex("dc924469b334aed2a19fac7252e9961aea41f8d91996366029dbe0884229bf36")),
)


def keccak(data: bytes) -> bytes:
    """Return the Keccak-256 of some bytes, Ethereum's hash."""
    return _hashing()(data).digest()  # type: ignore[no-any-return]


@cache
def _hashing() -> Callable[[bytes], Any]:
    """Return the fast Keccak-256 of ``sha3``, or pycryptodome's if that one is missing or computes something else.

    Any module on the path can be called ``sha3``, and NIST's SHA3-256 pads differently from Keccak-256. A wrong hash
    would show wrong addresses and sign something else. So each is compared with known answers before it is used.
    """
    with suppress(Exception):  # an unknown module can raise anything
        from sha3 import keccak_256

        if _is_keccak(keccak_256):
            return keccak_256  # type: ignore[no-any-return]
    from Crypto.Hash import keccak as module

    def slower(data: bytes) -> Any:
        return module.new(data=data, digest_bits=256)

    if not _is_keccak(slower):
        raise ConfigurationError("pycryptodome computes a wrong Keccak-256. Nothing was signed. Reinstall it.")
    return slower


def _is_keccak(hashing: Callable[[bytes], Any]) -> bool:
    """Return True if this computes the known answers. It takes a few microseconds."""
    return all(hashing(data).digest() == answer for data, answer in _KNOWN_ANSWERS)


def personal_digest(text: bytes) -> bytes:
    """Return the digest of a text that a person may read, which is no transaction and no typed data (EIP-191)."""
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(text)).encode() + text)


def is_address(text: str) -> bool:
    """Return True if this is an address. In mixed case, its checksum has to be right."""
    if not _ADDRESS.fullmatch(text):
        return False
    digits = text[2:]
    return digits in (digits.lower(), digits.upper()) or text[2:] == checksum(text)[2:]


@lru_cache(maxsize=4096)
def checksum(address: str) -> str:
    """Return an address in EIP-55's mixed case."""
    digits = address[2:].lower()
    marks = keccak(digits.encode()).hex()
    return "0x" + "".join(c.upper() if int(mark, 16) > 7 else c for c, mark in zip(digits, marks, strict=False))


def address_of(public_key: bytes) -> str:
    """Return the account of an uncompressed public key of 64 bytes."""
    return checksum("0x" + keccak(public_key)[-20:].hex())


def recover(digest: bytes, signature: bytes) -> str | None:
    """Return the signer's address, or None if a token would not take this signature."""
    if len(signature) != 65 or signature[64] not in (27, 28):
        return None
    if int.from_bytes(signature[32:64]) > _HALF_ORDER:
        return None
    compact = signature[:64] + bytes([signature[64] - 27])
    try:
        return address_of(_public_key(digest, compact))
    except Exception:  # each library has its own errors for points off the curve
        return None


def token_balance(rpc: Rpc, token: str, owner: str) -> int:
    """Return an account's balance of a token, in its smallest units."""
    answer = rpc.call("eth_call", {"to": token, "data": _BALANCE_OF + owner[2:].lower().zfill(64)}, "latest")
    if not isinstance(answer, str) or not _WORD.fullmatch(answer):
        raise ChainUnavailable(f"The endpoint's answer about {owner}'s balance makes no sense.")
    return int(answer, 16)


def token_decimals(rpc: Rpc, token: str) -> int:
    """Return the decimals of a token, as its contract says."""
    answer = rpc.call("eth_call", {"to": token, "data": _DECIMALS}, "latest")
    if not isinstance(answer, str) or not _WORD.fullmatch(answer):
        raise ChainUnavailable(f"The endpoint's answer about the decimals of {token} makes no sense.")
    return int(answer, 16)


def _public_key(digest: bytes, compact: bytes) -> bytes:
    try:
        from coincurve import PublicKey
    except ImportError:
        from eth_keys.datatypes import Signature

        return Signature(compact).recover_public_key_from_msg_hash(digest).to_bytes()
    return PublicKey.from_signature_and_message(compact, digest, hasher=None).format(compressed=False)[1:]
