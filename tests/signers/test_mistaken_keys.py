"""What is given as a key and is none: it is named, with the cure, and never shown, also in no variable."""

from __future__ import annotations

import json
import secrets
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import base58
import pytest
from eth_account import Account
from solders.keypair import Keypair

from x402_client import Buyer, Wallet, errors

HEX = "a0" + secrets.token_hex(31)  # a nought is no letter of base58
PAIR = Keypair()
ACCOUNT = Account.from_key(HEX)
WORDS = "abandon ability able about above absent absorb abstract absurd abuse access accident"
NUMBERS = json.dumps(list(bytes(PAIR)))

#: What was given, and words of the message for each of the two keywords. None: it is taken.
GIVEN: dict[str, tuple[Any, str | None, str | None]] = {
    "a mnemonic": (WORDS, "a mnemonic.*from_mnemonic", "a mnemonic.*from_mnemonic"),
    "a mnemonic in capitals": (WORDS.upper(), "a mnemonic.*from_mnemonic", "a mnemonic.*from_mnemonic"),
    "a mnemonic with a slip": (WORDS.replace("able", "abel"), "a mnemonic", "a mnemonic"),
    "an EVM address": (ACCOUNT.address, "an EVM address, not a key.*64 hex digits", "an EVM address.*base58 of 64"),
    "an EVM address without 0x": (ACCOUNT.address[2:], "an EVM address, not a key", "an EVM address"),
    "a Solana address": (str(PAIR.pubkey()), "looks like a Solana address", "32 bytes in base58.*address"),
    "an EVM key": (HEX, None, r"an EVM key.*Wallet\(evm=...\), or in X402_EVM_KEY"),
    "an EVM key with 0x": (f"0x{HEX}", None, r"an EVM key.*Wallet\(evm=...\), or in X402_EVM_KEY"),
    "a Solana key": (str(PAIR), r"a Solana key.*Wallet\(solana=...\), or in X402_SOLANA_KEY", None),
    "a Solana key file": (NUMBERS, r"a Solana key.*X402_SOLANA_KEY", r"bytes\(json.loads\(text\)\).*wallet import"),
    "a Solana key in bytes": (bytes(PAIR), r"32 bytes; this one has 64.*Wallet\(solana=...\)", None),
    "a Keypair": (PAIR, r"Keypair signs for Solana.*Wallet\(solana=...\)", None),
    "an account": (ACCOUNT, None, r"LocalAccount signs for EVM chains.*Wallet\(evm=...\)"),
    "quotation marks": (f'"0x{HEX}"', "quotation marks", "quotation marks"),
    "a quotation mark at the end": (f"{PAIR}'", "quotation marks", "quotation marks"),
    "an extended key": (f"xprv{base58.b58encode(secrets.token_bytes(80)).decode()}", "extended", "extended"),
    "PEM": (f"-----BEGIN PRIVATE KEY-----\n{HEX}", "PEM", "PEM"),
    "a file": ("~/.config/solana/id.json", "not a file.*from_keystore", "not a file.*from_keystore.*solana-keygen"),
    "a keystore": (f'{{"crypto": "{HEX}"}}', "not a file.*from_keystore", "not a file.*from_keystore"),
    "a digit too few": (HEX[1:], "64 hex digits.*has 63 characters", "base58"),
    "a digit too many": (f"0x{HEX}a", "64 hex digits.*has 65 characters", "base58"),
    "another letter": (f"{HEX[:-1]}g", "64 hex digits.*other characters", "base58"),
    "a placeholder": ("0xYOUR_PRIVATE_KEY", "64 hex digits.*has 16 characters", "not base58"),
    "nothing": ("", "64 hex digits.*has 0 characters", "this one has 0"),
}  # fmt: skip
CASES = [
    pytest.param(keyword, given, said, id=f"{name} as {keyword}")
    for name, (given, *both) in GIVEN.items()
    for keyword, said in zip(("evm", "solana"), both, strict=True)
]
BUILDS: dict[str, Callable[[str, Any], Wallet]] = {
    "wallet": lambda keyword, given: Wallet(**{keyword: given}),
    "environment": lambda keyword, given: Wallet.from_env(),
}


def shown_by(failure: BaseException) -> str:
    """All that tools print of a failure that show the variables of each frame of ours."""
    trace = failure.__traceback__
    while trace is not None and "x402_client" not in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    return "".join(traceback.TracebackException(type(failure), failure, trace, capture_locals=True).format())


def pieces(given: Any) -> Iterator[str]:
    """What would give the secret away."""
    if isinstance(given, bytes | Keypair):
        yield from (repr(bytes(given))[2:20], bytes(given).hex()[:16], str(PAIR)[:16])
    elif isinstance(given, str):
        yield from (given[at : at + 12] for at in range(0, max(0, len(given) - 12), 7))


@pytest.mark.parametrize(("keyword", "given", "said"), CASES)
def test_what_is_given_as_a_key(keyword: str, given: Any, said: str | None) -> None:
    if said is None:
        assert len(Wallet(**{keyword: given}).addresses) == 1
        return
    with pytest.raises(errors.ConfigurationError, match=said) as raised:
        Wallet(**{keyword: given})
    message, shown = raised.value.args[0], shown_by(raised.value)
    assert message.endswith((".", "characters.", "it."))
    public = {ACCOUNT.address, str(PAIR.pubkey()), "0xYOUR_PRIVATE_KEY"}
    assert given in public or not [piece for piece in pieces(given) if piece in message + shown]


@pytest.mark.parametrize(
    ("keyword", "given", "said"), [case for case in CASES if isinstance(case.values[1], str) and case.values[1]]
)
def test_what_stands_in_a_variable(keyword: str, given: str, said: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("X402_EVM_KEY", "X402_SOLANA_KEY", "X402_WALLET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(f"X402_{keyword.upper()}_KEY", f" {given}\n")
    if said is None:
        assert len(Wallet.from_env().addresses) == 1
        return
    with pytest.raises(errors.ConfigurationError, match=f"^X402_{keyword.upper()}_KEY: .*{said}") as raised:
        Wallet.from_env()
    shown = str(raised.value) + shown_by(raised.value)
    assert len(given) < 20 or given.startswith("~") or not [piece for piece in pieces(given) if piece in shown]


@pytest.mark.parametrize("secret", [HEX, f"0x{HEX}", str(PAIR), NUMBERS, WORDS], ids=range(5))
def test_a_key_where_a_wallet_or_the_name_of_one_belongs(secret: str) -> None:
    mistakes: list[tuple[Callable[[Any], object], str]] = [
        (Wallet.from_keystore, "this is a key; pass it to Wallet"),
        (Buyer, r"wallet is a Wallet, not str; write Buyer\(Wallet\(evm=...\)\)"),
    ]
    for build, said in mistakes:
        with pytest.raises(errors.ConfigurationError, match=said) as raised:
            build(secret)
        shown = str(raised.value) + shown_by(raised.value)
        assert not [piece for piece in pieces(secret) if piece in shown]


def test_a_seed_of_32_bytes_is_taken_as_bytes() -> None:
    assert Wallet(solana=bytes(PAIR)[:32]).addresses == {"solana": str(PAIR.pubkey())}
