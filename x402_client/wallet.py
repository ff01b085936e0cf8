"""``Wallet``: the keys or signers that pay, one for each family of chains."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from .errors import ConfigurationError
from .signers.foreign import ForeignEvmSigner
from .signers.local import LocalEvmSigner, read_hex_key

EVM_VARIABLE = "X402_EVM_KEY"
SOLANA_VARIABLE = "X402_SOLANA_KEY"


class Wallet:
    """What pays.

    ``evm`` is 0x hex, 32 bytes, an ``eth_account`` account, or any object with an ``address`` and
    ``sign_typed_data(full_message)``, sync or async. Keys show in no repr, pickle or traceback.
    """

    __slots__ = ("evm",)
    evm: LocalEvmSigner | ForeignEvmSigner | None

    def __init__(self, evm: Any = None, solana: Any = None) -> None:
        problem = None
        self.evm = None
        try:
            self.evm = _evm_signer(evm)
            if solana is not None:
                problem = "Solana is not available in this version; leave `solana` out."
            elif self.evm is None:
                problem = "A wallet needs a key: Wallet(evm=...)."
        except ConfigurationError as found:
            problem = str(found)
        # Raised out here, after the keys are let go: tools that print the variables of a traceback find none.
        evm = solana = None
        if problem is not None:
            raise ConfigurationError(problem)

    @classmethod
    def from_env(cls) -> Wallet:
        """Keys from the environment: X402_EVM_KEY (hex) and X402_SOLANA_KEY (base58)."""
        evm, solana = (os.environ.get(name, "").strip() or None for name in (EVM_VARIABLE, SOLANA_VARIABLE))
        if evm is None and solana is None:
            raise ConfigurationError(f"Neither {EVM_VARIABLE} nor {SOLANA_VARIABLE} is set; set the one you pay with.")
        return cls(evm=evm, solana=solana)

    @property
    def async_only(self) -> tuple[str, ...]:
        """The signers that a sync client cannot ask."""
        return ("evm",) if self.evm is not None and getattr(self.evm, "is_async", False) else ()

    def __repr__(self) -> str:
        return f"Wallet(evm={self.evm.address if self.evm else None})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A wallet holds keys and is not pickled; build it where it is used.")


def _evm_signer(given: Any) -> LocalEvmSigner | ForeignEvmSigner | None:
    if given is None:
        return None
    if isinstance(given, str):
        return LocalEvmSigner(read_hex_key(given))
    if isinstance(given, (bytes, bytearray)):
        return LocalEvmSigner(bytes(given))
    if isinstance(given, (LocalEvmSigner, ForeignEvmSigner)):
        return given
    return ForeignEvmSigner(given)
