"""A seller's words that are our own payment are told from words."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from x402_client.wire.leaks import repeats

SIGNATURE = "0x" + "5e9a" * 32 + "1b"
TRANSACTION = base64.b64encode(bytes(range(200))).decode()


def header(payload: Any) -> str:
    return base64.b64encode(json.dumps({"x402Version": 2, "payload": payload}).encode()).decode()


SIGNED = header({"signature": SIGNATURE, "authorization": {"to": "0x" + "ab" * 20, "nonce": "0x" + "cd" * 32}})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (SIGNED, SIGNED),
        (SIGNED[40:80], SIGNED),
        (f"bad payment: {SIGNED[-60:]}!", SIGNED),
        (SIGNATURE, SIGNED),
        (SIGNATURE.upper()[2:], SIGNED),
        (f"signature {SIGNATURE[10:50]} is used", SIGNED),
        (
            base64.urlsafe_b64encode(
                json.dumps({"x402Version": 2, "payload": {"signature": SIGNATURE}}, indent=1).encode()
            ).decode(),
            SIGNED,
        ),
        (f"no: {base64.b64encode(SIGNATURE.encode()).decode()[:70]}", SIGNED),
        (TRANSACTION[30:90], header({"transaction": TRANSACTION})),
        (TRANSACTION, header({"deep": {"er": TRANSACTION}})),
    ],
)
def test_repeated(words: str, said: str) -> None:
    assert repeats(words, said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", SIGNED),
        ("insufficient funds", SIGNED),
        ("0x" + "ab" * 20, SIGNED),
        ("0x" + "cd" * 32, SIGNED),
        (SIGNATURE[:23], SIGNED),
        (SIGNATURE, ""),
        (SIGNATURE, "no base64"),
        (SIGNATURE, "padding"),
        (SIGNATURE, base64.b64encode(b"[1]").decode()),
        (SIGNATURE, header(None)),
        (SIGNATURE, header({"a": [SIGNATURE], "b": 7, "c": "short"})),
    ],
)
def test_words_of_its_own(words: str, said: str) -> None:
    assert not repeats(words, said)
