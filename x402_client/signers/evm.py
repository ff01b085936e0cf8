"""EVM signers: a key in this process, or somebody else's signer, whose signatures are checked.

No repr, pickle or traceback of this package shows a key.
"""

from __future__ import annotations

import inspect
import re
import secrets
from collections.abc import Callable
from typing import Any, NoReturn

from ..chains.evm import address_of, checksum, is_address, personal_digest
from ..errors import ConfigurationError, SigningError
from ..guards.arguments import takes
from ..model.counts import counted
from ..model.signing import TypedData
from .mistaken_keys import evm_mistake
from .official import in_parts, takes_parts
from .play_keys import is_play_secret

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class LocalEvmSigner:
    """Signer with a key in this process. It signs EIP-712 digests with coincurve, or without it in pure Python."""

    __slots__ = ("_key", "address", "is_play")
    blocking = False
    is_async = False

    def __init__(self, secret: bytes) -> None:
        problem = _problem(secret)
        if problem is not None:
            secret = b""  # tools that print the variables of a traceback must find none
            raise ConfigurationError(problem)
        self._key = _backend_key(secret)
        self.address: str = address_of(_public(self._key))
        #: True for a key of the sandbox, which signs for no real network.
        self.is_play: bool = is_play_secret(secret)

    @classmethod
    def generate(cls) -> LocalEvmSigner:
        """Make a random key, for trying things out. It is not stored."""
        return cls((1 + secrets.randbelow(_ORDER - 1)).to_bytes(32))

    @property
    def signs_texts(self) -> bool:
        """Return True: it can sign in."""
        return True

    def sign(self, data: TypedData) -> bytes:
        """Return 65 bytes: r, s, and v of 27 or 28."""
        return self._signed(data.digest)

    def sign_text(self, text: bytes) -> bytes:
        """Sign a text as wallets' personal_sign does (EIP-191). Return 65 bytes."""
        return self._signed(personal_digest(text))

    def _signed(self, digest: bytes) -> bytes:
        if hasattr(self._key, "sign_recoverable"):
            signature = self._key.sign_recoverable(digest, hasher=None)
        else:
            signature = self._key.sign(digest)
        return signature[:64] + bytes([signature[64] + 27])  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"LocalEvmSigner({getattr(self, 'address', None)})"  # tools may show one that is half built

    def __reduce__(self) -> NoReturn:
        raise TypeError("A signer holds a key and is not pickled; build it where it is used.")


def read_hex_key(text: str) -> bytes:
    """Return 32 bytes from hex. A wrong key is described, never shown."""
    digits = text.strip().removeprefix("0x").removeprefix("0X")
    if re.fullmatch(r"[0-9a-fA-F]{64}", digits, re.ASCII):
        return bytes.fromhex(digits)
    found = f"has {counted(len(digits), 'character')}" if len(digits) != 64 else "has other characters in it"
    try:
        mistake = evm_mistake(text.strip())
    finally:
        text = digits = ""  # tools that print the variables of a traceback must find none
    raise ConfigurationError(mistake or f"An EVM key is 64 hex digits, with or without 0x; this one {found}.")


def _problem(secret: bytes) -> str | None:
    if len(secret) != 32:
        solana = " A Solana key is given as Wallet(solana=...)." if len(secret) == 64 else ""
        return f"An EVM key is 32 bytes; this one has {len(secret)}.{solana}"
    if not 0 < int.from_bytes(secret) < _ORDER:
        return "This EVM key is out of the curve's range, so it is not a key. Check that it was copied whole."
    return None


def _backend_key(secret: bytes) -> Any:
    try:
        from coincurve import PrivateKey
    except ImportError:
        from .evm_pure_python import PureKey

        return PureKey(secret)
    return PrivateKey(secret)


def _public(key: Any) -> bytes:
    if hasattr(key, "sign_recoverable"):
        return key.public_key.format(compressed=False)[1:]  # type: ignore[no-any-return]
    return key.public  # type: ignore[no-any-return]


class ForeignEvmSigner:
    """Adapter for any object that follows ``ports.EvmSigner``, an ``eth_account`` account, or a signer of the SDK."""

    __slots__ = ("_in_parts", "_keyword", "_signer", "address", "blocking", "is_async")

    def __init__(self, signer: Any) -> None:
        address = getattr(signer, "address", None)
        method = getattr(signer, "sign_typed_data", None)
        if not isinstance(address, str) or not callable(method):
            kind, solana = type(signer).__name__, _signs_for_solana(signer)
            signer = method = None  # tools that print the variables of a traceback must find no key
            if solana:
                raise ConfigurationError(f"{kind} signs for Solana, not for EVM chains; give it as Wallet(solana=...).")
            raise ConfigurationError(
                "An EVM signer has an `address` and a method `sign_typed_data(full_message)`; "
                f"{kind} lacks one of them. Pass 0x hex, 32 bytes, an eth_account account or such a signer."
            )
        if not is_address(address):
            signer = method = None
            raise ConfigurationError(f"The signer's address {address[:60]!r} is not an EVM address.")
        self._in_parts = takes_parts(method)
        self._keyword = _is_eth_account(signer, "BaseAccount")
        if not (self._in_parts or self._keyword or takes(method, 1)):
            kind = type(signer).__name__
            signer = method = None
            raise ConfigurationError(
                f"{kind}.sign_typed_data is called with one argument, and does not take that; write "
                "`def sign_typed_data(self, full_message)`."
            )
        self._signer = signer
        self.address: str = checksum(address)
        self.is_async: bool = inspect.iscoroutinefunction(method)
        self.blocking: bool = getattr(signer, "blocking", not _is_eth_account(signer, "LocalAccount"))

    @property
    def open_keystore(self) -> Callable[[], None] | None:
        """Return the function that opens the keystore of the key. None: there is none to open."""
        return getattr(self._signer, "open_keystore", None)

    def sign(self, data: TypedData) -> Any:
        """Return the signer's own result, awaitable or not. ``read_signature`` reads it."""
        if self._keyword:
            return self._signer.sign_typed_data(full_message=data.full())
        if self._in_parts:
            return self._signer.sign_typed_data(**in_parts(data.full()))
        return self._signer.sign_typed_data(data.full())

    @property
    def signs_texts(self) -> bool:
        """Return True if the signer has the optional ``sign_message``."""
        return callable(getattr(self._signer, "sign_message", None))

    def sign_text(self, text: bytes) -> Any:
        """Return the signer's own result for a text (EIP-191), awaitable or not."""
        if self._keyword:
            from eth_account.messages import encode_defunct  # it is installed: the signer is one of its accounts

            return self._signer.sign_message(encode_defunct(text))
        return self._signer.sign_message(text)

    def __repr__(self) -> str:
        return f"ForeignEvmSigner({getattr(self, 'address', None)})"  # tools may show one that is half built


def _signs_for_solana(signer: Any) -> bool:
    return any(hasattr(signer, name) for name in ("pubkey", "sign_message", "keypair"))


def read_signature(returned: Any) -> bytes:
    """Return r, s and v of 27 or 28, as tokens accept them, from bytes, hex or eth_account's SignedMessage."""
    raw = raw_signature(returned)
    if len(raw) != 65:
        raise SigningError(
            f"The signer returned {counted(len(raw), 'byte')} where a signature of 65 bytes is needed. "
            "Nothing was sent."
        )
    found = _low_form(raw)
    if found is None:
        raise SigningError("The signer returned 65 bytes that are not a signature. Nothing was sent.")
    return found


def read_any_signature(returned: Any) -> bytes:
    """Return what ``read_signature`` does, and all else as it is: an account with code may take other signatures."""
    raw = raw_signature(returned)
    return (_low_form(raw) if len(raw) == 65 else None) or raw


def raw_signature(returned: Any) -> bytes:
    """Return the bytes of what a signer returned, of any length."""
    raw = getattr(returned, "signature", returned)
    if isinstance(raw, str):
        try:
            raw = bytes.fromhex(raw.removeprefix("0x"))
        except ValueError:
            raise SigningError("The signer returned text that is not hex. Nothing was sent.") from None
    if not isinstance(raw, (bytes, bytearray)):
        raise SigningError(f"The signer returned {type(raw).__name__} where a signature is needed. Nothing was sent.")
    return bytes(raw)


def _low_form(raw: bytes) -> bytes | None:
    """Return the form of a key's signature that tokens accept. None if these 65 bytes are no key's signature."""
    s, v = int.from_bytes(raw[32:64]), raw[64]
    v = v + 27 if v < 2 else v
    if s > _ORDER // 2:  # key services often return this form of the same signature
        s, v = _ORDER - s, 55 - v
    return raw[:32] + s.to_bytes(32) + bytes([v]) if v in (27, 28) and s > 0 else None


def evm_signer(given: Any) -> LocalEvmSigner | ForeignEvmSigner:
    """Return a signer for a key, an account or a signer."""
    if isinstance(given, str):
        return LocalEvmSigner(read_hex_key(given))
    if isinstance(given, (bytes, bytearray)):
        return LocalEvmSigner(bytes(given))
    if isinstance(given, (LocalEvmSigner, ForeignEvmSigner)):
        return given
    return ForeignEvmSigner(given)


def _is_eth_account(signer: Any, name: str) -> bool:
    """Return True for a class of eth_account with this name, without importing eth_account."""
    return any(c.__name__ == name and c.__module__.startswith("eth_account.") for c in type(signer).__mro__)
