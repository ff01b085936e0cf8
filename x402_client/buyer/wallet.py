"""``Wallet``: the keys or signers that pay, one for each family of chains."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Never, NoReturn, Self

from ..errors import ConfigurationError, SigningError
from ..model.keyword_hints import known_keywords
from ..model.keywords import takes_nothing
from ..model.networks import EVM_FAMILY, SOLANA_FAMILY, is_family
from ..model.offers import line, words
from ..model.sign_in import SIGNATURE_TYPES
from ..signers.contract import ContractSigner
from ..signers.evm import ForeignEvmSigner, LocalEvmSigner, evm_signer
from ..signers.further import FurtherSigner
from ..signers.solana import ForeignSolanaSigner, LocalSolanaSigner, solana_signer
from . import environment, keystores


class Wallet:
    """The keys or signers that pay. Signers may be sync or async.

    Keys show in no repr, pickle or traceback.

    Args:
        evm: The key for EVM chains: 0x hex, 32 bytes, an ``eth_account`` account, or any object with an ``address`` and
            ``sign_typed_data(full_message)``. Signers of the official SDK are taken as they are. For a wallet that is a
            contract, a ``ContractSigner`` or ``SafeSigner`` of ``x402_client.signers``. Default: none.
        solana: The key for Solana: base58 of 64 bytes, 32 or 64 bytes, a ``solders`` Keypair, or any object with an
            ``address`` and ``sign_message(message)``. Default: none.
        further: Signers for other families of chains, by their CAIP-2 namespaces: objects with an ``address`` and
            ``sign(data)``. Default: none.
    """

    __slots__ = ("evm", "further", "solana")
    evm: LocalEvmSigner | ForeignEvmSigner | ContractSigner | None
    solana: LocalSolanaSigner | ForeignSolanaSigner | None
    further: Mapping[str, FurtherSigner]

    def __init__(self, evm: Any = None, solana: Any = None, *, further: Any = None, **unknown: Never) -> None:
        problem = None
        self.evm = self.solana = None
        self.further = {}
        names = tuple(unknown)
        unknown.clear()
        if names:
            evm = solana = further = None
            known_keywords(Wallet, names)
        try:
            self.evm = None if evm is None else _evm_signer(evm)
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
    @takes_nothing('did you mean Wallet.from_keystore("default")?')
    def from_env(cls) -> Self:
        """Return the wallet that the ``x402`` command pays with. Nothing is asked for on a terminal.

        It is the one that X402_WALLET names, else the keys in X402_EVM_KEY (hex) and X402_SOLANA_KEY (base58), else the
        one named default, which ``x402 wallet new`` makes. A passphrase is read as by ``from_keystore``.
        """
        if environment.variable(environment.WALLET_VARIABLE) is not None:
            return cls.from_keystore(str(environment.variable(environment.WALLET_VARIABLE)))
        if environment.has_keys():
            return cls(**_signers_of_variables())
        place = keystores.default_place()
        if place is None:
            raise ConfigurationError(f"{environment.no_wallet()} {environment.FOR_SANDBOX}")
        return cls.from_keystore(place)

    @classmethod
    def from_keystore(cls, path: str | os.PathLike[str], passphrase: str | None = None) -> Self:
        """Read a wallet by its name, or an encrypted keystore by its path, or a directory with one for each chain.

        ``"default"`` is the wallet that ``x402 wallet new`` makes. A keystore is Web3 secret storage, version 3.

        Args:
            path: The file, the directory, or the name of one of the command's wallets.
            passphrase: What it was encrypted with. Default: X402_PASSPHRASE, or the operating system's keyring if the
                wallet was made with it.
        """
        from ..signers import keystore

        problem = None
        signers: dict[str, Any] = {}
        try:
            for store in keystore.read(keystores.place(path)):
                found = passphrase or keystore.passphrase_of(store)
                signers[store.family] = store.unlock(found, "" if passphrase else keystore.place_of_passphrase())
        except ConfigurationError as found:
            problem = str(found)
        path, passphrase = "", None  # either may have been a key by mistake
        if problem is not None:
            raise ConfigurationError(problem)
        return cls(**signers)

    @classmethod
    def from_mnemonic(cls, words: str) -> Self:
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
    def readers(self) -> dict[str, str]:
        """Return the accounts whose signers sign a text to be read, by family of chains: these can sign in."""
        found = self.addresses
        if self.evm is not None and not getattr(self.evm, "signs_texts", False):
            del found[EVM_FAMILY]
        return {family: address for family, address in found.items() if family in SIGNATURE_TYPES}

    @property
    def async_only(self) -> tuple[str, ...]:
        """Return the names of the signers that a sync client cannot use."""
        return tuple(name for name, signer in self._signers() if signer.is_async)

    def _signers(self) -> list[tuple[str, Any]]:
        signers = {"evm": self.evm, "solana": self.solana, **self.further}
        return [(name, signer) for name, signer in signers.items() if signer is not None]

    def __repr__(self) -> str:
        return line(f"Wallet({', '.join(f'{name}={words(signer.address, 100)}' for name, signer in self._signers())})")

    def __reduce__(self) -> NoReturn:
        raise TypeError("A wallet holds keys and is not pickled; build it where it is used.")


def _signers_of_variables() -> dict[str, Any]:
    signers: dict[str, Any] = {}
    for keyword, name, build in (
        ("evm", environment.EVM_VARIABLE, evm_signer),
        ("solana", environment.SOLANA_VARIABLE, solana_signer),
    ):
        problem = None
        try:
            # The key is kept in no variable here: tools that print the variables of a traceback would show it.
            if environment.variable(name) is not None:
                signers[keyword] = build(environment.variable(name))
        except ConfigurationError as found:
            problem = str(found)
        if problem is not None:
            raise ConfigurationError(f"{name}: {problem}")
    return signers


def _evm_signer(given: Any) -> LocalEvmSigner | ForeignEvmSigner | ContractSigner:
    return given if isinstance(given, ContractSigner) else evm_signer(given)


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
