"""Whom to believe about a payment, and when: nothing is given back that can settle yet, or may have."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

from tests.adapters.cash_register import KEY
from x402_client import Buyer, Policy, Wallet
from x402_client.ledgers.conformance.ledger import order
from x402_client.model.holds import Attempt, Authorization

DEAD, FRESH, ALIVE = -200, -60, 60


class Says:
    """A reader of somebody else's."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.asked = answer, 0

    def read(self, hold: Any) -> Any:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


TABLE: list[tuple[Any, int, str]] = [
    ("not_settled", DEAD, "released"),
    ("settled", DEAD, "settled"),
    ("settled", FRESH, "settled"),
    # It may have looked at a state from before the expiry.
    ("not_settled", FRESH, "unknown"),
    ("unknown", DEAD, "unknown"),
    (None, DEAD, "unknown"),
    (False, DEAD, "unknown"),
    ("NOT_SETTLED", DEAD, "unknown"),
    (OSError("no such endpoint"), DEAD, "unknown"),
    # A payment that can settle yet is not asked about.
    ("not_settled", ALIVE, ""),
    ("settled", ALIVE, ""),
]


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize(("said", "expires", "found"), TABLE)
def test_what_a_reader_says_is_worth(said: Any, expires: int, found: str, awaited: bool) -> None:
    reader = Says(said)
    buyer = Buyer(Wallet(evm=KEY), Policy(per_day="1"), ledger=":memory:", reader=reader)
    attempt = Attempt()
    nonce = Authorization("0x01", buyer.wallet.evm.address, int(time.time()) + expires, ("PAYMENT-SIGNATURE", "x"))
    hold = buyer.ledger.record(buyer.ledger.reserve(order(), attempt), nonce)
    attempt.end()
    told = anyio.run(buyer.areconcile) if awaited else buyer.reconcile()
    assert [name for name in ("released", "settled", "unknown") if getattr(told, name)] == [found] * bool(found)
    assert reader.asked == bool(found)
    left = buyer.holds()
    assert [one.money for one in left] == {"released": [], "settled": ["spent"]}.get(found, ["unknown"])
    assert buyer.spent().units == (0 if found == "released" else hold.price.units)
