"""``x402 wallet``: makes, lists and fills keystores. Addresses are shown, keys never are."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ...buyer.environment import has_keys
from ...buyer.wallet import Wallet
from ...errors import ConfigurationError
from ...model.networks import EVM_FAMILY, SOLANA_FAMILY
from ...signers.keystore import (
    PASSPHRASE_VARIABLE,
    SHORTEST_PASSPHRASE,
    Family,
    keep_in_keyring,
    new_secret,
    read,
    seal,
    secrets_of,
    write,
)
from ...signers.mistaken_keys import solana_mistake
from ...signers.play_keys import is_well_known
from .. import completion, funding, options, wallets
from ..exits import Code
from ..own_words import in_own_words
from ..running import Stop, before, command
from ..screen import interactive, put, say, show, show_json, table, waiting

app: typer.Typer = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make a wallet, look at it, fill it.")
_NAMES = {"evm": "EVM chains", "solana": "Solana"}
_FAMILIES = {"evm": EVM_FAMILY, "solana": SOLANA_FAMILY}
#: What to keep. The second is for a passphrase in the keyring, which the user has not seen.
_NEW_BACKUP = (
    "Copy these files, and remember the passphrase: without both the money is lost.",
    "The passphrase is in this machine's keyring alone. If that is lost, so is the money, with or without these files.",
)
_IMPORTED_BACKUP = (
    "Keep the key or mnemonic itself, or copy these files and remember the passphrase: else the money is lost.",
    "Keep the key or mnemonic itself: the passphrase of these files is in this machine's keyring alone.",
)
Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False, help="A plain word. Without one: default.")]
Known = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        show_default=False,
        help="A wallet's name. Without one: the wallet that pays.",
        autocompletion=completion.wallets,
    ),
]
Keyring = Annotated[
    bool, typer.Option("--keyring", help="Make up a passphrase and keep it in the operating system's keyring.")
]


@app.command("new")
@command
def new(
    name: Name = wallets.DEFAULT,
    evm: Annotated[bool, typer.Option("--evm", help="Only a key for EVM chains.")] = False,
    solana: Annotated[bool, typer.Option("--solana", help="Only a key for Solana.")] = False,
    keyring: Keyring = False,
    passphrase_file: options.PassphraseFile = None,
) -> None:
    """Make new keys, one for EVM chains and one for Solana, encrypted with a passphrase.

    They are written as keystore files (Web3 secret storage, version 3) that only you can read.
    """
    families: list[Family] = ["evm", "solana"] if evm == solana else (["evm"] if evm else ["solana"])
    addresses = _keep(name, lambda: {family: new_secret() for family in families}, keyring, passphrase_file)
    say(_NEW_BACKUP[keyring], "yellow")
    _tell_funding({_FAMILIES[kind]: address for kind, address in addresses.items()}, name, say)


@app.command("import")
@command
def import_(
    name: Name = wallets.DEFAULT,
    keyring: Keyring = False,
    passphrase_file: options.PassphraseFile = None,
) -> None:
    """Encrypt a key that you have: asked for without showing it, or read from stdin; never an argument.

    It may be an EVM key (64 hex digits), or a Solana key (64 bytes in base58, or the numbers of a solana-keygen file).
    Of a BIP-39 mnemonic the first accounts are taken: m/44'/60'/0'/0/0 and m/44'/501'/0'/0'.
    """
    addresses = _keep(name, _typed_secrets, keyring, passphrase_file)
    if any(is_well_known(address) for address in addresses.values()):
        say(f"WARNING. {funding.play_warning()} They pay on test networks alone.", "bold red")
        return
    say(_IMPORTED_BACKUP[keyring], "yellow")
    for line, style in funding.next_commands(name):
        say(line, style)


def _typed_secrets() -> dict[Family, bytes]:
    return _secrets(wallets.ask("Key or mnemonic (it does not show): ") if interactive() else sys.stdin.read(65_536))


@app.command("show")
@command
def show_(
    name: Known = "",
    wallet: options.WalletAt = None,
    as_json: options.AsJson = False,
) -> None:
    """List wallets and their addresses. Needs no passphrase."""
    found = _found(name or wallet)
    if as_json:
        show_json([{"wallet": source, "kind": kind, "address": address} for source, kind, address in found])
        return
    if not found:
        raise Stop(Code.USAGE, wallets.no_wallet())
    rows = table("wallet", "pays on", "address")
    for source, kind, address in found:
        rows.add_row(source, _NAMES[kind], address or "(not told by the file)")
    put(rows)


@app.command("balance")
@command
def balance(
    name: Known = "",
    wallet: options.WalletAt = None,
    network: options.Networks = None,
    rpc: options.Rpc = None,
    policy: options.PolicyFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Ask the chains what the wallet holds of the tokens that it can pay with. Needs no passphrase."""
    from ..balances import known_balances
    from ..buying import Choices, policy_of

    found = _wallet_of(name or wallet)
    known_balances(found.wallet, network or [], tuple(rpc or ()), policy_of(Choices(policy)), as_json)


@app.command("fund")
@command
def fund(
    name: Known = "",
    wallet: options.WalletAt = None,
    network: options.Networks = None,
    as_json: options.AsJson = False,
) -> None:
    """Say how to put money into the wallet: which address, network and token, and how much. Asks no chain."""
    found = _wallet_of(name or wallet)
    if funding.is_play_wallet(found.wallet):
        raise Stop(Code.REFUSED, funding.play_warning())
    if as_json:
        show_json([place.document() for place in funding.places(found.wallet.addresses, network or [])])
        return
    _tell_funding(found.wallet.addresses, name or wallet or "", show, network or [])


def _wallet_of(named: str | None) -> wallets.Found:
    """Return the wallet of this name, or the one that pays."""
    found = wallets.find(named)
    if found.no_wallet:
        raise Stop(Code.USAGE, wallets.no_wallet())
    return found


def _tell_funding(
    owners: dict[str, str], name: str, tell: Callable[[str, str], None], networks: Sequence[str] = ()
) -> None:
    for line, style in funding.advice(funding.places(owners, networks), name):
        tell(line, style)


def _keep(
    name: str, get_secrets: Callable[[], dict[Family, bytes]], keyring: bool, passphrase_file: Path | None
) -> dict[str, str]:
    """Write the keystores, and return their addresses."""
    directory = _free(name)
    with before("No wallet was made."):
        found = get_secrets()
        passphrase = secrets.token_urlsafe(24) if keyring else _new_passphrase(passphrase_file)
        with waiting("Encrypting"):
            documents: list[tuple[Family, dict[str, Any]]]
            documents = [(family, seal(family, key, passphrase, in_keyring=keyring)) for family, key in found.items()]
        addresses: dict[str, str] = _addresses(found)
        found.clear()
        if keyring:
            for address in addresses.values():
                keep_in_keyring(address, passphrase)
    written = write(directory, documents)
    for path, (family, _) in zip(written, documents, strict=True):
        show(f"{addresses[family]}  pays on {_NAMES[family]}")
        say(f"Written to {path}", "dim")
    return addresses


def _addresses(found: dict[Family, bytes]) -> dict[str, str]:
    wallet = Wallet(found.get("evm"), found.get("solana"))
    signers = {"evm": wallet.evm, "solana": wallet.solana}
    return {family: signer.address for family, signer in signers.items() if signer is not None}


def _free(name: str) -> Path:
    directory = wallets.directory(name)
    if directory.exists():
        raise Stop(Code.USAGE, _taken(name, directory))
    return directory


def _taken(name: str, directory: Path) -> str:
    shown = "" if name == wallets.DEFAULT else f" {name}"
    return (
        f"There is a wallet named {name} already, in {directory}, and none is ever overwritten. "
        f"`x402 wallet show{shown}` lists its addresses, and `x402 wallet fund{shown}` says how to fill it. One more "
        "needs a name that is free: `x402 wallet new NAME` or `x402 wallet import NAME`. It pays with `--wallet NAME`."
    )


def _new_passphrase(file: Path | None) -> str:
    given = wallets.given_passphrase(file)
    if given is not None:
        if len(given) < SHORTEST_PASSPHRASE:
            raise Stop(
                Code.USAGE,
                f"The passphrase in {PASSPHRASE_VARIABLE if file is None else file} is too short: "
                f"{SHORTEST_PASSPHRASE} characters or more are needed. Nothing was written.",
            )
        return given
    if not interactive():
        raise Stop(
            Code.USAGE,
            "A passphrase is needed and there is no terminal to ask on; set X402_PASSPHRASE, or use --passphrase-file "
            "or --keyring.",
        )
    while True:
        first = wallets.ask(f"New passphrase, {SHORTEST_PASSPHRASE} characters or more: ")
        if len(first) < SHORTEST_PASSPHRASE:
            say(f"That is too short: {SHORTEST_PASSPHRASE} characters or more are needed.")
        elif wallets.ask("The same again: ") == first:
            return first
        else:
            say("The two are not the same. Try again.")


def _secrets(text: str) -> dict[Family, bytes]:
    """Read the secret that a user typed, in any of the usual forms.

    It is described, never shown.
    """
    text = text.strip()
    if not text:
        raise ConfigurationError("Nothing was typed.")
    if text.startswith("["):
        return {"solana": _from_numbers(text)}
    if len(text.split()) > 1:
        return secrets_of(text)
    if len(text.removeprefix("0x").removeprefix("0X")) == 64 or text[:2].lower() == "0x":
        from ...signers.evm import read_hex_key

        return {"evm": read_hex_key(text)}
    return {"solana": _from_base58(text)}


def _from_numbers(text: str) -> bytes:
    try:
        raw = bytes(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        raw = b""
    return _seed(raw)


def _from_base58(text: str) -> bytes:
    """Read a Solana key as ``Wallet(solana=...)`` does. 32 bytes are refused: they may be an address."""
    import base58

    mistake = solana_mistake(text)
    if mistake is not None:
        raise ConfigurationError(mistake)
    try:
        raw = base58.b58decode(text)
    except ValueError:
        raw = b""
    return _seed(raw)


def _seed(raw: bytes) -> bytes:
    """Return the 32 bytes that are kept. A public half that stands beside them has to be theirs."""
    if len(raw) not in (32, 64):
        raise ConfigurationError(
            "This is no key: an EVM key has 64 hex digits, a Solana key is base58 of 64 bytes, or 32 or 64 "
            "numbers in [], and a mnemonic has 12 to 24 words."
        )
    Wallet(solana=raw)
    return raw[:32]


def _found(named: str | None) -> list[tuple[str, str, str]]:
    """Return source, kind and address of every key: of one wallet, or of all there are."""
    if named is not None:
        return _listed(wallets.find(named))
    rows = _listed(wallets.find(None)) if has_keys() else []
    try:
        directories = sorted(one for one in wallets.wallets_directory().iterdir() if one.name[:1] != ".")
    except (OSError, ConfigurationError):
        directories = []
    for directory in directories:
        try:
            rows += [(directory.name, store.family, store.address) for store in read(directory)]
        except ConfigurationError as problem:  # one that cannot be read hides no other
            say(in_own_words(str(problem.args[0])), "yellow")
    return rows


def _listed(found: wallets.Found) -> list[tuple[str, str, str]]:
    if found.stores:
        return [(found.source, store.family, store.address) for store in found.stores]
    signers: dict[str, Any] = {"evm": found.wallet.evm, "solana": found.wallet.solana}
    return [(found.source, kind, signer.address) for kind, signer in signers.items() if signer is not None]
