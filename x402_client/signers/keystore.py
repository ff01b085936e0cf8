"""Keys in files, encrypted with a passphrase: Web3 secret storage version 3, as most EVM wallets write it.

A Solana key is kept in the same format: its 32-byte seed is encrypted, ``address`` is base58, and the file says
``"chain": "solana"``. A wallet is one such file, or a directory with one for each family of chains.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ..chains.evm import checksum, is_address, keccak
from ..errors import ConfigurationError
from ..model.counts import counted
from ..model.signing import TypedData
from .evm import LocalEvmSigner
from .mistaken_keys import MNEMONIC_LENGTHS, NUMBERS
from .solana import LocalSolanaSigner, solana_signer

Family = Literal["evm", "solana"]
PASSPHRASE_VARIABLE = "X402_PASSPHRASE"
#: Where a passphrase was found, in words.
_IN_VARIABLE, _IN_KEYRING = f"in {PASSPHRASE_VARIABLE}", "in the keyring"
#: The name under which the operating system's keyring keeps passphrases, by address.
KEYRING_SERVICE = "x402_client"
#: The fewest characters that the command accepts in a new wallet's passphrase.
SHORTEST_PASSPHRASE = 8
_MOST_BYTES = 64 * 1024
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    version: Literal[3]
    crypto: dict[str, Any]
    address: str = ""
    chain: Literal["evm", "solana"] = "evm"
    passphrase: Literal["asked", "keyring"] = "asked"


@dataclass(frozen=True, slots=True)
class Keystore:
    """Encrypted key in a file. ``address`` is empty if the file does not have it."""

    path: Path
    family: Family
    address: str
    in_keyring: bool
    _document: Mapping[str, Any] = field(repr=False)

    def unlock(self, passphrase: str, where: str = "") -> LocalEvmSigner | LocalSolanaSigner:
        """Return the signer inside. A wrong passphrase is a ConfigurationError, which says where it was."""
        signer = self.try_unlock(passphrase)
        passphrase = ""  # tools that print the variables of a traceback must find none
        if signer is None:
            whose = f", the wallet of {self.address}" if self.address else ""
            raise ConfigurationError(
                f"The passphrase{where and ' '}{where} does not open {self.path}{whose}. {self._right_one(where)} "
                "A lost passphrase cannot be found again: `x402 wallet import` makes a wallet of the same key or "
                "mnemonic anew."
            )
        return signer

    def _right_one(self, where: str) -> str:
        """Return how to give the right passphrase, where one from ``where`` is wrong."""
        if where == _IN_KEYRING:
            return f"Set {PASSPHRASE_VARIABLE} to the one that it was encrypted with: it comes before the keyring."
        if where == _IN_VARIABLE:
            other = ", or unset it: the keyring has one for this wallet" if self.in_keyring else ""
            return f"Set {PASSPHRASE_VARIABLE} to the one that it was encrypted with{other}."
        return "Give the one that it was encrypted with."

    def try_unlock(self, passphrase: str) -> LocalEvmSigner | LocalSolanaSigner | None:
        """Return the signer inside, or None if the passphrase is wrong. A file that no passphrase opens is an error."""
        secret, problem = _opened(self._document, passphrase)
        passphrase = ""  # tools that print the variables of a traceback must find none
        if problem:
            raise ConfigurationError(f"No passphrase opens {self.path}: {problem}. Use a copy of the file.")
        if secret is None:
            return None
        signer = _signer(self.family, secret)
        secret = b""
        if self.address not in ("", signer.address):
            raise ConfigurationError(
                f"{self.path} names the address {self.address}, but its key is that of {signer.address}. Find out why "
                "before you use it."
            )
        return signer


def read(path: str | os.PathLike[str]) -> tuple[Keystore, ...]:
    """Return the keystores of a wallet: of one file, or of every ``.json`` in a directory."""
    try:
        place = Path(path).expanduser()
    except RuntimeError:
        raise ConfigurationError(f"{path} names a home directory, and this user has none.") from None
    try:
        files = sorted(place.glob("*.json")) if place.is_dir() else [place]
        found = tuple(_read_file(file) for file in files)
    except OSError as failure:
        raise ConfigurationError(f"The keystore {place} cannot be read: {failure.strerror}.") from None
    if not found:
        raise ConfigurationError(f"There is no keystore in {place}.")
    families = [store.family for store in found]
    if len(set(families)) < len(families):
        raise ConfigurationError(f"{place} has two keystores of one kind; name the file that you mean.")
    return found


def passphrase_of(store: Keystore) -> str:
    """Return the passphrase in X402_PASSPHRASE, or in the operating system's keyring if it was put there."""
    given = os.environ.get(PASSPHRASE_VARIABLE, "")
    found = given or (_kept_in_keyring(store) if store.in_keyring else None)
    if not found:
        where = "the keyring does not have it" if store.in_keyring else f"{PASSPHRASE_VARIABLE} is not set"
        raise ConfigurationError(f"The passphrase of {store.path} is not known: {where}. Set {PASSPHRASE_VARIABLE}.")
    return found


def place_of_passphrase() -> str:
    """Return where ``passphrase_of`` finds it, in words."""
    return _IN_VARIABLE if os.environ.get(PASSPHRASE_VARIABLE) else _IN_KEYRING


def _kept_in_keyring(store: Keystore) -> str | None:
    keyring, problem = _keyring(), ""
    try:
        found = keyring.get_password(KEYRING_SERVICE, store.address)
    except Exception as failure:  # there is no keyring, or it stays locked
        problem = type(failure).__name__
    else:
        return None if found is None else str(found)
    raise ConfigurationError(
        f"The passphrase of {store.path} is in the keyring, which failed ({problem}). Set {PASSPHRASE_VARIABLE} to it."
    )


def keep_in_keyring(address: str, passphrase: str) -> None:
    """Store a passphrase in the operating system's keyring."""
    try:
        _keyring().set_password(KEYRING_SERVICE, address, passphrase)
    except Exception as failure:
        if isinstance(failure, ConfigurationError):
            raise
        passphrase = ""
        problem = type(failure).__name__
    else:
        return
    raise ConfigurationError(f"The keyring did not take the passphrase ({problem}); leave --keyring out.")


def _keyring() -> Any:
    try:
        import keyring  # pyright: ignore[reportMissingImports]  # may be there
    except ImportError:
        raise ConfigurationError(
            'The operating system\'s keyring needs a package that is not installed: pip install "x402-buyer[keyring]" '
            '(in a clone: pip install ".[keyring]").'
        ) from None
    return keyring


def new_secret() -> bytes:
    """Make 32 random bytes that are a valid key on every chain."""
    return (1 + secrets.randbelow(_ORDER - 1)).to_bytes(32)


def seal(family: Family, secret: bytes, passphrase: str, *, in_keyring: bool = False) -> dict[str, Any]:
    """Return the encrypted document of a key."""
    from eth_keyfile.keyfile import create_keyfile_json

    address = _signer(family, secret).address
    document = create_keyfile_json(secret, passphrase.encode(), kdf="scrypt")
    # The library writes the address of an EVM key. For a Solana key, its own address replaces that.
    own = {"address": address[2:].lower()} if family == "evm" else {"address": address, "chain": "solana"}
    return {**document, **own, **({"passphrase": "keyring"} if in_keyring else {})}


def write(directory: Path, documents: Iterable[tuple[Family, Mapping[str, Any]]]) -> list[Path]:
    """Write keystores to a directory of mode 0700, as files of mode 0600. A file is never overwritten."""
    written = []
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for family, document in documents:
            path = directory / f"{family}.json"
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                json.dump(document, file, indent=2)
                file.flush()
                os.fsync(handle)
            written.append(path)
    except FileExistsError:
        raise ConfigurationError(
            f"{directory} has a keystore already, and none is ever overwritten. Choose another directory."
        ) from None
    except OSError as failure:
        raise ConfigurationError(f"The keystore cannot be written to {directory}: {failure.strerror}.") from None
    return written


def secrets_of(mnemonic: str) -> dict[Family, bytes]:
    """Return the key of a BIP-39 mnemonic's first account on each family of chains.

    The paths are those of most wallets: m/44'/60'/0'/0/0 on EVM chains, m/44'/501'/0'/0' (SLIP-10) on Solana.
    """
    from eth_account.hdaccount import key_from_seed, seed_from_mnemonic
    from eth_utils.exceptions import ValidationError as NotAMnemonic
    from solders.keypair import Keypair

    try:
        seed = seed_from_mnemonic(" ".join(mnemonic.split()), "")
    except NotAMnemonic:
        seed = b""
    words = len(mnemonic.split())
    mnemonic = ""
    if not seed and words not in MNEMONIC_LENGTHS:
        raise ConfigurationError(
            f"These {words} words are not a BIP-39 mnemonic: it has {', '.join(map(str, MNEMONIC_LENGTHS[:-1]))} or "
            f"{MNEMONIC_LENGTHS[-1]}. Check that all of it is there."
        )
    if not seed:
        raise ConfigurationError(
            f"These {words} words are not a BIP-39 mnemonic: one of them is not in its list, or they do not fit "
            "together. Check each word and their order."
        )
    evm = key_from_seed(seed, "m/44'/60'/0'/0/0")
    return {"evm": evm, "solana": bytes(Keypair.from_seed_and_derivation_path(seed, "m/44'/501'/0'/0'").secret())}


def _read_file(path: Path) -> Keystore:
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    raw = None
    try:
        raw = json.loads(data) if len(data) <= _MOST_BYTES else None
        # Some programs write the names in capitals.
        document = {str(name).lower(): value for name, value in raw.items()} if isinstance(raw, dict) else {}
        found = _Document.model_validate(document)
    except (ValueError, RecursionError) as problem:
        first = problem.errors()[0] if isinstance(problem, ValidationError) else None
        plain = isinstance(raw, list) and NUMBERS.fullmatch(data.decode(errors="replace")) is not None
        raw, data = None, b""  # they may be a key, and tools print the variables of a traceback
        if plain:
            raise ConfigurationError(
                f"{path} is a key file of solana-keygen, and no encrypted keystore. `x402 wallet import < {path}` "
                "makes one of it; Wallet(solana=bytes(json.loads(Path(path).read_text()))) takes it as it is."
            ) from None
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else "it is not JSON"
        raise ConfigurationError(f"{path} is not a keystore (Web3 secret storage, version 3): {what}.") from None
    return Keystore(path, found.chain, _address(path, found), found.passphrase == "keyring", document)


def _address(path: Path, found: _Document) -> str:
    if not found.address or found.chain == "solana":
        return found.address
    address = "0x" + found.address.removeprefix("0x").removeprefix("0X").lower()
    if not is_address(address):
        raise ConfigurationError(f"{path} is not a keystore: its address is not an EVM address.")
    return checksum(address)


def _opened(document: Mapping[str, Any], passphrase: str) -> tuple[bytes | None, str]:
    """Return the secret, or None if the passphrase is wrong; and what is wrong with the file, or ""."""
    from eth_keyfile.exceptions import EthKeyfileValueError
    from eth_keyfile.keyfile import decode_keyfile_json

    try:
        secret = decode_keyfile_json(dict(document), passphrase.encode())
    except (EthKeyfileValueError, UnicodeEncodeError):  # the checksum does not fit
        return None, ""
    except Exception as failure:
        return None, f"its crypto part cannot be read ({type(failure).__name__})"
    return secret, "" if len(secret) == 32 else f"it holds {counted(len(secret), 'byte')} and a key has 32"


def _signer(family: Family, secret: bytes) -> LocalEvmSigner | LocalSolanaSigner:
    if family == "evm":
        return LocalEvmSigner(secret)
    signer = solana_signer(secret)
    assert isinstance(signer, LocalSolanaSigner)
    return signer


class LockedSigner:
    """Signer whose keystore stays locked until the first signature is needed. ``unlock`` opens it."""

    blocking = True

    def __init__(self, store: Keystore, unlock: Callable[[Keystore], Any]) -> None:
        self._store, self._unlock = store, unlock
        self._signer: Any = None
        self.address: str = store.address

    def open_keystore(self) -> None:
        """Open the keystore, if that was not done yet. A wrong passphrase is a ConfigurationError."""
        self._opened()

    def _opened(self) -> Any:
        if self._signer is None:
            self._signer = self._unlock(self._store)
        return self._signer

    def __repr__(self) -> str:
        return f"LockedSigner({self.address})"


class LockedEvmSigner(LockedSigner):
    """Locked signer for EVM chains."""

    def sign_typed_data(self, full_message: dict[str, Any], /) -> bytes:
        """Sign an EIP-712 message."""
        from eth_account.messages import encode_typed_data

        message = encode_typed_data(full_message=full_message)
        digest = keccak(b"\x19" + message.version + message.header + message.body)
        signed: bytes = self._opened().sign(TypedData(digest, lambda: full_message))
        return signed


class LockedSolanaSigner(LockedSigner):
    """Locked signer for Solana."""

    def sign_message(self, message: bytes, /) -> bytes:
        """Sign bytes with Ed25519."""
        signed: bytes = self._opened().sign(message)
        return signed
