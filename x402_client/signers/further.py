"""Signers of further families of chains. A payment scheme decides what they sign, and checks the signature."""

from __future__ import annotations

import inspect
from typing import Any

from ..errors import ConfigurationError, SigningError
from ..guards.arguments import takes


class FurtherSigner:
    """Adapter for any object that follows ``ports.FurtherSigner``."""

    __slots__ = ("_signer", "address", "blocking", "is_async")

    def __init__(self, family: str, signer: Any) -> None:
        address, method = getattr(signer, "address", None), getattr(signer, "sign", None)
        if (
            not isinstance(address, str)
            or not address
            or not callable(method)
            or inspect.isclass(signer)
            or not takes(method, 1)
        ):
            kind = type(signer).__name__
            signer = method = None  # tools that print the variables of a traceback must find no key
            raise ConfigurationError(
                f"A signer for {family!r} is an object with an `address` and a method `sign(data)`; a {kind} is not."
            )
        self._signer = signer
        self.address: str = address
        self.is_async: bool = inspect.iscoroutinefunction(method)
        self.blocking: Any | bool = getattr(signer, "blocking", True)

    def sign(self, data: Any) -> Any:
        """Return the signer's own result, awaitable or not. ``read_signature`` reads it."""
        return self._signer.sign(data)

    def __repr__(self) -> str:
        return f"FurtherSigner({getattr(self, 'address', None)})"  # tools may show one that is half built


def read_signature(returned: Any) -> bytes:
    """Return the signature's bytes. Only the scheme can check them."""
    if isinstance(returned, (bytes, bytearray)) and returned:
        return bytes(returned)
    raise SigningError(f"The signer returned {type(returned).__name__} where bytes are needed. Nothing was sent.")
