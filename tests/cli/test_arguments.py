"""A key on the command line is refused, is not repeated, and its owner learns that it is known now."""

from __future__ import annotations

import json

import base58
import pytest
from solders.keypair import Keypair

from x402_client.cli.arguments import secret_among
from x402_client.sandbox import TEST_EVM_KEYS, Sandbox

from .running import in_process, process

KEY = "4" * 63 + "a"
PAIR = Keypair.from_seed(bytes(range(1, 33)))
WORDS = "test test test test test test test test test test test junk"

SECRETS = {
    "hex": ["get", KEY],
    "hex with 0x": ["get", "https://x.example", "--key", f"0x{KEY}"],
    "hex behind =": ["get", "https://x.example", f"--wallet=0X{KEY}"],
    "hex in quotes": ["get", f"'{KEY}'"],
    "a pair in base58": ["get", str(PAIR)],
    "a seed in base58": ["wallet", "import", base58.b58encode(PAIR.secret()).decode()],
    "a seed that begins with zeros": ["wallet", "import", base58.b58encode(bytes(20) + b"\x07" * 12).decode()],
    "a file of solana-keygen": ["get", "-d", json.dumps(list(bytes(PAIR)))],
    "words": ["wallet", "import", WORDS],
    "words without quotes": ["wallet", "import", *WORDS.split()],
    "words with a slip": ["get", WORDS.replace("junk", "jnuk")],
    "words in capitals": ["get", WORDS.upper()],
    "more words": ["get", " ".join(["abandon"] * 23 + ["art"])],
    "an extended key": ["get", "xprv9s21ZrQH143K" + "a" * 95],
    "a file of openssl": ["get", "-----BEGIN PRIVATE KEY-----"],
    "before the command": [KEY, "get"],
    "a key where a payment is named": ["ledger", "show", KEY],
    "a purchase's key": ["ledger", "retry", "4f1c", "--key", f"0x{KEY}"],
    "a second one": ["ledger", "show", f"0x{KEY}", f"0x{KEY}"],
    "a second one behind an option": ["ledger", "show", f"0x{KEY}", "--json", f"0x{KEY}"],
    "a ledger, among several payments": ["ledger", "write-off", f"0x{KEY}", "--ledger", f"0x{KEY}"],
    "behind a ledger, among several payments": ["ledger", "write-off", "4f1c", "--ledger", "4f1c2", f"0x{KEY}"],
    "without 0x, among several payments": ["ledger", "write-off", f"0x{KEY}", KEY],
    "of another command": ["ledger", "freeze", f"0x{KEY}"],
}

HARMLESS = {
    "a URL": ["get", f"https://x.example/tx/0x{KEY}"],
    "a nonce": ["ledger", "show", f"0x{KEY}"],
    "a transaction behind options": ["ledger", "write-off", "--yes", "--json", f"0x{KEY}"],
    "several transactions": ["ledger", "write-off", f"0x{KEY}", "4f1c", f"0x{KEY}", "--yes", f"0x{KEY[::-1]}"],
    "a header": ["get", "https://x.example", "-H", f"X-Digest: {KEY}"],
    "an EVM address": ["get", "0x" + "4" * 40],
    "a Solana address": ["get", str(PAIR.pubkey())],
    "a Solana signature": ["decode", str(PAIR.sign_message(b""))],
    "a payment's blob": ["decode", "eyJ4NDAyVmVyc2lvbiI6MX0="],
    "a sentence of twelve words": ["get", "-d", "please tell me what the weather will be like over there tomorrow"],
    "an amount": ["get", "--max", "0.05"],
    "a list of numbers": ["get", "-d", "[1, 2, 3]"],
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_found(name: str) -> None:
    said = secret_among(SECRETS[name])
    assert said is not None
    assert "history" in said
    assert not any(given.strip("'") in said for given in SECRETS[name] if len(given) > 12)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_no_secret_is_not_taken_for_one(name: str) -> None:
    assert secret_among(HARMLESS[name]) is None


def test_the_command_refuses_it_before_anything_else_looks(bare: dict[str, str]) -> None:
    ran = process(["wallet", "import", TEST_EVM_KEYS[0]], bare)
    assert (ran.code, ran.out) == (2, b"")
    assert "Argument 3 looks like a private key" in ran.err
    assert "It stands in your shell's history now" in ran.err
    assert TEST_EVM_KEYS[0][2:] not in ran.err


def test_verbose_may_stand_behind_the_command(bare: dict[str, str], seller: Sandbox) -> None:
    for typed in (["get", f"{seller.url}/free", "-v"], ["get", "--yes", "-vv", f"{seller.url}/free"]):
        ran = in_process(typed, bare)
        assert ran.code == 0
    ran = in_process(["get", f"{seller.url}/free", "-X", "POST", "-d", "-v"], bare)
    assert "No such option" not in ran.err, "here it is the body"
