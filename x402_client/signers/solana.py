"""Solana signers: a key in this process, or somebody else's signer, whose signatures are checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NoReturn

from ..chains.solana_address import is_address
from ..errors import ConfigurationError, SigningError
from ..guards.arguments import takes
from .mistaken_keys import solana_mistake
from .play_keys import is_play_secret


class LocalSolanaSigner:
    """Signer with a key in this process. No repr, pickle or traceback of this package shows the key."""

    __slots__ = ("_keypair", "address", "is_play")
    blocking = False
    is_async = False

    def __init__(self, keypair: Any) -> None:
        self._keypair = keypair
        self.address: str = str(keypair.pubkey())
        #: True for a key of the sandbox, which signs for no real network.
        self.is_play: bool = is_play_secret(bytes(keypair)[:32])

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return bytes(self._keypair.sign_message(message))

    def __repr__(self) -> str:
        return f"LocalSolanaSigner({getattr(self, 'address', None)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A signer holds a key and is not pickled; build it where it is used.")


class ForeignSolanaSigner:
    """Adapter for any object that follows ``ports.SolanaSigner``."""

    __slots__ = ("_signer", "address", "blocking", "is_async")

    def __init__(self, signer: Any) -> None:
        address = getattr(signer, "address", None)
        method = getattr(signer, "sign_message", None)
        if address is None and callable(getattr(signer, "pubkey", None)):
            address = str(signer.pubkey())
        if not isinstance(address, str) or not callable(method) or not is_address(address):
            kind, evm = type(signer).__name__, callable(getattr(signer, "sign_typed_data", None))
            named = address[:60] if isinstance(address, str) and callable(method) else None
            signer = method = None  # tools that print the variables of a traceback must find no key
            if evm:
                raise ConfigurationError(f"{kind} signs for EVM chains, not for Solana; give it as Wallet(evm=...).")
            if named is not None:
                raise ConfigurationError(f"The signer's address {named!r} is not a Solana address.")
            raise ConfigurationError(
                "A Solana signer has an `address` and a method `sign_message(message)`; "
                f"{kind} lacks one of them. Pass base58, 32 or 64 bytes, a solders Keypair or such a signer."
            )
        if not takes(method, 1):
            kind = type(signer).__name__
            signer = method = None
            raise ConfigurationError(
                f"{kind}.sign_message is called with one argument, and does not take that; write "
                "`def sign_message(self, message)`."
            )
        self._signer = signer
        self.address: str = address
        self.is_async: bool = inspect.iscoroutinefunction(method)
        self.blocking: bool = getattr(signer, "blocking", True)

    @property
    def open_keystore(self) -> Callable[[], None] | None:
        """Return the function that opens the keystore of the key. None: there is none to open."""
        return getattr(self._signer, "open_keystore", None)

    def sign(self, message: bytes) -> Any:
        """Return the signer's own result, awaitable or not. ``read_signature`` reads it."""
        return self._signer.sign_message(message)

    def __repr__(self) -> str:
        return f"ForeignSolanaSigner({getattr(self, 'address', None)})"


def read_signature(returned: Any) -> bytes:
    """Return 64 bytes, from bytes, base58 or a solders Signature."""
    if isinstance(returned, str):
        import base58

        try:
            returned = base58.b58decode(returned)
        except ValueError:
            raise SigningError("The signer returned text that is not base58. Nothing was sent.") from None
    try:
        raw = b"" if isinstance(returned, int) else bytes(returned)  # bytes(64) would be 64 zeros
    except (TypeError, ValueError):
        raw = b""
    if len(raw) != 64:
        raise SigningError(
            f"The signer returned {type(returned).__name__} where a signature of 64 bytes is needed. Nothing was sent."
        )
    return raw


def solana_signer(given: Any) -> LocalSolanaSigner | ForeignSolanaSigner:
    """Return a signer for anything that a wallet accepts as ``solana``."""
    if isinstance(given, (LocalSolanaSigner, ForeignSolanaSigner)):
        return given
    if isinstance(given, str):
        return _from_bytes(_decoded(given.strip()))
    if isinstance(given, (bytes, bytearray)):
        return _from_bytes(bytes(given))
    # The official SDK's signer signs only whole transactions, but it has its Keypair as an attribute.
    for keypair in (given, getattr(given, "keypair", None)):
        if any(c.__name__ == "Keypair" and c.__module__.startswith("solders") for c in type(keypair).__mro__):
            return LocalSolanaSigner(keypair)
    keypair = None
    return ForeignSolanaSigner(given)


def _decoded(text: str) -> bytes:
    import base58

    try:
        mistake = solana_mistake(text)
        if mistake is None:
            return base58.b58decode(text)
    except ValueError:
        mistake = "A Solana key is base58 of 64 bytes; this text is not base58."
    finally:
        text = ""  # tools that print the variables of a traceback must find none
    raise ConfigurationError(mistake)


def _from_bytes(secret: bytes) -> LocalSolanaSigner:
    from solders.keypair import Keypair

    if len(secret) == 32:
        return LocalSolanaSigner(Keypair.from_seed(secret))
    if len(secret) != 64:
        raise ConfigurationError(f"A Solana key is 32 bytes, or 64 with its public half; this one has {len(secret)}.")
    try:
        return LocalSolanaSigner(Keypair.from_bytes(secret))
    except ValueError:
        raise ConfigurationError("The two halves of this Solana key do not belong together.") from None
