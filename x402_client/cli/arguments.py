"""Keys on the command line: found before any other code reads them, and never repeated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby

_HEX_KEY = re.compile(r"(0[xX])?[0-9a-fA-F]{64}", re.ASCII)
#: 32 bytes take 44 letters and 64 take 88, or fewer if the first bytes are zero.
_BASE58 = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,88}", re.ASCII)
_KEYPAIR_FILE = re.compile(r"\s*\[\s*(?:\d{1,3}\s*,\s*){31,63}\d{1,3}\s*\]\s*", re.ASCII)
_EXTENDED = re.compile(r"[xyzt]prv[1-9A-HJ-NP-Za-km-z]{100,}", re.ASCII)
_WORD = re.compile(r"[a-z]{3,8}", re.ASCII)
_MNEMONIC_LENGTHS = (12, 15, 18, 21, 24)


def secret_among(arguments: Sequence[str]) -> str | None:
    """Return a message if an argument looks like a key or a mnemonic, else None.

    Such an argument is neither used nor shown.
    """
    what = _found(arguments)
    if what is None:
        return None
    return (
        f"{what}. It was not used. It stands in your shell's history now, and other programs could read it while this "
        "one ran: clear it there, and move what that key holds to a new wallet. Keys are read from a prompt, never "
        "from the command line: x402 wallet import"
    )


def _found(arguments: Sequence[str]) -> str | None:
    in_wallet = "wallet" in [given for given in arguments if not given.startswith("-")][:1]
    for position, given in enumerate(arguments, start=1):
        for text in {given, given.partition("=")[2]}:
            what = _kind(text.strip().strip("'\""), in_wallet)
            if what is not None:
                return f"Argument {position} looks like {what}"
    if any(_is_mnemonic(run) for run in _runs_of_words(arguments)):
        return "The arguments look like a mnemonic"
    return None


def _kind(text: str, in_wallet: bool) -> str | None:
    if _HEX_KEY.fullmatch(text):
        return "a private key (64 hex digits)"
    if _KEYPAIR_FILE.fullmatch(text) or (_BASE58.fullmatch(text) and _is_solana_key(text, in_wallet)):
        return "a Solana private key"
    if _EXTENDED.search(text) or "PRIVATE KEY-----" in text:
        return "a private key"
    return "a mnemonic" if _is_mnemonic(text.split()) else None


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
    for is_word, run in groupby(arguments, lambda given: bool(_WORD.fullmatch(given))):
        words = list(run) if is_word else []
        for length in _MNEMONIC_LENGTHS:
            yield from (words[start : start + length] for start in range(len(words) - length + 1))


def _is_mnemonic(words: list[str]) -> bool:
    """Return True for words of the mnemonic list. One may be mistyped: the rest is still a secret."""
    if len(words) not in _MNEMONIC_LENGTHS or not all(_WORD.fullmatch(word.lower()) for word in words):
        return False
    return sum(word.lower() not in _list() for word in words) <= 1


@cache
def _list() -> frozenset[str]:
    from eth_account.hdaccount.mnemonic import Mnemonic
    from eth_account.types import Language

    return frozenset(Mnemonic(Language.ENGLISH).wordlist)
