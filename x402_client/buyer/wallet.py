"""``Wallet``: the keys or signers that pay, one for each family of chains."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NoReturn

from ..errors import ConfigurationError, SigningError
from ..model.networks import EVM_FAMILY, SOLANA_FAMILY, is_family
from ..signers.evm import ForeignEvmSigner, LocalEvmSigner, read_hex_key
from ..signers.further import FurtherSigner
from ..signers.solana import ForeignSolanaSigner, LocalSolanaSigner, solana_signer

EVM_VARIABLE = "X402_EVM_KEY"
SOLANA_VARIABLE = "X402_SOLANA_KEY"


class Wallet:
    """The keys or signers that pay. Signers may be sync or async.

    Keys show in no repr, pickle or traceback.

    Args:
        evm: The key for EVM chains: 0x hex, 32 bytes, an ``eth_account`` account, or any object with an ``address`` and
            ``sign_typed_data(full_message)``. Default: none.
        solana: The key for Solana: base58, 32 or 64 bytes, a ``solders`` Keypair, or any object with an ``address`` and
            ``sign_message(message)``. Default: none.
        further: Signers for other families of chains, by their CAIP-2 namespaces: objects with an ``address`` and
            ``sign(data)``. Default: none.
    """

    __slots__ = ("evm", "further", "solana")
    evm: LocalEvmSigner | ForeignEvmSigner | None
    solana: LocalSolanaSigner | ForeignSolanaSigner | None
    further: Mapping[str, FurtherSigner]

    def __init__(self, evm: Any = None, solana: Any = None, *, further: Any = None) -> None:
        problem = None
        self.evm = self.solana = None
        self.further = {}
        try:
            self.evm = _evm_signer(evm)
            self.solana = None if solana is None else solana_signer(solana)
            self.further = _further_signers(further)
            if not (self.evm or self.solana or self.further):
                problem = "A wallet needs a key: Wallet(evm=...), Wallet(solana=...) or both."
        except ConfigurationError as found:
            problem = str(found)
        # Raised out here, after the keys are let go: tools that print the variables of a traceback find none.
        evm = solana = further = None
        if problem is not None:
            raise ConfigurationError(problem)

    @classmethod
    def from_env(cls) -> Wallet:
        """Read the keys from the environment: X402_EVM_KEY (hex) and X402_SOLANA_KEY (base58)."""
        if not any(_variable(name) for name in (EVM_VARIABLE, SOLANA_VARIABLE)):
            raise ConfigurationError(f"Neither {EVM_VARIABLE} nor {SOLANA_VARIABLE} is set; set the one you pay with.")
        # The keys are kept in no variable here: tools that print the variables of a traceback would show them.
        return cls(evm=_variable(EVM_VARIABLE), solana=_variable(SOLANA_VARIABLE))

    @classmethod
    def from_keystore(cls, path: str | os.PathLike[str], passphrase: str | None = None) -> Wallet:
        """Read an encrypted keystore, or a directory with one for each kind of chain.

        A keystore is Web3 secret storage, version 3; ``x402 wallet new`` makes one.

        Args:
            path: The file, or the directory.
            passphrase: What it was encrypted with. Default: X402_PASSPHRASE, or the operating system's keyring if the
                wallet was made with it.
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
        """Derive the first accounts of a BIP-39 mnemonic.

        They are m/44'/60'/0'/0/0 on EVM chains and m/44'/501'/0'/0' on Solana.

        Args:
            words: The mnemonic's words, with spaces between them.
        """
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

    def signer(self, family: str) -> Any:
        """Return the signer for a family of chains, by its CAIP-2 namespace; None if there is none.

        Args:
            family: The namespace of the family in CAIP-2, as in ``eip155`` or ``solana``.
        """
        named = {EVM_FAMILY: self.evm, SOLANA_FAMILY: self.solana}
        return named[family] if family in named else self.further.get(family)

    def needed_signer(self, family: str) -> Any:
        """Return the signer for a family of chains. SigningError if there is none.

        Args:
            family: The namespace of the family in CAIP-2.
        """
        found = self.signer(family)
        if found is None:
            raise SigningError(f"The payment scheme asked for a signature on {family!r}; the wallet has no key there.")
        return found

    @property
    def addresses(self) -> dict[str, str]:
        """Return the account that pays in each family of chains."""
        families = {"evm": EVM_FAMILY, "solana": SOLANA_FAMILY}
        return {families.get(name, name): signer.address for name, signer in self._signers()}

    @property
    def async_only(self) -> tuple[str, ...]:
        """Return the names of the signers that a sync client cannot use."""
        return tuple(name for name, signer in self._signers() if signer.is_async)

    def _signers(self) -> list[tuple[str, Any]]:
        signers = {"evm": self.evm, "solana": self.solana, **self.further}
        return [(name, signer) for name, signer in signers.items() if signer is not None]

    def __repr__(self) -> str:
        return f"Wallet({', '.join(f'{name}={signer.address}' for name, signer in self._signers())})"

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


def _further_signers(given: Any) -> dict[str, FurtherSigner]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(map(is_family, given)):
        given = None
        raise ConfigurationError('Wallet(further=...) maps families of chains to signers, like {"stellar": signer}.')
    for family, keyword in ((EVM_FAMILY, "evm"), (SOLANA_FAMILY, "solana"), ("evm", "evm")):
        if family in given:
            given = None
            raise ConfigurationError(f"A signer for {family!r} is given as Wallet({keyword}=...), not in further.")
    return {family: FurtherSigner(family, signer) for family, signer in given.items()}
