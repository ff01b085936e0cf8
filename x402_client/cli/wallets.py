"""Finds the wallet of a command, and its passphrase. Looking needs no passphrase, paying does."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..buyer import keystores
from ..buyer.environment import has_keys, no_wallet
from ..buyer.keyless import keyless_wallet
from ..buyer.keystores import DEFAULT, directory, wallets_directory
from ..buyer.wallet import Wallet
from ..errors import ConfigurationError
from ..signers.keystore import PASSPHRASE_VARIABLE, Keystore, LockedEvmSigner, LockedSolanaSigner, passphrase_of, read
from .screen import interactive, say

__all__ = ["DEFAULT", "Found", "ask", "directory", "find", "given_passphrase", "no_wallet", "wallets_directory"]

_TRIES = 3


@dataclass(frozen=True, slots=True)
class Found:
    """A wallet, and where it came from.

    Attributes:
        wallet: The wallet.
        source: Where it came from.
        stores: Its keystores. Empty if it came from the environment, or if there is no wallet.
        no_wallet: True if there is no wallet: this one is good enough to judge offers by, and signs nothing.
        is_locked: True if its keystores are opened when something is signed, and not before.
    """

    wallet: Wallet
    source: str
    stores: tuple[Keystore, ...] = ()
    no_wallet: bool = False
    is_locked: bool = False


def find(
    named: str | None, passphrase_file: Path | None = None, unlock_now: bool = False, unlock_if_known: bool = False
) -> Found:
    """Return the wallet that was named, else the environment's, else the one named default, else one without keys.

    Args:
        named: Its name or place. None: none was named.
        passphrase_file: The file with its passphrase. Default: none was named.
        unlock_now: True to open it now, and not when it first signs. Default: False.
        unlock_if_known: True to open it now if that asks nothing of a person. Default: False.
    """
    if named is None and has_keys():
        return Found(Wallet.from_env(), "the environment")
    place = keystores.default_place() if named is None else keystores.place(named)
    if place is None:
        return Found(keyless_wallet(), "nowhere", no_wallet=True)
    stores = read(place)
    now = unlock_now or (unlock_if_known and _is_known(stores, passphrase_file))
    wallet = _wallet(stores, lambda store: _unlock(store, passphrase_file), now)
    return Found(wallet, str(place), stores, is_locked=not now)


def _is_known(stores: tuple[Keystore, ...], file: Path | None) -> bool:
    """Return True if the passphrase of each keystore is given, or in the keyring."""
    return given_passphrase(file) is not None or all(store.in_keyring for store in stores)


def _wallet(stores: tuple[Keystore, ...], unlock: Callable[[Keystore], Any], now: bool) -> Wallet:
    signers: dict[str, Any] = {}
    for store in stores:
        kind = LockedEvmSigner if store.family == "evm" else LockedSolanaSigner
        signers[store.family] = unlock(store) if now or not store.address else kind(store, unlock)
    return Wallet(**signers)


def _unlock(store: Keystore, file: Path | None) -> Any:
    """Unlock a keystore with a passphrase from a file, the environment, the keyring or a prompt."""
    given = given_passphrase(file)
    if given is not None:
        return store.unlock(given, f"in {PASSPHRASE_VARIABLE if file is None else f'the file {file}'}")
    if store.in_keyring:
        return store.unlock(passphrase_of(store), "in the keyring")
    if not interactive():
        raise ConfigurationError(
            f"The passphrase of {store.path} is not known, and there is no terminal to ask on: set "
            f"{PASSPHRASE_VARIABLE}, or use --passphrase-file."
        )
    for _ in range(_TRIES - 1):
        signer = store.try_unlock(ask(f"Passphrase of {store.path}: "))
        if signer is not None:
            return signer
        say("That passphrase does not open it. Try again.")
    return store.unlock(ask(f"Passphrase of {store.path}: "), "that was typed")


def given_passphrase(file: Path | None) -> str | None:
    """Return the passphrase from a file or from the environment, or None.

    Args:
        file: The file. None: only the environment is read.
    """
    if file is None:
        return os.environ.get(PASSPHRASE_VARIABLE) or None
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as failure:
        raise ConfigurationError(f"The passphrase file {file} cannot be read: {_why(failure)}.") from None
    if not lines or not lines[0]:
        raise ConfigurationError(f"The passphrase file {file} has nothing in its first line.")
    return lines[0]


def _why(failure: Exception) -> str:
    return (failure.strerror if isinstance(failure, OSError) else None) or "it is not text"


def ask(question: str) -> str:
    """Ask a question whose answer does not show.

    Args:
        question: The prompt.
    """
    try:
        return getpass.getpass(question, stream=sys.stderr)
    except EOFError:
        raise ConfigurationError("Nothing was typed.") from None
