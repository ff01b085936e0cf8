"""A key in this process. It shows in no repr, pickle or traceback of ours."""

from __future__ import annotations

import re
import secrets
from typing import Any, NoReturn

from ..chains.evm import address_of
from ..errors import ConfigurationError
from ..ports import TypedData

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class LocalEvmSigner:
    """Signs EIP-712 digests with coincurve, or without it in pure Python."""

    __slots__ = ("_key", "address")
    blocking = False
    is_async = False

    def __init__(self, secret: bytes) -> None:
        problem = _problem(secret)
        if problem is not None:
            secret = b""  # tools that print the variables of a traceback must find none
            raise ConfigurationError(problem)
        self._key = _backend_key(secret)
        self.address = address_of(_public(self._key))

    @classmethod
    def generate(cls) -> LocalEvmSigner:
        """A new random key, for trying things out; it is kept nowhere."""
        return cls((1 + secrets.randbelow(_ORDER - 1)).to_bytes(32))

    def sign(self, data: TypedData) -> bytes:
        """65 bytes: r, s, and v of 27 or 28."""
        if hasattr(self._key, "sign_recoverable"):
            signature = self._key.sign_recoverable(data.digest, hasher=None)
        else:
            signature = self._key.sign(data.digest)
        return signature[:64] + bytes([signature[64] + 27])  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"LocalEvmSigner({getattr(self, 'address', None)})"  # also half built, for tools that show variables

    def __reduce__(self) -> NoReturn:
        raise TypeError("A signer holds a key and is not pickled; build it where it is used.")


def read_hex_key(text: str) -> bytes:
    """32 bytes from hex. A wrong key is described, never shown."""
    digits = text.strip().removeprefix("0x").removeprefix("0X")
    if re.fullmatch(r"[0-9a-fA-F]{64}", digits, re.ASCII):
        return bytes.fromhex(digits)
    found = f"has {len(digits)} characters" if len(digits) != 64 else "has other characters in it"
    text = digits = ""  # tools that print the variables of a traceback must find none
    raise ConfigurationError(f"An EVM key is 64 hex digits, with or without 0x; this one {found}.")


def _problem(secret: bytes) -> str | None:
    if len(secret) != 32:
        return f"An EVM key is 32 bytes; this one has {len(secret)}."
    if not 0 < int.from_bytes(secret) < _ORDER:
        return "This EVM key is out of the curve's range; it is no key of anybody."
    return None


def _backend_key(secret: bytes) -> Any:
    try:
        from coincurve import PrivateKey
    except ImportError:
        from .pure import PureKey

        return PureKey(secret)
    return PrivateKey(secret)


def _public(key: Any) -> bytes:
    if hasattr(key, "sign_recoverable"):
        return key.public_key.format(compressed=False)[1:]  # type: ignore[no-any-return]
    return key.public  # type: ignore[no-any-return]
