"""The record of what could still be taken, as a person reads it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.wire.terms import NETWORK, PAYER, USDC
from x402_client import Exposure, Money, Token

SINCE = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
TOKEN = Token(NETWORK, USDC, "USDC", currency="USD (test)")


def exposure(amount: int | None, until: datetime | None = None, token: Token = TOKEN) -> Exposure:
    kind = "allowance" if until is None else "permit"
    return Exposure(kind, token, PAYER, "0x" + "7" * 40, amount, SINCE, until, "why", "todo")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("amount", "written", "price"),
    [
        (13_000, "0.013 USDC", Money("0.013 USD (test)")),
        (None, "an unknown amount of USDC", None),
        (2**256 - 1, "an unlimited amount of USDC", ...),
    ],
)
def test_its_amount(amount: int | None, written: str, price: object) -> None:
    one = exposure(amount)
    assert one.written == written
    assert price is ... or one.price == price
    assert one.network == NETWORK
    assert repr(one) == f"<Exposure: allowance of {written} on base-sepolia to 0x777777…777777, no end>"


def test_a_permit_has_an_end_and_a_token_may_have_no_symbol() -> None:
    one = exposure(1, SINCE, Token(NETWORK, USDC))
    assert repr(one).endswith("until 2026-11-01 12:00 UTC>")
    assert "0x036CbD" in one.written
