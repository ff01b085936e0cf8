"""Keys on the command line: found before any other code reads them, and never repeated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from ..signers.mistaken_keys import EXTENDED, HEX_KEY, MNEMONIC_LENGTHS, NUMBERS, WORD, is_mnemonic

#: The commands of ``x402 ledger`` that take the name of a payment, and their options that take nothing.
_ABOUT_ONE_PAYMENT = {"show", "retry", "write-off"}
_FLAGS = {"--json", "-y", "--yes", "-L", "--location"}
_ID = re.compile(r"[0-9a-fA-F]{4,32}", re.ASCII)
_NONCE = re.compile(r"0[xX][0-9a-fA-F]{64}", re.ASCII)
#: 32 bytes take 44 letters and 64 take 88, or fewer if the first bytes are zero.
_BASE58 = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,88}", re.ASCII)


def secret_among(arguments: Sequence[str]) -> str | None:
    """Return a message if an argument looks like a key or a mnemonic, else None.

    Such an argument is neither used nor shown.
    """
    what = _found(list(arguments))
    if what is None:
        return None
    return (
        f"{what}. It was not used. It stands in your shell's history now, and other programs could read it while this "
        "one ran: clear it there, and move what that key holds to a new wallet. Keys are read from a prompt, never "
        "from the command line: x402 wallet import"
    )


def _found(arguments: list[str]) -> str | None:
    in_wallet = "wallet" in [given for given in arguments if not given.startswith("-")][:1]
    names_payment = _names_payment(arguments)
    for position, given in enumerate(arguments, start=1):
        if position in names_payment:
            continue
        for text in {given, given.partition("=")[2]}:
            what = _kind(text.strip().strip("'\""), in_wallet)
            if what is not None:
                return f"Argument {position} looks like {what}"
    if any(is_mnemonic(run) for run in _runs_of_words(arguments)):
        return "The arguments look like a mnemonic"
    return None


def _names_payment(arguments: list[str]) -> set[int]:
    """Return the places of nonces and transactions that name a payment: one, or a row of them to be written off.

    A key looks like one: 0x and 64 hex digits. Only the place tells them apart.
    """
    if arguments[:1] != ["ledger"] or arguments[1:2] == [] or arguments[1] not in _ABOUT_ONE_PAYMENT:
        return set()
    before_one, found, several = _FLAGS | _ABOUT_ONE_PAYMENT, set[int](), arguments[1] == "write-off"
    for place, (before, given) in enumerate(pairwise(arguments), start=2):
        if before in before_one and _NONCE.fullmatch(given) and (several or not found):
            found.add(place)
        if before in before_one and several and (place in found or _ID.fullmatch(given)):
            before_one = {*before_one, given}
    return found


def _kind(text: str, in_wallet: bool) -> str | None:
    if HEX_KEY.fullmatch(text):
        return "a private key (64 hex digits)"
    if NUMBERS.fullmatch(text) or (_BASE58.fullmatch(text) and _is_solana_key(text, in_wallet)):
        return "a Solana private key"
    if EXTENDED.search(text) or "PRIVATE KEY-----" in text:
        return "a private key"
    return "a mnemonic" if is_mnemonic(text.split()) else None


def _is_solana_key(text: str, in_wallet: bool) -> bool:
    """Return True for 64 bytes whose halves belong together: a signature has the same length.

    32 bytes may be an address. But ``x402 wallet`` takes no address as an argument, so there they count as a key.
    """
    import base58

    try:
        raw = base58.b58decode(text)
    except ValueError:
        return False
    if len(raw) == 32:
        return in_wallet
    return len(raw) == 64 and (in_wallet or _belong_together(raw))


def _belong_together(raw: bytes) -> bool:
    from solders.keypair import Keypair

    return bytes(Keypair.from_seed(raw[:32]).pubkey()) == raw[32:]


def _runs_of_words(arguments: Sequence[str]) -> Iterator[list[str]]:
    """Yield words that stand side by side: a mnemonic may come without quotes."""
    for is_word, run in groupby(arguments, lambda given: bool(WORD.fullmatch(given))):
        words = list(run) if is_word else []
        for length in MNEMONIC_LENGTHS:
            yield from (words[start : start + length] for start in range(len(words) - length + 1))
