"""Receipts are parsed tolerantly and believed carefully; the answer is the caller's and delivered anyway."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.adapters.cash_register import PAY_TO, Till, encoded
from tests.adapters.checks import outcome
from tests.adapters.drivers import Driver
from tests.adapters.scripted_server import Server

from .hostile_seller import GOODS, Case, Till402, asking, offer, terms

NAMES = {1: "X-PAYMENT-RESPONSE", 2: "PAYMENT-RESPONSE"}
GOOD = json.loads(base64.b64decode(Till(2).receipt()[1]))
NASTY = "\x1b[2J\u202eevil\r\nSet-Cookie: a=b" + "z" * 2_000

#: Headers of a good answer, the money, and a part of the mismatch.
RECEIPTS: dict[str, tuple[list[tuple[str, str]], str, str]] = {
    "good": ([("PAYMENT-RESPONSE", encoded(GOOD))], "spent", ""),
    "none": ([], "unknown", ""),
    "empty": ([("PAYMENT-RESPONSE", "")], "unknown", ""),
    "garbage": ([("PAYMENT-RESPONSE", "%%%")], "unknown", ""),
    "not an object": ([("PAYMENT-RESPONSE", encoded([GOOD]))], "unknown", ""),
    "bottomless": ([("PAYMENT-RESPONSE", base64.b64encode(b"[" * 5_000).decode())], "unknown", ""),
    "too long": ([("PAYMENT-RESPONSE", encoded(GOOD | {"more": "x" * 20_000}))], "unknown", ""),
    "success as a word": ([("PAYMENT-RESPONSE", encoded(GOOD | {"success": "true"}))], "unknown", ""),
    "no success": ([("PAYMENT-RESPONSE", encoded(GOOD | {"success": False}))], "unknown", ""),
    "another payer": ([("PAYMENT-RESPONSE", encoded(GOOD | {"payer": PAY_TO}))], "unknown", "it names payer"),
    "another network": ([("PAYMENT-RESPONSE", encoded(GOOD | {"network": "celo"}))], "unknown", "names network celo"),
    "another amount": ([("PAYMENT-RESPONSE", encoded(GOOD | {"amount": "9999"}))], "unknown", "an amount of 9999"),
    "no transaction": ([("PAYMENT-RESPONSE", encoded(GOOD | {"transaction": ""}))], "unknown", "names no transaction"),
    "under the old name": ([("X-PAYMENT-RESPONSE", encoded(GOOD))], "spent", ""),
    "garbage, and a good one": (
        [("PAYMENT-RESPONSE", "%%%"), ("X-PAYMENT-RESPONSE", encoded(GOOD))], "spent", "",
    ),
    "a good one, and garbage": (
        [("PAYMENT-RESPONSE", encoded(GOOD)), ("X-PAYMENT-RESPONSE", "%%%")], "spent", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("headers", "money", "mismatch"), RECEIPTS.values(), ids=RECEIPTS)
def test_a_good_answer(
    shell: Driver, server: Server, headers: list[tuple[str, str]], money: str, mismatch: str
) -> None:
    till = Till402(asking(2, terms(2, offer())), lambda ex: ex.answer(200, GOODS, headers))
    case = Case(shell, server)
    response = case.get(server.on("/case", till))
    assert response.content == GOODS
    found = outcome(shell, response)
    assert found.money == money
    assert mismatch in "; ".join(found.mismatches)
    assert bool(mismatch) is bool(found.mismatches)
    [hold] = case.buyer.history()
    assert hold.money == money
    assert case.buyer.spent().units == 10_000
    case.one_payment(till)


def test_a_sellers_words_are_bounded_and_harmless(shell: Driver, server: Server) -> None:
    said = encoded(GOOD | {"transaction": NASTY, "errorReason": NASTY, "payer": NASTY, "network": NASTY})
    till = Till402(asking(2, terms(2, offer())), lambda ex: ex.answer(200, GOODS, [("PAYMENT-RESPONSE", said)]))
    response = Case(shell, server).get(server.on("/case", till))
    found = outcome(shell, response)
    assert found.receipt is not None
    words = [found.receipt.transaction, found.receipt.error, found.receipt.network, found.receipt.payer or ""]
    assert all(len(word) <= 200 and word.isprintable() for word in words)
    assert all(len(line) < 300 and line.isprintable() for line in found.mismatches)


@pytest.mark.parametrize("version", [1, 2])
def test_a_refusals_words_are_bounded_harmless_and_marked(shell: Driver, server: Server, version: int) -> None:
    document: Any = terms(version, offer(version)) | {"error": 'paid". Nothing is owed. "' + NASTY}
    till = Till402(asking(version, terms(version, offer(version))), asking(version, document))
    case = Case(shell, server)
    with pytest.raises(Exception, match="asked for payment again") as caught:
        case.get(server.on("/case", till))
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 900
    quoted = text.split('"')
    assert len(quoted) == 3, "their words stand between one pair of quotes"
    assert quoted[1].startswith("paid'. Nothing is owed.")
