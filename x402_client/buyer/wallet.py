"""``Wallet``: the keys or signers that pay, one for each family of chains."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from ..errors import ConfigurationError
from ..signers.evm import ForeignEvmSigner, LocalEvmSigner, read_hex_key
from ..signers.solana import ForeignSolanaSigner, LocalSolanaSigner, solana_signer

EVM_VARIABLE = "X402_EVM_KEY"
SOLANA_VARIABLE = "X402_SOLANA_KEY"


class Wallet:
    """What pays.

    ``evm`` is 0x hex, 32 bytes, an ``eth_account`` account, or any object with an ``address`` and
    ``sign_typed_data(full_message)``; ``solana`` is base58, 32 or 64 bytes, a ``solders`` Keypair, or any object with
    an ``address`` and ``sign_message(message)``. Signers may be sync or async. Keys show in no repr, pickle or
    traceback.
    """

    __slots__ = ("evm", "solana")
    evm: LocalEvmSigner | ForeignEvmSigner | None
    solana: LocalSolanaSigner | ForeignSolanaSigner | None

    def __init__(self, evm: Any = None, solana: Any = None) -> None:
        problem = None
        self.evm = self.solana = None
        try:
            self.evm = _evm_signer(evm)
            self.solana = None if solana is None else solana_signer(solana)
            if self.evm is None and self.solana is None:
                problem = "A wallet needs a key: Wallet(evm=...), Wallet(solana=...) or both."
        except ConfigurationError as found:
            problem = str(found)
        # Raised out here, after the keys are let go: tools that print the variables of a traceback find none.
        evm = solana = None
        if problem is not None:
            raise ConfigurationError(problem)

    @classmethod
    def from_env(cls) -> Wallet:
        """Keys from the environment: X402_EVM_KEY (hex) and X402_SOLANA_KEY (base58)."""
        if not any(_variable(name) for name in (EVM_VARIABLE, SOLANA_VARIABLE)):
            raise ConfigurationError(f"Neither {EVM_VARIABLE} nor {SOLANA_VARIABLE} is set; set the one you pay with.")
        # Kept in no variable here: tools that print those of a traceback would show the keys.
        return cls(evm=_variable(EVM_VARIABLE), solana=_variable(SOLANA_VARIABLE))

    @classmethod
    def from_keystore(cls, path: str | os.PathLike[str], passphrase: str | None = None) -> Wallet:
        """From an encrypted keystore (Web3 secret storage, version 3), or a directory with one for each kind of chain.

        Without a passphrase, X402_PASSPHRASE is looked at, and the operating system's keyring if the wallet was made
        with it. ``x402 wallet new`` makes one.
        """
        from ..signers import keystore

        problem, signers = None, {}
        try:
            for store in keystore.read(path):
                signers[store.family] = store.unlock(passphrase or keystore.passphrase_of(store))
        except ConfigurationError as found:
            problem = str(found)
        passphrase = None
        if problem is not None:
            raise ConfigurationError(problem)
        return cls(**signers)

    @classmethod
    def from_mnemonic(cls, words: str) -> Wallet:
        """The first accounts of a BIP-39 mnemonic: m/44'/60'/0'/0/0 on EVM chains, m/44'/501'/0'/0' on Solana."""
        from ..signers.keystore import secrets_of

        problem, keys = None, {}
        try:
            keys = secrets_of(words)
        except ConfigurationError as found:
            problem = str(found)
        words = ""
        if problem is not None:
            raise ConfigurationError(problem)
        return cls(evm=keys.pop("evm"), solana=keys.pop("solana"))

    @property
    def async_only(self) -> tuple[str, ...]:
        """The signers that a sync client cannot ask."""
        signers = {"evm": self.evm, "solana": self.solana}
        return tuple(name for name, signer in signers.items() if signer is not None and signer.is_async)

    def __repr__(self) -> str:
        signers = {"evm": self.evm, "solana": self.solana}
        return f"Wallet({', '.join(f'{name}={signer.address}' for name, signer in signers.items() if signer)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A wallet holds keys and is not pickled; build it where it is used.")


def _variable(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


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
