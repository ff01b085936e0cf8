"""Signers of wallets that are contracts: EIP-1271, ERC-4337 accounts, and those of ERC-6492 that are not deployed yet.

A contract has no key. It says itself which signatures it takes, and they can have any length.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..chains.evm import ZERO, checksum, is_address
from ..errors import ConfigurationError, SigningError
from ..guards.arguments import takes
from ..model.counts import counted
from ..model.signing import TypedData
from .evm import raw_signature

#: Bytes. In a payment's header each takes nearly three characters, and servers take headers of few kilobytes.
_LONGEST = 8 * 1024


class ContractSigner:
    """Signer of a wallet that is a contract: ``Wallet(evm=ContractSigner(address, sign=...))``.

    Before a payment is sent, the contract is asked on its chain if it takes the signature. Without an endpoint, your
    word counts that it does. ``sign`` may be async; then only async clients can use the wallet.

    Args:
        address: The contract's address. The money is there, and payments come from it.
        sign: A function that signs an EIP-712 message, given whole, as that contract wants it. It returns bytes of any
            length, or their hex. Default: none, ``sign_digest`` signs.
        sign_digest: A function that signs the message's 32-byte hash instead. Default: none, ``sign`` signs.
        deploy: The factory's address and the call data that make the contract, of a wallet that may not be on the chain
            yet. Its signatures are then wrapped by ERC-6492. Default: none, the contract is on the chain.
        blocking: False if the function answers at once. Then async clients need no thread for it.
    """

    __slots__ = ("_sign", "_sign_digest", "address", "blocking", "deploy", "is_async")
    deploy: tuple[str, bytes] | None

    def __init__(
        self,
        address: str,
        sign: Callable[[dict[str, Any]], Any] | None = None,
        *,
        sign_digest: Callable[[bytes], Any] | None = None,
        deploy: tuple[str, bytes | str] | None = None,
        blocking: bool = True,
    ) -> None:
        problem = address_problem(address)
        if problem is not None:
            address = ""  # it may be a key: tools that print the variables of a traceback must find none
            raise ConfigurationError(problem)
        given = [one for one in (sign, sign_digest) if one is not None]
        if len(given) != 1 or not callable(given[0]) or not takes(given[0], 1):
            raise ConfigurationError(
                "A contract's signer takes one function: sign=, which is given the EIP-712 message, or sign_digest=, "
                "which is given its hash of 32 bytes. It returns the signature that the contract wants."
            )
        self._sign, self._sign_digest = sign, sign_digest
        self.address: str = checksum(address)
        self.deploy = None if deploy is None else _deployment(deploy)
        self.is_async: bool = inspect.iscoroutinefunction(sign or sign_digest)
        self.blocking: bool = blocking

    def sign(self, data: TypedData) -> Any:
        """Return the function's own result, awaitable or not. ``read_signature`` reads it.

        Args:
            data: What is signed.
        """
        if self._sign is not None:
            return self._sign(data.full())
        assert self._sign_digest is not None
        return self._sign_digest(data.digest)

    def read_signature(self, returned: Any) -> bytes:
        """Return the signature's bytes. Only the contract can say if they are right.

        Args:
            returned: What ``sign`` returned.
        """
        size = len(raw_signature(returned))
        if not 0 < size <= _LONGEST:
            returned = None
            raise SigningError(
                f"The signer returned a signature of {counted(size, 'byte')}; 1 to {_LONGEST} can be sent. "
                "Nothing was sent."
            )
        return raw_signature(returned)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({getattr(self, 'address', None)})"  # tools may show one that is half built


def address_problem(address: Any) -> str | None:
    """Return what is wrong with a contract's address, or None. A key in its place is not shown."""
    if isinstance(address, str) and is_address(address) and address.lower() != ZERO:
        return None
    found = repr(address) if isinstance(address, str) and len(address.strip()) < 64 else f"a {type(address).__name__}"
    return (
        "A contract's signer begins with the contract's address, 0x and 40 hex digits with the right checksum; "
        f"{found} is none."
    )


def _deployment(given: Any) -> tuple[str, bytes]:
    try:
        factory, calldata = given
        calldata = bytes.fromhex(calldata.removeprefix("0x")) if isinstance(calldata, str) else bytes(calldata)
    except (TypeError, ValueError):
        factory, calldata = None, b""
    if not isinstance(factory, str) or not is_address(factory) or not 4 <= len(calldata) <= _LONGEST:
        raise ConfigurationError(
            "deploy is the address of the factory and the call data that makes it create the wallet, as bytes or hex: "
            f"deploy=(factory, calldata). The call data has 4 to {_LONGEST} bytes."
        )
    return checksum(factory), calldata
