"""Messages for texts that were given as a key by mistake: what each is, and the cure. No message shows the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

HEX_KEY = re.compile(r"(0[xX])?[0-9a-fA-F]{64}", re.ASCII)
#: The numbers in a file that solana-keygen wrote.
NUMBERS = re.compile(r"\s*\[\s*(?:\d{1,3}\s*,\s*){31,63}\d{1,3}\s*\]\s*", re.ASCII)
EXTENDED = re.compile(r"[xyzt]prv[1-9A-HJ-NP-Za-km-z]{100,}", re.ASCII)
WORD = re.compile(r"[a-z]{3,8}", re.ASCII)
MNEMONIC_LENGTHS = (12, 15, 18, 21, 24)
_HEX_ADDRESS = r"(?a)(0[xX])?[0-9a-fA-F]{40}"
_BASE58 = r"(?a)[1-9A-HJ-NP-Za-km-z]{32,88}"
#: Names of variables have an underscore in them, and keys have none.
_VARIABLE = r"(?a)\$\{?\w+\}?|[A-Z][A-Z0-9]*(_[A-Z0-9]+)+"
_FILE = r"(?ai)[^\s=]+\.(json|pem|key|txt)|[~.]{0,2}/[^\s=]+|[A-Za-z]:\\[^\s=]+"


def evm_mistake(text: str) -> str | None:
    """Return what is wrong with a text that was given as an EVM key, and the cure.

    Return None if it may be a key, or if nothing is known about it. No message has a part of the text.
    """
    size = _base58_size(text)
    if HEX_KEY.fullmatch(text):
        return None
    if re.fullmatch(_HEX_ADDRESS, text):
        return (
            "This is an EVM address, not a key. The key is the secret of 64 hex digits that belongs to it; wallets "
            "call it the private key."
        )
    if NUMBERS.fullmatch(text) or size == 64:
        return "This is a Solana key, not an EVM one; give it as Wallet(solana=...), or in X402_SOLANA_KEY."
    if size == 32:
        return (
            "This looks like a Solana address, and is not an EVM key. An EVM key has 64 hex digits, with or without 0x."
        )
    return _other(text, "evm", "An EVM key has 64 hex digits, with or without 0x")


def solana_mistake(text: str) -> str | None:
    """Return what is wrong with a text that was given as a Solana key, and the cure.

    Return None if it may be a key, or if nothing is known about it. 32 bytes in base58 are refused: they may be an
    address, and everybody would know a key made of one.
    """
    if HEX_KEY.fullmatch(text):
        return "This is an EVM key, not a Solana one; give it as Wallet(evm=...), or in X402_EVM_KEY."
    if re.fullmatch(_HEX_ADDRESS, text):
        return "This is an EVM address. A Solana key is base58 of 64 bytes, as wallets export it."
    if NUMBERS.fullmatch(text):
        return (
            "These are the numbers of a Solana key file; pass them as Wallet(solana=bytes(json.loads(text))), or let "
            "`x402 wallet import` read them."
        )
    if _base58_size(text) == 32:
        return (
            "This is 32 bytes in base58, as a Solana address is, and not a key. A key is base58 of 64 bytes, as "
            "wallets export it; a seed of 32 bytes is passed as bytes, Wallet(solana=base58.b58decode(seed))."
        )
    return _other(text, "solana", "A Solana key is base58 of 64 bytes")


def is_secret(text: str) -> bool:
    """Return True for a text that is a key, or from which keys are derived. No message shows such a text."""
    forms = (HEX_KEY, NUMBERS)
    if any(form.fullmatch(text) for form in forms) or EXTENDED.search(text) or "PRIVATE KEY-----" in text:
        return True
    return _base58_size(text) == 64 or is_mnemonic(text.split())


def _other(text: str, keyword: str, form: str) -> str | None:
    """Return what is wrong with a text that is not a key on any chain."""
    if is_mnemonic(text.split()):
        return (
            "This is a mnemonic, not a key; Wallet.from_mnemonic(words) derives the keys from it, and "
            "`x402 wallet import` keeps them in an encrypted file."
        )
    if text[:1] in ("'", '"') or text[-1:] in ("'", '"'):
        return f"This key has quotation marks around it; leave them out. {form}."
    if re.fullmatch(_VARIABLE, text):
        return (
            "This is the name of a variable, not the key in it; Wallet.from_env() reads X402_EVM_KEY and "
            "X402_SOLANA_KEY."
        )
    if EXTENDED.search(text):
        return f"This is an extended key, from which other keys are derived. {form}: export that of one account."
    if "PRIVATE KEY-----" in text:
        return f"This is a key in PEM, as servers use them. {form}, as wallets export it."
    if text[:1] == "{" or re.fullmatch(_FILE, text):
        plain = ""
        if keyword == "solana":
            plain = ", and Wallet(solana=bytes(json.loads(Path(path).read_text()))) a file of solana-keygen"
        return (
            f"Wallet({keyword}=...) takes a key, not a file; Wallet.from_keystore(path) reads an encrypted "
            f"keystore{plain}."
        )
    return None


def _base58_size(text: str) -> int:
    """Return the number of bytes that a text has in base58. 0 if it is not base58, or cannot be a key by its length."""
    if not re.fullmatch(_BASE58, text):
        return 0
    import base58

    return len(base58.b58decode(text))


def is_mnemonic(words: Sequence[str]) -> bool:
    """Return True for words of the mnemonic list. One may be mistyped: the rest is still a secret."""
    if len(words) not in MNEMONIC_LENGTHS or not all(WORD.fullmatch(word.lower()) for word in words):
        return False
    return sum(word.lower() not in _word_list() for word in words) <= 1


@cache
def _word_list() -> frozenset[str]:
    from eth_account.hdaccount.mnemonic import Mnemonic
    from eth_account.types import Language

    return frozenset(Mnemonic(Language.ENGLISH).wordlist)
