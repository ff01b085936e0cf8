"""Somebody else's EVM signer: an eth_account account, a remote service, a hardware wallet. Its work is checked."""

from __future__ import annotations

import inspect
from typing import Any

from ..chains.evm import checksum, is_address
from ..errors import ConfigurationError, SigningError
from ..ports import TypedData

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class ForeignEvmSigner:
    """Speaks to any object that follows ``ports.EvmSigner`` or is an ``eth_account`` account."""

    __slots__ = ("_keyword", "_signer", "address", "blocking", "is_async")

    def __init__(self, signer: Any) -> None:
        address = getattr(signer, "address", None)
        method = getattr(signer, "sign_typed_data", None)
        if not isinstance(address, str) or not callable(method):
            raise ConfigurationError(
                "An EVM signer has an `address` and a method `sign_typed_data(full_message)`; "
                f"{type(signer).__name__} has not. Pass 0x hex, 32 bytes, an eth_account account or such a signer."
            )
        if not is_address(address):
            raise ConfigurationError(f"The signer's address {address[:60]!r} is not an EVM address.")
        self._signer = signer
        self._keyword = _is_eth_account(signer, "BaseAccount")
        self.address = checksum(address)
        self.is_async = inspect.iscoroutinefunction(method)
        self.blocking = getattr(signer, "blocking", not _is_eth_account(signer, "LocalAccount"))

    def sign(self, data: TypedData) -> Any:
        """Whatever the signer returns, awaitable or not; ``read_signature`` makes sense of it."""
        if self._keyword:
            return self._signer.sign_typed_data(full_message=data.full())
        return self._signer.sign_typed_data(data.full())

    def __repr__(self) -> str:
        return f"ForeignEvmSigner({getattr(self, 'address', None)})"  # also half built, for tools that show variables


def read_signature(returned: Any) -> bytes:
    """r, s and v of 27 or 28, from bytes, hex or eth_account's SignedMessage, in the form that tokens accept."""
    raw = getattr(returned, "signature", returned)
    if isinstance(raw, str):
        try:
            raw = bytes.fromhex(raw.removeprefix("0x"))
        except ValueError:
            raise SigningError("The signer returned text that is not hex. Nothing was sent.") from None
    if not isinstance(raw, (bytes, bytearray)) or len(raw) != 65:
        size = f"{len(raw)} bytes" if isinstance(raw, (bytes, bytearray)) else type(raw).__name__
        raise SigningError(f"The signer returned {size} where a signature of 65 bytes is needed. Nothing was sent.")
    r, s, v = raw[:32], int.from_bytes(raw[32:64]), raw[64]
    v = v + 27 if v < 2 else v
    if s > _ORDER // 2:  # key services often return this form; it is the same signature
        s, v = _ORDER - s, 55 - v
    if v not in (27, 28) or s <= 0:
        raise SigningError("The signer returned 65 bytes that are not a signature. Nothing was sent.")
    return bytes(r) + s.to_bytes(32) + bytes([v])


def _is_eth_account(signer: Any, name: str) -> bool:
    """Told by its class's name and module, so that eth_account is not imported to ask."""
    return any(c.__name__ == name and c.__module__.startswith("eth_account.") for c in type(signer).__mro__)
