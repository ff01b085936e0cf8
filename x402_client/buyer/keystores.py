"""Wallets of the ``x402`` command: directories of encrypted keystores, each with a name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import ConfigurationError, LedgerUnavailable
from ..signers.mistaken_keys import is_secret
from .environment import WALLET_VARIABLE, has_keys, variable

#: The name of the wallet that pays if none is named.
DEFAULT = "default"
#: The most bytes of a file's name.
_LONGEST = 255
#: Names stand in the commands that we print, where a blank would divide them.
_WORD = re.compile(r"\w[\w.@+-]*")


def wallets_directory() -> Path:
    """Return the directory of all wallets, in the user's data directory."""
    from ..ledgers.sqlite import default_path

    try:
        return default_path().parent / "wallets"
    except LedgerUnavailable:
        raise ConfigurationError(
            "This user has no home directory to keep wallets in; set XDG_DATA_HOME, or name a keystore by its path."
        ) from None


def directory(name: str) -> Path:
    """Return the directory of the wallet of this name.

    Args:
        name: A plain word.
    """
    if not _WORD.fullmatch(name) or len(os.fsencode(name)) > _LONGEST:
        raise ConfigurationError(f"A wallet's name is a plain word of letters, digits, - . and _, not {name[:60]!r}.")
    return wallets_directory() / name


def has_wallet() -> bool:
    """Return True if the environment, or a wallet of the command's own, names what pays."""
    return variable(WALLET_VARIABLE) is not None or has_keys() or default_place() is not None


def default_place() -> Path | None:
    """Return the directory of the wallet named default. None if there is none."""
    try:
        place = directory(DEFAULT)
    except ConfigurationError:
        return None
    return place if place.is_dir() else None


def place(named: str | os.PathLike[str]) -> Path:
    """Return the place of a wallet: of the one with this name, else of the file or directory at this path."""
    text = os.fspath(named)
    if is_secret(text.strip()):
        named = text = ""  # tools that print the variables of a traceback must find none
        raise ConfigurationError(
            "A wallet is named by its name or its path, and this is a key; pass it to Wallet(...)."
        )
    if isinstance(named, os.PathLike) or text != os.path.basename(text) or text.startswith((".", "~")):
        return Path(text)
    try:
        by_name = directory(text)
    except ConfigurationError:
        by_name = None
    if by_name is not None and by_name.is_dir():
        return by_name
    if text.endswith(".json") or os.path.exists(text):
        return Path(text)
    raise ConfigurationError(f"There is no wallet named {text}{_by_variable(text)}. {_what_there_is(text)}")


def _by_variable(name: str) -> str:
    return f", which {WALLET_VARIABLE} names" if name == variable(WALLET_VARIABLE) else ""


def _what_there_is(name: str) -> str:
    try:
        found = sorted(one.name for one in wallets_directory().iterdir() if one.name[:1] != ".")
    except (OSError, ConfigurationError):
        found = []
    return f"There is: {', '.join(found[:20])}." if found else "There is none yet; `x402 wallet new` makes one."
